/*
Copyright 2026 The Jobserver Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
*/

package vanishednamespace

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// pageSize is how many keys are read at once.
const pageSize = 500

// errMoved says that the data changed in a way that no claim about it can be kept.
var errMoved = errors.New("the record of the namespace, or the mark of the data, was written meanwhile")

// Sighting is a claim about the Jobs of a namespace's name: each that was created at or before an etcd revision was created in the namespace with this UID, or in one that
// had the name before it. It holds for ever, as a UID never comes back.
type Sighting struct {
	UID types.UID `json:"uid"`
	// Revision is etcd's. It was read before the cluster was asked for the UID.
	Revision int64 `json:"revision"`
	// Etcd is the ID of the etcd cluster that counts the revisions. A member restored from a snapshot has another one.
	Etcd uint64 `json:"etcd"`
}

// MemoryConfig is what a Memory is made of. All fields are required.
type MemoryConfig struct {
	// Etcd is where the Jobs are.
	Etcd *clientv3.Client
	// Prefix is what the keys of the sightings begin with, JobsPrefix what those of the Jobs do. Both end with a slash.
	Prefix, JobsPrefix string
	// MarkKey is the key of a mark that is written anew when somebody accepts data that was restored.
	MarkKey string
	// Decode reads a Job as it is stored.
	Decode func([]byte) (metav1.Object, error)
}

// Memory keeps sightings in etcd, beside the Jobs that they are about: a backup has both, of the same moment.
type Memory struct {
	config MemoryConfig
}

// NewMemory returns a Memory.
func NewMemory(config MemoryConfig) (*Memory, error) {
	if config.Etcd == nil || config.MarkKey == "" || config.Decode == nil || !strings.HasSuffix(config.Prefix, "/") || !strings.HasSuffix(config.JobsPrefix, "/") {
		return nil, errors.New("vanishednamespace: Etcd, MarkKey, Decode, and Prefix and JobsPrefix with a slash at their ends are required")
	}
	return &Memory{config: config}, nil
}

// recollection is what was remembered at a revision.
type recollection struct {
	memory *Memory

	revision int64
	etcd     uint64
	mark     string
	// sightings are those that hold, by the names of the namespaces; modified are the revisions of all there are.
	sightings map[string]Sighting
	modified  map[string]int64
}

// recall reads all sightings. A Job that was created before the call was created at or before the revision.
func (m *Memory) recall(ctx context.Context) (*recollection, error) {
	mark, err := m.config.Etcd.Get(ctx, m.config.MarkKey)
	if err != nil {
		return nil, fmt.Errorf("read the mark of the data: %w", err)
	}
	r := &recollection{
		memory: m, revision: mark.Header.Revision, etcd: mark.Header.ClusterId,
		sightings: map[string]Sighting{}, modified: map[string]int64{},
	}
	for _, kv := range mark.Kvs {
		r.mark = string(kv.Value)
	}
	err = m.eachKey(ctx, m.config.Prefix, r.revision, func(key string, kv keyValue) error {
		r.modified[key] = kv.modified
		sighting := Sighting{}
		// What can't be read, of another version, say, claims nothing. A sighting is written after its revision was read: another order, or another etcd, says that
		// the data was moved, and that revisions mean something else.
		if json.Unmarshal(kv.value, &sighting) == nil && sighting.UID != "" && sighting.Etcd == r.etcd && sighting.Revision < kv.modified {
			r.sightings[key] = sighting
		}
		return nil
	})
	return r, err
}

// remember keeps that the namespace has a UID, which the cluster said after the recollection.
func (r *recollection) remember(ctx context.Context, namespace string, uid types.UID) error {
	encoded, err := json.Marshal(Sighting{UID: uid, Revision: r.revision, Etcd: r.etcd})
	if err != nil {
		return err
	}
	return r.write(ctx, namespace, clientv3.OpPut(r.key(namespace), string(encoded)))
}

// forget removes what is known of a namespace.
func (r *recollection) forget(ctx context.Context, namespace string) error {
	return r.write(ctx, namespace, clientv3.OpDelete(r.key(namespace)))
}

func (r *recollection) key(namespace string) string { return r.memory.config.Prefix + namespace }

// write does something about the sighting of a namespace, unless it was written, or the data was exchanged, since the recollection.
func (r *recollection) write(ctx context.Context, namespace string, op clientv3.Op) error {
	markKey := r.memory.config.MarkKey
	same := []clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(r.key(namespace)), "=", r.modified[namespace])}
	if r.mark == "" {
		same = append(same, clientv3.Compare(clientv3.Version(markKey), "=", 0))
	} else {
		same = append(same, clientv3.Compare(clientv3.Value(markKey), "=", r.mark))
	}
	response, err := r.memory.config.Etcd.Txn(ctx).If(same...).Then(op).Commit()
	if err != nil {
		return fmt.Errorf("remember namespace %s: %w", namespace, err)
	}
	if !response.Succeeded {
		return fmt.Errorf("remember namespace %s: %w", namespace, errMoved)
	}
	return nil
}

// createdUntil are the UIDs of the Jobs that a sighting is about, by their names, of those that are there now.
func (r *recollection) createdUntil(ctx context.Context, namespace string, sighting Sighting) (map[string]types.UID, error) {
	jobs := map[string]types.UID{}
	const newest = 0
	err := r.memory.eachKey(ctx, r.memory.config.JobsPrefix+namespace+"/", newest, func(name string, kv keyValue) error {
		if kv.created > sighting.Revision {
			return nil
		}
		job, err := r.memory.config.Decode(kv.value)
		if err != nil {
			return fmt.Errorf("read the stored Job %s/%s: %w", namespace, name, err)
		}
		jobs[name] = job.GetUID()
		return nil
	})
	return jobs, err
}

// remove takes Jobs out of etcd, past the API, which has no way to delete them, and returns how many. Those that have finalizers of somebody else's than the cluster's
// garbage collector stay.
func (r *recollection) remove(ctx context.Context, namespace string, uids map[string]types.UID) (removed int, _ error) {
	const newest = 0
	prefix := r.memory.config.JobsPrefix + namespace + "/"
	err := r.memory.eachKey(ctx, prefix, newest, func(name string, kv keyValue) error {
		job, err := r.memory.config.Decode(kv.value)
		if err != nil {
			return fmt.Errorf("read the stored Job %s/%s: %w", namespace, name, err)
		}
		if job.GetUID() != uids[name] || slices.ContainsFunc(job.GetFinalizers(), othersFinalizer) {
			return nil
		}
		same := clientv3.Compare(clientv3.ModRevision(prefix+name), "=", kv.modified)
		response, err := r.memory.config.Etcd.Txn(ctx).If(same).Then(clientv3.OpDelete(prefix + name)).Commit()
		if err != nil {
			return fmt.Errorf("remove Job %s/%s from etcd: %w", namespace, name, err)
		}
		if response.Succeeded {
			removed++
		}
		return nil
	})
	return removed, err
}

// othersFinalizer tells whether a finalizer is not the garbage collector's, who has nothing to do in a namespace that is gone.
func othersFinalizer(finalizer string) bool {
	return finalizer != metav1.FinalizerDeleteDependents && finalizer != metav1.FinalizerOrphanDependents
}

// keyValue is what etcd has at a key.
type keyValue struct {
	value             []byte
	created, modified int64
}

// eachKey calls f with each key below prefix, without the prefix, as of a revision; 0 is the newest.
func (m *Memory) eachKey(ctx context.Context, prefix string, revision int64, f func(key string, kv keyValue) error) error {
	end := clientv3.GetPrefixRangeEnd(prefix)
	for key := prefix; ; {
		page, err := m.config.Etcd.Get(ctx, key, clientv3.WithRange(end), clientv3.WithLimit(pageSize), clientv3.WithRev(revision))
		if err != nil {
			return fmt.Errorf("read %s from etcd: %w", prefix, err)
		}
		for _, kv := range page.Kvs {
			key = string(kv.Key)
			if err := f(strings.TrimPrefix(key, prefix), keyValue{value: kv.Value, created: kv.CreateRevision, modified: kv.ModRevision}); err != nil {
				return err
			}
		}
		if !page.More {
			return nil
		}
		key += "\x00"
	}
}

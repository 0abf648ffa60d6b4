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

// Package lineage notices when the data in etcd is not what the cluster has seen last: etcd was restored from a backup, has lost its disk, or
// belongs to another cluster.
//
// Why it matters: Pods in the cluster name Jobs in our etcd as their owners. The cluster's garbage collector asks for an owner, and deletes
// what it owned where the answer is 404. An API that forgot the Jobs of an hour would have the running Pods of that hour killed.
//
// Etcd and a ConfigMap in the cluster each hold a Mark with a number that rises while Jobs are written, in etcd first. A number in etcd
// that is behind the one in the cluster is older data, whatever happened to etcd's own revision. Then nothing is served before somebody has
// looked, and has accepted it by an annotation; the Pods whose Jobs are gone are let go before that, and live on without an owner.
package lineage

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Mark says which data this is, and how far it has come.
type Mark struct {
	// Storage is a random name of the data, from its first use on.
	Storage string `json:"storage"`
	// Generation rises with each mark that is set.
	Generation int64 `json:"generation"`
	// Cluster is the UID of the namespace kube-system of the cluster that the data belongs to.
	Cluster string `json:"cluster"`
	// Made is when it was set, by the clock of the replica that did.
	Made time.Time `json:"made"`
}

// first returns the mark of data that is new.
func first(cluster string, now time.Time) Mark {
	return Mark{Storage: uuid.NewString(), Generation: 1, Cluster: cluster, Made: now.UTC()}
}

// next returns the mark that follows.
func (m Mark) next(now time.Time) Mark {
	m.Generation++
	m.Made = now.UTC()
	return m
}

// encode returns the mark as it stands in etcd and in the ConfigMap.
func (m Mark) encode() (string, error) {
	encoded, err := json.Marshal(m)
	if err != nil {
		return "", fmt.Errorf("encode the mark: %w", err)
	}
	return string(encoded), nil
}

// decode reads a mark. Nothing is nil.
func decode(encoded string) (*Mark, error) {
	if encoded == "" {
		return nil, nil
	}
	m := &Mark{}
	if err := json.Unmarshal([]byte(encoded), m); err != nil {
		return nil, fmt.Errorf("read the mark %q: %w", encoded, err)
	}
	if m.Storage == "" || m.Generation < 1 || m.Cluster == "" {
		return nil, fmt.Errorf("read the mark %q: storage, generation and cluster are required", encoded)
	}
	return m, nil
}

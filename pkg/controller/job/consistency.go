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

package job

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/tools/cache"

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

// A sync acts on the cache, which follows the API at a distance. What the controller wrote itself it must have read back
// before it decides again, or it repeats what it did. There are three answers to a cache that lags behind:
//
//   - the Job's status, or the owner reference of a Pod: the sync is put off (ownWrites, rule B9);
//   - creations and deletions of Pods: the sync runs, but creates and deletes none to scale (expectations, rule B16);
//   - removals of finalizers: the sync is told which Pods are accounted for already (finalizerRemovals, rule B43).
//
// All three compare the cache with what was written, at the time of the sync and before the Pods are listed. Nothing is
// counted by events, so no order of an event and the answer to a request can confuse them.

// reached tells whether an object of version have includes the write that answered with version wrote. Versions that don't
// compare count as reached, as upstream does: the conflict check of the API is still behind it.
func reached(have, wrote string) bool {
	order, err := resourceversion.CompareResourceVersion(have, wrote)
	return err != nil || order >= 0
}

// podCache reads the Pod cache by what our writes returned.
type podCache struct {
	indexer cache.Indexer
}

// get returns the cached Pod of the name, nil where there is none.
func (c podCache) get(namespace, name string) *corev1.Pod {
	obj, found, err := c.indexer.GetByKey(namespace + "/" + name)
	if err != nil || !found {
		return nil
	}
	pod, _ := obj.(*corev1.Pod)
	return pod
}

// has returns the cached Pod of the name if it is the one of the UID, nil otherwise.
func (c podCache) has(namespace, name string, uid types.UID) *corev1.Pod {
	if pod := c.get(namespace, name); pod != nil && pod.UID == uid {
		return pod
	}
	return nil
}

// passed tells whether the cache has seen all Pods up to the version. False where it doesn't know.
func (c podCache) passed(version string) bool {
	have := c.indexer.LastStoreSyncResourceVersion()
	if have == "" || version == "" {
		return false
	}
	order, err := resourceversion.CompareResourceVersion(have, version)
	return err == nil && order >= 0
}

// podWrite is a Pod as one of our requests left it.
type podWrite struct {
	name    string
	version string
}

// ownWrites are the writes that have to be in the cache before the Job is looked at again (rule B9).
type ownWrites struct {
	// status is the resource version of the Job after our last status write; empty once it was observed.
	status string

	// pods are the Pods that were adopted or released.
	pods map[types.UID]podWrite
}

// wroteStatus notes a status write.
func (w *ownWrites) wroteStatus(job *batchv1.Job) {
	w.status = job.ResourceVersion
}

// wrotePod notes that the owner reference of a Pod was changed.
func (w *ownWrites) wrotePod(pod *corev1.Pod) {
	if w.pods == nil {
		w.pods = map[types.UID]podWrite{}
	}
	w.pods[pod.UID] = podWrite{name: pod.Name, version: pod.ResourceVersion}
}

// stale returns the resource in whose cache our own last write is missing, and true; false where none is.
func (w *ownWrites) stale(job *batchv1.Job, pods podCache) (schema.GroupResource, bool) {
	if w.status != "" {
		if !reached(job.ResourceVersion, w.status) {
			return batchv1.Resource("jobs"), true
		}
		w.status = ""
	}
	for uid, write := range w.pods {
		pod := pods.has(job.Namespace, write.name, uid)
		if pod != nil && !reached(pod.ResourceVersion, write.version) {
			return corev1.Resource("pods"), true
		}
		delete(w.pods, uid)
	}
	return schema.GroupResource{}, false
}

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
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// expectationsTimeout is after how long a created Pod that the cache doesn't show is looked up in the API (upstream gives up
// waiting after this time; section 2.0).
const expectationsTimeout = 5 * time.Minute

// expectations are the creations and deletions of Pods that the API confirmed and the cache need not show yet.
type expectations struct {
	created map[types.UID]createdPod
	deleted map[types.UID]podWrite
}

// createdPod is a Pod that was created at a time.
type createdPod struct {
	podWrite
	at time.Time
}

// expectCreated notes a Pod that was created.
func (e *expectations) expectCreated(pod *corev1.Pod, now time.Time) {
	if e.created == nil {
		e.created = map[types.UID]createdPod{}
	}
	e.created[pod.UID] = createdPod{podWrite: podWrite{name: pod.Name, version: pod.ResourceVersion}, at: now}
}

// expectDeleted notes a Pod whose deletion was accepted.
func (e *expectations) expectDeleted(pod *corev1.Pod) {
	if e.deleted == nil {
		e.deleted = map[types.UID]podWrite{}
	}
	e.deleted[pod.UID] = podWrite{name: pod.Name}
}

// observed drops what the cache shows and tells whether nothing is left.
func (e *expectations) observed(namespace string, pods podCache) bool {
	for uid, created := range e.created {
		// A Pod that is not there although the cache is past its creation was deleted since.
		if pod := pods.get(namespace, created.name); pod != nil && reached(pod.ResourceVersion, created.version) || pods.passed(created.version) {
			delete(e.created, uid)
		}
	}
	for uid, deleted := range e.deleted {
		if pod := pods.has(namespace, deleted.name, uid); pod == nil || pod.DeletionTimestamp != nil {
			delete(e.deleted, uid)
		}
	}
	return len(e.created) == 0 && len(e.deleted) == 0
}

// overdue returns the created Pods, UID to name, that the cache should long have shown.
func (e *expectations) overdue(now time.Time) map[types.UID]string {
	overdue := map[types.UID]string{}
	for uid, created := range e.created {
		if now.Sub(created.at) >= expectationsTimeout {
			overdue[uid] = created.name
		}
	}
	return overdue
}

// drop stops expecting a created Pod, because the API doesn't have it any more.
func (e *expectations) drop(uid types.UID) {
	delete(e.created, uid)
}

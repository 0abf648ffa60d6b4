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
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/jobserver-dev/jobserver/pkg/controller/job/plan"
)

// finalizerRemovals are the Pods whose tracking finalizer was removed while the cache may still show it (rule B43). Their
// end is accounted for: counting them again because of a slow watch is the mistake that this prevents. A version is empty
// where the Pod is gone.
type finalizerRemovals map[types.UID]podWrite

// add notes a removal. after is the Pod as the API returned it, nil where the Pod was gone.
func (r *finalizerRemovals) add(pod, after *corev1.Pod) {
	if *r == nil {
		*r = finalizerRemovals{}
	}
	write := podWrite{name: pod.Name}
	if after != nil {
		write.version = after.ResourceVersion
	}
	(*r)[pod.UID] = write
}

// unseen drops the removals that the cache shows and returns the UIDs of the others.
func (r finalizerRemovals) unseen(namespace string, pods podCache, id plan.Identity) sets.Set[types.UID] {
	unseen := sets.New[types.UID]()
	for uid, removal := range r {
		if pod := pods.has(namespace, removal.name, uid); pod == nil || removal.shown(pod, id) {
			delete(r, uid)
			continue
		}
		unseen.Insert(uid)
	}
	return unseen
}

// shown tells whether the cached Pod includes the removal. By version where there is one: a Pod without a finalizer may also
// be from before we put it on.
func (w podWrite) shown(pod *corev1.Pod, id plan.Identity) bool {
	if w.version == "" || pod.ResourceVersion == "" {
		return !id.Tracks(pod)
	}
	return reached(pod.ResourceVersion, w.version)
}

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

package nodeagent

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	resourcehelper "k8s.io/component-helpers/resource"
)

// podLimit is what all containers of the Pod together may use of a resource: what the Pod says for itself, or the sum of its containers' where each
// has a limit. limited is false where nothing bounds it.
func podLimit(pod *corev1.Pod, name corev1.ResourceName) (limit resource.Quantity, limited bool) {
	if pod.Spec.Resources != nil {
		if limit, limited = pod.Spec.Resources.Limits[name]; limited {
			return limit, true
		}
	}
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			if limit, ok := list[i].Resources.Limits[name]; !ok || limit.IsZero() {
				return resource.Quantity{}, false
			}
		}
	}
	limit, limited = resourcehelper.PodLimits(pod, resourcehelper.PodResourcesOptions{})[name]
	return limit, limited
}

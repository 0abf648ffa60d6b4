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
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	resourcehelper "k8s.io/component-helpers/resource"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime/cgroup"
)

// containerLimits are what the processes of a container may use together: what it says, or else what its Pod says for itself.
func containerLimits(pod *corev1.Pod, container *corev1.Container) cgroup.Limits {
	limit := func(name corev1.ResourceName) resource.Quantity {
		if own := container.Resources.Limits[name]; !own.IsZero() || pod.Spec.Resources == nil {
			return own
		}
		return pod.Spec.Resources.Limits[name]
	}
	memory, cpu := limit(corev1.ResourceMemory), limit(corev1.ResourceCPU)
	return cgroup.Limits{Memory: memory.Value(), MilliCPU: cpu.MilliValue()}
}

// unenforcedLimits says which limits of a container bind nothing on this machine, and why; empty: none.
func (a *Agent) unenforcedLimits(pod *corev1.Pod, container *corev1.Container) string {
	limits := containerLimits(pod, container)
	var said []string
	for _, limit := range []struct {
		controller string
		set        bool
	}{{cgroup.CPU, limits.MilliCPU > 0}, {cgroup.Memory, limits.Memory > 0}} {
		if err := a.runtime.LimitError(limit.controller); limit.set && err != nil {
			said = append(said, fmt.Sprintf("the limit of %s (%v)", limit.controller, err))
		}
	}
	if len(said) == 0 {
		return ""
	}
	return "Not enforced by this node: " + strings.Join(said, ", ")
}

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

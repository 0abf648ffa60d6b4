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
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime/cgroup"
)

func TestContainerLimits(t *testing.T) {
	t.Parallel()
	pod := shellPod("pod", "true")
	container := &pod.Spec.Containers[0]
	if got := containerLimits(pod, container); got != (cgroup.Limits{}) {
		t.Errorf("without limits: %+v", got)
	}
	container.Resources.Limits = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1500m")}
	pod.Spec.Resources = &corev1.ResourceRequirements{Limits: corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("8"), corev1.ResourceMemory: resource.MustParse("64Mi"),
	}}
	if got, want := containerLimits(pod, container), (cgroup.Limits{Memory: 64 << 20, MilliCPU: 1500}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestContainerThatTakesTooMuchMemory(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	pod := shellPod("greedy", "exec tail /dev/zero")
	// The kernel kills the largest process. It must not be the supervisor, which is in a cgroup of version 1 itself while it starts the container, and which the race
	// detector makes large.
	pod.Spec.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("256Mi")}
	if c.agent.runtime.LimitError(cgroup.Memory) != nil {
		pod.Spec.Containers[0].Command = []string{"true"} // lest it take all that the machine has
		c.create(t, pod)
		c.waitEvents(t, "greedy", "LimitsNotEnforced")
		return
	}
	c.create(t, pod)
	got := mainState(c.waitPhase(t, "greedy", corev1.PodFailed)).Terminated
	if got.Reason != "OOMKilled" || got.ExitCode != 137 || got.Signal != 9 {
		t.Errorf("ended with %+v, want OOMKilled and 137", got)
	}
}

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

package plan

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestFinishTime(t *testing.T) {
	t.Parallel()
	two := func(first, second corev1.ContainerState) *podBuilder {
		b := makePod("p").created(1)
		b.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "a", State: first}, {Name: "b", State: second}}
		return b
	}
	ended := func(seconds int) corev1.ContainerState {
		return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{FinishedAt: at(seconds)}}
	}
	withInit := func(b *podBuilder, restartPolicy *corev1.ContainerRestartPolicy, state corev1.ContainerState) *podBuilder {
		b.Spec.InitContainers = []corev1.Container{{Name: "init", RestartPolicy: restartPolicy}}
		b.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "init", State: state}}
		return b
	}
	unready := func(b *podBuilder) *podBuilder {
		b.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse, LastTransitionTime: at(7)}}
		return b
	}
	always := new(corev1.ContainerRestartPolicyAlways)
	for name, tc := range map[string]struct {
		pod  *podBuilder
		want int
	}{
		"the last container":                {two(ended(3), ended(5)), 5},
		"a sidecar ends later":              {withInit(two(ended(3), ended(5)), always, ended(6)), 6},
		"an init container does not matter": {withInit(two(ended(3), ended(5)), nil, ended(9)), 5},
		"a container that still runs":       {unready(two(ended(3), corev1.ContainerState{})), 7},
		"a sidecar that still runs":         {unready(withInit(two(ended(3), ended(5)), always, corev1.ContainerState{})), 7},
		"a container without a time":        {unready(two(ended(3), corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}})), 7},
		"not ready goes before deleted":     {unready(makePod("p").deleted(9)), 7},
		"deleted":                           {makePod("p").created(1).deleted(9), 9},
		"nothing known":                     {makePod("p").created(1), 1},
		"ready":                             {makePod("p").created(1).ready(4), 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := finishTime(tc.pod.obj()); !got.Equal(at(tc.want).Time) {
				t.Errorf("got %v, want %d s", got, tc.want)
			}
		})
	}
}

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

package run

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestTroubles(t *testing.T) {
	t.Parallel()
	waiting := func(reason, message string) []corev1.ContainerStatus {
		return []corev1.ContainerStatus{{Name: "main", State: corev1.ContainerState{
			Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}}}
	}
	ended := func(code int32, reason, message string) []corev1.ContainerStatus {
		return []corev1.ContainerStatus{{Name: "main", State: corev1.ContainerState{
			Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason, Message: message}}}}
	}
	scheduled := func(status corev1.ConditionStatus, reason, message string) []corev1.PodCondition {
		return []corev1.PodCondition{{Type: corev1.PodScheduled, Status: status, Reason: reason, Message: message}}
	}
	tests := map[string]struct {
		status corev1.PodStatus
		want   []string
	}{
		"nothing known yet":   {},
		"runs":                {status: corev1.PodStatus{Phase: corev1.PodRunning, Conditions: scheduled(corev1.ConditionTrue, "", "")}},
		"is being made":       {status: corev1.PodStatus{ContainerStatuses: waiting("ContainerCreating", "")}},
		"does not fit":        {status: corev1.PodStatus{Conditions: scheduled(corev1.ConditionFalse, "Unschedulable", "no room")}, want: []string{"waiting: Unschedulable: no room"}},
		"lacks a secret":      {status: corev1.PodStatus{ContainerStatuses: waiting("CreateContainerConfigError", `secret "s" not found`)}, want: []string{`container main is waiting: CreateContainerConfigError: secret "s" not found`}},
		"is restarted slowly": {status: corev1.PodStatus{InitContainerStatuses: waiting("CrashLoopBackOff", "back-off 10s")}, want: []string{"container main is waiting: CrashLoopBackOff: back-off 10s"}},
		"is refused":          {status: corev1.PodStatus{Phase: corev1.PodFailed, Reason: "UnsupportedField", Message: "spec.x"}, want: []string{"failed: UnsupportedField: spec.x"}},
		"has no such command": {status: corev1.PodStatus{Phase: corev1.PodFailed, ContainerStatuses: ended(127, "ContainerCannotRun", "not found")}, want: []string{"container main failed: ContainerCannotRun: not found"}},
		"failed by itself":    {status: corev1.PodStatus{Phase: corev1.PodFailed, ContainerStatuses: ended(3, "Error", "")}},
		"succeeded":           {status: corev1.PodStatus{Phase: corev1.PodSucceeded, ContainerStatuses: ended(0, "Completed", "bye")}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, troubles(&corev1.Pod{Status: test.status})); diff != "" {
				t.Errorf("troubles (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTroubleIsToldOncePerPod(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	teller := newTroubleTeller(&out)
	for _, name := range []string{"a", "a", "b"} {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, UID: "one"}}
		if name == "b" {
			pod.UID = "another"
		}
		pod.Status = corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted"}
		teller.tell(pod)
	}
	if diff := cmp.Diff("[a] failed: Evicted\n[b] failed: Evicted\n", out.String()); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
}

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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime"
)

func TestNodeLost(t *testing.T) {
	t.Parallel()
	now := metav1.Now()
	tests := map[string]struct {
		policy     corev1.RestartPolicy
		failure    runtime.Failure
		wantPhase  corev1.PodPhase
		wantReason string // of the Pod
	}{
		"restarted machine, never again":  {corev1.RestartPolicyNever, runtime.FailureNodeLost, corev1.PodFailed, "NodeLost"},
		"restarted machine, started anew": {corev1.RestartPolicyOnFailure, runtime.FailureNodeLost, corev1.PodRunning, ""},
		"killed supervisor":               {corev1.RestartPolicyNever, runtime.FailureLost, corev1.PodFailed, ""},
		"failed by itself":                {corev1.RestartPolicyNever, runtime.FailureNone, corev1.PodFailed, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pod := shellPod("pod", "true")
			pod.Spec.RestartPolicy = test.policy
			attempt := runtime.Container{ID: runtime.ID{Container: "main"}, StartedAt: now.Time, FinishedAt: now.Time, ExitCode: 137, Failure: test.failure}
			o := observation{pod: pod, startTime: now, containers: map[string]history{"main": {attempt}}, now: now.Time}
			status := computeStatus(o, computeActions(o))
			if status.Phase != test.wantPhase || status.Reason != test.wantReason {
				t.Errorf("got phase %s, reason %q, want %s, %q", status.Phase, status.Reason, test.wantPhase, test.wantReason)
			}
			condition := findCondition(status.Conditions, corev1.DisruptionTarget)
			if disrupted := condition != nil && condition.Status == corev1.ConditionTrue; disrupted != (test.wantReason == "NodeLost") {
				t.Errorf("got the condition %+v", condition)
			}
		})
	}
}

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
	"strconv"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
)

// TestTrimPod drops what costs memory. That the rest suffices is what the random histories check at each sync.
func TestTrimPod(t *testing.T) {
	t.Parallel()
	full := makePod("p").index(3).failures(1).annotation("big", "text").exited(4, 5).deleted(3).disrupted().node("n").obj()
	full.ResourceVersion = "7"
	full.Labels = map[string]string{"l": "1"}
	full.OwnerReferences = []metav1.OwnerReference{{UID: "job-uid"}}
	want := full.DeepCopy()
	delete(want.Annotations, "big")
	for i := range want.Status.Conditions {
		if want.Status.Conditions[i].Type != corev1.PodReady {
			want.Status.Conditions[i].LastTransitionTime = metav1.Time{}
		}
	}
	want.Spec.InitContainers = []corev1.Container{{Name: "side", RestartPolicy: new(corev1.ContainerRestartPolicyAlways)}}

	full.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "m"}}
	full.Spec.Containers = []corev1.Container{{Name: "main"}}
	full.Spec.InitContainers = []corev1.Container{{Name: "init"}, {Name: "side", RestartPolicy: new(corev1.ContainerRestartPolicyAlways), Image: "i"}}
	full.Status.Conditions[0].Message = "long"
	full.Status.ContainerStatuses[0].State.Terminated.Message = "long"
	before := full.DeepCopy()
	if diff := cmp.Diff(want, TrimPod(full)); diff != "" {
		t.Errorf("trimmed (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, full); diff != "" {
		t.Errorf("the Pod changed:\n%s", diff)
	}
	if got := TrimPod(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{batch.JobNameLabel: "x"}}}); got.Annotations != nil {
		t.Errorf("annotations %v", got.Annotations)
	}
}

// TestTrimPodSharesLabels: a Pod whose annotations that are read are labels too needs no second map, and reads the same.
func TestTrimPodSharesLabels(t *testing.T) {
	t.Parallel()
	index, failures := batch.JobCompletionIndexAnnotation, batch.JobIndexFailureCountAnnotation
	for name, tc := range map[string]struct {
		labels, annotations, want map[string]string
	}{
		"both":                          {map[string]string{index: "3", "l": "1"}, map[string]string{index: "3", "a": "1"}, map[string]string{index: "3", "l": "1"}},
		"label differs":                 {map[string]string{index: "4"}, map[string]string{index: "3", "a": "1"}, map[string]string{index: "3"}},
		"label only":                    {map[string]string{index: "3"}, map[string]string{"a": "1"}, nil},
		"annotation only":               {map[string]string{"l": "1"}, map[string]string{index: "3"}, map[string]string{index: "3"}},
		"another annotation":            {map[string]string{index: "3"}, map[string]string{index: "3", failures: "1"}, map[string]string{index: "3", failures: "1"}},
		"label in the way of a missing": {map[string]string{index: "3", failures: "7"}, map[string]string{index: "3"}, map[string]string{index: "3"}},
		"none":                          {nil, map[string]string{"a": "1"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := TrimPod(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Labels: tc.labels, Annotations: tc.annotations}})
			if diff := cmp.Diff(tc.want, got.Annotations); diff != "" {
				t.Errorf("annotations (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.labels, got.Labels); diff != "" {
				t.Errorf("labels (-want +got):\n%s", diff)
			}
		})
	}
}

// TestTrimPodOfSuccess: how a Pod was that has succeeded is asked no more, but for a disruption.
func TestTrimPodOfSuccess(t *testing.T) {
	t.Parallel()
	full := makePod("p").ready(2).disrupted().succeeded(5).obj()
	want := []corev1.PodCondition{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}}
	if diff := cmp.Diff(want, TrimPod(full).Status.Conditions); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
	// Where no container says when it ended, its readiness does.
	full.Status.ContainerStatuses = nil
	if got := TrimPod(full); !finishTime(got).Equal(finishTime(full)) {
		t.Errorf("finished at %v, want %v", finishTime(got), finishTime(full))
	}
}

// TestShareIndex: whatever comes in comes out, and indexes come from the same place each time.
func TestShareIndex(t *testing.T) {
	t.Parallel()
	for i := range sharedIndexes + 10 {
		text := strconv.Itoa(i)
		if got := shareIndex(text); got != text {
			t.Fatalf("%q became %q", text, got)
		}
		if shared := unsafe.StringData(shareIndex(text)) == unsafe.StringData(shareIndex(strconv.Itoa(i))); shared != (i < sharedIndexes) {
			t.Fatalf("%q is shared: %t", text, shared)
		}
	}
	for _, text := range []string{"", "a", "-1", "+1", "01", "007", "1_000", " 1", "1 ", "0x10", "99999999999999999999", "1e3", "00", "+99999", "0099999"} {
		if got := shareIndex(text); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
}

// TestTrimPodShares: what is equal in two Pods is in memory once, and only that.
func TestTrimPodShares(t *testing.T) {
	t.Parallel()
	makeFull := func() *corev1.Pod {
		pod := makePod("p").ready(2).node("node").obj()
		pod.OwnerReferences = []metav1.OwnerReference{{Kind: "Job", Name: "j", UID: "TestTrimPodShares", Controller: new(true)}}
		pod.Labels = map[string]string{"app": "TestTrimPodShares"}
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main"}}
		return pod
	}
	first, second := TrimPod(makeFull()), TrimPod(makeFull())
	if &first.OwnerReferences[0] != &second.OwnerReferences[0] || &first.Status.Conditions[0] != &second.Status.Conditions[0] ||
		&first.Status.ContainerStatuses[0] != &second.Status.ContainerStatuses[0] {
		t.Error("equal owners, conditions or statuses are in memory twice")
	}
	for name, change := range map[string]func(*corev1.Pod){
		"owner's controller flag": func(pod *corev1.Pod) { pod.OwnerReferences[0].Controller = new(false) },
		"no owner":                func(pod *corev1.Pod) { pod.OwnerReferences = nil },
		"label":                   func(pod *corev1.Pod) { pod.Labels["app"] = "other" },
		"further label":           func(pod *corev1.Pod) { pod.Labels["tier"] = "TestTrimPodShares" },
		"condition":               func(pod *corev1.Pod) { pod.Status.Conditions[0].Status = corev1.ConditionFalse },
		"time of readiness":       func(pod *corev1.Pod) { pod.Status.Conditions[0].LastTransitionTime = at(3) },
		"restarts":                func(pod *corev1.Pod) { pod.Status.ContainerStatuses[0].RestartCount = 1 },
		"exit code": func(pod *corev1.Pod) {
			pod.Status.ContainerStatuses[0].State.Terminated = &corev1.ContainerStateTerminated{ExitCode: 1}
		},
	} {
		full := makeFull()
		change(full)
		got := TrimPod(full)
		if diff := cmp.Diff(full.Labels, got.Labels); diff != "" {
			t.Errorf("%s: labels (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(full.OwnerReferences, got.OwnerReferences); diff != "" {
			t.Errorf("%s: owners (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(full.Status, got.Status); diff != "" {
			t.Errorf("%s: status (-want +got):\n%s", name, diff)
		}
	}
}

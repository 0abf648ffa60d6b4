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

package podgc

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2/ktesting"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// newPod returns a running Pod on the node.
func newPod(name, node string, change ...func(*corev1.Pod)) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID("uid-" + name), CreationTimestamp: metav1.NewTime(epoch)},
		Spec:       corev1.PodSpec{NodeName: node},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning},
	}
	for _, f := range change {
		f(pod)
	}
	return pod
}

func phase(phase corev1.PodPhase) func(*corev1.Pod) {
	return func(pod *corev1.Pod) { pod.Status.Phase = phase }
}

// age makes the Pod so many seconds older than others.
func age(seconds int) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.CreationTimestamp = metav1.NewTime(epoch.Add(-time.Duration(seconds) * time.Second))
	}
}

func finalizer(name string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) { pod.Finalizers = append(pod.Finalizers, name) }
}

func deleted(pod *corev1.Pod) {
	pod.DeletionTimestamp, pod.DeletionGracePeriodSeconds = new(metav1.NewTime(epoch)), new(int64(0))
}

func disrupted(pod *corev1.Pod) {
	pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue})
}

func TestBeyond(t *testing.T) {
	t.Parallel()
	succeeded, failed := phase(corev1.PodSucceeded), phase(corev1.PodFailed)
	for name, tc := range map[string]struct {
		threshold int
		pods      []*corev1.Pod
		want      []string
	}{
		"no limit":                     {0, []*corev1.Pod{newPod("a", "n", succeeded), newPod("b", "n", succeeded)}, nil},
		"limit not met":                {2, []*corev1.Pod{newPod("a", "n", succeeded), newPod("b", "n", failed), newPod("c", "n")}, nil},
		"the oldest":                   {1, []*corev1.Pod{newPod("a", "n", succeeded), newPod("b", "n", failed, age(9)), newPod("c", "n", succeeded, age(5))}, []string{"b", "c"}},
		"of equals, the first by name": {1, []*corev1.Pod{newPod("b", "n", succeeded), newPod("a", "n", succeeded)}, []string{"a"}},
		"disrupted ones first":         {1, []*corev1.Pod{newPod("a", "n", succeeded, age(9)), newPod("b", "n", failed, disrupted)}, []string{"b"}},
		"uncounted ones stay": {1, []*corev1.Pod{
			newPod("a", "n", succeeded, age(9), finalizer("batch.kubernetes.io/job-tracking")),
			newPod("b", "n", failed, age(8), finalizer("batch.jobserver.dev/job-tracking")), newPod("c", "n", succeeded)}, []string{"c"}},
		"others' finalizers are no matter": {1, []*corev1.Pod{newPod("a", "n", succeeded, age(9), finalizer("example.com/f")), newPod("b", "n", succeeded)}, []string{"a"}},
		"those that go already stay":       {1, []*corev1.Pod{newPod("a", "n", succeeded, age(9), deleted), newPod("b", "n", succeeded)}, []string{"b"}},
		"running ones stay":                {1, []*corev1.Pod{newPod("a", "n", age(9)), newPod("b", "n", phase(corev1.PodUnknown)), newPod("c", "n", succeeded)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, pod := range beyond(tc.pods, tc.threshold) {
				got = append(got, pod.Name)
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("%v go, want %v", got, tc.want)
			}
		})
	}
}

func TestToleration(t *testing.T) {
	t.Parallel()
	const key = "node.kubernetes.io/unreachable"
	exists := func(effect corev1.TaintEffect, seconds ...int64) corev1.Toleration {
		t := corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists, Effect: effect}
		if len(seconds) > 0 {
			t.TolerationSeconds = &seconds[0]
		}
		return t
	}
	for name, tc := range map[string]struct {
		tolerations []corev1.Toleration
		want        time.Duration
		limited     bool
	}{
		"says nothing":           {nil, 300 * time.Second, true},
		"for another taint":      {[]corev1.Toleration{{Key: "example.com/t", Operator: corev1.TolerationOpExists}}, 300 * time.Second, true},
		"for another effect":     {[]corev1.Toleration{exists(corev1.TaintEffectNoSchedule)}, 300 * time.Second, true},
		"for ever":               {[]corev1.Toleration{exists(corev1.TaintEffectNoExecute)}, 0, false},
		"everything for ever":    {[]corev1.Toleration{{Operator: corev1.TolerationOpExists}}, 0, false},
		"a while":                {[]corev1.Toleration{exists(corev1.TaintEffectNoExecute, 7)}, 7 * time.Second, true},
		"the shortest of all":    {[]corev1.Toleration{exists("", 9), exists(corev1.TaintEffectNoExecute, 7), exists(corev1.TaintEffectNoExecute)}, 7 * time.Second, true},
		"less than no time":      {[]corev1.Toleration{exists(corev1.TaintEffectNoExecute, -1)}, 0, true},
		"the taint has no value": {[]corev1.Toleration{{Key: key, Operator: corev1.TolerationOpEqual, Value: "x"}}, 300 * time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			logger, _ := ktesting.NewTestContext(t)
			pod := newPod("a", "n")
			pod.Spec.Tolerations = tc.tolerations
			if got, limited := toleration(logger, pod, 300*time.Second); got != tc.want || limited != tc.limited {
				t.Errorf("got %v, limited: %v; want %v, %v", got, limited, tc.want, tc.limited)
			}
		})
	}
}

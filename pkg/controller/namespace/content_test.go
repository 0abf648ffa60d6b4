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

package namespace

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestLongestGracePeriod(t *testing.T) {
	t.Parallel()
	pod := func(phase corev1.PodPhase, seconds ...int64) corev1.Pod {
		p := corev1.Pod{Status: corev1.PodStatus{Phase: phase}}
		for _, s := range seconds {
			p.Spec.TerminationGracePeriodSeconds = new(s)
		}
		return p
	}
	cases := map[string]struct {
		pods []corev1.Pod
		want time.Duration
	}{
		"none":              {},
		"the longest":       {pods: []corev1.Pod{pod(corev1.PodRunning, 5), pod(corev1.PodPending, 30), pod(corev1.PodRunning, 10)}, want: 30 * time.Second},
		"ended Pods":        {pods: []corev1.Pod{pod(corev1.PodSucceeded, 60), pod(corev1.PodFailed, 60), pod(corev1.PodRunning, 1)}, want: time.Second},
		"without a setting": {pods: []corev1.Pod{pod(corev1.PodRunning)}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := longestGracePeriod(tc.pods); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func TestLongestTermination(t *testing.T) {
	t.Parallel()
	pod := func(phase corev1.PodPhase, deletion time.Duration) corev1.Pod {
		return corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: new(metav1.NewTime(now.Add(deletion)))},
			Status:     corev1.PodStatus{Phase: phase},
		}
	}
	cases := map[string]struct {
		pods []corev1.Pod
		want time.Duration
	}{
		"none":                  {},
		"not deleted":           {pods: []corev1.Pod{{}}},
		"the last to go":        {pods: []corev1.Pod{pod(corev1.PodRunning, time.Second), pod(corev1.PodPending, 30*time.Second), pod(corev1.PodRunning, 0)}, want: 35 * time.Second},
		"ended":                 {pods: []corev1.Pod{pod(corev1.PodFailed, 30*time.Second), pod(corev1.PodSucceeded, 30*time.Second)}},
		"should be gone by now": {pods: []corev1.Pod{pod(corev1.PodRunning, -terminationSlack)}},
		"any moment":            {pods: []corev1.Pod{pod(corev1.PodRunning, -4*time.Second)}, want: time.Second},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := longestTermination(tc.pods, now.Time); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

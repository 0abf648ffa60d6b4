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

package aggregated

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// condition is a condition of a Job.
type condition struct {
	Type, Status, Reason, Message string
}

// jobObject is what the tests read of a Job.
type jobObject struct {
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Parallelism, Completions *int
		Suspend                  *bool
		DisruptionPolicy         string
	}
	Status struct {
		Active, Succeeded, Failed int
		CompletedIndexes          string
		Conditions                []condition
	}
}

// condition returns a Job's condition of a type; the zero value where it has none.
func (j jobObject) condition(conditionType string) condition {
	for _, c := range j.Status.Conditions {
		if c.Type == conditionType {
			return c
		}
	}
	return condition{}
}

// pods are the Pods of a Job.
func (u user) pods(t *testing.T, job string) []corev1.Pod {
	t.Helper()
	list, err := u.in.kube.CoreV1().Pods(u.namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "batch.kubernetes.io/job-name=" + job})
	if err != nil {
		t.Fatal(err)
	}
	return list.Items
}

// running waits until a Job has as many Pods whose processes run, and returns them.
func (u user) running(t *testing.T, job string, want int) []corev1.Pod {
	t.Helper()
	var running []corev1.Pod
	eventually(t, waitLong, func() string {
		running = nil
		for _, pod := range u.pods(t, job) {
			if pod.Status.Phase == corev1.PodRunning && pod.DeletionTimestamp == nil {
				running = append(running, pod)
			}
		}
		if len(running) != want {
			return describeCount("running Pods of "+job, len(running), want)
		}
		return ""
	})
	return running
}

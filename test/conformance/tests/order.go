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

package tests

import (
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jobserver-dev/jobserver/test/conformance/suite"
)

// Who goes first of Pods that are alike in what comes before in the order.
func init() {
	waitReady := func(t *suite.T, job *batchv1.Job, n int32) {
		t.WaitJob(job, fmt.Sprintf("has %d ready Pods", n), func(job *batchv1.Job) bool { return or(job.Status.Ready, 0) == n })
	}
	readySince := func(t *suite.T, pod corev1.Pod, ago time.Duration) {
		t.PatchStatus(pod, func(status *corev1.PodStatus) {
			status.Phase = corev1.PodRunning
			status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(time.Now().Add(-ago))}}
		})
	}
	scale := func(t *suite.T, job *batchv1.Job, parallelism int, left ...corev1.Pod) {
		t.PatchSpec(job, suite.Fields{"parallelism": parallelism})
		waitLeft(t, job, left...)
	}
	subject("Scaling",
		suite.Test{
			Name: "NewerGoesFirst", Description: "Of Pods too many that are alike, the newer goes.", Source: "reference B48",
			Run: func(t *suite.T) {
				job := t.Create(newJob(completions(8), parallelism(1)))
				older := t.WaitActive(job, 1)[0]
				later(t, older.CreationTimestamp)
				t.PatchSpec(job, suite.Fields{"parallelism": 3})
				t.WaitActive(job, 3)
				scale(t, job, 1, older)
			},
		},
		suite.Test{
			Name: "RestartedGoesFirst", Description: "Of running Pods too many that are not ready, one whose containers were restarted more often goes.", Source: "reference B48",
			Run: func(t *suite.T) {
				job := t.Create(newJob(completions(8), parallelism(1)))
				later(t, t.WaitActive(job, 1)[0].CreationTimestamp)
				t.PatchSpec(job, suite.Fields{"parallelism": 3})
				// The oldest comes first, and would be the last to go.
				pods := t.WaitActive(job, 3)
				t.Bind(pods...)
				t.Start(false, pods[:2]...)
				t.Restart(pods[0], 3)
				// Who acts on this has seen the restarts.
				t.Start(true, pods[2])
				waitReady(t, job, 1)
				scale(t, job, 2, pods[1], pods[2])
				t.LetGo(pods[0])
			},
		},
		suite.Test{
			Name: "LatelyReadyGoesFirst", Description: "Of ready Pods too many, one that has been ready for a shorter time goes.", Source: "reference B48",
			Run: func(t *suite.T) {
				job := t.Create(newJob(completions(8), parallelism(3)))
				pods := t.WaitActive(job, 3)
				t.Bind(pods...)
				readySince(t, pods[1], 2*time.Hour)
				readySince(t, pods[0], time.Minute)
				readySince(t, pods[2], time.Hour)
				waitReady(t, job, 3)
				scale(t, job, 2, pods[1], pods[2])
				t.LetGo(pods[0])
				scale(t, job, 1, pods[1])
				t.LetGo(pods[2])
			},
		},
	)
}

func init() {
	subject("Indexed",
		suite.Test{
			Name: "ManyDuplicates", Description: "Of many active Pods of one index all but one are deleted.", Source: "reference B47",
			Run: func(t *suite.T) {
				labels := map[string]string{"app": "duplicates"}
				job := t.Create(newJob(indexed(2), selecting(labels)))
				own := waitOf(t, labels, 2)
				for _, name := range []string{"a", "b", "c", "x", "y", "z"} {
					copied := own[0].DeepCopy()
					copied.ObjectMeta.Name, copied.ObjectMeta.ResourceVersion, copied.ObjectMeta.UID = name, "", ""
					_, err := t.Kube.CoreV1().Pods(t.Namespace()).Create(t.Context(), copied, createOptions)
					t.Must(err)
				}
				t.Succeed(waitOf(t, labels, 2)...)
				job = t.WaitComplete(job, "CompletionsReached")
				suite.Equal(t, "counters", [2]int32{job.Status.Succeeded, job.Status.Failed}, [2]int32{2, 0})
			},
		},
	)
}

func init() {
	subject("BackoffLimitPerIndex",
		made("FirstPod", "The first Pod of an index has a count of failures, which is 0, and none of ignored ones.", "KEP-3850; reference 1.16",
			func(t *suite.T, _ *batchv1.Job, pods []corev1.Pod) {
				suite.Equal(t, "annotations", pods[1].Annotations, map[string]string{
					"batch.kubernetes.io/job-completion-index": "1", "batch.kubernetes.io/job-index-failure-count": "0",
				})
			}, indexed(2), backoffLimitPerIndex(3)),
	)
}

// The times of conditions.
func init() {
	// timed is a condition of a Job whose times have to be the same.
	timed := func(t *suite.T, job *batchv1.Job, kind batchv1.JobConditionType) batchv1.JobCondition {
		condition := suite.Condition(job, kind)
		if condition == nil || condition.LastTransitionTime.IsZero() || !condition.LastProbeTime.Equal(&condition.LastTransitionTime) {
			t.Fatalf("the condition %s is %v", kind, condition)
		}
		return *condition
	}
	subject("Completion",
		suite.Test{
			Name: "ConditionTimes", Description: "The conditions of a finished Job say when they came to be true, in lastTransitionTime and lastProbeTime.", Source: "reference 2.15",
			Run: func(t *suite.T) {
				job := t.Create(newJob())
				t.Succeed(t.WaitActive(job, 1)...)
				job = t.WaitComplete(job, "CompletionsReached")
				met, complete := timed(t, job, batchv1.JobSuccessCriteriaMet), timed(t, job, batchv1.JobComplete)
				if complete.LastTransitionTime.Before(&met.LastTransitionTime) || met.LastTransitionTime.Before(job.Status.StartTime) {
					t.Errorf("the Job began at %v, met its criteria at %v and was complete at %v", job.Status.StartTime, met.LastTransitionTime, complete.LastTransitionTime)
				}
			},
		},
	)
	subject("Suspend",
		suite.Test{
			Name: "ConditionTimes", Description: "The condition Suspended says when it changed last, in lastTransitionTime and lastProbeTime.", Source: "reference 2.15 and B28; KEP-2232",
			Run: func(t *suite.T) {
				job := t.Create(newJob(suspended))
				before := timed(t, t.WaitCondition(job, batchv1.JobSuspended, corev1.ConditionTrue), batchv1.JobSuspended)
				later(t, before.LastTransitionTime)
				t.Suspend(job, false)
				after := timed(t, t.WaitCondition(job, batchv1.JobSuspended, corev1.ConditionFalse), batchv1.JobSuspended)
				if !before.LastTransitionTime.Before(&after.LastTransitionTime) {
					t.Errorf("the condition changed at %v, and at %v", before.LastTransitionTime, after.LastTransitionTime)
				}
			},
		},
	)
}

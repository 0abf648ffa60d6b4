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
	"k8s.io/utils/ptr"

	"github.com/jobserver-dev/jobserver/test/conformance/suite"
)

// finish ends the only Pod of a Job with an exit code.
func finish(t *suite.T, job *batchv1.Job, code int32) corev1.Pod {
	pod := t.WaitActive(job, 1)[0]
	if code == 0 {
		t.Succeed(pod)
	} else {
		t.Fail(code, pod)
	}
	return pod
}

// The deadlines of Jobs that run.
func init() {
	subject("Deadline",
		suite.Test{
			Name: "Exceeded", Description: "A Job that is active for longer than activeDeadlineSeconds has failed, and its Pods are deleted.", Source: "guide 1, 9 and 13; reference B24",
			Run: func(t *suite.T) {
				job := t.Create(newJob(activeDeadline(2), completions(2), parallelism(2)))
				pods := t.WaitPods(job, 2)
				job = t.WaitFailed(job, "DeadlineExceeded")
				failed := suite.Condition(job, batchv1.JobFailed)
				suite.Equal(t, "message", failed.Message, "Job was active longer than specified deadline")
				if active := failed.LastTransitionTime.Sub(job.Status.StartTime.Time); active < 2*time.Second {
					t.Errorf("the Job failed after %v", active)
				}
				suite.Equal(t, "counters", [3]int32{job.Status.Active, job.Status.Succeeded, job.Status.Failed}, [3]int32{0, 0, 2})
				for _, pod := range pods {
					t.WaitPodGone(pod)
				}
				t.WaitEvent(job, "Warning", "DeadlineExceeded", "Job was active longer than specified deadline")
			},
		},
		suite.Test{
			Name: "Added", Description: "A deadline that is added to a running Job counts from its start.", Source: "guide 9; reference B2",
			Run: func(t *suite.T) {
				job := t.Create(newJob())
				t.WaitActive(job, 1)
				t.PatchSpec(job, suite.Fields{"activeDeadlineSeconds": 1})
				t.WaitFailed(job, "DeadlineExceeded")
			},
		},
		suite.Test{
			Name: "GracePeriod", Description: "When the deadline comes, Pods get their grace period, and the Job has failed once they have ended.", Source: "guide 9; reference B41",
			Run: func(t *suite.T) {
				job := t.Create(newJob())
				pod := t.WaitActive(job, 1)[0]
				t.Bind(pod)
				t.PatchSpec(job, suite.Fields{"activeDeadlineSeconds": 1})
				t.WaitJob(job, "has FailureTarget and a terminating Pod", func(job *batchv1.Job) bool {
					return suite.IsTrue(job, batchv1.JobFailureTarget) && or(job.Status.Terminating, 0) == 1
				})
				found := getPod(t, pod)
				suite.Equal(t, "grace period", or(found.DeletionGracePeriodSeconds, 0), int64(suite.GracePeriod.Seconds()))
				suite.Equal(t, "Failed", suite.IsTrue(t.Get(job), batchv1.JobFailed), false)
				t.EndDeleted(pod, 143)
				t.WaitFailed(job, "DeadlineExceeded")
			},
		},
	)
}

// Deadlines that do not end the Job.
func init() {
	subject("Deadline",
		suite.Test{
			Name: "Suspended", Description: "The deadline of a suspended Job does not run.", Source: "reference B22 and B24; KEP-2232",
			Run: func(t *suite.T) {
				job := t.Create(newJob(suspended, activeDeadline(1)))
				t.WaitCondition(job, batchv1.JobSuspended, corev1.ConditionTrue)
				// The deadline of this one is over when it has failed.
				t.WaitFailed(t.Create(newJob(named("another"), activeDeadline(1))), "DeadlineExceeded")
				suite.Equal(t, "number of conditions", len(t.Get(job).Status.Conditions), 1)
			},
		},
		suite.Test{
			Name: "OfThePod", Description: "The deadline of the Pod template is one of each Pod, not of the Job.", Source: "guide 9",
			Run: func(t *suite.T) {
				job := t.Create(newJob(podSpec(func(spec *corev1.PodSpec) { spec.ActiveDeadlineSeconds = ptr.To[int64](1) })))
				pod := t.WaitActive(job, 1)[0]
				suite.Equal(t, "activeDeadlineSeconds of the Pod", or(pod.Spec.ActiveDeadlineSeconds, 0), 1)
				t.WaitFailed(t.Create(newJob(named("another"), activeDeadline(1))), "DeadlineExceeded")
				suite.Equal(t, "number of conditions", len(t.Get(job).Status.Conditions), 0)
			},
		},
		suite.Test{
			Name: "AfterCompletion", Description: "The deadline of a complete Job means nothing.", Source: "reference B12",
			Run: func(t *suite.T) {
				job := t.Create(newJob())
				t.Succeed(t.WaitActive(job, 1)...)
				t.WaitComplete(job, "CompletionsReached")
				t.PatchSpec(job, suite.Fields{"activeDeadlineSeconds": 1})
				t.WaitFailed(t.Create(newJob(named("another"), activeDeadline(1))), "DeadlineExceeded")
				suite.Equal(t, "number of conditions", len(t.Get(job).Status.Conditions), 2)
			},
		},
	)
}

// The time after which a finished Job is deleted.
func init() {
	for code, what := range []string{"Complete", "Failed"} {
		subject("TTL", suite.Test{
			Name: what, Description: fmt.Sprintf("A %s Job with ttlSecondsAfterFinished is deleted, and its Pods with it.", what), Source: "guide 8 and 13; KEP-592; reference B71",
			Run: func(t *suite.T) {
				job := t.Create(newJob(ttl(0), backoffLimit(0)))
				pod := finish(t, job, int32(code))
				t.WaitGone(job)
				t.WaitPodGone(pod)
			},
		})
	}
	subject("TTL",
		suite.Test{
			Name: "NotBefore", Description: "A finished Job stays for ttlSecondsAfterFinished.", Source: "guide 8; KEP-592; reference B71",
			Run: func(t *suite.T) {
				job := t.Create(newJob(ttl(3)))
				finish(t, job, 0)
				done := t.WaitComplete(job, "CompletionsReached")
				t.WaitGone(job)
				// An object that is made now has the server's time.
				now := t.Create(newJob(named("another"), suspended)).CreationTimestamp
				if stayed := now.Sub(done.Status.CompletionTime.Time); stayed < 3*time.Second-skew {
					t.Errorf("the Job was deleted after %v", stayed)
				}
			},
		},
		suite.Test{
			Name: "SetLater", Description: "A ttlSecondsAfterFinished that a finished Job is given holds.", Source: "guide 13; KEP-592",
			Run: func(t *suite.T) {
				job := t.Create(newJob())
				finish(t, job, 0)
				t.WaitComplete(job, "CompletionsReached")
				t.PatchSpec(job, suite.Fields{"ttlSecondsAfterFinished": 0})
				t.WaitGone(job)
			},
		},
		suite.Test{
			Name: "Unfinished", Description: "A Job that has not finished is not deleted, and neither is one without ttlSecondsAfterFinished.", Source: "guide 8; KEP-592; reference B71",
			Run: func(t *suite.T) {
				job := t.Create(newJob(ttl(0)))
				t.WaitActive(job, 1)
				without := t.Create(newJob(named("without")))
				finish(t, without, 0)
				t.WaitComplete(without, "CompletionsReached")
				other := t.Create(newJob(named("another"), ttl(0)))
				finish(t, other, 0)
				t.WaitGone(other)
				suite.Equal(t, "UID", t.Get(job).UID, job.UID)
				suite.Equal(t, "UID of the one without", t.Get(without).UID, without.UID)
			},
		},
	)
}

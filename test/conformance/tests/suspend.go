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
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/jobserver-dev/jobserver/test/conformance/suite"
)

// suspendCondition is what the condition Suspended of a Job says.
func suspendCondition(job *batchv1.Job) [3]string {
	condition := suite.Condition(job, batchv1.JobSuspended)
	if condition == nil {
		return [3]string{}
	}
	return [3]string{string(condition.Status), condition.Reason, condition.Message}
}

// What suspendCondition is of a Job that is suspended, and of one that has been resumed.
var (
	isSuspended = [3]string{"True", "JobSuspended", "Job suspended"}
	isResumed   = [3]string{"False", "JobResumed", "Job resumed"}
)

// How a Job is suspended and resumed, whatever becomes of its Pods.
func init() {
	subject("Suspend",
		suite.Test{
			Name: "FromTheBeginning", Description: "A Job that is created suspended has no Pods and no startTime, and says so.", Source: "guide 8; reference B22 and B28; KEP-2232",
			Run: func(t *suite.T) {
				job := t.WaitCondition(t.Create(newJob(suspended)), batchv1.JobSuspended, corev1.ConditionTrue)
				suite.Equal(t, "condition", suspendCondition(job), isSuspended)
				suite.Equal(t, "startTime", job.Status.StartTime, nil)
				t.WaitEvent(job, "Normal", "Suspended", "Job suspended")
				another(t)
				suite.Equal(t, "number of Pods", len(t.Pods(job)), 0)
			},
		},
		suite.Test{
			Name: "Resume", Description: "A Job that is resumed gets its Pods and its startTime.", Source: "guide 1 and 8; reference B28; KEP-2232",
			Run: func(t *suite.T) {
				job := t.Create(newJob(suspended))
				job = t.WaitCondition(job, batchv1.JobSuspended, corev1.ConditionTrue)
				t.Suspend(job, false)
				pods := t.WaitActive(job, 1)
				job = t.WaitCondition(job, batchv1.JobSuspended, corev1.ConditionFalse)
				suite.Equal(t, "condition", suspendCondition(job), isResumed)
				if job.Status.StartTime == nil {
					t.Errorf("a resumed Job has no startTime")
				}
				t.WaitEvent(job, "Normal", "Resumed", "Job resumed")
				t.Succeed(pods...)
				t.WaitComplete(job, "CompletionsReached")
			},
		},
		suite.Test{
			Name: "NeverSuspended", Description: "A Job that was never suspended has no condition Suspended.", Source: "reference B28",
			Run: func(t *suite.T) {
				job := t.Create(newJob())
				t.WaitActive(job, 1)
				suite.Equal(t, "number of conditions", len(t.Get(job).Status.Conditions), 0)
			},
		},
		suite.Test{
			Name: "NoCompletions", Description: "A suspended Job with completions 0 is complete.", Source: "reference B24 and S11",
			Run: func(t *suite.T) {
				t.WaitComplete(t.Create(newJob(suspended, completions(0))), "CompletionsReached")
			},
		},
		suite.Test{
			Name: "SpecOfTheResumed", Description: "What is changed while a Job is suspended holds when it is resumed.", Source: "guide 8 and 11",
			Run: func(t *suite.T) {
				job := t.Create(newJob(suspended, completions(5), parallelism(1)))
				t.WaitCondition(job, batchv1.JobSuspended, corev1.ConditionTrue)
				t.PatchSpec(job, suite.Fields{"parallelism": 3})
				t.Suspend(job, false)
				t.WaitActive(job, 3)
			},
		},
	)
}

// Kubernetes' policy: the Pods are deleted.
func init() {
	subject("Suspend",
		kubernetesPolicies(suite.Test{
			Name: "PodsAreDeleted", Description: "With Kubernetes' policies, suspending a Job deletes its active Pods, which are no failures, and its startTime.", Source: "reference B28 and B45",
			Run: func(t *suite.T) {
				job := t.Create(newJob(completions(3), parallelism(2), backoffLimit(0)))
				pods := t.WaitActive(job, 2)
				t.Suspend(job, true)
				t.WaitPodGone(pods[0])
				t.WaitPodGone(pods[1])
				job = t.WaitJob(job, "is suspended", func(job *batchv1.Job) bool {
					return suspendCondition(job) == isSuspended && job.Status.Active == 0
				})
				suite.Equal(t, "failed", job.Status.Failed, 0)
				suite.Equal(t, "startTime", job.Status.StartTime, nil)
				t.Suspend(job, false)
				t.WaitActive(job, 2)
				if job = t.WaitStatus(job, 2, 0, 0); job.Status.StartTime == nil {
					t.Errorf("a resumed Job has no startTime")
				}
			},
		}),
		kubernetesPolicies(suite.Test{
			Name: "SuccessesStay", Description: "A suspended Job keeps what has succeeded, and goes on from there.", Source: "KEP-2232; reference B45",
			Run: func(t *suite.T) {
				job := t.Create(newJob(indexed(3)))
				t.Succeed(t.WaitActive(job, 3)[1])
				waitIndexLists(t, job, "1", "")
				t.Suspend(job, true)
				job = t.WaitStatus(job, 0, 1, 0)
				t.Suspend(job, false)
				t.Succeed(waitIndexes(t, job, 0, 2)...)
				t.WaitComplete(job, "CompletionsReached")
			},
		}),
		kubernetesPolicies(suite.Test{
			Name: "SuccessOfTerminatingPod", Description: "A Pod that succeeds before its deletion by suspending is seen counts.", Source: "KEP-2307",
			Run: func(t *suite.T) {
				job := t.Create(newJob())
				pod := t.WaitActive(job, 1)[0]
				t.Succeed(pod)
				t.Suspend(job, true)
				t.WaitComplete(job, "CompletionsReached")
			},
		}),
	)
}

// The guide's policy: the Pods go on.
func init() {
	subject("Suspend",
		inGroup(suite.GroupJobserver, suite.Test{
			Name: "PodsGoOn", Description: "By the guide, suspending a Job leaves its Pods alone and makes no more.", Source: "guide 8",
			Run: func(t *suite.T) {
				job := t.Create(newJob(completions(3), parallelism(2)))
				pods := t.WaitActive(job, 2)
				t.Suspend(job, true)
				job = t.WaitCondition(job, batchv1.JobSuspended, corev1.ConditionTrue)
				if job.Status.StartTime == nil {
					t.Errorf("the Job has lost its startTime")
				}
				t.Succeed(pods[0])
				t.WaitStatus(job, 1, 1, 0)
				another(t)
				suite.Equal(t, "number of Pods", len(t.Pods(job)), 2)
				t.Suspend(job, false)
				t.Succeed(t.WaitActive(job, 2)...)
				t.WaitComplete(job, "CompletionsReached")
			},
		}),
	)
}

// Jobs of other controllers.
func init() {
	subject("ManagedBy",
		suite.Test{
			Name: "Another", Description: "A Job of another controller is left alone: no Pods, no status.", Source: "KEP-4368; reference B11",
			Run: func(t *suite.T) {
				job := t.Create(newJob(managedBy("example.com/controller")))
				another(t)
				suite.Equal(t, "number of Pods", len(t.Pods(job)), 0)
				suite.Equal(t, "status", t.Get(job).Status, batchv1.JobStatus{})
			},
		},
		suite.Test{
			Name: "StatusOfAnother", Description: "The status that another controller writes stays as it is.", Source: "KEP-4368; reference B11",
			Run: func(t *suite.T) {
				job := t.Create(newJob(managedBy("example.com/controller"), parallelism(3), completions(3)))
				written := t.UpdateStatus(job, func(job *batchv1.Job) { job.Status.Active, job.Status.StartTime = 2, &startTime })
				t.PatchSpec(job, suite.Fields{"parallelism": 2})
				another(t)
				suite.Equal(t, "status", t.Get(job).Status, written.Status)
			},
		},
		suite.Test{
			Name: "Itself", Description: "A Job that names Kubernetes' controller is run.", Source: "KEP-4368; reference 1.16",
			Run: func(t *suite.T) {
				job := t.Create(newJob(managedBy("kubernetes.io/job-controller")))
				t.Succeed(t.WaitActive(job, 1)...)
				t.WaitComplete(job, "CompletionsReached")
			},
		},
	)
}

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
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/jobserver-dev/jobserver/test/conformance/suite"
)

// skew is by how much the clocks of the suite and of the server may differ where times are compared.
const skew = time.Second

// endOf is when the first container of a Pod ended.
func endOf(t *suite.T, pod corev1.Pod) time.Time {
	return getPod(t, pod).Status.ContainerStatuses[0].State.Terminated.FinishedAt.Time
}

// notBefore says where a Pod was made earlier than some time after another had ended.
func notBefore(t *suite.T, replacement, failed corev1.Pod, delay time.Duration) {
	if waited := replacement.CreationTimestamp.Sub(endOf(t, failed)); waited < delay-skew {
		t.Errorf("the Pod was replaced after %v, want %v at least", waited, delay)
	}
}

// restarts is a change of a Pod's status: its container, or init container, was restarted so often.
func restarts(count int32, ofInit bool) func(status *corev1.PodStatus) {
	return func(status *corev1.PodStatus) {
		if ofInit {
			status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "before", RestartCount: count}}
			return
		}
		status.ContainerStatuses[0].RestartCount = count
	}
}

func onFailure(limit int32) edit {
	return func(job *batchv1.Job) {
		job.Spec.BackoffLimit, job.Spec.Template.Spec.RestartPolicy = &limit, corev1.RestartPolicyOnFailure
	}
}

// exceeded is the reason of a Job that failed too often.
const exceeded = "BackoffLimitExceeded"

func init() {
	subject("Failure",
		suite.Test{
			Name: "NoRetries", Description: "With backoffLimit 0, the first failed Pod fails the Job.", Source: "guide 1, 3 and 7; reference B24",
			Run: func(t *suite.T) {
				job := t.Create(newJob(backoffLimit(0)))
				t.Fail(1, t.WaitActive(job, 1)...)
				job = t.WaitFailed(job, exceeded)
				suite.Equal(t, "counters", [3]int32{job.Status.Active, job.Status.Succeeded, job.Status.Failed}, [3]int32{0, 0, 1})
				suite.Equal(t, "completionTime", job.Status.CompletionTime, nil)
				suite.Equal(t, "number of Pods", len(t.Pods(job)), 1)
				t.WaitEvent(job, "Warning", exceeded, "Job has reached the specified backoff limit")
			},
		},
		suite.Test{
			Name: "Condition", Description: "The conditions of a failed Job are FailureTarget and Failed, with the same reason and message.",
			Source: "guide 5; reference 2.15 and B39",
			Run: func(t *suite.T) {
				job := t.Create(newJob(backoffLimit(0)))
				t.Fail(1, t.WaitActive(job, 1)...)
				job = t.WaitFailed(job, exceeded)
				suite.Equal(t, "number of conditions", len(job.Status.Conditions), 2)
				for _, kind := range []batchv1.JobConditionType{batchv1.JobFailureTarget, batchv1.JobFailed} {
					condition := suite.Condition(job, kind)
					if condition == nil {
						t.Fatalf("there is no condition %s", kind)
					}
					suite.Equal(t, string(kind), [3]string{string(condition.Status), condition.Reason, condition.Message},
						[3]string{"True", exceeded, "Job has reached the specified backoff limit"})
				}
			},
		},
	)
}

// Failed Pods are replaced, and after ever longer delays.
func init() {
	subject("Failure",
		suite.Test{
			Name: "Replaced", Description: "A failed Pod stays, without the finalizer, and is replaced after 10 s or more.", Source: "guide 3 and 5; reference 2.0, B37 and B56",
			Run: func(t *suite.T) {
				job := t.Create(newJob(backoffLimit(3)))
				failed := t.WaitActive(job, 1)[0]
				t.Fail(1, failed)
				t.WaitStatus(job, 0, 0, 1)
				replacement := t.WaitActive(job, 1)[0]
				notBefore(t, replacement, failed, 10*time.Second)
				if pod := getPod(t, failed); pod.DeletionTimestamp != nil || isTracked(pod) || replacement.UID == failed.UID {
					t.Errorf("the failed Pod has the deletionTimestamp %v and the finalizers %v", pod.DeletionTimestamp, pod.Finalizers)
				}
				t.Succeed(replacement)
				suite.Equal(t, "failed", t.WaitComplete(job, "CompletionsReached").Status.Failed, 1)
			},
		},
		suite.Test{
			Name: "DelayDoubles", Description: "The second replacement in a row waits for 20 s or more.", Source: "guide 3 and 5, table; reference B55 and B56",
			Run: func(t *suite.T) {
				job := t.Create(newJob(backoffLimit(3)))
				first := t.WaitActive(job, 1)[0]
				t.Fail(1, first)
				t.WaitStatus(job, 0, 0, 1)
				second := t.WaitActive(job, 1)[0]
				t.Fail(1, second)
				t.WaitStatus(job, 0, 0, 2)
				notBefore(t, t.WaitActive(job, 1)[0], second, 20*time.Second)
			},
		},
		suite.Test{
			Name: "DelayCountsAllFailures", Description: "The delay counts the failures of all Pods: after two at a time it is 20 s or more.", Source: "guide 13; reference B55",
			Run: func(t *suite.T) {
				job := t.Create(newJob(completions(3), parallelism(2), backoffLimit(5)))
				pods := t.WaitActive(job, 2)
				t.Fail(1, pods...)
				t.WaitStatus(job, 0, 0, 2)
				notBefore(t, t.WaitActive(job, 2)[0], pods[1], 20*time.Second)
			},
		},
		suite.Test{
			Name: "LimitIsExceeded", Description: "A Job fails when more Pods have failed than backoffLimit, not when as many have.", Source: "guide 5 and 13; reference B24",
			Run: func(t *suite.T) {
				job := t.Create(newJob(completions(3), parallelism(3), backoffLimit(2)))
				pods := t.WaitActive(job, 3)
				t.Fail(1, pods[:2]...)
				job = t.WaitStatus(job, 1, 0, 2)
				suite.Equal(t, "number of conditions", len(job.Status.Conditions), 0)
				t.Fail(1, pods[2])
				suite.Equal(t, "failed", t.WaitFailed(job, exceeded).Status.Failed, 3)
			},
		},
		suite.Test{
			Name: "Retry", Description: "With backoffLimit 1, the second failed Pod fails the Job.", Source: "guide 3; reference B24",
			Run: func(t *suite.T) {
				job := t.Create(newJob(backoffLimit(1)))
				t.Fail(1, t.WaitActive(job, 1)...)
				t.WaitStatus(job, 0, 0, 1)
				t.Fail(1, t.WaitActive(job, 1)...)
				job = t.WaitFailed(job, exceeded)
				suite.Equal(t, "failed", job.Status.Failed, 2)
				suite.Equal(t, "number of Pods", len(t.Pods(job)), 2)
			},
		},
	)
}

// What becomes of the other Pods of a Job that fails.
func init() {
	subject("Failure",
		suite.Test{
			Name: "OthersAreDeleted", Description: "When a Job fails, its active Pods are deleted and count as failed.", Source: "reference B25 and B36",
			Run: func(t *suite.T) {
				job := t.Create(newJob(completions(3), parallelism(3), backoffLimit(0)))
				pods := t.WaitActive(job, 3)
				t.Fail(1, pods[1])
				job = t.WaitFailed(job, exceeded)
				suite.Equal(t, "counters", [3]int32{job.Status.Active, job.Status.Succeeded, job.Status.Failed}, [3]int32{0, 0, 3})
				t.WaitPodGone(pods[0])
				t.WaitPodGone(pods[2])
				suite.Equal(t, "number of Pods", len(t.Pods(job)), 1)
			},
		},
		suite.Test{
			Name: "SuccessesStay", Description: "A failed Job keeps the number of Pods that had succeeded.", Source: "reference B36",
			Run: func(t *suite.T) {
				job := t.Create(newJob(completions(3), parallelism(2), backoffLimit(0)))
				t.Succeed(t.WaitActive(job, 2)[0])
				t.WaitStatus(job, 2, 1, 0)
				t.Fail(1, t.WaitActive(job, 2)[0])
				suite.Equal(t, "succeeded", t.WaitFailed(job, exceeded).Status.Succeeded, 1)
			},
		},
		suite.Test{
			Name: "WaitsForTerminating", Description: "A Job that is to fail has FailureTarget, and Failed only once its Pods have ended.", Source: "reference B39 and B41; KEP-3939",
			Run: func(t *suite.T) {
				job := t.Create(newJob(completions(2), parallelism(2), backoffLimit(0)))
				pods := t.WaitActive(job, 2)
				t.Bind(pods...)
				t.Fail(1, pods[0])
				job = t.WaitJob(job, "has FailureTarget and a terminating Pod", func(job *batchv1.Job) bool {
					return suite.IsTrue(job, batchv1.JobFailureTarget) && or(job.Status.Terminating, 0) == 1 && job.Status.Active == 0
				})
				another(t)
				if job = t.Get(job); suite.IsTrue(job, batchv1.JobFailed) {
					t.Errorf("the Job has failed while a Pod terminates")
				}
				t.EndDeleted(pods[1], 137)
				job = t.WaitFailed(job, exceeded)
				suite.Equal(t, "failed", job.Status.Failed, 2)
				suite.Equal(t, "terminating", or(job.Status.Terminating, -1), 0)
			},
		},
	)
}

// A failure that is decided stays.
func init() {
	subject("Failure",
		suite.Test{
			Name: "Decided", Description: "A Job that is to fail is not saved by a higher backoffLimit.", Source: "reference B24 and B39",
			Run: func(t *suite.T) {
				job := t.Create(newJob(completions(2), parallelism(2), backoffLimit(0)))
				pods := t.WaitActive(job, 2)
				t.Bind(pods...)
				t.Fail(1, pods[0])
				t.WaitCondition(job, batchv1.JobFailureTarget, corev1.ConditionTrue)
				t.PatchSpec(job, suite.Fields{"backoffLimit": 9})
				t.EndDeleted(pods[1], 137)
				suite.Equal(t, "failed", t.WaitFailed(job, exceeded).Status.Failed, 2)
				suite.Equal(t, "number of Pods", len(t.Pods(job)), 1)
			},
		},
		suite.Test{
			Name: "Final", Description: "A failed Job is not retried, whatever becomes of its backoffLimit.", Source: "guide 5, 11 and 12; reference B12",
			Run: func(t *suite.T) {
				job := t.Create(newJob(backoffLimit(0)))
				t.Fail(1, t.WaitActive(job, 1)...)
				failed := t.WaitFailed(job, exceeded)
				t.PatchSpec(job, suite.Fields{"backoffLimit": 9})
				another(t)
				suite.Equal(t, "status", t.Get(job).Status, failed.Status)
				suite.Equal(t, "number of Pods", len(t.Pods(job)), 1)
			},
		},
		suite.Test{
			Name: "HigherLimit", Description: "A running Job whose backoffLimit is raised survives more failures.", Source: "reference 1.2",
			Run: func(t *suite.T) {
				job := t.Create(newJob(completions(2), parallelism(2), backoffLimit(0)))
				pods := t.WaitActive(job, 2)
				t.PatchSpec(job, suite.Fields{"backoffLimit": 1})
				t.Fail(1, pods[0])
				suite.Equal(t, "number of conditions", len(t.WaitStatus(job, 1, 0, 1).Status.Conditions), 0)
			},
		},
	)

}

func init() {
	restarted := func(name, description string, limit int32, fails bool, changes ...func(status *corev1.PodStatus)) suite.Test {
		return suite.Test{Name: name, Description: description, Source: "guide 3, 4 and 5; reference B26", Run: func(t *suite.T) {
			job := t.Create(newJob(onFailure(limit), completions(2), parallelism(2)))
			pods := t.WaitActive(job, 2)
			t.Start(false, pods...)
			for i, change := range changes {
				t.PatchStatus(pods[i], change)
			}
			if !fails {
				// What the controller has seen of the Pods shows in what it says of them next.
				t.Start(true, pods[1])
				job = t.WaitJob(job, "has a ready Pod", func(job *batchv1.Job) bool { return or(job.Status.Ready, 0) == 1 })
				suite.Equal(t, "number of conditions", len(job.Status.Conditions), 0)
				suite.Equal(t, "counters", [2]int32{job.Status.Active, job.Status.Failed}, [2]int32{2, 0})
				return
			}
			suite.Equal(t, "failed", t.WaitFailed(job, exceeded).Status.Failed, 2)
		}}
	}
	subject("OnFailure",
		restarted("Restarts", "With restartPolicy OnFailure, as many restarts of a container as backoffLimit fail the Job.", 3, true, restarts(3, false)),
		restarted("FewerRestarts", "With restartPolicy OnFailure, fewer restarts than backoffLimit don't fail the Job.", 3, false, restarts(2, false)),
		restarted("RestartsOfAllPods", "With restartPolicy OnFailure, the restarts of all Pods are added up.", 3, true, restarts(1, false), restarts(2, false)),
		restarted("RestartsOfInitContainers", "With restartPolicy OnFailure, restarts of init containers count, too.", 3, true, restarts(3, true)),
		restarted("NoRestart", "With restartPolicy OnFailure and backoffLimit 0, the first restart fails the Job.", 0, true, restarts(1, false)),
		restarted("NoRestartYet", "With restartPolicy OnFailure and backoffLimit 0, a Job without restarts goes on.", 0, false, restarts(0, false)),
		suite.Test{
			Name: "RestartsOfNever", Description: "With restartPolicy Never, restarts of containers don't count.", Source: "reference B26",
			Run: func(t *suite.T) {
				job := t.Create(newJob(backoffLimit(0)))
				pods := t.WaitActive(job, 1)
				t.Start(false, pods...)
				t.PatchStatus(pods[0], restarts(5, false))
				t.Start(true, pods...)
				t.PatchStatus(pods[0], restarts(5, false))
				t.WaitJob(job, "has a ready Pod", func(job *batchv1.Job) bool { return or(job.Status.Ready, 0) == 1 })
				t.Succeed(pods...)
				t.WaitComplete(job, "CompletionsReached")
			},
		},
	)
}

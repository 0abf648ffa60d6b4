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

const (
	failuresOfIndex = "batch.kubernetes.io/job-index-failure-count"
	ignoredOfIndex  = "batch.kubernetes.io/job-index-ignored-failure-count"
)

// failIndexOn42 fails an index for good where a container exits with 42.
var failIndexOn42 = podFailurePolicy(onExitCodes(failIndex, 42))

// What indexes that have failed make of the Job.
func init() {
	subject("BackoffLimitPerIndex",
		suite.Test{
			Name: "FailedIndex", Description: "An index that fails more often than its limit has failed, and the others go on.", Source: "KEP-3850; reference B62",
			Run: func(t *suite.T) {
				job := t.Create(newJob(indexed(3), backoffLimitPerIndex(0)))
				pods := t.WaitActive(job, 3)
				t.Fail(1, pods[1])
				job = waitIndexLists(t, job, "", "1")
				suite.Equal(t, "number of conditions", len(job.Status.Conditions), 0)
				waitIndexes(t, job, 0, 2)
				t.Succeed(pods[0], pods[2])
				job = t.WaitFailed(job, "FailedIndexes")
				suite.Equal(t, "completedIndexes", job.Status.CompletedIndexes, "0,2")
				suite.Equal(t, "failedIndexes", or(job.Status.FailedIndexes, ""), "1")
				suite.Equal(t, "counters", [2]int32{job.Status.Succeeded, job.Status.Failed}, [2]int32{2, 1})
				suite.Equal(t, "message", suite.Condition(job, batchv1.JobFailed).Message, "Job has failed indexes")
			},
		},
		suite.Test{
			Name: "NoneFailed", Description: "A Job whose indexes have all succeeded in the end is complete, and has an empty list of failed indexes.", Source: "KEP-3850; reference B38",
			Run: func(t *suite.T) {
				job := t.Create(newJob(indexed(2), backoffLimitPerIndex(1)))
				pods := t.WaitActive(job, 2)
				t.Fail(1, pods[0])
				t.Succeed(pods[1])
				t.Succeed(t.WaitActiveIndex(job, 0, pods[0]))
				job = t.WaitComplete(job, "CompletionsReached")
				suite.Equal(t, "failedIndexes", or(job.Status.FailedIndexes, "absent"), "")
				suite.Equal(t, "counters", [2]int32{job.Status.Succeeded, job.Status.Failed}, [2]int32{2, 1})
			},
		},
	)
}

// How an index is tried again, and what its Pods know of that.
func init() {
	subject("BackoffLimitPerIndex",
		suite.Test{
			Name: "Retry", Description: "A Pod of an index is replaced after 10 s or more, by one that knows how often the index has failed.", Source: "KEP-3850; reference B59 and B64",
			Run: func(t *suite.T) {
				job := t.Create(newJob(indexed(2), backoffLimitPerIndex(2)))
				pods := t.WaitActive(job, 2)
				suite.Equal(t, "failures of the first", pods[0].Annotations[failuresOfIndex], "0")
				t.Fail(1, pods[0])
				second := t.WaitActiveIndex(job, 0, pods[0])
				suite.Equal(t, "failures of the second", second.Annotations[failuresOfIndex], "1")
				notBefore(t, second, pods[0], 10*time.Second)
				t.Fail(1, second)
				third := t.WaitActiveIndex(job, 0, pods[0], second)
				suite.Equal(t, "failures of the third", third.Annotations[failuresOfIndex], "2")
				notBefore(t, third, second, 20*time.Second)
				t.Fail(1, third)
				waitIndexLists(t, job, "", "0")
			},
		},
		suite.Test{
			Name: "FailedPodWaits", Description: "A failed Pod of an index keeps its finalizer until its replacement is there.", Source: "KEP-3850; reference B63",
			Run: func(t *suite.T) {
				job := t.Create(newJob(indexed(2), backoffLimitPerIndex(1)))
				pods := t.WaitActive(job, 2)
				t.Fail(1, pods[0])
				t.WaitJob(job, "has one active Pod", func(job *batchv1.Job) bool { return job.Status.Active == 1 })
				another(t)
				if pod := getPod(t, pods[0]); !isTracked(pod) {
					t.Errorf("the failed Pod has the finalizers %v", pod.Finalizers)
				}
				t.WaitActiveIndex(job, 0, pods[0])
				t.WaitPod(pods[0], "has no finalizer", func(pod *corev1.Pod) bool { return pod != nil && !isTracked(*pod) })
				t.WaitStatus(job, 2, 0, 1)
			},
		},
		suite.Test{
			Name: "OthersDoNotWait", Description: "While an index waits to be tried again, others are started.", Source: "KEP-3850; reference B50",
			Run: func(t *suite.T) {
				job := t.Create(newJob(indexed(3), parallelism(2), backoffLimitPerIndex(1)))
				pods := waitIndexes(t, job, 0, 1)
				t.Fail(1, pods[0])
				t.WaitJob(job, "has one active Pod", func(job *batchv1.Job) bool { return job.Status.Active == 1 })
				t.Succeed(pods[1])
				waitIndexes(t, job, 2)
				notBefore(t, waitIndexes(t, job, 0, 2)[0], pods[0], 10*time.Second)
			},
		},
		suite.Test{
			Name: "NoCountWithoutLimit", Description: "Without backoffLimitPerIndex, Pods have no count of failures.", Source: "reference 1.16",
			Run: func(t *suite.T) {
				job := t.Create(newJob(indexed(1)))
				_, found := t.WaitActive(job, 1)[0].Annotations[failuresOfIndex]
				suite.Equal(t, "there is a count", found, false)
			},
		},
	)
}

// Limits of the whole Job.
func init() {
	subject("BackoffLimitPerIndex",
		suite.Test{
			Name: "MaxFailedIndexes", Description: "More failed indexes than maxFailedIndexes fail the Job at once, and its Pods are deleted.", Source: "KEP-3850; reference B24",
			Run: func(t *suite.T) {
				job := t.Create(newJob(indexed(4), backoffLimitPerIndex(0), maxFailedIndexes(1)))
				pods := t.WaitActive(job, 4)
				t.Fail(1, pods[0])
				job = waitIndexLists(t, job, "", "0")
				suite.Equal(t, "number of conditions", len(job.Status.Conditions), 0)
				t.Fail(1, pods[2])
				job = t.WaitFailed(job, "MaxFailedIndexesExceeded")
				suite.Equal(t, "message", suite.Condition(job, batchv1.JobFailed).Message, "Job has exceeded the specified maximal number of failed indexes")
				suite.Equal(t, "failed", job.Status.Failed, 4)
				t.WaitPodGone(pods[1])
				t.WaitPodGone(pods[3])
			},
		},
		suite.Test{
			Name: "MaxFailedIndexesZero", Description: "With maxFailedIndexes 0, the first failed index fails the Job.", Source: "KEP-3850; reference B24",
			Run: func(t *suite.T) {
				job := t.Create(newJob(indexed(3), backoffLimitPerIndex(0), maxFailedIndexes(0)))
				t.Fail(1, t.WaitActive(job, 3)[1])
				suite.Equal(t, "failedIndexes", or(t.WaitFailed(job, "MaxFailedIndexesExceeded").Status.FailedIndexes, ""), "1")
			},
		},
		suite.Test{
			Name: "GlobalLimit", Description: "BackoffLimit holds beside backoffLimitPerIndex.", Source: "KEP-3850; reference B65",
			Run: func(t *suite.T) {
				job := t.Create(newJob(indexed(4), backoffLimitPerIndex(1), backoffLimit(1)))
				t.Fail(1, t.WaitActive(job, 4)[:2]...)
				t.WaitFailed(job, "BackoffLimitExceeded")
			},
		},
	)
}

// The failure policy of Jobs whose indexes have limits.
func init() {
	subject("BackoffLimitPerIndex",
		suite.Test{
			Name: "FailIndex", Description: "The action FailIndex fails an index without another try.", Source: "KEP-3850; reference B62",
			Run: func(t *suite.T) {
				job := t.Create(newJob(indexed(2), backoffLimitPerIndex(3), failIndexOn42))
				pods := t.WaitActive(job, 2)
				t.Fail(42, pods[0])
				waitIndexLists(t, job, "", "0")
				t.Succeed(pods[1])
				suite.Equal(t, "failed", t.WaitFailed(job, "FailedIndexes").Status.Failed, 1)
				suite.Equal(t, "number of Pods", len(t.Pods(job)), 2)
			},
		},
		suite.Test{
			Name: "FailIndexOfOthers", Description: "The action FailIndex is for the exit codes that it names; after others an index is tried again.", Source: "KEP-3850; reference B62",
			Run: func(t *suite.T) {
				job := t.Create(newJob(indexed(2), backoffLimitPerIndex(1), failIndexOn42))
				pods := t.WaitActive(job, 2)
				t.Fail(41, pods[0])
				again := t.WaitActiveIndex(job, 0, pods[0])
				suite.Equal(t, "failedIndexes", or(t.Get(job).Status.FailedIndexes, "absent"), "")
				t.Succeed(again, pods[1])
				t.WaitComplete(job, "CompletionsReached")
			},
		},
		suite.Test{
			Name: "IgnoredFailure", Description: "An ignored failure counts against no limit, and its replacement knows of it.", Source: "KEP-3850; reference B58 and B64",
			Run: func(t *suite.T) {
				job := t.Create(newJob(indexed(2), backoffLimitPerIndex(0), podFailurePolicy(onExitCodes(ignoreFailure, 7))))
				pods := t.WaitActive(job, 2)
				t.Fail(7, pods[0])
				again := t.WaitActiveIndex(job, 0, pods[0])
				suite.Equal(t, "failures", again.Annotations[failuresOfIndex], "0")
				suite.Equal(t, "ignored failures", again.Annotations[ignoredOfIndex], "1")
				notBefore(t, again, pods[0], 10*time.Second)
				t.Succeed(again, pods[1])
				job = t.WaitComplete(job, "CompletionsReached")
				suite.Equal(t, "failed", job.Status.Failed, 0)
			},
		},
	)
}

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
	"k8s.io/utils/ptr"

	"github.com/jobserver-dev/jobserver/test/conformance/suite"
)

// succeeded is a rule of a successPolicy, without indexes where they are empty, and without a number where it is negative.
func succeeded(indexes string, count int32) (rule batchv1.SuccessPolicyRule) {
	if indexes != "" {
		rule.SucceededIndexes = &indexes
	}
	if count >= 0 {
		rule.SucceededCount = &count
	}
	return rule
}

// met is a test in which indexes of a Job of five succeed one after the other, and the last of them meets the policy.
func met(name, description, message string, order []int, rules ...batchv1.SuccessPolicyRule) suite.Test {
	return suite.Test{Name: name, Description: description, Source: "KEP-3998; reference B69", Run: func(t *suite.T) {
		job := t.Create(newJob(indexed(5), successPolicy(rules...)))
		pods := t.WaitActive(job, 5)
		for i, index := range order {
			t.Succeed(pods[index])
			if i == len(order)-1 {
				break
			}
			job = t.WaitStatus(job, int32(4-i), int32(i+1), 0)
			suite.Equal(t, "number of conditions", len(job.Status.Conditions), 0)
		}
		job = t.WaitComplete(job, "SuccessPolicy")
		suite.Equal(t, "message", suite.Condition(job, batchv1.JobComplete).Message, message)
		suite.Equal(t, "counters", [3]int32{job.Status.Active, job.Status.Succeeded, job.Status.Failed}, [3]int32{0, int32(len(order)), 0})
	}}
}

// When a rule is met, and what becomes of the other Pods.
func init() {
	subject("SuccessPolicy",
		met("Indexes", "A rule with indexes is met when all of them have succeeded.", "Matched rules at index 0", []int{4, 1, 2}, succeeded("1-2", -1)),
		met("Count", "A rule with a number is met when so many indexes have succeeded.", "Matched rules at index 0", []int{3, 0}, succeeded("", 2)),
		met("CountOfIndexes", "A rule with indexes and a number is met when so many of these indexes have.", "Matched rules at index 0", []int{4, 1, 3}, succeeded("0-3", 2)),
		met("SecondRule", "The message names the first rule that is met.", "Matched rules at index 1", []int{2, 4}, succeeded("0", -1), succeeded("4", -1)),
		met("FirstOfTwo", "Of two rules that are met, the message names the first.", "Matched rules at index 0", []int{1}, succeeded("", 1), succeeded("1", -1)),
		suite.Test{
			Name: "OthersAreDeleted", Description: "The Pods that are active when a successPolicy is met are deleted, and count neither as succeeded nor as failed.", Source: "KEP-3998; reference B70",
			Run: func(t *suite.T) {
				job := t.Create(newJob(indexed(3), successPolicy(succeeded("1", -1))))
				pods := t.WaitActive(job, 3)
				t.Succeed(pods[1])
				job = t.WaitComplete(job, "SuccessPolicy")
				suite.Equal(t, "counters", [3]int32{job.Status.Active, job.Status.Succeeded, job.Status.Failed}, [3]int32{0, 1, 0})
				suite.Equal(t, "completedIndexes", job.Status.CompletedIndexes, "1")
				t.WaitPodGone(pods[0])
				t.WaitPodGone(pods[2])
			},
		},
		suite.Test{
			Name: "WaitsForTerminating", Description: "A Job whose successPolicy is met has SuccessCriteriaMet, and Complete only once its Pods have ended.", Source: "KEP-3998; reference B39 and B41",
			Run: func(t *suite.T) {
				job := t.Create(newJob(indexed(2), successPolicy(succeeded("0", -1))))
				pods := t.WaitActive(job, 2)
				t.Bind(pods...)
				t.Succeed(pods[0])
				job = t.WaitJob(job, "has SuccessCriteriaMet and a terminating Pod", func(job *batchv1.Job) bool {
					return suite.IsTrue(job, batchv1.JobSuccessCriteriaMet) && ptr.Deref(job.Status.Terminating, 0) == 1
				})
				another(t)
				if job = t.Get(job); suite.IsTrue(job, batchv1.JobComplete) || job.Status.CompletionTime != nil {
					t.Errorf("the Job is complete while a Pod terminates")
				}
				t.EndDeleted(pods[1], 137)
				job = t.WaitComplete(job, "SuccessPolicy")
				suite.Equal(t, "failed", job.Status.Failed, 0)
			},
		},
	)
}

// A successPolicy beside other ends.
func init() {
	subject("SuccessPolicy",
		suite.Test{
			Name: "FailureComesFirst", Description: "A Job that is to fail does not succeed by its successPolicy, and counts its active Pods as failed however they end.", Source: "KEP-3998; reference B24",
			Run: func(t *suite.T) {
				job := t.Create(newJob(indexed(3), backoffLimit(0), successPolicy(succeeded("", 1))))
				pods := t.WaitActive(job, 3)
				t.Bind(pods...)
				t.Fail(1, pods[0])
				t.WaitCondition(job, batchv1.JobFailureTarget, "True")
				t.EndDeleted(pods[1], 0)
				t.EndDeleted(pods[2], 137)
				job = t.WaitFailed(job, "BackoffLimitExceeded")
				suite.Equal(t, "SuccessCriteriaMet", suite.Condition(job, batchv1.JobSuccessCriteriaMet), nil)
				suite.Equal(t, "counters", [2]int32{job.Status.Succeeded, job.Status.Failed}, [2]int32{0, 3})
			},
		},
		suite.Test{
			Name: "AllIndexes", Description: "A Job all of whose indexes have succeeded is complete for that reason where no rule says otherwise.", Source: "KEP-3998; reference B24",
			Run: func(t *suite.T) {
				job := t.Create(newJob(indexed(2), successPolicy(succeeded("0-1", -1)), backoffLimitPerIndex(1)))
				t.Succeed(t.WaitActive(job, 2)...)
				job = t.WaitComplete(job, "SuccessPolicy")
				suite.Equal(t, "completedIndexes", job.Status.CompletedIndexes, "0,1")
			},
		},
		suite.Test{
			Name: "BesideFailedIndexes", Description: "A successPolicy can be met while indexes have failed.", Source: "KEP-3998; KEP-3850; reference B24",
			Run: func(t *suite.T) {
				job := t.Create(newJob(indexed(3), backoffLimitPerIndex(0), successPolicy(succeeded("2", -1))))
				pods := t.WaitActive(job, 3)
				t.Fail(1, pods[0])
				waitIndexLists(t, job, "", "0")
				t.Succeed(pods[2])
				job = t.WaitComplete(job, "SuccessPolicy")
				suite.Equal(t, "failedIndexes", ptr.Deref(job.Status.FailedIndexes, ""), "0")
			},
		},
	)
}

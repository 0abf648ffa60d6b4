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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/jobserver-dev/jobserver/test/conformance/suite"
)

// statusChange changes the status of a Job.
type statusChange = func(status *batchv1.JobStatus)

// statusRefused is a test that writes the status of a Job that another controller manages: first a few changes that must be
// possible, then one that is refused for some causes.
func statusRefused(name, description, source string, causes []string, change statusChange, before []statusChange, edits ...edit) suite.Test {
	return suite.Test{Name: name, Description: description, Source: source, Run: func(t *suite.T) {
		job := t.Create(newJob(append(edits, managedBy("example.com/controller"))...))
		for _, change := range before {
			t.UpdateStatus(job, func(job *batchv1.Job) { change(&job.Status) })
		}
		_, err := t.TryUpdateStatus(job, func(job *batchv1.Job) { change(&job.Status) })
		t.Refused(err, causes...)
	}}
}

// statusAccepted is a test that writes the status of a Job that another controller manages, which must be possible.
func statusAccepted(name, description, source string, change statusChange, edits ...edit) suite.Test {
	return suite.Test{Name: name, Description: description, Source: source, Run: func(t *suite.T) {
		job := t.Create(newJob(append(edits, managedBy("example.com/controller"))...))
		t.UpdateStatus(job, func(job *batchv1.Job) { job.Status.Succeeded = 3 })
		job = t.UpdateStatus(job, func(job *batchv1.Job) { change(&job.Status) })
		want := batchv1.JobStatus{Succeeded: 3}
		change(&want)
		// The API keeps times in the zone of the reader.
		for i := range job.Status.Conditions {
			job.Status.Conditions[i].LastProbeTime, job.Status.Conditions[i].LastTransitionTime = endTime, endTime
		}
		suite.Equal(t, "conditions", job.Status.Conditions, want.Conditions)
		suite.Equal(t, "succeeded", job.Status.Succeeded, want.Succeeded)
		if (job.Status.CompletionTime == nil) != (want.CompletionTime == nil) {
			t.Errorf("completionTime %v, want %v", job.Status.CompletionTime, want.CompletionTime)
		}
	}}
}

// The times that statuses have here: fixed, so that they are equal whenever they are written.
var (
	startTime = metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	endTime   = metav1.NewTime(startTime.Add(time.Hour))
)

// conditions adds conditions of some types that are true.
func conditions(kinds ...batchv1.JobConditionType) statusChange {
	return func(job *batchv1.JobStatus) {
		for _, kind := range kinds {
			job.Conditions = append(job.Conditions, batchv1.JobCondition{Type: kind, Status: corev1.ConditionTrue, LastTransitionTime: endTime, LastProbeTime: endTime})
		}
	}
}

func started(status *batchv1.JobStatus) { status.StartTime = &startTime }

// completed is a valid status of a complete Job.
func completed(status *batchv1.JobStatus) {
	status.StartTime, status.CompletionTime = &startTime, &endTime
	conditions(batchv1.JobSuccessCriteriaMet, batchv1.JobComplete)(status)
}

// failed is a valid status of a failed Job.
func failed(status *batchv1.JobStatus) {
	status.StartTime = &startTime
	conditions(batchv1.JobFailureTarget, batchv1.JobFailed)(status)
}

// both makes two changes in order.
func both(changes ...statusChange) statusChange {
	return func(status *batchv1.JobStatus) {
		for _, change := range changes {
			change(status)
		}
	}
}

// invalidConditions is the beginning of the causes that lie in the conditions together.
const invalidConditions = "status.conditions: Invalid value: "

func withoutConditions(status *batchv1.JobStatus) { status.Conditions = nil }

// uncounted makes Pods of some UIDs those that have ended and are not counted yet.
func uncounted(succeeded, failed []types.UID) statusChange {
	return func(status *batchv1.JobStatus) {
		status.UncountedTerminatedPods = &batchv1.UncountedTerminatedPods{Succeeded: succeeded, Failed: failed}
	}
}

// The counters, and the Pods that are not counted yet.
func init() {
	subject("StatusValidation",
		statusRefused("NegativeCounters", "No counter of a status is negative.", "reference S1",
			[]string{
				"status.active: Invalid value: -1: " + notNegative, "status.succeeded: Invalid value: -1: " + notNegative,
				"status.failed: Invalid value: -1: " + notNegative, "status.terminating: Invalid value: -1: " + notNegative,
				"status.ready: Invalid value: -2: " + notNegative,
				"status.failed: Invalid value: -1: cannot decrease the failed counter",
				"status.succeeded: Invalid value: -1: cannot decrease the succeeded counter",
			}, func(status *batchv1.JobStatus) {
				status.Active, status.Succeeded, status.Failed = -1, -1, -1
				status.Ready, status.Terminating = ptr.To[int32](-2), ptr.To[int32](-1)
			}, nil),
		statusRefused("UncountedEmpty", "A UID among the uncounted Pods is not empty.", "reference S2",
			[]string{`status.uncountedTerminatedPods.succeeded[0]: Invalid value: "": must not be empty`}, uncounted([]types.UID{""}, nil), nil),
		statusRefused("UncountedTwice", "A Pod is not both succeeded and failed among the uncounted Pods.", "reference S2",
			[]string{`status.uncountedTerminatedPods.failed[0]: Duplicate value: "a"`}, uncounted([]types.UID{"a"}, []types.UID{"a"}), nil),
		statusRefused("MoreReadyThanActive", "No more Pods are ready than active.", "reference S19",
			[]string{"status.ready: Invalid value: 2: cannot set more ready pods than active"},
			func(status *batchv1.JobStatus) { status.Active, status.Ready = 1, ptr.To[int32](2) }, nil),
	)
}

// Conditions that exclude or need each other.
func init() {
	subject("StatusValidation",
		statusRefused("CompleteAndFailed", "A Job is not both complete and failed.", "reference S3",
			[]string{
				invalidConditions + "cannot set Complete=True and Failed=true conditions",
				invalidConditions + "cannot set Failed=True condition without the FailureTarget=true condition",
				invalidConditions + "cannot set SuccessCriteriaMet=True and Failed=true conditions",
			}, both(completed, conditions(batchv1.JobFailed)), nil),
		statusRefused("CompleteAndFailureTarget", "A Job is not both complete and about to fail.", "reference S4",
			[]string{
				invalidConditions + "cannot set Complete=True and FailureTarget=true conditions",
				invalidConditions + "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions",
			}, both(completed, conditions(batchv1.JobFailureTarget)), nil),
		statusRefused("FailedWithoutTarget", "A failed Job has the condition FailureTarget.", "reference S8",
			[]string{invalidConditions + "cannot set Failed=True condition without the FailureTarget=true condition"},
			both(started, conditions(batchv1.JobFailed)), nil),
		statusRefused("CompleteWithoutCriteria", "A complete Job has the condition SuccessCriteriaMet.", "reference S9",
			[]string{invalidConditions + "cannot set Complete=True condition without the SuccessCriteriaMet=true condition"},
			both(completed, withoutConditions, conditions(batchv1.JobComplete)), nil),
		statusRefused("CriteriaMetAndFailed", "A Job that has met its success criteria does not fail.", "reference S20; KEP-3998",
			[]string{
				invalidConditions + "cannot set SuccessCriteriaMet=True and Failed=true conditions",
				invalidConditions + "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions",
			}, both(failed, conditions(batchv1.JobSuccessCriteriaMet)), nil),
		statusRefused("CriteriaMetAndFailureTarget", "A Job that is about to fail does not meet its success criteria.", "reference S21; KEP-3998",
			[]string{invalidConditions + "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions"},
			conditions(batchv1.JobSuccessCriteriaMet), []statusChange{both(started, conditions(batchv1.JobFailureTarget))}),
		statusRefused("CriteriaMetTooLate", "A Job with a successPolicy is not complete without having met its criteria.", "reference S22; KEP-3998",
			[]string{
				invalidConditions + "cannot set Complete=True condition without the SuccessCriteriaMet=true condition",
				invalidConditions + "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True",
			}, both(completed, withoutConditions, conditions(batchv1.JobComplete)), nil,
			indexed(2), successPolicy(batchv1.SuccessPolicyRule{SucceededCount: ptr.To[int32](1)})),
	)
}

// What only a finished Job has, and what none has.
func init() {
	subject("StatusValidation",
		statusRefused("CompletionTimeOfUnfinished", "Only a complete Job has a completionTime.", "reference S5",
			[]string{"status.completionTime: Invalid value: …cannot set completionTime when there is no Complete=True condition"},
			both(started, func(status *batchv1.JobStatus) { status.CompletionTime = &endTime }), nil),
		statusRefused("CompletionTimeOfFailed", "A failed Job has no completionTime.", "reference S5",
			[]string{"status.completionTime: Invalid value: …cannot set completionTime when there is no Complete=True condition"},
			both(failed, func(status *batchv1.JobStatus) { status.CompletionTime = &endTime }), nil),
		statusRefused("NoCompletionTime", "A complete Job has a completionTime.", "reference S6",
			[]string{"status.completionTime: Required value: completionTime is required for Complete jobs"},
			both(completed, func(status *batchv1.JobStatus) { status.CompletionTime = nil }), nil),
		statusRefused("CompletionBeforeStart", "A Job does not complete before it starts.", "reference S7",
			[]string{"status.completionTime: Invalid value: …must be equal to or after `startTime`"},
			both(completed, func(status *batchv1.JobStatus) { status.StartTime, status.CompletionTime = &endTime, &startTime }), nil),
		statusRefused("FinishedAndActive", "A finished Job has no active Pods.", "reference S10",
			[]string{"status.active: Invalid value: 1: active>0 is invalid for finished job"},
			both(completed, func(status *batchv1.JobStatus) { status.Active = 1 }), nil),
		statusRefused("FinishedWithoutStart", "A finished Job has a startTime.", "reference S11",
			[]string{"status.startTime: Required value: startTime is required for finished job"},
			both(failed, func(status *batchv1.JobStatus) { status.StartTime = nil }), nil),
		statusRefused("FinishedAndUncounted", "A finished Job has no uncounted Pods.", "reference S12",
			[]string{"status.uncountedTerminatedPods: Invalid value: …must be empty for finished job"},
			both(completed, uncounted([]types.UID{"a"}, nil)), nil),
		statusRefused("FinishedAndTerminating", "A finished Job has no terminating Pods.", "reference S18; KEP-3939",
			[]string{"status.terminating: Invalid value: 1: terminating>0 is invalid for finished job"},
			both(completed, func(status *batchv1.JobStatus) { status.Terminating = ptr.To[int32](1) }), nil),
	)
}

// The lists of indexes.
func init() {
	subject("StatusValidation",
		statusRefused("CompletedIndexesFormat", "CompletedIndexes are indexes of the Job.", "reference S13",
			[]string{`status.completedIndexes: Invalid value: "0,9": error parsing completedIndexes: too large index: "9"`},
			func(status *batchv1.JobStatus) { status.CompletedIndexes = "0,9" }, nil, indexed(3)),
		statusRefused("FailedIndexesFormat", "FailedIndexes are indexes of the Job.", "reference S14",
			[]string{
				`status.failedIndexes: Invalid value: "1,0": error parsing failedIndexes: non-increasing order, previous: 1, current: 0`,
			}, func(status *batchv1.JobStatus) { status.FailedIndexes = ptr.To("1,0") }, nil, indexed(3), backoffLimitPerIndex(1)),
		statusRefused("CompletedIndexesOfNonIndexed", "Only an Indexed Job has completedIndexes.", "reference S15",
			[]string{`status.completedIndexes: Invalid value: "0": cannot set non-empty completedIndexes when non-indexed completion mode`},
			func(status *batchv1.JobStatus) { status.CompletedIndexes = "0" }, nil),
		statusRefused("FailedIndexesWithoutLimit", "Only a Job with backoffLimitPerIndex has failedIndexes.", "reference S16",
			[]string{`status.failedIndexes: Invalid value: "0": cannot set non-null failedIndexes when backoffLimitPerIndex is null`},
			func(status *batchv1.JobStatus) { status.FailedIndexes = ptr.To("0") }, nil, indexed(3)),
		statusRefused("IndexesOverlap", "No index is both completed and failed.", "reference S17",
			[]string{`status.failedIndexes: Invalid value: "1-2": failedIndexes and completedIndexes overlap at index: 2`},
			func(status *batchv1.JobStatus) { status.CompletedIndexes, status.FailedIndexes = "2", ptr.To("1-2") }, nil, indexed(3), backoffLimitPerIndex(1)),
		statusRefused("LaterIndexesOverlap", "No index is both completed and failed, wherever it stands in the lists.", "reference S17",
			[]string{`status.failedIndexes: Invalid value: "0,3,5": failedIndexes and completedIndexes overlap at index: 5`},
			func(status *batchv1.JobStatus) {
				status.CompletedIndexes, status.FailedIndexes = "1,4-6", ptr.To("0,3,5")
			}, nil, indexed(9), backoffLimitPerIndex(1)),
	)
}

// What stays once it is said.
func init() {
	subject("StatusValidation",
		statusRefused("FailedStaysFailed", "A failed Job stays failed.", "guide 5 and 12; reference S23",
			[]string{
				invalidConditions + "cannot disable the terminal Failed=True condition",
				invalidConditions + "cannot disable the terminal FailureTarget=True condition",
			}, withoutConditions, []statusChange{failed}),
		statusRefused("CompleteStaysComplete", "A complete Job stays complete.", "reference S23 and S28",
			[]string{
				invalidConditions + "cannot disable the terminal Complete=True condition",
				invalidConditions + "cannot disable the SuccessCriteriaMet=True condition",
				"status.completionTime: Invalid value: …cannot set completionTime when there is no Complete=True condition",
			}, withoutConditions, []statusChange{completed}),
		statusRefused("FailureTargetStays", "A Job that is about to fail can't be saved.", "reference S23",
			[]string{invalidConditions + "cannot disable the terminal FailureTarget=True condition"},
			withoutConditions, []statusChange{both(started, conditions(batchv1.JobFailureTarget))}),
		statusRefused("CriteriaMetStays", "A Job that has met its success criteria keeps that condition.", "reference S28; KEP-3998",
			[]string{invalidConditions + "cannot disable the SuccessCriteriaMet=True condition"},
			withoutConditions, []statusChange{both(started, conditions(batchv1.JobSuccessCriteriaMet))}),
		statusRefused("FailedDecreases", "The number of failed Pods does not fall.", "reference S24",
			[]string{"status.failed: Invalid value: 1: cannot decrease the failed counter"},
			func(status *batchv1.JobStatus) { status.Failed = 1 }, []statusChange{func(status *batchv1.JobStatus) { status.Failed = 2 }}),
		statusRefused("SucceededDecreases", "The number of succeeded Pods does not fall.", "reference S25",
			[]string{"status.succeeded: Invalid value: 1: cannot decrease the succeeded counter"},
			func(status *batchv1.JobStatus) { status.Succeeded = 1 }, []statusChange{func(status *batchv1.JobStatus) { status.Succeeded = 2 }}, completions(3)),
		statusRefused("CompletionTimeChanges", "The completionTime of a Job doesn't change.", "reference S26",
			[]string{"status.completionTime: Invalid value: …field is immutable"},
			func(status *batchv1.JobStatus) {
				status.CompletionTime = ptr.To(metav1.NewTime(endTime.Add(time.Hour)))
			}, []statusChange{completed}),
		statusRefused("StartTimeChanges", "The startTime of a Job that is not suspended doesn't change.", "reference S27",
			[]string{"status.startTime: Invalid value: …field is immutable for unsuspended job once set"},
			func(status *batchv1.JobStatus) { status.StartTime = &endTime }, []statusChange{started}),
	)
}

// What the manager of a Job may say.
func init() {
	subject("StatusValidation",
		statusAccepted("OwnConditions", "A Job may have conditions of any other type.", "reference 1.10", conditions("CustomConditionType")),
		statusAccepted("Complete", "A manager may say that its Job is complete.", "reference 1.10; KEP-4368", completed),
		statusAccepted("Failed", "A manager may say that its Job has failed.", "reference 1.10; KEP-4368", failed),
		statusAccepted("SucceededOfElasticIndexed", "The number of succeeded Pods of an Indexed Job may fall with its completions.", "reference S25; KEP-3715",
			func(status *batchv1.JobStatus) { status.Succeeded = 2 }, indexed(3)),
	)
}

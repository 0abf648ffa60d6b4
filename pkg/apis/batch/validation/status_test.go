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

package validation

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
)

// statusCase is a stored Job, a change of its status, and the errors that the change must get.
type statusCase struct {
	name string
	old  []edit
	edit edit
	want []string
}

func runStatusCases(t *testing.T, cases []statusCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			old := newJob(c.old...)
			job := old.DeepCopy()
			c.edit(job)
			before := old.DeepCopy()
			checkErrors(t, ValidateJobStatusUpdate(job, old), c.want)
			checkUntouched(t, before, old)
		})
	}
}

// all makes one edit of many.
func all(edits ...edit) edit {
	return func(job *batch.Job) {
		for _, edit := range edits {
			edit(job)
		}
	}
}

// status makes an edit of the status.
func status(set func(*batch.JobStatus)) edit {
	return func(job *batch.Job) { set(&job.Status) }
}

// without takes conditions away, or back: they become False.
func without(types ...batch.JobConditionType) edit {
	return func(job *batch.Job) {
		for i := range job.Status.Conditions {
			for _, conditionType := range types {
				if job.Status.Conditions[i].Type == conditionType {
					job.Status.Conditions[i].Status = corev1.ConditionFalse
				}
			}
		}
	}
}

func at(second int64) *metav1.Time { return &metav1.Time{Time: time.Unix(second, 0)} }

func startedAt(second int64) edit {
	return status(func(s *batch.JobStatus) { s.StartTime = at(second) })
}

func completedAt(second int64) edit {
	return status(func(s *batch.JobStatus) { s.CompletionTime = at(second) })
}

func completedIndexes(list string) edit {
	return status(func(s *batch.JobStatus) { s.CompletedIndexes = list })
}

func failedIndexes(list string) edit {
	return status(func(s *batch.JobStatus) { s.FailedIndexes = &list })
}

func uncounted(succeeded, failed []types.UID) edit {
	return status(func(s *batch.JobStatus) {
		s.UncountedTerminatedPods = &batch.UncountedTerminatedPods{Succeeded: succeeded, Failed: failed}
	})
}

var (
	// completed is the status of a Job that ended well, failedEnd of one that didn't.
	completed = all(startedAt(1000), completedAt(2000), withConditions(batch.JobSuccessCriteriaMet, batch.JobComplete))
	failedEnd = all(startedAt(1000), withConditions(batch.JobFailureTarget, batch.JobFailed))
)

const conditions = "Invalid value status.conditions: "

func TestValidStatuses(t *testing.T) {
	t.Parallel()
	running := all(startedAt(1000), active(2), status(func(s *batch.JobStatus) { s.Ready, s.Terminating = new(int32(1)), new(int32(1)) }))
	runStatusCases(t, []statusCase{
		{name: "nothing", edit: func(*batch.Job) {}},
		{name: "started", edit: running},
		{name: "completed", old: []edit{running}, edit: all(completed, active(0), status(func(s *batch.JobStatus) {
			s.Succeeded, s.Ready, s.Terminating = 1, new(int32(0)), new(int32(0))
		}))},
		{name: "failed", old: []edit{startedAt(1000)}, edit: failedEnd},
		{name: "a condition of another controller", edit: withConditions("example.com/Checked")},
		{name: "finished, labels change", old: []edit{completed}, edit: func(job *batch.Job) { job.Labels = map[string]string{"a": "b"} }},
		{name: "complete while suspended with kept Pods", old: []edit{suspended, startedAt(1000), withConditions(batch.JobSuspended)}, edit: completed},
		{name: "metadata is checked", edit: func(job *batch.Job) { job.UID = "other" }, want: []string{"Invalid value metadata.uid" + immutable}},
	})
}

func TestCountsOfStatus(t *testing.T) {
	t.Parallel()
	runStatusCases(t, []statusCase{
		{name: "S1 all negative", edit: status(func(s *batch.JobStatus) {
			s.Active, s.Succeeded, s.Failed, s.Ready, s.Terminating = -1, -1, -1, new(int32(-1)), new(int32(-1))
		}), want: []string{
			"Invalid value status.active: " + notNegative,
			"Invalid value status.succeeded: " + notNegative,
			"Invalid value status.failed: " + notNegative,
			"Invalid value status.ready: " + notNegative,
			"Invalid value status.terminating: " + notNegative,
			"Invalid value status.failed: cannot decrease the failed counter",
			"Invalid value status.succeeded: cannot decrease the succeeded counter",
		}},
		{name: "S1 unchanged", old: []edit{active(-1)}, edit: startedAt(1000), want: []string{"Invalid value status.active: " + notNegative}},
		{name: "S2 empty UIDs", edit: uncounted([]types.UID{"a", ""}, []types.UID{""}), want: []string{
			"Invalid value status.uncountedTerminatedPods.succeeded[1]: must not be empty",
			"Invalid value status.uncountedTerminatedPods.failed[0]: must not be empty",
		}},
		{name: "S2 UIDs twice", edit: uncounted([]types.UID{"a", "b", "a"}, []types.UID{"b", "c", "c"}), want: []string{
			"Duplicate value status.uncountedTerminatedPods.succeeded[2]: ",
			"Duplicate value status.uncountedTerminatedPods.failed[0]: ",
			"Duplicate value status.uncountedTerminatedPods.failed[2]: ",
		}},
		{name: "S2 UIDs once", edit: uncounted([]types.UID{"a", "b"}, []types.UID{"c"})},

		{name: "S19 more ready than active", edit: all(active(1), status(func(s *batch.JobStatus) { s.Ready = new(int32(2)) })),
			want: []string{"Invalid value status.ready: cannot set more ready pods than active"}},
		{name: "S19 active falls below ready", old: []edit{active(2), status(func(s *batch.JobStatus) { s.Ready = new(int32(2)) })}, edit: active(1),
			want: []string{"Invalid value status.ready: cannot set more ready pods than active"}},
		{name: "S19 unchanged", old: []edit{status(func(s *batch.JobStatus) { s.Ready = new(int32(2)) })}, edit: startedAt(1000)},

		{name: "S24 failed falls", old: []edit{status(func(s *batch.JobStatus) { s.Failed = 3 })}, edit: status(func(s *batch.JobStatus) { s.Failed = 2 }),
			want: []string{"Invalid value status.failed: cannot decrease the failed counter"}},
		{name: "S25 succeeded falls", old: []edit{status(func(s *batch.JobStatus) { s.Succeeded = 3 })},
			edit: status(func(s *batch.JobStatus) { s.Succeeded = 2 }),
			want: []string{"Invalid value status.succeeded: cannot decrease the succeeded counter"}},
		{name: "S25 succeeded falls, Indexed that can't be scaled", old: []edit{indexed(5), parallelism(2), status(func(s *batch.JobStatus) { s.Succeeded = 3 })},
			edit: status(func(s *batch.JobStatus) { s.Succeeded = 2 }),
			want: []string{"Invalid value status.succeeded: cannot decrease the succeeded counter"}},
		{name: "S25 succeeded falls, Indexed that can be scaled", old: []edit{indexed(2), status(func(s *batch.JobStatus) { s.Succeeded = 3 })},
			edit: status(func(s *batch.JobStatus) { s.Succeeded = 2 })},
	})
}

func TestEndsOfStatus(t *testing.T) {
	t.Parallel()
	const (
		completeAndFailed  = conditions + "cannot set Complete=True and Failed=true conditions"
		completeAndTarget  = conditions + "cannot set Complete=True and FailureTarget=true conditions"
		failedNoTarget     = conditions + "cannot set Failed=True condition without the FailureTarget=true condition"
		completeNoCriteria = conditions + "cannot set Complete=True condition without the SuccessCriteriaMet=true condition"
		criteriaAndFailed  = conditions + "cannot set SuccessCriteriaMet=True and Failed=true conditions"
		criteriaAndTarget  = conditions + "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions"
	)
	noCriteria := all(startedAt(1000), completedAt(2000), withConditions(batch.JobComplete))
	runStatusCases(t, []statusCase{
		{name: "S3 complete and failed", old: []edit{completed}, edit: withConditions(batch.JobFailed),
			want: []string{completeAndFailed, failedNoTarget, criteriaAndFailed}},
		{name: "S3 unchanged", old: []edit{noCriteria, withConditions(batch.JobFailed)}, edit: func(*batch.Job) {}},
		{name: "S4 complete and about to fail", old: []edit{completed}, edit: withConditions(batch.JobFailureTarget),
			want: []string{completeAndTarget, criteriaAndTarget}},
		{name: "S4 complete where it was about to fail", old: []edit{startedAt(1000), withConditions(batch.JobFailureTarget)}, edit: noCriteria,
			want: []string{completeAndTarget, completeNoCriteria}},
		{name: "S4 unchanged", old: []edit{noCriteria, withConditions(batch.JobFailureTarget)}, edit: func(*batch.Job) {}},

		{name: "S3, S8, S9 and S22 at once", old: []edit{startedAt(1000), indexed(2), successPolicy(succeededCount(1))},
			edit: all(completedAt(2000), withConditions(batch.JobComplete, batch.JobFailed)), want: []string{
				completeAndFailed, failedNoTarget, completeNoCriteria,
				conditions + "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True",
			}},
		{name: "S20 and S21 at once", old: []edit{startedAt(1000)}, edit: withConditions(batch.JobSuccessCriteriaMet, batch.JobFailed, batch.JobFailureTarget),
			want: []string{criteriaAndFailed, criteriaAndTarget}},
		{name: "S8 failed without target", old: []edit{startedAt(1000)}, edit: withConditions(batch.JobFailed), want: []string{failedNoTarget}},
		{name: "S8 asked when failedIndexes change", old: []edit{indexed(3), perIndexBackoff(0), startedAt(1000), withConditions(batch.JobFailed)},
			edit: failedIndexes("1"), want: []string{failedNoTarget}},
		{name: "S8 unchanged", old: []edit{startedAt(1000), withConditions(batch.JobFailed)}, edit: func(*batch.Job) {}},
		{name: "S9 complete without criteria", old: []edit{startedAt(1000)}, edit: noCriteria, want: []string{completeNoCriteria}},
		{name: "S9 unchanged", old: []edit{noCriteria}, edit: func(*batch.Job) {}},

		{name: "S20 criteria and failed, unchanged", old: []edit{startedAt(1000), withConditions(batch.JobSuccessCriteriaMet, batch.JobFailed)},
			edit: func(*batch.Job) {}, want: []string{criteriaAndFailed}},
		{name: "S21 criteria and target, unchanged", old: []edit{withConditions(batch.JobSuccessCriteriaMet, batch.JobFailureTarget)},
			edit: func(*batch.Job) {}, want: []string{criteriaAndTarget}},
		{name: "S22 successPolicy, unchanged", old: []edit{indexed(2), successPolicy(succeededCount(1)), noCriteria}, edit: func(*batch.Job) {},
			want: []string{conditions + "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True"}},

		{name: "S23 no longer failed", old: []edit{failedEnd}, edit: without(batch.JobFailed),
			want: []string{conditions + "cannot disable the terminal Failed=True condition"}},
		{name: "S23 no longer about to fail", old: []edit{withConditions(batch.JobFailureTarget)}, edit: without(batch.JobFailureTarget),
			want: []string{conditions + "cannot disable the terminal FailureTarget=True condition"}},
		{name: "S23 no longer complete", old: []edit{completed}, edit: all(without(batch.JobComplete), status(func(s *batch.JobStatus) { s.CompletionTime = nil })),
			want: []string{conditions + "cannot disable the terminal Complete=True condition"}},
		{name: "S23 all conditions gone", old: []edit{failedEnd}, edit: status(func(s *batch.JobStatus) { s.Conditions = nil }),
			want: []string{
				conditions + "cannot disable the terminal Failed=True condition",
				conditions + "cannot disable the terminal FailureTarget=True condition",
			}},
		{name: "S28 criteria no longer met", old: []edit{withConditions(batch.JobSuccessCriteriaMet)}, edit: without(batch.JobSuccessCriteriaMet),
			want: []string{conditions + "cannot disable the SuccessCriteriaMet=True condition"}},
		{name: "S29 criteria met after the end", old: []edit{noCriteria}, edit: withConditions(batch.JobSuccessCriteriaMet),
			want: []string{conditions + "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions"}},
	})
}

func TestFinishedStatus(t *testing.T) {
	t.Parallel()
	const startTimeRequired = "Required value status.startTime: startTime is required for finished job"
	notStarted := status(func(s *batch.JobStatus) { s.StartTime = nil })
	noCompletions := all(suspended, func(job *batch.Job) { job.Spec.Completions = new(int32(0)) })
	runStatusCases(t, []statusCase{
		{name: "S10 active", old: []edit{startedAt(1000), active(1)}, edit: completed,
			want: []string{"Invalid value status.active: active>0 is invalid for finished job"}},
		{name: "S10 active again", old: []edit{failedEnd}, edit: active(1),
			want: []string{"Invalid value status.active: active>0 is invalid for finished job"}},
		{name: "S10 to S12, S18 and S19 at once", old: []edit{active(1), uncounted([]types.UID{"a"}, nil), status(func(s *batch.JobStatus) {
			s.Ready, s.Terminating = new(int32(1)), new(int32(1))
		})}, edit: all(failedEnd, notStarted, status(func(s *batch.JobStatus) { s.Ready = new(int32(2)) })), want: []string{
			"Invalid value status.active: active>0 is invalid for finished job",
			startTimeRequired,
			"Invalid value status.uncountedTerminatedPods: must be empty for finished job",
			"Invalid value status.terminating: terminating>0 is invalid for finished job",
			"Invalid value status.ready: cannot set more ready pods than active",
		}},
		{name: "S10 unchanged", old: []edit{failedEnd, active(1)}, edit: func(*batch.Job) {}},
		{name: "S11 not started", edit: all(completed, notStarted), want: []string{startTimeRequired}},
		{name: "S11 startTime taken away", old: []edit{failedEnd}, edit: notStarted,
			want: []string{startTimeRequired, "Invalid value status.startTime: field is immutable for unsuspended job once set"}},
		{name: "S11 suspended without completions", old: []edit{noCompletions}, edit: all(completed, notStarted)},
		{name: "S11 without completions, not suspended", old: []edit{func(job *batch.Job) { job.Spec.Completions = new(int32(0)) }},
			edit: all(completed, notStarted), want: []string{startTimeRequired}},
		{name: "S11 unchanged", old: []edit{failedEnd, notStarted}, edit: func(*batch.Job) {}},
		{name: "S12 uncounted", old: []edit{startedAt(1000), uncounted([]types.UID{"a"}, nil)}, edit: completed,
			want: []string{"Invalid value status.uncountedTerminatedPods: must be empty for finished job"}},
		{name: "S12 uncounted later", old: []edit{failedEnd, uncounted(nil, nil)}, edit: uncounted(nil, []types.UID{"a"}),
			want: []string{"Invalid value status.uncountedTerminatedPods: must be empty for finished job"}},
		{name: "S12 empty", old: []edit{startedAt(1000)}, edit: all(completed, uncounted(nil, nil))},
		{name: "S12 unchanged", old: []edit{failedEnd, uncounted(nil, []types.UID{"a"})}, edit: func(*batch.Job) {}},
		{name: "S18 terminating", old: []edit{startedAt(1000), status(func(s *batch.JobStatus) { s.Terminating = new(int32(1)) })}, edit: failedEnd,
			want: []string{"Invalid value status.terminating: terminating>0 is invalid for finished job"}},
		{name: "S18 terminating later", old: []edit{failedEnd}, edit: status(func(s *batch.JobStatus) { s.Terminating = new(int32(1)) }),
			want: []string{"Invalid value status.terminating: terminating>0 is invalid for finished job"}},
		{name: "S18 unchanged", old: []edit{failedEnd, status(func(s *batch.JobStatus) { s.Terminating = new(int32(1)) })}, edit: func(*batch.Job) {}},
	})
}

func TestTimesOfStatus(t *testing.T) {
	t.Parallel()
	const (
		notComplete = "Invalid value status.completionTime: cannot set completionTime when there is no Complete=True condition"
		required    = "Required value status.completionTime: completionTime is required for Complete jobs"
		tooEarly    = "Invalid value status.completionTime: must be equal to or after `startTime`"
		startKept   = "Invalid value status.startTime: field is immutable for unsuspended job once set"
	)
	noCompletionTime := status(func(s *batch.JobStatus) { s.CompletionTime = nil })
	noStartTime := status(func(s *batch.JobStatus) { s.StartTime = nil })
	inUTC := status(func(s *batch.JobStatus) { s.StartTime = &metav1.Time{Time: s.StartTime.UTC()} })
	runStatusCases(t, []statusCase{
		{name: "S5 not complete", old: []edit{startedAt(1000)}, edit: completedAt(2000), want: []string{notComplete}},
		{name: "S5 failed", old: []edit{startedAt(1000)}, edit: all(failedEnd, completedAt(2000)), want: []string{notComplete}},
		{name: "S5 unchanged", old: []edit{startedAt(1000), completedAt(2000)}, edit: active(1)},
		{name: "S6 missing", old: []edit{startedAt(1000)}, edit: all(completed, noCompletionTime), want: []string{required}},
		{name: "S6 taken away", old: []edit{completed}, edit: noCompletionTime, want: []string{required}},
		{name: "S6 unchanged", old: []edit{completed, noCompletionTime}, edit: func(*batch.Job) {}},
		{name: "S7 before the start", old: []edit{startedAt(1000)}, edit: all(completed, completedAt(999)), want: []string{tooEarly}},
		{name: "S7 at the start", old: []edit{startedAt(1000)}, edit: all(completed, completedAt(1000))},
		{name: "S7 unchanged", old: []edit{completed, completedAt(999)}, edit: func(*batch.Job) {}},

		{name: "S26 other completionTime", old: []edit{completed}, edit: completedAt(3000),
			want: []string{"Invalid value status.completionTime" + immutable}},
		{name: "S7, S26 and S27 at once", old: []edit{completed}, edit: all(startedAt(3000), completedAt(2500)),
			want: []string{tooEarly, "Invalid value status.completionTime" + immutable, startKept}},
		{name: "S27 other startTime", old: []edit{startedAt(1000)}, edit: startedAt(1001), want: []string{startKept}},
		{name: "S27 startTime taken away", old: []edit{startedAt(1000)}, edit: noStartTime, want: []string{startKept}},
		{name: "S27 the same moment in another zone", old: []edit{startedAt(1000)}, edit: inUTC},
		{name: "S27 suspended", old: []edit{suspended, startedAt(1000)}, edit: all(noStartTime, withConditions(batch.JobSuspended))},
		{name: "S27 resuming", old: []edit{startedAt(1000), withConditions(batch.JobSuspended)}, edit: all(startedAt(2000), without(batch.JobSuspended))},
		{name: "S27 resumed earlier", old: []edit{startedAt(1000), withConditions(batch.JobSuspended), without(batch.JobSuspended)}, edit: startedAt(2000),
			want: []string{startKept}},
	})
}

func TestIndexesOfStatus(t *testing.T) {
	t.Parallel()
	perIndex := all(indexed(5), perIndexBackoff(1))
	const overlap = "Invalid value status.failedIndexes: failedIndexes and completedIndexes overlap at index: 2"
	runStatusCases(t, []statusCase{
		{name: "S13 fine", old: []edit{indexed(5)}, edit: completedIndexes("0-2,4")},
		{name: "S13 too large", old: []edit{indexed(5)}, edit: completedIndexes("5"),
			want: []string{`Invalid value status.completedIndexes: error parsing completedIndexes: too large index: "5"`}},
		{name: "S13 unchanged, as after scaling down", old: []edit{indexed(2), completedIndexes("0-4")}, edit: active(1)},
		{name: "S14 fine", old: []edit{perIndex}, edit: failedIndexes("1,3")},
		{name: "S14 malformed", old: []edit{perIndex}, edit: failedIndexes("x"),
			want: []string{`Invalid value status.failedIndexes: error parsing failedIndexes: cannot convert string to integer for index: "x"`}},
		{name: "S14 unchanged", old: []edit{perIndex, failedIndexes("x")}, edit: active(1)},
		{name: "S13 to S17, all at once", old: []edit{func(job *batch.Job) { job.Spec.Completions = new(int32(3)) }},
			edit: all(completedIndexes("2,3"), failedIndexes("2")), want: []string{
				`Invalid value status.completedIndexes: error parsing completedIndexes: too large index: "3"`,
				"Invalid value status.completedIndexes: cannot set non-empty completedIndexes when non-indexed completion mode",
				"Invalid value status.failedIndexes: cannot set non-null failedIndexes when backoffLimitPerIndex is null",
				overlap,
			}},
		{name: "S13 and S14 at once", old: []edit{perIndex}, edit: all(completedIndexes("x"), failedIndexes("x")), want: []string{
			`Invalid value status.completedIndexes: error parsing completedIndexes: cannot convert string to integer for index: "x"`,
			`Invalid value status.failedIndexes: error parsing failedIndexes: cannot convert string to integer for index: "x"`,
		}},
		{name: "S15 NonIndexed", edit: completedIndexes("0"),
			want: []string{"Invalid value status.completedIndexes: cannot set non-empty completedIndexes when non-indexed completion mode"}},
		{name: "S15 work queue", old: []edit{workQueue(batch.WorkQueueRunUntilDeleted)}, edit: completedIndexes("x"),
			want: []string{"Invalid value status.completedIndexes: cannot set non-empty completedIndexes when non-indexed completion mode"}},
		{name: "S15 unchanged", old: []edit{completedIndexes("0")}, edit: active(1)},
		{name: "S16 no limit per index", old: []edit{indexed(5)}, edit: failedIndexes("x"),
			want: []string{"Invalid value status.failedIndexes: cannot set non-null failedIndexes when backoffLimitPerIndex is null"}},
		{name: "S16 empty is not null", old: []edit{indexed(5)}, edit: failedIndexes(""),
			want: []string{"Invalid value status.failedIndexes: cannot set non-null failedIndexes when backoffLimitPerIndex is null"}},
		{name: "S16 unchanged", old: []edit{indexed(5), failedIndexes("")}, edit: active(1)},
		{name: "S17 failed index that completed", old: []edit{perIndex, completedIndexes("0-2")}, edit: failedIndexes("2-3"), want: []string{overlap}},
		{name: "S17 completed index that failed", old: []edit{perIndex, failedIndexes("2-3")}, edit: completedIndexes("0-2"), want: []string{overlap}},
		{name: "S17 unchanged", old: []edit{perIndex, failedIndexes("2"), completedIndexes("2")}, edit: active(1)},
	})
}

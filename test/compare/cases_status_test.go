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

package compare

import (
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	onConditions = invalid + "status.conditions: "
	onCompletion = invalid + "status.completionTime: "
)

func statusEdit(change func(*batchv1.JobStatus)) edit {
	return func(job *batchv1.Job) { change(&job.Status) }
}

// without takes the conditions of a type away.
func without(conditionType batchv1.JobConditionType) edit {
	return setCondition(conditionType, "")
}

// setCondition gives the conditions of a type another status; none where that is empty.
func setCondition(conditionType batchv1.JobConditionType, status corev1.ConditionStatus) edit {
	return func(job *batchv1.Job) {
		var kept []batchv1.JobCondition
		for _, condition := range job.Status.Conditions {
			if condition.Type == conditionType {
				if status == "" {
					continue
				}
				condition.Status = status
			}
			kept = append(kept, condition)
		}
		job.Status.Conditions = kept
	}
}

func TestStatusCounters(t *testing.T) {
	run, five := stored(newJob(numbers), running), stored(newJob(indexed(5, 5)), runningIndexed)
	testRules(t, statusUpdate, []rule{
		{name: "none", start: run, edit: all()},
		{name: "1.4 spec is kept, metadata is not", start: run, edit: func(job *batchv1.Job) {
			job.Spec.Parallelism, job.Labels, job.Finalizers = new(int32(-1)), map[string]string{"new": "label"}, []string{"example.com/x"}
		}},
		{name: "S1 active", start: stored(newJob()), edit: statusEdit(func(status *batchv1.JobStatus) { status.Active = -1 }), want: []string{invalid + "status.active: "}},
		{name: "S1 succeeded", start: stored(newJob()), edit: statusEdit(func(status *batchv1.JobStatus) { status.Succeeded = -1 }),
			want: []string{invalid + "status.succeeded: Invalid value: -1: must be", invalid + "status.succeeded: Invalid value: -1: cannot decrease"}},
		{name: "S1 failed", start: stored(newJob()), edit: statusEdit(func(status *batchv1.JobStatus) { status.Failed = -1 }),
			want: []string{invalid + "status.failed: Invalid value: -1: must be", invalid + "status.failed: Invalid value: -1: cannot decrease"}},
		{name: "S1 ready", start: stored(newJob()), edit: statusEdit(func(status *batchv1.JobStatus) { status.Ready = new(int32(-1)) }), want: []string{invalid + "status.ready: "}},
		{name: "S1 terminating", start: stored(newJob()), edit: statusEdit(func(status *batchv1.JobStatus) { status.Terminating = new(int32(-1)) }),
			want: []string{invalid + "status.terminating: "}},
		{name: "S1 is always looked at", start: stored(newJob(), func(job *batchv1.Job) { job.Status.Active = -1 }), edit: all(), want: []string{invalid + "status.active: "}},
		{name: "S2 empty", start: run, edit: uncounted([]types.UID{""}, nil), want: []string{invalid + "status.uncountedTerminatedPods.succeeded[0]: "}},
		{name: "S2 empty failed", start: run, edit: uncounted(nil, []types.UID{"a", ""}), want: []string{invalid + "status.uncountedTerminatedPods.failed[1]: "}},
		{name: "S2 twice", start: run, edit: uncounted([]types.UID{"a", "a"}, nil), want: []string{duplicate + "status.uncountedTerminatedPods.succeeded[1]: "}},
		{name: "S2 in both", start: run, edit: uncounted([]types.UID{"a"}, []types.UID{"a"}), want: []string{duplicate + "status.uncountedTerminatedPods.failed[0]: "}},
		{name: "S19 ready", start: run, edit: statusEdit(func(status *batchv1.JobStatus) { status.Ready = new(int32(3)) }), want: []string{invalid + "status.ready: "}},
		{name: "S19 active", start: run, edit: statusEdit(func(status *batchv1.JobStatus) { status.Active = 0 }), want: []string{invalid + "status.ready: "}},
		{name: "S19 unchanged", start: stored(newJob(), func(job *batchv1.Job) { job.Status.Ready = new(int32(3)) }), edit: statusEdit(func(status *batchv1.JobStatus) { status.Failed = 1 })},
		{name: "S24", start: run, edit: statusEdit(func(status *batchv1.JobStatus) { status.Failed = 0 }), want: []string{invalid + "status.failed: "}},
		{name: "S25", start: run, edit: statusEdit(func(status *batchv1.JobStatus) { status.Succeeded = 0 }), want: []string{invalid + "status.succeeded: "}},
		{name: "S25 elastic", start: five, edit: statusEdit(func(status *batchv1.JobStatus) { status.Succeeded = 0 })},
		{name: "S25 Indexed, not elastic", start: stored(newJob(indexed(5, 2)), runningIndexed), edit: statusEdit(func(status *batchv1.JobStatus) { status.Succeeded = 0 }),
			want: []string{invalid + "status.succeeded: "}},
		{name: "S26", start: stored(newJob(), complete), edit: statusEdit(func(status *batchv1.JobStatus) { status.CompletionTime = new(at(6)) }), want: []string{onCompletion}},
		{name: "S27", start: run, edit: statusEdit(func(status *batchv1.JobStatus) { status.StartTime = new(at(2)) }), want: []string{invalid + "status.startTime: "}},
		{name: "S27 cleared", start: run, edit: statusEdit(func(status *batchv1.JobStatus) { status.StartTime = nil }), want: []string{invalid + "status.startTime: "}},
		{name: "S27 first", start: stored(newJob()), edit: started},
		{name: "S27 suspended", start: stored(newJob(suspended), started), edit: statusEdit(func(status *batchv1.JobStatus) { status.StartTime = nil })},
		{name: "S27 resuming", start: stored(newJob(), started, conditions(batchv1.JobSuspended)),
			edit: all(setCondition(batchv1.JobSuspended, corev1.ConditionFalse), statusEdit(func(status *batchv1.JobStatus) { status.StartTime = new(at(2)) }))},
		{name: "S27 condition gone instead of False", start: stored(newJob(), started, conditions(batchv1.JobSuspended)),
			edit: all(without(batchv1.JobSuspended), statusEdit(func(status *batchv1.JobStatus) { status.StartTime = new(at(2)) })), want: []string{invalid + "status.startTime: "}},
	})
}

func TestStatusEnds(t *testing.T) {
	run, done, lost := stored(newJob(), started), stored(newJob(), complete), stored(newJob(), failed)
	testRules(t, statusUpdate, []rule{
		{name: "completes", start: run, edit: complete},
		{name: "fails", start: run, edit: failed},
		{name: "condition of another kind", start: done, edit: conditions("Custom")},
		{name: "S3", start: lost, edit: all(conditions(batchv1.JobComplete), statusEdit(func(status *batchv1.JobStatus) { status.CompletionTime = new(at(5)) })),
			want: []string{onConditions + "Invalid value: cannot set Complete=True and Failed", onConditions + "Invalid value: cannot set Complete=True and FailureTarget",
				onConditions + "Invalid value: cannot set Complete=True condition without"}},
		{name: "S4", start: stored(newJob(), started, conditions(batchv1.JobFailureTarget)), edit: complete,
			want: []string{onConditions + "Invalid value: cannot set Complete=True and FailureTarget", onConditions + "Invalid value: cannot set SuccessCriteriaMet=True and FailureTarget"}},
		{name: "S5", start: run, edit: statusEdit(func(status *batchv1.JobStatus) { status.CompletionTime = new(at(5)) }), want: []string{onCompletion}},
		{name: "S6", start: run, edit: all(complete, statusEdit(func(status *batchv1.JobStatus) { status.CompletionTime = nil })), want: []string{required + "status.completionTime: "}},
		{name: "S7", start: run, edit: all(complete, statusEdit(func(status *batchv1.JobStatus) { status.CompletionTime = new(at(0)) })), want: []string{onCompletion}},
		{name: "S8", start: run, edit: all(failed, without(batchv1.JobFailureTarget)), want: []string{onConditions}},
		{name: "S9", start: run, edit: all(complete, without(batchv1.JobSuccessCriteriaMet)), want: []string{onConditions}},
		{name: "S10", start: run, edit: all(complete, statusEdit(func(status *batchv1.JobStatus) { status.Active = 1 })), want: []string{invalid + "status.active: "}},
		{name: "S11", start: stored(newJob()), edit: all(failed, statusEdit(func(status *batchv1.JobStatus) { status.StartTime = nil })), want: []string{required + "status.startTime: "}},
		{name: "S11 suspended without completions", start: stored(newJob(suspended, func(job *batchv1.Job) { job.Spec.Completions = new(int32(0)) })),
			edit: all(complete, statusEdit(func(status *batchv1.JobStatus) { status.StartTime = nil }))},
		{name: "S12", start: run, edit: all(complete, uncounted([]types.UID{"a"}, nil)), want: []string{invalid + "status.uncountedTerminatedPods: "}},
		{name: "S18", start: run, edit: all(failed, statusEdit(func(status *batchv1.JobStatus) { status.Terminating = new(int32(1)) })), want: []string{invalid + "status.terminating: "}},
		{name: "S20", start: lost, edit: conditions(batchv1.JobSuccessCriteriaMet),
			want: []string{onConditions + "Invalid value: cannot set SuccessCriteriaMet=True and Failed=", onConditions + "Invalid value: cannot set SuccessCriteriaMet=True and FailureTarget"}},
		{name: "S21", start: stored(newJob(), started, conditions(batchv1.JobFailureTarget)), edit: conditions(batchv1.JobSuccessCriteriaMet), want: []string{onConditions}},
		{name: "S22", start: stored(newJob(successPolicy), started), edit: all(complete, without(batchv1.JobSuccessCriteriaMet)),
			want: []string{onConditions + "Invalid value: cannot set Complete=True condition without", onConditions + "Invalid value: cannot set Complete=True for Job with SuccessPolicy"}},
		{name: "S23 Complete", start: done, edit: all(without(batchv1.JobComplete), statusEdit(func(status *batchv1.JobStatus) { status.CompletionTime = nil })), want: []string{onConditions}},
		{name: "S23 Complete False", start: done, edit: setCondition(batchv1.JobComplete, corev1.ConditionFalse), want: []string{onConditions, onCompletion}},
		{name: "S23 Failed", start: lost, edit: without(batchv1.JobFailed), want: []string{onConditions}},
		{name: "S23 FailureTarget", start: lost, edit: without(batchv1.JobFailureTarget), want: []string{onConditions}},
		{name: "S28", start: done, edit: without(batchv1.JobSuccessCriteriaMet),
			want: []string{onConditions + "Invalid value: cannot set Complete=True condition without", onConditions + "Invalid value: cannot disable the SuccessCriteriaMet"}},
		{name: "S29", start: stored(newJob(), complete, without(batchv1.JobSuccessCriteriaMet)), edit: conditions(batchv1.JobSuccessCriteriaMet), want: []string{onConditions}},
	})
}

func TestStatusIndexes(t *testing.T) {
	const onCompleted, onFailed = invalid + "status.completedIndexes: ", invalid + "status.failedIndexes: "
	plain, five, each := stored(newJob(), started), stored(newJob(indexed(5, 5)), started), stored(newJob(perIndex), started)
	completed := func(list string) edit {
		return statusEdit(func(status *batchv1.JobStatus) { status.CompletedIndexes = list })
	}
	failing := func(list string) edit {
		return statusEdit(func(status *batchv1.JobStatus) { status.FailedIndexes = &list })
	}
	rules := []rule{
		{name: "S13 out of range, but unchanged", start: stored(newJob(indexed(5, 5)), completed("7")), edit: started},
		{name: "S15", start: plain, edit: completed("0"), want: []string{onCompleted}},
		{name: "S16", start: five, edit: failing(""), want: []string{onFailed}},
		{name: "S16 gone", start: stored(newJob(perIndex), failing("1")), edit: statusEdit(func(status *batchv1.JobStatus) { status.FailedIndexes = nil })},
		{name: "S17", start: each, edit: all(completed("0-3"), failing("2")), want: []string{onFailed}},
		{name: "S17 by more completed", start: stored(newJob(perIndex), started, failing("2")), edit: completed("0-3"), want: []string{onFailed}},
		{name: "S17 by more failed", start: stored(newJob(perIndex), started, completed("0-3")), edit: failing("2"), want: []string{onFailed}},
		{name: "S17 touching", start: each, edit: all(completed("0-2"), failing("3,4"))},
		{name: "S17 overlapping before", start: stored(newJob(perIndex), completed("1"), failing("1")), edit: started},
		{name: "S17 broken lists", start: each, edit: all(completed("x"), failing("y")), want: []string{onCompleted, onFailed}},
	}
	for _, list := range []string{"0", "0-4", "0,2", "1-2,4", ""} {
		rules = append(rules, rule{name: "S13 list " + list, start: five, edit: completed(list)}, rule{name: "S14 list " + list, start: each, edit: failing(list)})
	}
	for _, list := range []string{"5", "0-5", "a", "1-", "-1", "2-1", "1,1", "2-2", "1-2-3", ",", "4,", "0-3,2"} {
		rules = append(rules, rule{name: "S13 list " + list, start: five, edit: completed(list), want: []string{onCompleted}},
			rule{name: "S14 list " + list, start: each, edit: failing(list), want: []string{onFailed}})
	}
	testRules(t, statusUpdate, rules)
}

// TestRows has the states that a row tells apart, first of them the ones with a condition twice: the first of a type decides.
func TestRows(t *testing.T) {
	again := func(conditionType batchv1.JobConditionType, status corev1.ConditionStatus) edit {
		return statusEdit(func(of *batchv1.JobStatus) { of.Conditions = append(of.Conditions, condition(conditionType, status)) })
	}
	types := []batchv1.JobConditionType{batchv1.JobComplete, batchv1.JobFailed, batchv1.JobSuspended, batchv1.JobFailureTarget, batchv1.JobSuccessCriteriaMet}
	rules := []rule{{name: "no condition", edit: running}, {name: "deleted", edit: deleted}, {name: "unknown condition", edit: conditions("Custom")}}
	for _, one := range types {
		rules = append(rules,
			rule{name: string(one) + " False, then True", edit: all(again(one, corev1.ConditionFalse), again(one, corev1.ConditionTrue))},
			rule{name: string(one) + " True, then False", edit: all(again(one, corev1.ConditionTrue), again(one, corev1.ConditionFalse))},
			rule{name: string(one) + ", deleted", edit: all(conditions(one), deleted)})
		for _, other := range types {
			rules = append(rules, rule{name: string(one) + " and " + string(other), edit: conditions(one, other)})
		}
	}
	for _, spec := range []struct {
		name string
		edit edit
	}{{"work queue", workQueue}, {"work queue of one", func(job *batchv1.Job) { job.Spec.Parallelism = new(int32(1)) }},
		{"work queue of none", func(job *batchv1.Job) { job.Spec.Parallelism = new(int32(0)) }}, {"five", indexed(5, 5)}, {"many containers", richTemplate}} {
		rules = append(rules, rule{name: spec.name, edit: spec.edit}, rule{name: spec.name + ", running", edit: all(spec.edit, running)},
			rule{name: spec.name + ", complete", edit: all(spec.edit, complete)})
	}
	// What can be created is another question: a row is printed first. Deleted Jobs have a finalizer, and finished ones lose their status.
	testRules(t, create, rules)
}

func uncounted(succeeded, failed []types.UID) edit {
	return statusEdit(func(status *batchv1.JobStatus) {
		status.UncountedTerminatedPods = &batchv1.UncountedTerminatedPods{Succeeded: succeeded, Failed: failed}
	})
}

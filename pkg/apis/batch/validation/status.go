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
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
)

// ValidateJobStatusUpdate returns why old's status can't become job's; empty where it can. Both have the same spec: the strategy of the status
// subresource sees to it.
//
// The status may be written by other controllers too (KEP-4368), so a Job must never look both failed and complete, lose its end, or count
// backwards. Most rules are asked only where a write changes what they are about: an old status that breaks a rule, as one may
// after a change of the spec, must not block a write that has nothing to do with it.
func ValidateJobStatusUpdate(job, old *batch.Job) field.ErrorList {
	change := newStatusChange(job, old)
	errs := validateObjectMetaUpdate(&job.ObjectMeta, &old.ObjectMeta, field.NewPath("metadata"))
	for _, validate := range statusRules {
		errs = append(errs, validate(change)...)
	}
	return errs
}

// statusRules are in the order of their numbers, which is that of upstream's errors.
var statusRules = []func(*statusChange) field.ErrorList{
	(*statusChange).validateCounts,
	(*statusChange).validateUncounted,
	(*statusChange).validateComplete,
	(*statusChange).validateCompletionTime,
	(*statusChange).validateAnnounced,
	(*statusChange).validateFinished,
	(*statusChange).validateIndexes,
	(*statusChange).validateLeftOverPods,
	(*statusChange).validateSuccessCriteria,
	(*statusChange).validateEndKept,
	(*statusChange).validateCountersGrow,
	(*statusChange).validateTimesKept,
	(*statusChange).validateSuccessCriteriaKept,
}

// statusChange is a write of a status: what it says, what was there, and where errors point.
type statusChange struct {
	job           *batch.Job
	now, before   *batch.JobStatus
	ends, oldEnds jobEnd
	path          *field.Path
}

// jobEnd is how far a status says that its Job has come; each member is whether the condition is True.
type jobEnd struct {
	complete, failed                  bool
	successCriteriaMet, failureTarget bool
}

// finished is the end itself; successCriteriaMet and failureTarget only announce it.
func (e jobEnd) finished() bool { return e.complete || e.failed }

func jobEndOf(status *batch.JobStatus) jobEnd {
	isTrue := func(conditionType batch.JobConditionType) bool {
		return hasCondition(status, conditionType, corev1.ConditionTrue)
	}
	return jobEnd{
		complete:           isTrue(batch.JobComplete),
		failed:             isTrue(batch.JobFailed),
		successCriteriaMet: isTrue(batch.JobSuccessCriteriaMet),
		failureTarget:      isTrue(batch.JobFailureTarget),
	}
}

func newStatusChange(job, old *batch.Job) *statusChange {
	return &statusChange{
		job: job, now: &job.Status, before: &old.Status,
		ends: jobEndOf(&job.Status), oldEnds: jobEndOf(&old.Status),
		path: field.NewPath("status"),
	}
}

// condition is the error of conditions that contradict one another or what was there.
func (c *statusChange) condition(detail string) *field.Error {
	return field.Invalid(c.path.Child("conditions"), field.OmitValueType{}, detail)
}

func (c *statusChange) completeChanged() bool { return c.ends.complete != c.oldEnds.complete }
func (c *statusChange) failedChanged() bool   { return c.ends.failed != c.oldEnds.failed }
func (c *statusChange) finishedChanged() bool { return c.ends.finished() != c.oldEnds.finished() }
func (c *statusChange) activeChanged() bool   { return c.now.Active != c.before.Active }

func (c *statusChange) startTimeChanged() bool {
	return !sameTime(c.now.StartTime, c.before.StartTime)
}

func (c *statusChange) completionTimeChanged() bool {
	return !sameTime(c.now.CompletionTime, c.before.CompletionTime)
}

func (c *statusChange) completedIndexesChanged() bool {
	return c.now.CompletedIndexes != c.before.CompletedIndexes
}

func (c *statusChange) failedIndexesChanged() bool {
	return !ptr.Equal(c.now.FailedIndexes, c.before.FailedIndexes)
}

// sameTime compares moments, whatever the zone they are written in; nil is the same as nil only.
func sameTime(a, b *metav1.Time) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Equal(b)
}

// validateCounts refuses negative numbers of Pods (S1).
func (c *statusChange) validateCounts() field.ErrorList {
	var errs field.ErrorList
	for _, count := range []struct {
		name  string
		value *int32
	}{
		{"active", &c.now.Active},
		{"succeeded", &c.now.Succeeded},
		{"failed", &c.now.Failed},
		{"ready", c.now.Ready},
		{"terminating", c.now.Terminating},
	} {
		if count.value != nil {
			errs = append(errs, apivalidation.ValidateNonnegativeField(int64(*count.value), c.path.Child(count.name))...)
		}
	}
	return errs
}

// validateUncounted wants each Pod that waits to be counted named once (S2): one named twice would be counted twice.
func (c *statusChange) validateUncounted() field.ErrorList {
	if c.now.UncountedTerminatedPods == nil {
		return nil
	}
	path := c.path.Child("uncountedTerminatedPods")
	seen := sets.New[types.UID]()
	errs := validateUIDs(c.now.UncountedTerminatedPods.Succeeded, seen, path.Child("succeeded"))
	return append(errs, validateUIDs(c.now.UncountedTerminatedPods.Failed, seen, path.Child("failed"))...)
}

// validateUIDs adds what it has seen to seen.
func validateUIDs(uids []types.UID, seen sets.Set[types.UID], path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, uid := range uids {
		switch {
		case uid == "":
			errs = append(errs, field.Invalid(path.Index(i), uid, "must not be empty"))
		case seen.Has(uid):
			errs = append(errs, field.Duplicate(path.Index(i), uid))
		default:
			seen.Insert(uid)
		}
	}
	return errs
}

// validateComplete keeps a complete Job from being failed (S3) or about to fail (S4) at the same time.
func (c *statusChange) validateComplete() field.ErrorList {
	var errs field.ErrorList
	if (c.completeChanged() || c.failedChanged()) && c.ends.complete && c.ends.failed {
		errs = append(errs, c.condition("cannot set Complete=True and Failed=true conditions"))
	}
	failureTargetChanged := c.ends.failureTarget != c.oldEnds.failureTarget
	if (c.completeChanged() || failureTargetChanged) && c.ends.complete && c.ends.failureTarget {
		errs = append(errs, c.condition("cannot set Complete=True and FailureTarget=true conditions"))
	}
	return errs
}

// validateCompletionTime lets complete Jobs alone have a completionTime (S5), and wants them to (S6); it is not before startTime (S7).
func (c *statusChange) validateCompletionTime() field.ErrorList {
	var errs field.ErrorList
	path, completed := c.path.Child("completionTime"), c.now.CompletionTime
	if c.completeChanged() || c.completionTimeChanged() {
		if completed != nil && !c.ends.complete {
			errs = append(errs, field.Invalid(path, completed, "cannot set completionTime when there is no Complete=True condition"))
		}
		if completed == nil && c.ends.complete {
			errs = append(errs, field.Required(path, "completionTime is required for Complete jobs"))
		}
	}
	if c.startTimeChanged() || c.completionTimeChanged() {
		if started := c.now.StartTime; started != nil && completed != nil && completed.Before(started) {
			errs = append(errs, field.Invalid(path, completed, "must be equal to or after `startTime`"))
		}
	}
	return errs
}

// validateAnnounced wants each end announced by the condition that goes before it (S8, S9).
func (c *statusChange) validateAnnounced() field.ErrorList {
	var errs field.ErrorList
	if (c.failedChanged() || c.failedIndexesChanged()) && c.ends.failed && !c.ends.failureTarget {
		errs = append(errs, c.condition("cannot set Failed=True condition without the FailureTarget=true condition"))
	}
	successCriteriaChanged := c.ends.successCriteriaMet != c.oldEnds.successCriteriaMet
	if (c.completeChanged() || successCriteriaChanged) && c.ends.complete && !c.ends.successCriteriaMet {
		errs = append(errs, c.condition("cannot set Complete=True condition without the SuccessCriteriaMet=true condition"))
	}
	return errs
}

// validateFinished wants a finished Job to have no active Pods (S10), a startTime (S11) and every ended Pod counted (S12).
func (c *statusChange) validateFinished() field.ErrorList {
	if !c.ends.finished() {
		return nil
	}
	var errs field.ErrorList
	if (c.finishedChanged() || c.activeChanged()) && c.now.Active > 0 {
		errs = append(errs, field.Invalid(c.path.Child("active"), c.now.Active, "active>0 is invalid for finished job"))
	}
	// A suspended Job without any completions to reach is complete before it has ever been started.
	neverStarted := isSuspended(&c.job.Spec) && ptr.Equal(c.job.Spec.Completions, new(int32(0)))
	if (c.finishedChanged() || c.startTimeChanged()) && !neverStarted && c.now.StartTime == nil {
		errs = append(errs, field.Required(c.path.Child("startTime"), "startTime is required for finished job"))
	}
	uncountedChanged := !apiequality.Semantic.DeepEqual(c.now.UncountedTerminatedPods, c.before.UncountedTerminatedPods)
	if uncounted := c.now.UncountedTerminatedPods; (c.finishedChanged() || uncountedChanged) && uncounted != nil &&
		len(uncounted.Succeeded)+len(uncounted.Failed) > 0 {
		errs = append(errs, field.Invalid(c.path.Child("uncountedTerminatedPods"), uncounted, "must be empty for finished job"))
	}
	return errs
}

// validateIndexes checks the form of both index lists (S13, S14), that the Job has such indexes (S15, S16), and that none both
// succeeded and failed (S17).
func (c *statusChange) validateIndexes() field.ErrorList {
	var errs field.ErrorList
	spec, completed, failed := &c.job.Spec, c.now.CompletedIndexes, c.now.FailedIndexes
	completedPath, failedPath := c.path.Child("completedIndexes"), c.path.Child("failedIndexes")
	completedChanged, failedChanged := c.completedIndexesChanged(), c.failedIndexesChanged()

	if completedChanged && spec.Completions != nil {
		if _, err := countIndexes(completed, *spec.Completions); err != nil {
			errs = append(errs, field.Invalid(completedPath, completed, fmt.Sprintf("error parsing completedIndexes: %v", err)))
		}
	}
	if failedChanged && failed != nil && spec.Completions != nil && spec.BackoffLimitPerIndex != nil {
		if _, err := countIndexes(*failed, *spec.Completions); err != nil {
			errs = append(errs, field.Invalid(failedPath, failed, fmt.Sprintf("error parsing failedIndexes: %v", err)))
		}
	}
	if completedChanged && completed != "" && !isIndexed(spec) {
		errs = append(errs, field.Invalid(completedPath, completed, "cannot set non-empty completedIndexes when non-indexed completion mode"))
	}
	if failedChanged && failed != nil && spec.BackoffLimitPerIndex == nil {
		errs = append(errs, field.Invalid(failedPath, *failed, "cannot set non-null failedIndexes when backoffLimitPerIndex is null"))
	}
	if (failedChanged || completedChanged) && failed != nil && spec.Completions != nil {
		if index, found := firstOverlap(completed, *failed, *spec.Completions); found {
			errs = append(errs, field.Invalid(failedPath, *failed,
				fmt.Sprintf("failedIndexes and completedIndexes overlap at index: %d", index)))
		}
	}
	return errs
}

// validateLeftOverPods refuses Pods that still terminate after the end (S18) and more ready Pods than active ones (S19).
func (c *statusChange) validateLeftOverPods() field.ErrorList {
	var errs field.ErrorList
	terminatingChanged := !ptr.Equal(c.now.Terminating, c.before.Terminating)
	if terminating := c.now.Terminating; (c.finishedChanged() || terminatingChanged) && c.ends.finished() && terminating != nil && *terminating > 0 {
		errs = append(errs, field.Invalid(c.path.Child("terminating"), terminating, "terminating>0 is invalid for finished job"))
	}
	readyChanged := !ptr.Equal(c.now.Ready, c.before.Ready)
	if ready := c.now.Ready; (readyChanged || c.activeChanged()) && ready != nil && *ready > c.now.Active {
		errs = append(errs, field.Invalid(c.path.Child("ready"), *ready, "cannot set more ready pods than active"))
	}
	return errs
}

// validateSuccessCriteria keeps a Job that met its success criteria from failing (S20, S21), and one with a successPolicy from being
// complete without having met them (S22). It holds whatever the write changes.
func (c *statusChange) validateSuccessCriteria() field.ErrorList {
	var errs field.ErrorList
	if c.ends.successCriteriaMet && c.ends.failed {
		errs = append(errs, c.condition("cannot set SuccessCriteriaMet=True and Failed=true conditions"))
	}
	if c.ends.successCriteriaMet && c.ends.failureTarget {
		errs = append(errs, c.condition("cannot set SuccessCriteriaMet=True and FailureTarget=true conditions"))
	}
	if c.job.Spec.SuccessPolicy != nil && c.ends.complete && !c.ends.successCriteriaMet {
		errs = append(errs, c.condition("cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True"))
	}
	return errs
}

// validateEndKept keeps what a Job ended with (S23).
func (c *statusChange) validateEndKept() field.ErrorList {
	var errs field.ErrorList
	for _, end := range []struct {
		conditionType batch.JobConditionType
		now, before   bool
	}{
		{batch.JobFailed, c.ends.failed, c.oldEnds.failed},
		{batch.JobComplete, c.ends.complete, c.oldEnds.complete},
		{batch.JobFailureTarget, c.ends.failureTarget, c.oldEnds.failureTarget},
	} {
		if end.before && !end.now {
			errs = append(errs, c.condition(fmt.Sprintf("cannot disable the terminal %s=True condition", end.conditionType)))
		}
	}
	return errs
}

// validateCountersGrow lets no counter fall (S24, S25), but for the successes of an Indexed Job whose completions equal its parallelism:
// scaled down, it has fewer indexes that count.
func (c *statusChange) validateCountersGrow() field.ErrorList {
	var errs field.ErrorList
	if c.now.Failed < c.before.Failed {
		errs = append(errs, field.Invalid(c.path.Child("failed"), c.now.Failed, "cannot decrease the failed counter"))
	}
	scalable := isIndexed(&c.job.Spec) && ptr.Equal(c.job.Spec.Completions, c.job.Spec.Parallelism)
	if !scalable && c.now.Succeeded < c.before.Succeeded {
		errs = append(errs, field.Invalid(c.path.Child("succeeded"), c.now.Succeeded, "cannot decrease the succeeded counter"))
	}
	return errs
}

// validateTimesKept keeps completionTime as first set (S26; that it stays set is S6's), and startTime as long as the Job isn't suspended or
// just being resumed (S27).
func (c *statusChange) validateTimesKept() field.ErrorList {
	var errs field.ErrorList
	if completed := c.now.CompletionTime; completed != nil && c.before.CompletionTime != nil && c.completionTimeChanged() {
		errs = append(errs, field.Invalid(c.path.Child("completionTime"), completed, apivalidation.FieldImmutableErrorMsg))
	}
	resuming := hasCondition(c.before, batch.JobSuspended, corev1.ConditionTrue) && hasCondition(c.now, batch.JobSuspended, corev1.ConditionFalse)
	if c.before.StartTime != nil && c.startTimeChanged() && !resuming && !isSuspended(&c.job.Spec) {
		errs = append(errs, field.Invalid(c.path.Child("startTime"), c.now.StartTime, "field is immutable for unsuspended job once set"))
	}
	return errs
}

// validateSuccessCriteriaKept keeps SuccessCriteriaMet (S28), and does not let it be added after the fact (S29).
func (c *statusChange) validateSuccessCriteriaKept() field.ErrorList {
	var errs field.ErrorList
	if c.oldEnds.successCriteriaMet && !c.ends.successCriteriaMet {
		errs = append(errs, c.condition("cannot disable the SuccessCriteriaMet=True condition"))
	}
	if c.oldEnds.complete && !c.oldEnds.successCriteriaMet && c.ends.successCriteriaMet {
		errs = append(errs, c.condition("cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions"))
	}
	return errs
}

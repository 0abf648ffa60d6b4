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

package plan

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

// Compute decides what the sync that in describes must do. It has no errors: an Input that it cannot act on (a completion
// mode that it does not know) gives a Plan that does nothing and says so by an event.
func Compute(in Input) Plan {
	in.Limits = in.Limits.withDefaults()
	if terminalCondition(&in.Job.Status) != nil {
		return planFinished(in)
	}
	if event := Unsupported(in.Job); event != nil {
		return Plan{Backoff: in.Backoff, Events: []Event{*event}}
	}
	s := observe(in)
	p := Plan{
		Verdict: decide(s),
		Backoff: nextBackoff(s),
		Metrics: Metrics{Action: ActionReconciling},
		counts:  s.counts,
		settles: true,
	}
	accounts := account(s, p.Verdict)
	p.Release = accounts.release
	p.Metrics.FailurePolicyActions, p.Metrics.Ignored = accounts.actions, accounts.ignored
	switch {
	case p.Verdict != nil:
		p.Delete = accounts.stop
	case managesPods(s):
		p.managePods(s)
	}
	p.base = baseStatus(s, accounts)
	if managesPods(s) && p.Verdict == nil && !p.endsBy(s) {
		p.Events = noteSuspension(s, &p.base)
	}
	if mustRecord(s, accounts) {
		p.Record = &p.base
	}
	p.canFinish = p.Verdict != nil && in.Observed && !accounts.more
	p.scheduleNext(s, accounts)
	return p
}

const eventUnknownCompletionMode = "UnknownCompletionMode"

// Unsupported returns the event that tells why the Job can't be acted on; nil if it can. Validation keeps such Jobs out, but a
// newer server may have stored one. A caller that asks before it observes leaves the Job's Pods alone too, and doesn't
// count a sync (rule B14).
func Unsupported(job *batchv1.Job) *Event {
	var why string
	switch mode := ptr.Deref(job.Spec.CompletionMode, batchv1.NonIndexedCompletion); {
	case mode != batchv1.NonIndexedCompletion && mode != batchv1.IndexedCompletion:
		why = "Skipped Job sync because completion mode is unknown"
	case mode == batchv1.IndexedCompletion && job.Spec.Completions == nil:
		why = "Skipped Job sync because spec.completions is unset, which an Indexed Job needs"
	default:
		return nil
	}
	return &Event{Type: corev1.EventTypeWarning, Reason: eventUnknownCompletionMode, Message: why}
}

// planFinished lets go of Pods that still have our finalizer although their Job has finished. Nothing of them counts any
// more.
func planFinished(in Input) Plan {
	p := Plan{Metrics: Metrics{Action: ActionReconciling}}
	for _, pod := range in.Pods {
		if in.Identity.Tracks(pod) && !in.Released.Has(pod.UID) {
			p.Release = append(p.Release, pod)
		}
	}
	return p
}

// managesPods says whether Pods may be created, or deleted as surplus: not before the cache shows those that were, nor for
// a Job that is being deleted (rules B27 and B30).
func managesPods(s *state) bool {
	return s.in.Observed && s.job.DeletionTimestamp == nil
}

// managePods deletes surplus Pods, or else creates missing ones: never both in one sync, so that what the next sees is
// plain (rule B47).
func (p *Plan) managePods(s *state) {
	p.Metrics.Action = ActionTracking
	if p.Delete = surplus(s); len(p.Delete) > 0 || isStopped(s.job) {
		p.Metrics.Action = ActionPodsDeleted
		return
	}
	p.Create, p.NextSync = createPods(s, p.Backoff)
	if len(p.Create) > 0 || !p.NextSync.IsZero() {
		p.Metrics.Action = ActionPodsCreated
	}
	if len(p.Create) > 0 {
		p.Metrics.CreationReason = creationReason(s)
	}
}

// endsBy says whether the Job completes as soon as the Pods are gone that the plan deletes. Such a Job is neither suspended nor
// resumed any more (rule B24).
func (p *Plan) endsBy(s *state) bool {
	return len(p.Delete) > 0 && len(p.Delete) == len(s.active) && hasReachedCompletions(s)
}

// creationReason says for the metrics why Pods are created (section 2.16 of the reference).
func creationReason(s *state) string {
	switch {
	case replacesOnlyEnded(s.job) && s.tally.failed > 0:
		return CreationReasonRecreateFailed
	case s.tally.failed > 0 || s.counts.terminating > 0:
		return CreationReasonRecreateTerminatingOrFailed
	default:
		return CreationReasonNew
	}
}

// scheduleNext says when to look again: for the deadline, for delayed Pods, and at once if one sync could not deal with all
// Pods.
func (p *Plan) scheduleNext(s *state, a *accounting) {
	if p.Verdict == nil {
		p.NextSync = earlierOf(p.NextSync, activeDeadline(s))
	}
	if a.more {
		p.NextSync = s.in.Now
	}
}

// baseStatus returns the status with everything in it that is known before the plan is carried out, but for a suspension.
func baseStatus(s *state, a *accounting) batchv1.JobStatus {
	status := *s.job.Status.DeepCopy()
	if status.StartTime == nil && !isSuspended(s.job) {
		status.StartTime = s.now.DeepCopy()
	}
	status.UncountedTerminatedPods = &batchv1.UncountedTerminatedPods{
		Succeeded: slices.Concat(s.uncounted.Succeeded, a.newSucceeded),
		Failed:    slices.Concat(s.uncounted.Failed, a.newFailed),
	}
	status.Succeeded += s.settled.succeeded
	status.Failed += s.settled.failed
	if s.indexed {
		status.Succeeded = int32(s.succeededIndexes.size())
		status.CompletedIndexes = s.succeededIndexes.String()
		status.FailedIndexes = nil
		if hasLimitPerIndex(s.job) {
			status.FailedIndexes = new(s.failedIndexes.String())
		}
	}
	if s.in.Observed {
		s.counts.write(&status)
	}
	if a.verdict != nil {
		setCondition(&status.Conditions, a.verdict.Type, corev1.ConditionTrue, a.verdict.Reason, a.verdict.Message, s.now)
	}
	return status
}

// write puts the numbers into the status.
func (c podCounts) write(status *batchv1.JobStatus) {
	status.Active = c.active
	status.Ready = new(c.ready)
	status.Terminating = new(c.terminating)
}

// mustRecord says whether the plan does anything that must be on record first: Pods that are counted, indexes that end, the
// end of the Job (rules B36 to B40). A set of indexes that only lost those above completions can wait.
func mustRecord(s *state, a *accounting) bool {
	return len(a.newSucceeded)+len(a.newFailed) > 0 ||
		s.succeededIndexes.size() != s.recordedSucceeded.size() ||
		s.failedIndexes.size() != s.recordedFailed.size() ||
		a.verdict != nil && interimCondition(&s.job.Status) == nil
}

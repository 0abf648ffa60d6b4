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

// Package plan decides what one sync of a Job must do. It performs no I/O and reads no clock: equal Inputs give equal Plans.
//
// A sync runs in this order, and is safe to be killed at any point of it:
//
//	p := plan.Compute(in)            decide
//	write p.Record                   what must be on record before anything of it becomes irrevocable
//	release, delete, create          the Pods of p.Release, p.Delete, p.Create, in this order
//	s := plan.Settle(in, p, outcome) fold in what really happened
//	write s, if it differs from the status last written
//
// An ended Pod keeps its tracking finalizer until its result is on record: a Pod that is in the uncounted lists of the status is
// moved to the counters once the finalizer is off. So a result can neither get lost nor be counted twice (KEP-2307; rules
// B36 to B43 of the reference).
package plan

import (
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

// Plan is what one sync of a Job must do. Its Pods to release and delete are those of the Input.
type Plan struct {
	// Record is the status to write before anything else is done; nil if nothing has to be on record first. If the write
	// fails, none of the rest may be done and Backoff must not be kept.
	Record *batchv1.JobStatus

	// Release are Pods to take our finalizers off: their results are on record, or are none to be counted.
	Release []*corev1.Pod

	// Delete are Pods to delete.
	Delete []Deletion

	// Create are Pods to create, in the order in which to create them. They have a generateName and no name.
	Create []*corev1.Pod

	// Verdict says why the Job ends; nil while it goes on.
	Verdict *Verdict

	// Events are to be emitted once what they tell of is written: Record, or, where that is nil, the status that Settle
	// returns. More events can follow from the latter: see FinishEvents.
	Events []Event

	// NextSync is when the Job must be looked at again although nothing else happens; zero: not at all. It may lie in the
	// past, which means at once.
	NextSync time.Time

	// Backoff is the record to keep for the next sync. Keep it once Record was written, or at once where Record is nil.
	Backoff BackoffRecord

	// Metrics is what the sync adds to the metrics. Like Backoff, it is void if Record could not be written.
	Metrics Metrics

	// base is the status that Settle starts from: Record, or the observed status with everything that is not urgent
	// folded in.
	base batchv1.JobStatus

	// counts are the Pods before the plan is carried out.
	counts podCounts

	// canFinish says that, should everything planned succeed, no obstacle known now keeps the verdict from becoming final.
	canFinish bool

	// settles says that there is a status to work out at all.
	settles bool
}

// Deletion is a Pod to delete.
type Deletion struct {
	// Pod is the Pod, as in the Input.
	Pod *corev1.Pod

	// Finalizer says when its tracking finalizer has to go.
	Finalizer FinalizerOrder
}

// FinalizerOrder relates the removal of a Pod's tracking finalizer to the Pod's deletion.
type FinalizerOrder int

const (
	// ReleaseFirst takes the finalizer off and deletes only where that worked: the Pod is not wanted any more, and its
	// end must not be counted (rule B61). The release is a no-op for a Pod that has none.
	ReleaseFirst FinalizerOrder = iota

	// ReleaseAfter deletes, and takes the finalizer off only where that worked: the Job has ended and the Pod is on
	// record with it (rule B60).
	ReleaseAfter

	// KeepFinalizer deletes and leaves the finalizer to a later sync.
	KeepFinalizer
)

// Verdict is the reason for which a Job ends.
type Verdict struct {
	// Type is the condition that is recorded before the Job's Pods are gone: FailureTarget or SuccessCriteriaMet.
	Type batchv1.JobConditionType

	// Reason and Message go into that condition and into the terminal one.
	Reason  string
	Message string
}

// Final returns the terminal condition that the verdict leads to: Failed or Complete.
func (v Verdict) Final() batchv1.JobConditionType {
	if v.Type == batchv1.JobSuccessCriteriaMet {
		return batchv1.JobComplete
	}
	return batchv1.JobFailed
}

// Event is an event about the Job.
type Event struct {
	// Type is corev1.EventTypeNormal or corev1.EventTypeWarning.
	Type string
	// Reason and Message are upstream's (section 2.14 of the reference).
	Reason  string
	Message string
}

// Metrics is what a sync adds to the metrics.
type Metrics struct {
	// Action is the value of the label "action" of the sync metrics: one of the Action constants. Empty where the sync is not
	// to be counted.
	Action string

	// CreationReason is the value of the label "reason" of the metric of created Pods: one of the CreationReason constants.
	// Empty where Create is.
	CreationReason string

	// FailurePolicyActions says how many Pods that go on record with this plan were handled by each action of the
	// podFailurePolicy.
	FailurePolicyActions map[batchv1.PodFailurePolicyAction]int

	// Ignored are the Pods that a rule with the action Ignore matches. Nothing puts them on record, so they come back in each
	// sync until their finalizer is off: see HandledFailures.
	Ignored []types.UID
}

// HandledFailures returns how many failed Pods the sync handled by each action of the podFailurePolicy: those that are on
// record, and the ignored ones that have lost their finalizer. Each Pod is in the result of one sync only.
func (m Metrics) HandledFailures(o Outcome) map[batchv1.PodFailurePolicyAction]int {
	handled := map[batchv1.PodFailurePolicyAction]int{}
	maps.Copy(handled, m.FailurePolicyActions)
	for _, uid := range m.Ignored {
		if o.Released.Has(uid) {
			handled[batchv1.PodFailurePolicyActionIgnore]++
		}
	}
	return handled
}

// Values of the label "action" of the sync metrics.
const (
	ActionReconciling = "reconciling"
	ActionTracking    = "tracking"
	ActionPodsCreated = "pods_created"
	ActionPodsDeleted = "pods_deleted"
)

// Values of the label "reason" of the metric of created Pods.
const (
	CreationReasonNew                         = "new"
	CreationReasonRecreateTerminatingOrFailed = "recreate_terminating_or_failed"
	CreationReasonRecreateFailed              = "recreate_failed"
)

// podCounts are the numbers of Pods that the status shows.
type podCounts struct {
	active, ready, terminating int32
}

// uncountedPods are the uncounted lists of a status.
type uncountedPods = batchv1.UncountedTerminatedPods

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

package batch

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// Job is work that runs to completion: it starts Pods until as many as asked for have succeeded.
type Job struct {
	metav1.TypeMeta
	// ObjectMeta is the standard object metadata.
	metav1.ObjectMeta

	// Spec says what to run, how often and how its end is recognised.
	Spec JobSpec

	// Status is what the Job controller has observed and counted.
	Status JobStatus
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// JobList is a list of Jobs.
type JobList struct {
	metav1.TypeMeta
	// ListMeta is the standard list metadata.
	metav1.ListMeta

	// Items are the Jobs of the list.
	Items []Job
}

// CompletionMode says how the successful Pods of a Job add up to its completion.
type CompletionMode string

const (
	// NonIndexedCompletion makes all Pods alike: any .spec.completions successes complete the Job.
	NonIndexedCompletion CompletionMode = "NonIndexed"

	// IndexedCompletion gives each Pod one of the indexes 0 to .spec.completions-1; the Job completes once every
	// index has succeeded once.
	IndexedCompletion CompletionMode = "Indexed"
)

// PodReplacementPolicy says at which moment a Pod that goes away may be replaced.
type PodReplacementPolicy string

const (
	// TerminatingOrFailed replaces a Pod as soon as it is being deleted or has failed.
	TerminatingOrFailed PodReplacementPolicy = "TerminatingOrFailed"

	// Failed replaces a Pod only when it has reached the phase Failed, so that two Pods of the same work never
	// overlap.
	Failed PodReplacementPolicy = "Failed"
)

// DisruptionPolicy says whether the loss of a Pod by no fault of its own counts as a failure.
type DisruptionPolicy string

const (
	// DisruptionIgnore replaces evicted, preempted, deleted and lost Pods at once: no failure is counted and no
	// back-off grows.
	DisruptionIgnore DisruptionPolicy = "Ignore"

	// DisruptionCount counts the loss of such a Pod as a failure, as Kubernetes does where no podFailurePolicy
	// rule says otherwise.
	DisruptionCount DisruptionPolicy = "Count"
)

// SuspendPolicy says what suspending a Job does to the Pods that are already there.
type SuspendPolicy string

const (
	// SuspendKeepPods leaves running Pods alone and only stops the creation of new ones.
	SuspendKeepPods SuspendPolicy = "KeepPods"

	// SuspendDeletePods deletes the active Pods and resets .status.startTime, as Kubernetes does.
	SuspendDeletePods SuspendPolicy = "DeletePods"
)

// WorkQueuePolicy says when a Job without .spec.completions ends.
type WorkQueuePolicy string

const (
	// WorkQueueRunUntilDeleted keeps .spec.parallelism workers running, replacing each that ends, until the Job is
	// deleted.
	WorkQueueRunUntilDeleted WorkQueuePolicy = "RunUntilDeleted"

	// WorkQueueCompleteOnFirstSuccess starts no new Pod after the first success and completes once all Pods ended,
	// as Kubernetes does.
	WorkQueueCompleteOnFirstSuccess WorkQueuePolicy = "CompleteOnFirstSuccess"
)

// PodFailurePolicyAction says what a matching rule of a PodFailurePolicy does.
type PodFailurePolicyAction string

const (
	// PodFailurePolicyActionFailJob fails the whole Job and terminates its running Pods.
	PodFailurePolicyActionFailJob PodFailurePolicyAction = "FailJob"

	// PodFailurePolicyActionFailIndex gives up the Pod's index, whatever is left of its retries.
	PodFailurePolicyActionFailIndex PodFailurePolicyAction = "FailIndex"

	// PodFailurePolicyActionIgnore replaces the Pod without counting its failure towards .spec.backoffLimit.
	PodFailurePolicyActionIgnore PodFailurePolicyAction = "Ignore"

	// PodFailurePolicyActionCount counts the failure towards .spec.backoffLimit, as without a policy.
	PodFailurePolicyActionCount PodFailurePolicyAction = "Count"
)

// PodFailurePolicyOnExitCodesOperator relates a container's exit code to a set of values.
type PodFailurePolicyOnExitCodesOperator string

const (
	// PodFailurePolicyOnExitCodesOpIn matches an exit code that is one of the values.
	PodFailurePolicyOnExitCodesOpIn PodFailurePolicyOnExitCodesOperator = "In"

	// PodFailurePolicyOnExitCodesOpNotIn matches an exit code, other than 0, that is none of the values.
	PodFailurePolicyOnExitCodesOpNotIn PodFailurePolicyOnExitCodesOperator = "NotIn"
)

// PodFailurePolicyOnExitCodesRequirement matches a failed Pod by the exit codes of its containers.
type PodFailurePolicyOnExitCodesRequirement struct {
	// ContainerName restricts the check to one container or init container of the Pod template.
	ContainerName *string

	// Operator relates the exit code to the values: In or NotIn.
	Operator PodFailurePolicyOnExitCodesOperator

	// Values are the exit codes: at least 1, at most 255 of them, in ascending order, each once.
	Values []int32
}

// PodFailurePolicyOnPodConditionsPattern matches a failed Pod by one of its conditions.
type PodFailurePolicyOnPodConditionsPattern struct {
	// Type is the type of the Pod condition.
	Type corev1.PodConditionType

	// Status is the status that the condition must have: True, False or Unknown.
	Status corev1.ConditionStatus
}

// PodFailurePolicyRule says what to do with a failed Pod that it matches.
type PodFailurePolicyRule struct {
	// Action is what happens when the rule matches: FailJob, FailIndex, Ignore or Count.
	Action PodFailurePolicyAction

	// OnExitCodes matches by the exit codes of the containers.
	OnExitCodes *PodFailurePolicyOnExitCodesRequirement

	// OnPodConditions matches where the Pod has at least one of these conditions.
	OnPodConditions []PodFailurePolicyOnPodConditionsPattern
}

// PodFailurePolicy tells failures of Pods apart, so that some end the Job at once and others are not counted
// (KEP-3329).
type PodFailurePolicy struct {
	// Rules are tried in order and the first match decides; a failure that matches none is counted.
	Rules []PodFailurePolicyRule
}

// SuccessPolicy says when an Indexed Job has succeeded although not all of its indexes have (KEP-3998).
type SuccessPolicy struct {
	// Rules are tried in order; as soon as one is met the Job is a success and its remaining Pods are terminated.
	Rules []SuccessPolicyRule
}

// SuccessPolicyRule is met by a set of succeeded indexes.
type SuccessPolicyRule struct {
	// SucceededIndexes is the set of indexes that matter, as numbers and ranges in ascending order: "1,3-5,7".
	SucceededIndexes *string

	// SucceededCount is how many indexes must succeed: of succeededIndexes where that is set, of all otherwise.
	SucceededCount *int32
}

// JobSpec says what a Job runs, how often and how its end is recognised.
type JobSpec struct {
	// Parallelism is how many Pods may run at the same time.
	Parallelism *int32

	// Completions is how many Pods have to succeed.
	Completions *int32

	// ActiveDeadlineSeconds is how many seconds after status.startTime the Job may be active before it fails with
	// the reason DeadlineExceeded and its Pods are terminated.
	ActiveDeadlineSeconds *int64

	// PodFailurePolicy tells failures of Pods apart.
	PodFailurePolicy *PodFailurePolicy

	// SuccessPolicy ends an Indexed Job successfully before all indexes have succeeded.
	SuccessPolicy *SuccessPolicy

	// BackoffLimit is how many failures are borne: one more fails the Job with the reason BackoffLimitExceeded.
	BackoffLimit *int32

	// BackoffLimitPerIndex is how many failures are borne of one index before the index is given up (KEP-3850).
	BackoffLimitPerIndex *int32

	// MaxFailedIndexes is how many indexes may be given up: one more fails the Job with the reason
	// MaxFailedIndexesExceeded.
	MaxFailedIndexes *int32

	// Selector finds the Job's Pods by their labels.
	Selector *metav1.LabelSelector

	// ManualSelector keeps the server from generating selector and the labels that go with it.
	ManualSelector *bool

	// Template is what each Pod is made from.
	Template corev1.PodTemplateSpec

	// TTLSecondsAfterFinished is how many seconds after its end the Job is deleted, together with its Pods.
	TTLSecondsAfterFinished *int32

	// CompletionMode is NonIndexed (all Pods alike) or Indexed (each Pod has an index, seen in its annotation and
	// label batch.kubernetes.io/job-completion-index, in its host name and in the environment variable
	// JOB_COMPLETION_INDEX).
	CompletionMode *CompletionMode

	// Suspend keeps the Job from starting Pods while it is true; what happens to running Pods is suspendPolicy's.
	Suspend *bool

	// PodReplacementPolicy is TerminatingOrFailed (a Pod is replaced as soon as it is being deleted) or Failed
	// (only once it has ended) (KEP-3939).
	PodReplacementPolicy *PodReplacementPolicy

	// ManagedBy names the controller that reconciles the Job, as a domain-prefixed path of at most 63 characters
	// (KEP-4368).
	ManagedBy *string

	// DisruptionPolicy is Ignore (an evicted, preempted, deleted or lost Pod is replaced at once and no failure is
	// counted) or Count (it is a failure like any other).
	DisruptionPolicy *DisruptionPolicy

	// SuspendPolicy is KeepPods (suspending leaves running Pods alone) or DeletePods (suspending deletes them and
	// resets status.startTime).
	SuspendPolicy *SuspendPolicy

	// WorkQueuePolicy is RunUntilDeleted (a pool of workers, each replaced when it ends) or CompleteOnFirstSuccess
	// (done once one Pod succeeded and all have ended).
	WorkQueuePolicy *WorkQueuePolicy
}

// JobStatus is what the Job controller has observed and counted.
type JobStatus struct {
	// Conditions say how the Job stands: Complete or Failed once it has ended, SuccessCriteriaMet or FailureTarget
	// while its last Pods are still terminating before that, Suspended while it is.
	Conditions []JobCondition

	// StartTime is when the controller first started the Job, or last resumed it after a suspension that deleted
	// its Pods.
	StartTime *metav1.Time

	// CompletionTime is when the Job completed.
	CompletionTime *metav1.Time

	// Active is the number of Pods that are pending or running and not being deleted.
	Active int32

	// Succeeded is the number of Pods that ended successfully; of an Indexed Job, of indexes that did.
	Succeeded int32

	// Failed is the number of Pods whose failure was counted.
	Failed int32

	// Terminating is the number of Pods that are being deleted and have not ended yet.
	Terminating *int32

	// CompletedIndexes is the set of succeeded indexes of an Indexed Job, as ascending numbers and ranges:
	// "1,3-5,7".
	CompletedIndexes string

	// FailedIndexes is the set of given-up indexes, in the form of completedIndexes.
	FailedIndexes *string

	// UncountedTerminatedPods are ended Pods that are recorded here but not yet in the counters: they are counted
	// once the tracking finalizer is off the Pod, so that a crash at any moment neither loses nor doubles one
	// (KEP-2307).
	UncountedTerminatedPods *UncountedTerminatedPods

	// Ready is the number of active Pods with a Ready condition that are not being deleted.
	Ready *int32
}

// UncountedTerminatedPods holds the UIDs of ended Pods that are not in the counters of a JobStatus yet.
type UncountedTerminatedPods struct {
	// Succeeded are the UIDs of Pods that succeeded.
	Succeeded []types.UID

	// Failed are the UIDs of Pods that failed.
	Failed []types.UID
}

// JobConditionType is the type of a JobCondition.
type JobConditionType string

const (
	// JobSuspended is True while the Job is suspended and False after it was resumed.
	JobSuspended JobConditionType = "Suspended"

	// JobComplete means that the Job succeeded and all of its Pods have ended.
	JobComplete JobConditionType = "Complete"

	// JobFailed means that the Job failed and all of its Pods have ended.
	JobFailed JobConditionType = "Failed"

	// JobFailureTarget means that the Job is going to fail once its Pods have ended.
	JobFailureTarget JobConditionType = "FailureTarget"

	// JobSuccessCriteriaMet means that the Job is going to be complete once its Pods have ended.
	JobSuccessCriteriaMet JobConditionType = "SuccessCriteriaMet"
)

// JobCondition is one aspect of how a Job stands.
type JobCondition struct {
	// Type is Complete, Failed, Suspended, FailureTarget, SuccessCriteriaMet, or a type of another controller's.
	Type JobConditionType

	// Status is True, False or Unknown.
	Status corev1.ConditionStatus

	// LastProbeTime is when the condition was last looked at.
	LastProbeTime metav1.Time

	// LastTransitionTime is when the status last changed.
	LastTransitionTime metav1.Time

	// Reason is a short word for why the status changed, made for programs.
	Reason string

	// Message says why the status changed, made for people.
	Message string
}

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

package v1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// +genclient
// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// Job is work that runs to completion: it starts Pods until as many as asked for have succeeded.
type Job struct {
	metav1.TypeMeta `json:""`
	// metadata is the standard object metadata. Where metadata.labels is empty, the labels of the Pod template are taken.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty" protobuf:"bytes,1,opt,name=metadata"`

	// spec says what to run, how often and how its end is recognised.
	// +optional
	Spec JobSpec `json:"spec,omitempty" protobuf:"bytes,2,opt,name=spec"`

	// status is what the Job controller has observed and counted. It is written through the status subresource only.
	// +optional
	Status JobStatus `json:"status,omitempty" protobuf:"bytes,3,opt,name=status"`
}

// +k8s:deepcopy-gen:interfaces=k8s.io/apimachinery/pkg/runtime.Object

// JobList is a list of Jobs.
type JobList struct {
	metav1.TypeMeta `json:""`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitempty" protobuf:"bytes,1,opt,name=metadata"`

	// items are the Jobs of the list.
	Items []Job `json:"items" protobuf:"bytes,2,rep,name=items"`
}

// CompletionMode says how the successful Pods of a Job add up to its completion.
// +enum
type CompletionMode string

const (
	// NonIndexedCompletion makes all Pods alike: any .spec.completions successes complete the Job.
	NonIndexedCompletion CompletionMode = "NonIndexed"

	// IndexedCompletion gives each Pod one of the indexes 0 to .spec.completions-1; the Job completes once
	// every index has succeeded once.
	IndexedCompletion CompletionMode = "Indexed"
)

// PodReplacementPolicy says at which moment a Pod that goes away may be replaced.
// +enum
type PodReplacementPolicy string

const (
	// TerminatingOrFailed replaces a Pod as soon as it is being deleted or has failed.
	TerminatingOrFailed PodReplacementPolicy = "TerminatingOrFailed"

	// Failed replaces a Pod only when it has reached the phase Failed, so that two Pods of the same work never overlap.
	Failed PodReplacementPolicy = "Failed"
)

// DisruptionPolicy says whether the loss of a Pod by no fault of its own counts as a failure.
// +enum
type DisruptionPolicy string

const (
	// DisruptionIgnore replaces evicted, preempted, deleted and lost Pods at once: no failure is counted and
	// no back-off grows.
	DisruptionIgnore DisruptionPolicy = "Ignore"

	// DisruptionCount counts the loss of such a Pod as a failure, as Kubernetes does where no podFailurePolicy rule
	// says otherwise.
	DisruptionCount DisruptionPolicy = "Count"
)

// SuspendPolicy says what suspending a Job does to the Pods that are already there.
// +enum
type SuspendPolicy string

const (
	// SuspendKeepPods leaves running Pods alone and only stops the creation of new ones.
	SuspendKeepPods SuspendPolicy = "KeepPods"

	// SuspendDeletePods deletes the active Pods and resets .status.startTime, as Kubernetes does.
	SuspendDeletePods SuspendPolicy = "DeletePods"
)

// WorkQueuePolicy says when a Job without .spec.completions ends.
// +enum
type WorkQueuePolicy string

const (
	// WorkQueueRunUntilDeleted keeps .spec.parallelism workers running, replacing each that ends, until the Job is deleted.
	WorkQueueRunUntilDeleted WorkQueuePolicy = "RunUntilDeleted"

	// WorkQueueCompleteOnFirstSuccess starts no new Pod after the first success and completes once all Pods ended,
	// as Kubernetes does.
	WorkQueueCompleteOnFirstSuccess WorkQueuePolicy = "CompleteOnFirstSuccess"
)

// PodFailurePolicyAction says what a matching rule of a PodFailurePolicy does.
// +enum
type PodFailurePolicyAction string

const (
	// PodFailurePolicyActionFailJob fails the whole Job and terminates its running Pods.
	PodFailurePolicyActionFailJob PodFailurePolicyAction = "FailJob"

	// PodFailurePolicyActionFailIndex gives up the Pod's index, whatever is left of its retries. It needs
	// .spec.backoffLimitPerIndex.
	PodFailurePolicyActionFailIndex PodFailurePolicyAction = "FailIndex"

	// PodFailurePolicyActionIgnore replaces the Pod without counting its failure towards .spec.backoffLimit.
	PodFailurePolicyActionIgnore PodFailurePolicyAction = "Ignore"

	// PodFailurePolicyActionCount counts the failure towards .spec.backoffLimit, as without a policy.
	PodFailurePolicyActionCount PodFailurePolicyAction = "Count"
)

// PodFailurePolicyOnExitCodesOperator relates a container's exit code to a set of values.
// +enum
type PodFailurePolicyOnExitCodesOperator string

const (
	// PodFailurePolicyOnExitCodesOpIn matches an exit code that is one of the values.
	PodFailurePolicyOnExitCodesOpIn PodFailurePolicyOnExitCodesOperator = "In"

	// PodFailurePolicyOnExitCodesOpNotIn matches an exit code, other than 0, that is none of the values.
	PodFailurePolicyOnExitCodesOpNotIn PodFailurePolicyOnExitCodesOperator = "NotIn"
)

// PodFailurePolicyOnExitCodesRequirement matches a failed Pod by the exit codes of its containers. Containers that
// exited 0 or still run are not looked at.
type PodFailurePolicyOnExitCodesRequirement struct {
	// containerName restricts the check to one container or init container of the Pod template.
	// Unset: every container is looked at.
	// +optional
	ContainerName *string `json:"containerName,omitempty" protobuf:"bytes,1,opt,name=containerName"`

	// operator relates the exit code to the values: In or NotIn.
	Operator PodFailurePolicyOnExitCodesOperator `json:"operator" protobuf:"bytes,2,req,name=operator"`

	// values are the exit codes: at least 1, at most 255 of them, in ascending order, each once.
	// The value 0 is refused with the operator In.
	// +listType=set
	Values []int32 `json:"values" protobuf:"varint,3,rep,name=values"`
}

// PodFailurePolicyOnPodConditionsPattern matches a failed Pod by one of its conditions.
type PodFailurePolicyOnPodConditionsPattern struct {
	// type is the type of the Pod condition.
	Type corev1.PodConditionType `json:"type" protobuf:"bytes,1,req,name=type"`

	// status is the status that the condition must have: True, False or Unknown. Default: True.
	// +optional
	Status corev1.ConditionStatus `json:"status" protobuf:"bytes,2,req,name=status"`
}

// PodFailurePolicyRule says what to do with a failed Pod that it matches. It has exactly one of onExitCodes and
// onPodConditions.
type PodFailurePolicyRule struct {
	// action is what happens when the rule matches: FailJob, FailIndex, Ignore or Count.
	Action PodFailurePolicyAction `json:"action" protobuf:"bytes,1,req,name=action"`

	// onExitCodes matches by the exit codes of the containers.
	// +optional
	OnExitCodes *PodFailurePolicyOnExitCodesRequirement `json:"onExitCodes,omitempty" protobuf:"bytes,2,opt,name=onExitCodes"`

	// onPodConditions matches where the Pod has at least one of these conditions. At most 20 patterns.
	// +listType=atomic
	// +optional
	OnPodConditions []PodFailurePolicyOnPodConditionsPattern `json:"onPodConditions,omitempty" protobuf:"bytes,3,opt,name=onPodConditions"`
}

// PodFailurePolicy tells failures of Pods apart, so that some end the Job at once and others are not counted (KEP-3329).
type PodFailurePolicy struct {
	// rules are tried in order and the first match decides; a failure that matches none is counted. At most 20 rules.
	// +listType=atomic
	Rules []PodFailurePolicyRule `json:"rules" protobuf:"bytes,1,opt,name=rules"`
}

// SuccessPolicy says when an Indexed Job has succeeded although not all of its indexes have (KEP-3998).
type SuccessPolicy struct {
	// rules are tried in order; as soon as one is met the Job is a success and its remaining Pods are terminated.
	// At least 1 rule, at most 20.
	// +listType=atomic
	Rules []SuccessPolicyRule `json:"rules" protobuf:"bytes,1,opt,name=rules"`
}

// SuccessPolicyRule is met by a set of succeeded indexes. It has at least one of its two fields.
type SuccessPolicyRule struct {
	// succeededIndexes is the set of indexes that matter, as numbers and ranges in ascending order: "1,3-5,7".
	// Without succeededCount all of them must succeed. At most 64 KiB.
	// +optional
	SucceededIndexes *string `json:"succeededIndexes,omitempty" protobuf:"bytes,1,opt,name=succeededIndexes"`

	// succeededCount is how many indexes must succeed: of succeededIndexes where that is set, of all otherwise.
	// +optional
	SucceededCount *int32 `json:"succeededCount,omitempty" protobuf:"varint,2,opt,name=succeededCount"`
}

// JobSpec says what a Job runs, how often and how its end is recognised.
type JobSpec struct {
	// parallelism is how many Pods may run at the same time. Fewer run once fewer completions are left.
	// 0 starts none. Default: 1.
	// +optional
	Parallelism *int32 `json:"parallelism,omitempty" protobuf:"varint,1,opt,name=parallelism"`

	// completions is how many Pods have to succeed. Default: 1 where parallelism is unset too; otherwise it stays
	// unset and makes the Job a work queue, whose end workQueuePolicy decides.
	// Immutable, but for an Indexed Job when it is changed together with parallelism to the same value.
	// +optional
	Completions *int32 `json:"completions,omitempty" protobuf:"varint,2,opt,name=completions"`

	// activeDeadlineSeconds is how many seconds after status.startTime the Job may be active before it fails with
	// the reason DeadlineExceeded and its Pods are terminated. Suspending with suspendPolicy DeletePods stops the clock,
	// resuming starts it anew.
	// +optional
	ActiveDeadlineSeconds *int64 `json:"activeDeadlineSeconds,omitempty" protobuf:"varint,3,opt,name=activeDeadlineSeconds"`

	// podFailurePolicy tells failures of Pods apart. It needs restartPolicy Never. Immutable.
	// +optional
	PodFailurePolicy *PodFailurePolicy `json:"podFailurePolicy,omitempty" protobuf:"bytes,11,opt,name=podFailurePolicy"`

	// successPolicy ends an Indexed Job successfully before all indexes have succeeded. Immutable.
	// +optional
	SuccessPolicy *SuccessPolicy `json:"successPolicy,omitempty" protobuf:"bytes,16,opt,name=successPolicy"`

	// backoffLimit is how many failures are borne: one more fails the Job with the reason BackoffLimitExceeded.
	// Default: 4, or 2147483647 where backoffLimitPerIndex is set.
	// +optional
	BackoffLimit *int32 `json:"backoffLimit,omitempty" protobuf:"varint,7,opt,name=backoffLimit"`

	// backoffLimitPerIndex is how many failures are borne of one index before the index is given up (KEP-3850).
	// Only for Indexed Jobs. Immutable.
	// +optional
	BackoffLimitPerIndex *int32 `json:"backoffLimitPerIndex,omitempty" protobuf:"varint,12,opt,name=backoffLimitPerIndex"`

	// maxFailedIndexes is how many indexes may be given up: one more fails the Job with the reason
	// MaxFailedIndexesExceeded. Unset: the other indexes still run and the Job fails at its end. It needs
	// backoffLimitPerIndex; at most completions and at most 100000, and required at 10000 or less
	// where completions is above 100000.
	// +optional
	MaxFailedIndexes *int32 `json:"maxFailedIndexes,omitempty" protobuf:"varint,13,opt,name=maxFailedIndexes"`

	// selector finds the Job's Pods by their labels. It is generated unless manualSelector is true. Immutable.
	// +optional
	Selector *metav1.LabelSelector `json:"selector,omitempty" protobuf:"bytes,4,opt,name=selector"`

	// manualSelector keeps the server from generating selector and the labels that go with it. Who sets it
	// answers for a selector that finds no other Job's Pods. Default: false.
	// +optional
	ManualSelector *bool `json:"manualSelector,omitempty" protobuf:"varint,5,opt,name=manualSelector"`

	// template is what each Pod is made from. Its restartPolicy is Never or OnFailure.
	// It may be edited only while the Job is suspended; Pods made afterwards use it.
	Template corev1.PodTemplateSpec `json:"template" protobuf:"bytes,6,opt,name=template"`

	// ttlSecondsAfterFinished is how many seconds after its end the Job is deleted, together with its Pods.
	// 0 deletes it at once; unset never.
	// +optional
	TTLSecondsAfterFinished *int32 `json:"ttlSecondsAfterFinished,omitempty" protobuf:"varint,8,opt,name=ttlSecondsAfterFinished"`

	// completionMode is NonIndexed (all Pods alike) or Indexed (each Pod has an index, seen in its annotation and label
	// batch.kubernetes.io/job-completion-index, in its host name and in the environment variable
	// JOB_COMPLETION_INDEX). Default: NonIndexed. Immutable.
	// +optional
	CompletionMode *CompletionMode `json:"completionMode,omitempty" protobuf:"bytes,9,opt,name=completionMode,casttype=CompletionMode"`

	// suspend keeps the Job from starting Pods while it is true; what happens to running Pods is suspendPolicy's.
	// Default: false.
	// +optional
	Suspend *bool `json:"suspend,omitempty" protobuf:"varint,10,opt,name=suspend"`

	// podReplacementPolicy is TerminatingOrFailed (a Pod is replaced as soon as it is being deleted) or Failed (only once it
	// has ended) (KEP-3939). Default: Failed with a podFailurePolicy, which allows no other; TerminatingOrFailed without.
	// +optional
	PodReplacementPolicy *PodReplacementPolicy `json:"podReplacementPolicy,omitempty" protobuf:"bytes,14,opt,name=podReplacementPolicy,casttype=podReplacementPolicy"`

	// managedBy names the controller that reconciles the Job, as a domain-prefixed path of at most 63 characters (KEP-4368).
	// Unset or kubernetes.io/job-controller: the built-in one. Every other value makes the built-in controller
	// leave the Job alone. Immutable.
	// +optional
	ManagedBy *string `json:"managedBy,omitempty" protobuf:"bytes,15,opt,name=managedBy"`

	// disruptionPolicy is Ignore (an evicted, preempted, deleted or lost Pod is replaced at once and no failure is
	// counted) or Count (it is a failure like any other). A rule of podFailurePolicy that matches goes first.
	// Default: Ignore. Jobs made through batch/v1 get the server's batch/v1 profile instead.
	// +optional
	DisruptionPolicy *DisruptionPolicy `json:"disruptionPolicy,omitempty" protobuf:"bytes,100,opt,name=disruptionPolicy,casttype=DisruptionPolicy"`

	// suspendPolicy is KeepPods (suspending leaves running Pods alone) or DeletePods (suspending deletes them and
	// resets status.startTime). Default: KeepPods. Jobs made through batch/v1 get the server's batch/v1 profile instead.
	// +optional
	SuspendPolicy *SuspendPolicy `json:"suspendPolicy,omitempty" protobuf:"bytes,101,opt,name=suspendPolicy,casttype=SuspendPolicy"`

	// workQueuePolicy is RunUntilDeleted (a pool of workers, each replaced when it ends) or CompleteOnFirstSuccess
	// (done once one Pod succeeded and all have ended). Only valid where completions is unset.
	// Default there: RunUntilDeleted. Jobs made through batch/v1 get the server's batch/v1 profile instead.
	// +optional
	WorkQueuePolicy *WorkQueuePolicy `json:"workQueuePolicy,omitempty" protobuf:"bytes,102,opt,name=workQueuePolicy,casttype=WorkQueuePolicy"`
}

// JobStatus is what the Job controller has observed and counted.
type JobStatus struct {
	// conditions say how the Job stands: Complete or Failed once it has ended, SuccessCriteriaMet or FailureTarget
	// while its last Pods are still terminating before that, Suspended while it is. A Job without any of them is in progress.
	// +optional
	// +patchMergeKey=type
	// +patchStrategy=merge
	// +listType=atomic
	Conditions []JobCondition `json:"conditions,omitempty" patchStrategy:"merge" patchMergeKey:"type" protobuf:"bytes,1,rep,name=conditions"`

	// startTime is when the controller first started the Job, or last resumed it after a suspension that deleted its Pods.
	// +optional
	StartTime *metav1.Time `json:"startTime,omitempty" protobuf:"bytes,2,opt,name=startTime"`

	// completionTime is when the Job completed. A failed Job has none.
	// +optional
	CompletionTime *metav1.Time `json:"completionTime,omitempty" protobuf:"bytes,3,opt,name=completionTime"`

	// active is the number of Pods that are pending or running and not being deleted.
	// +optional
	Active int32 `json:"active,omitempty" protobuf:"varint,4,opt,name=active"`

	// succeeded is the number of Pods that ended successfully; of an Indexed Job, of indexes that did.
	// +optional
	Succeeded int32 `json:"succeeded,omitempty" protobuf:"varint,5,opt,name=succeeded"`

	// failed is the number of Pods whose failure was counted.
	// +optional
	Failed int32 `json:"failed,omitempty" protobuf:"varint,6,opt,name=failed"`

	// terminating is the number of Pods that are being deleted and have not ended yet.
	// +optional
	Terminating *int32 `json:"terminating,omitempty" protobuf:"varint,11,opt,name=terminating"`

	// completedIndexes is the set of succeeded indexes of an Indexed Job, as ascending numbers and ranges: "1,3-5,7".
	// +optional
	CompletedIndexes string `json:"completedIndexes,omitempty" protobuf:"bytes,7,opt,name=completedIndexes"`

	// failedIndexes is the set of given-up indexes, in the form of completedIndexes. Set only with backoffLimitPerIndex.
	// +optional
	FailedIndexes *string `json:"failedIndexes,omitempty" protobuf:"bytes,10,opt,name=failedIndexes"`

	// uncountedTerminatedPods are ended Pods that are recorded here but not yet in the counters: they are counted
	// once the tracking finalizer is off the Pod, so that a crash at any moment neither loses nor doubles one (KEP-2307).
	// +optional
	UncountedTerminatedPods *UncountedTerminatedPods `json:"uncountedTerminatedPods,omitempty" protobuf:"bytes,8,opt,name=uncountedTerminatedPods"`

	// ready is the number of active Pods with a Ready condition that are not being deleted.
	// +optional
	Ready *int32 `json:"ready,omitempty" protobuf:"varint,9,opt,name=ready"`
}

// UncountedTerminatedPods holds the UIDs of ended Pods that are not in the counters of a JobStatus yet.
type UncountedTerminatedPods struct {
	// succeeded are the UIDs of Pods that succeeded.
	// +listType=set
	// +optional
	Succeeded []types.UID `json:"succeeded,omitempty" protobuf:"bytes,1,rep,name=succeeded,casttype=k8s.io/apimachinery/pkg/types.UID"`

	// failed are the UIDs of Pods that failed.
	// +listType=set
	// +optional
	Failed []types.UID `json:"failed,omitempty" protobuf:"bytes,2,rep,name=failed,casttype=k8s.io/apimachinery/pkg/types.UID"`
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
	// type is Complete, Failed, Suspended, FailureTarget, SuccessCriteriaMet, or a type of another controller's.
	Type JobConditionType `json:"type" protobuf:"bytes,1,opt,name=type,casttype=JobConditionType"`

	// status is True, False or Unknown.
	Status corev1.ConditionStatus `json:"status" protobuf:"bytes,2,opt,name=status,casttype=k8s.io/api/core/v1.ConditionStatus"`

	// lastProbeTime is when the condition was last looked at.
	// +optional
	LastProbeTime metav1.Time `json:"lastProbeTime,omitempty" protobuf:"bytes,3,opt,name=lastProbeTime"`

	// lastTransitionTime is when the status last changed.
	// +optional
	LastTransitionTime metav1.Time `json:"lastTransitionTime,omitempty" protobuf:"bytes,4,opt,name=lastTransitionTime"`

	// reason is a short word for why the status changed, made for programs.
	// +optional
	Reason string `json:"reason,omitempty" protobuf:"bytes,5,opt,name=reason"`

	// message says why the status changed, made for people.
	// +optional
	Message string `json:"message,omitempty" protobuf:"bytes,6,opt,name=message"`
}

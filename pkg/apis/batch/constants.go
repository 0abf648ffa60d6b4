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

// labelPrefix starts every label, annotation and finalizer that Kubernetes' Job controller uses. They are kept to the letter:
// tools select Pods by them.
const labelPrefix = "batch.kubernetes.io/"

// Labels and annotations of the Pods of a Job.
const (
	// JobNameLabel holds the name of the Job.
	JobNameLabel = labelPrefix + "job-name"

	// LegacyJobNameLabel is JobNameLabel from before labels had prefixes; both are set.
	LegacyJobNameLabel = "job-name"

	// ControllerUIDLabel holds the UID of the Job; the generated selector uses it.
	ControllerUIDLabel = labelPrefix + "controller-uid"

	// LegacyControllerUIDLabel is ControllerUIDLabel from before labels had prefixes; both are set.
	LegacyControllerUIDLabel = "controller-uid"

	// JobCompletionIndexAnnotation holds the index of an Indexed Job's Pod. It is the name of a label with the same value too.
	JobCompletionIndexAnnotation = labelPrefix + "job-completion-index"

	// JobIndexFailureCountAnnotation holds how many counted failures the Pod's index had before this Pod.
	JobIndexFailureCountAnnotation = labelPrefix + "job-index-failure-count"

	// JobIndexIgnoredFailureCountAnnotation holds how many failures of the Pod's index before this Pod a podFailurePolicy
	// ignored. Absent: none.
	JobIndexIgnoredFailureCountAnnotation = labelPrefix + "job-index-ignored-failure-count"
)

// ManagedLabel is on every Pod that a server beside a cluster makes, with the UID of its Job: there the server watches those alone.
const ManagedLabel = GroupName + "/controller-uid"

// Finalizers that keep an ended Pod until it is recorded in the status of its Job.
const (
	// KubeTrackingFinalizer is upstream's. Another cluster's Job controller strips it from Pods whose owner it does not know.
	KubeTrackingFinalizer = labelPrefix + "job-tracking"

	// TrackingFinalizer is our own, for Pods in a cluster that runs a Job controller beside ours.
	TrackingFinalizer = GroupName + "/job-tracking"
)

const (
	// CompletionIndexEnvName is the environment variable that tells a container the index of its Pod.
	CompletionIndexEnvName = "JOB_COMPLETION_INDEX"

	// JobControllerName is the value of spec.managedBy that names the built-in controller (KEP-4368).
	JobControllerName = "kubernetes.io/job-controller"
)

// Reasons of Job conditions.
const (
	// ReasonPodFailurePolicy: a podFailurePolicy rule with the action FailJob matched.
	ReasonPodFailurePolicy = "PodFailurePolicy"

	// ReasonBackoffLimitExceeded: more Pods failed than backoffLimit bears.
	ReasonBackoffLimitExceeded = "BackoffLimitExceeded"

	// ReasonDeadlineExceeded: the Job was active for longer than activeDeadlineSeconds.
	ReasonDeadlineExceeded = "DeadlineExceeded"

	// ReasonMaxFailedIndexesExceeded: more indexes were given up than maxFailedIndexes bears.
	ReasonMaxFailedIndexesExceeded = "MaxFailedIndexesExceeded"

	// ReasonFailedIndexes: all indexes have ended and at least one was given up.
	ReasonFailedIndexes = "FailedIndexes"

	// ReasonSuccessPolicy: a rule of successPolicy was met.
	ReasonSuccessPolicy = "SuccessPolicy"

	// ReasonCompletionsReached: as many Pods succeeded as the Job asks for.
	ReasonCompletionsReached = "CompletionsReached"

	// ReasonJobSuspended: spec.suspend was set.
	ReasonJobSuspended = "JobSuspended"

	// ReasonJobResumed: spec.suspend was cleared.
	ReasonJobResumed = "JobResumed"
)

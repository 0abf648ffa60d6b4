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
	corev1 "k8s.io/api/core/v1"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

// Events that tell of a suspension (section 2.14 of the reference).
const (
	eventSuspended = "Suspended"
	eventResumed   = "Resumed"

	messageSuspended = "Job suspended"
	messageResumed   = "Job resumed"
)

// isSuspended says whether the Job is to start no Pods.
func isSuspended(job *batchv1.Job) bool {
	return job.Spec.Suspend != nil && *job.Spec.Suspend
}

// keepsPods says whether suspending leaves the Job's Pods alone, as the guide has it. Unset is Kubernetes' way: it deletes
// them.
func keepsPods(job *batchv1.Job) bool {
	return job.Spec.SuspendPolicy != nil && *job.Spec.SuspendPolicy == batchv1.SuspendKeepPods
}

// isStopped says whether the Job is suspended in a way that ends its activity: nothing runs and no deadline approaches.
func isStopped(job *batchv1.Job) bool {
	return isSuspended(job) && !keepsPods(job)
}

// noteSuspension brings the Suspended condition and the start time in line with spec.suspend, and returns the event to tell
// of it; none if nothing changed (rule B28).
//
// Where suspending deletes the Pods, startTime goes and resuming sets it anew: activeDeadlineSeconds bounds the time of
// continuous activity. Where it keeps them the Job has never ceased to be active, so its startTime stays.
func noteSuspension(s *state, status *batchv1.JobStatus) []Event {
	if isSuspended(s.job) {
		if !setCondition(&status.Conditions, batchv1.JobSuspended, corev1.ConditionTrue, batch.ReasonJobSuspended, messageSuspended, s.now) {
			return nil
		}
		if isStopped(s.job) {
			status.StartTime = nil
		}
		return []Event{{Type: corev1.EventTypeNormal, Reason: eventSuspended, Message: messageSuspended}}
	}
	if !setCondition(&status.Conditions, batchv1.JobSuspended, corev1.ConditionFalse, batch.ReasonJobResumed, messageResumed, s.now) {
		return nil
	}
	if !keepsPods(s.job) {
		status.StartTime = s.now.DeepCopy()
	}
	return []Event{{Type: corev1.EventTypeNormal, Reason: eventResumed, Message: messageResumed}}
}

// isResuming says whether the Job was suspended when its status was last written and no longer is.
func isResuming(job *batchv1.Job) bool {
	return !isSuspended(job) && trueCondition(job.Status.Conditions, batchv1.JobSuspended) != nil
}

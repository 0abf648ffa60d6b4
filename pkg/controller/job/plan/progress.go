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
	"k8s.io/utils/ptr"

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

// FinishEvents returns the events to emit when a status that finishes the Job has been written: that it completed, or, as a
// warning, why it failed (rule B42). None if the Job had finished before, or has not yet.
func FinishEvents(job *batchv1.Job, written batchv1.JobStatus) []Event {
	condition := terminalCondition(&written)
	if condition == nil || terminalCondition(&job.Status) != nil {
		return nil
	}
	if condition.Type == batchv1.JobFailed {
		return []Event{{Type: corev1.EventTypeWarning, Reason: condition.Reason, Message: condition.Message}}
	}
	var events []Event
	if completions := job.Spec.Completions; completions != nil && written.Succeeded > *completions {
		events = append(events, Event{Type: corev1.EventTypeWarning, Reason: "TooManySucceededPods",
			Message: "Too many succeeded pods running after completion count reached"})
	}
	return append(events, Event{Type: corev1.EventTypeNormal, Reason: "Completed", Message: "Job completed"})
}

// Progress is by how much one status write moved the Job on; the caller adds it to the counting metrics after the write. No
// number is negative.
type Progress struct {
	// SucceededPods and FailedPods are the Pods that were counted; of an Indexed Job, SucceededPods are the indexes that
	// succeeded.
	SucceededPods, FailedPods int

	// SucceededIndexes and FailedIndexes are the indexes that ended, 0 unless the Job is Indexed.
	SucceededIndexes, FailedIndexes int
}

// ProgressBetween compares the status before and after a write. Indexes beyond the present completions are left out on both
// sides, so that scaling down an elastic Job takes nothing back (section 2.16 of the reference).
func ProgressBetween(job *batchv1.Job, before, after batchv1.JobStatus) Progress {
	progress := Progress{
		SucceededPods: max(0, int(after.Succeeded-before.Succeeded)),
		FailedPods:    max(0, int(after.Failed-before.Failed)),
	}
	if !isIndexed(job) {
		return progress
	}
	completions := int(ptr.Deref(job.Spec.Completions, 0))
	gained := func(before, after string) int {
		if before == after {
			return 0
		}
		return max(0, parseIndexes(after, completions).size()-parseIndexes(before, completions).size())
	}
	progress.SucceededIndexes = gained(before.CompletedIndexes, after.CompletedIndexes)
	progress.SucceededPods = progress.SucceededIndexes
	progress.FailedIndexes = gained(ptr.Deref(before.FailedIndexes, ""), ptr.Deref(after.FailedIndexes, ""))
	return progress
}

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
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

func TestFinishEvents(t *testing.T) {
	t.Parallel()
	complete := makeJob().condition(batchv1.JobComplete, corev1.ConditionTrue, "CompletionsReached", "m")
	failed := makeJob().condition(batchv1.JobFailed, corev1.ConditionTrue, "DeadlineExceeded", "late")
	completed := Event{Type: "Normal", Reason: "Completed", Message: "Job completed"}
	for name, tc := range map[string]struct {
		job     *jobBuilder
		written *jobBuilder
		want    []Event
	}{
		"in progress":      {job: makeJob(), written: makeJob()},
		"completed":        {job: makeJob(), written: complete, want: []Event{completed}},
		"completed before": {job: complete, written: complete},
		"failed":           {job: makeJob(), written: failed, want: []Event{{Type: "Warning", Reason: "DeadlineExceeded", Message: "late"}}},
		"too many": {
			job: makeJob(), written: makeJob().condition(batchv1.JobComplete, corev1.ConditionTrue, "R", "m").status(func(s *batchv1.JobStatus) { s.Succeeded = 2 }),
			want: []Event{{Type: "Warning", Reason: "TooManySucceededPods", Message: "Too many succeeded pods running after completion count reached"}, completed},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, FinishEvents(tc.job.obj(), tc.written.obj().Status)); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

func TestProgressBetween(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		job           *jobBuilder
		before, after batchv1.JobStatus
		want          Progress
	}{
		"none":       {job: makeJob(), before: batchv1.JobStatus{Succeeded: 3, Failed: 2}, after: batchv1.JobStatus{Succeeded: 3, Failed: 2}},
		"NonIndexed": {job: makeJob(), before: batchv1.JobStatus{Succeeded: 3}, after: batchv1.JobStatus{Succeeded: 5, Failed: 1}, want: Progress{SucceededPods: 2, FailedPods: 1}},
		"Indexed": {
			job: makeJob().indexed(9), before: batchv1.JobStatus{Succeeded: 1, CompletedIndexes: "0", FailedIndexes: nil},
			after: batchv1.JobStatus{Succeeded: 3, CompletedIndexes: "0-2", FailedIndexes: new("5"), Failed: 1},
			want:  Progress{SucceededPods: 2, FailedPods: 1, SucceededIndexes: 2, FailedIndexes: 1},
		},
		"Indexed, scaled down": {
			job: makeJob().indexed(3), before: batchv1.JobStatus{Succeeded: 5, CompletedIndexes: "0,3-6"},
			after: batchv1.JobStatus{Succeeded: 2, CompletedIndexes: "0,1"}, want: Progress{SucceededPods: 1, SucceededIndexes: 1},
		},
		"a status that was damaged": {job: makeJob(), before: batchv1.JobStatus{Succeeded: 3, Failed: 2}, after: batchv1.JobStatus{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := ProgressBetween(tc.job.obj(), tc.before, tc.after); got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}

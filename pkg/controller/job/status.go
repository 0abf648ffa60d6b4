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

package job

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
	"github.com/jobserver-dev/jobserver/pkg/controller/job/metrics"
	"github.com/jobserver-dev/jobserver/pkg/controller/job/plan"
)

// statusWriter writes the status of one Job in the course of one sync. The writes build on each other: each is bound to
// the version that the one before returned, the first to that of the cache, so that the API refuses a status that was decided on
// by a Job that is not the present one.
type statusWriter struct {
	*Controller
	state *jobState

	// job is the Job as it was last read or written.
	job *batchv1.Job
}

// write writes the status if it differs from the last one. A conflict is returned as it is: the Job is synced again from a
// fresher cache.
func (w *statusWriter) write(ctx context.Context, status *batchv1.JobStatus) error {
	before := w.job.Status
	if equality.Semantic.DeepEqual(before, *status) {
		return nil
	}
	next := *w.job
	next.Status = *status
	written, err := w.config.JobClient.BatchV1().Jobs(next.Namespace).UpdateStatus(ctx, &next, metav1.UpdateOptions{})
	if err != nil {
		return fmt.Errorf("writing the status of Job %s/%s: %w", next.Namespace, next.Name, err)
	}
	w.state.written.wroteStatus(written)
	next.ResourceVersion = written.ResourceVersion
	w.job = &next
	countProgress(&next, plan.ProgressBetween(&next, before, *status))
	return nil
}

// countProgress adds what one status write moved on to the metrics.
func countProgress(job *batchv1.Job, progress plan.Progress) {
	mode := completionMode(job)
	for _, pods := range []struct {
		result string
		count  int
	}{
		{metrics.Succeeded, progress.SucceededPods},
		{metrics.Failed, progress.FailedPods},
	} {
		if pods.count > 0 {
			metrics.PodsFinishedTotal.WithLabelValues(mode, pods.result).Add(float64(pods.count))
		}
	}
	limit := metrics.BackoffLimitGlobal
	if job.Spec.BackoffLimitPerIndex != nil {
		limit = metrics.BackoffLimitPerIndex
	}
	for _, indexes := range []struct {
		status string
		count  int
	}{
		{metrics.Succeeded, progress.SucceededIndexes},
		{metrics.Failed, progress.FailedIndexes},
	} {
		if indexes.count > 0 {
			metrics.FinishedIndexesTotal.WithLabelValues(indexes.status, limit).Add(float64(indexes.count))
		}
	}
}

// completionMode returns the value of the label completion_mode for the Job.
func completionMode(job *batchv1.Job) string {
	return string(ptr.Deref(job.Spec.CompletionMode, batchv1.NonIndexedCompletion))
}

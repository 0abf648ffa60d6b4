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

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

func TestCreatePods(t *testing.T) {
	t.Parallel()
	running := func(n int) []*corev1.Pod {
		return manyPods("r", n, func(i int, b *podBuilder) { b.index(i).running() })
	}
	terminating := makePod("t").index(0).running().deleted(1).obj()
	indexes := func(s string) func(*batchv1.JobStatus) {
		return func(status *batchv1.JobStatus) { status.CompletedIndexes = s }
	}
	for name, tc := range map[string]struct {
		job         *jobBuilder
		pods        []*corev1.Pod
		unseen      bool
		backoff     BackoffRecord
		want        int
		wantIndexes []string
		wantNext    int
	}{
		"the first":                         {job: makeJob(), want: 1},
		"up to parallelism":                 {job: makeJob().completions(9).parallelism(4), pods: running(1), want: 3},
		"up to the completions left":        {job: makeJob().completions(5).parallelism(4).status(func(s *batchv1.JobStatus) { s.Succeeded = 3 }), pods: running(1), want: 1},
		"enough":                            {job: makeJob().completions(9).parallelism(4), pods: running(4)},
		"parallelism 0":                     {job: makeJob().completions(9).parallelism(0)},
		"suspended":                         {job: makeJob().suspend(batchv1.SuspendKeepPods)},
		"being deleted":                     {job: makeJob().deleting()},
		"unseen Pods":                       {job: makeJob(), unseen: true},
		"a limit for one sync":              {job: makeJob().completions(9999).parallelism(9999), want: 500},
		"work queue":                        {job: makeJob().workQueue(batchv1.WorkQueueCompleteOnFirstSuccess).parallelism(3), pods: running(1), want: 2},
		"work queue after a success":        {job: makeJob().workQueue(batchv1.WorkQueueCompleteOnFirstSuccess).parallelism(3).status(func(s *batchv1.JobStatus) { s.Succeeded = 1 }), pods: running(1)},
		"worker pool after a success":       {job: makeJob().workQueue(batchv1.WorkQueueRunUntilDeleted).parallelism(3).status(func(s *batchv1.JobStatus) { s.Succeeded = 1 }), pods: running(1), want: 2},
		"terminating Pods are replaced":     {job: makeJob().disruption(batchv1.DisruptionIgnore), pods: []*corev1.Pod{terminating}, want: 1},
		"terminating Pods keep their place": {job: makeJob().replace(batchv1.Failed), pods: []*corev1.Pod{terminating}},
		"back-off":                          {job: makeJob(), backoff: BackoffRecord{Failures: 2, LastFailure: at(0).Time}, wantNext: 20},
		"back-off is over":                  {job: makeJob(), backoff: BackoffRecord{Failures: 1, LastFailure: at(0).Time}, want: 1},
		"Indexed":                           {job: makeJob().indexed(9).parallelism(3), want: 3, wantIndexes: []string{"0", "1", "2"}},
		"Indexed, gaps":                     {job: makeJob().indexed(9).parallelism(5).status(indexes("2-4")), pods: running(1), want: 4, wantIndexes: []string{"1", "5", "6", "7"}},
		"Indexed, few are left":             {job: makeJob().indexed(5).parallelism(5).status(indexes("0-2")), want: 2, wantIndexes: []string{"3", "4"}},
		"Indexed, terminating, replaced":    {job: makeJob().indexed(2).parallelism(2).disruption(batchv1.DisruptionIgnore), pods: []*corev1.Pod{terminating}, want: 2, wantIndexes: []string{"0", "1"}},
		"Indexed, terminating, waited for":  {job: makeJob().indexed(2).parallelism(2).replace(batchv1.Failed), pods: []*corev1.Pod{terminating}, want: 1, wantIndexes: []string{"1"}},
		"Indexed, failed ones wait": {
			job:  makeJob().indexed(3).parallelism(3).limitPerIndex(5),
			pods: []*corev1.Pod{makePod("a").index(0).failures(1).failed(2).obj(), makePod("b").index(1).failed(7).obj()},
			want: 1, wantIndexes: []string{"2"}, wantNext: 17,
		},
		"Indexed, disrupted ones don't": {
			job:  makeJob().indexed(1).limitPerIndex(5).disruption(batchv1.DisruptionIgnore),
			pods: []*corev1.Pod{makePod("a").index(0).failures(4).disrupted().failed(9).obj()},
			want: 1, wantIndexes: []string{"0"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := inputAt(10, tc.job.obj(), tc.pods...)
			in.Observed = !tc.unseen
			in.Backoff = tc.backoff
			p := Compute(in)
			var indexes []string
			for _, pod := range p.Create {
				if index, ok := pod.Annotations[batch.JobCompletionIndexAnnotation]; ok {
					indexes = append(indexes, index)
				}
			}
			if len(p.Create) != tc.want {
				t.Errorf("creates %d Pods, want %d", len(p.Create), tc.want)
			}
			if diff := cmp.Diff(tc.wantIndexes, indexes); diff != "" {
				t.Errorf("indexes (-want +got):\n%s", diff)
			}
			if tc.wantNext == 0 && !p.NextSync.IsZero() || tc.wantNext != 0 && !p.NextSync.Equal(at(tc.wantNext).Time) {
				t.Errorf("next sync at %v, want %d s", p.NextSync, tc.wantNext)
			}
		})
	}
}

func TestCreationMetrics(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		job        *jobBuilder
		pods       []*corev1.Pod
		wantAction string
		wantReason string
	}{
		"new":                    {job: makeJob(), wantAction: ActionPodsCreated, wantReason: CreationReasonNew},
		"after a failure":        {job: makeJob().status(func(s *batchv1.JobStatus) { s.Failed = 1 }), wantAction: ActionPodsCreated, wantReason: CreationReasonRecreateTerminatingOrFailed},
		"beside a terminating":   {job: makeJob().disruption(batchv1.DisruptionIgnore), pods: []*corev1.Pod{makePod("t").running().deleted(1).obj()}, wantAction: ActionPodsCreated, wantReason: CreationReasonRecreateTerminatingOrFailed},
		"after a failed Pod":     {job: makeJob().replace(batchv1.Failed).status(func(s *batchv1.JobStatus) { s.Failed = 1 }), wantAction: ActionPodsCreated, wantReason: CreationReasonRecreateFailed},
		"nothing to do":          {job: makeJob(), pods: []*corev1.Pod{makePod("a").running().obj()}, wantAction: ActionTracking},
		"scaling down":           {job: makeJob().parallelism(0), pods: []*corev1.Pod{makePod("a").running().obj()}, wantAction: ActionPodsDeleted},
		"the Job has its result": {job: makeJob(), pods: []*corev1.Pod{makePod("a").succeeded(1).obj()}, wantAction: ActionReconciling},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			metrics := Compute(inputAt(10, tc.job.obj(), tc.pods...)).Metrics
			if metrics.Action != tc.wantAction || metrics.CreationReason != tc.wantReason {
				t.Errorf("got %+v, want the action %q and the reason %q", metrics, tc.wantAction, tc.wantReason)
			}
		})
	}
}

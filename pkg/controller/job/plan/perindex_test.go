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

	corev1 "k8s.io/api/core/v1"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

func TestObserveIndexes(t *testing.T) {
	t.Parallel()
	limited := func() *jobBuilder { return makeJob().indexed(5).limitPerIndex(1) }
	status := func(completed, failed string) func(*batchv1.JobStatus) {
		return func(s *batchv1.JobStatus) { s.CompletedIndexes, s.FailedIndexes = completed, &failed }
	}
	for name, tc := range map[string]struct {
		job           *jobBuilder
		pods          []*corev1.Pod
		wantSucceeded string
		wantFailed    string
	}{
		"nothing": {job: limited()},
		"recorded and new": {
			job:           limited().status(status("0", "1")),
			pods:          []*corev1.Pod{makePod("a").index(2).succeeded(1).obj(), makePod("b").index(3).failures(1).failed(1).obj()},
			wantSucceeded: "0,2", wantFailed: "1,3",
		},
		"a failure that the index bears": {job: limited(), pods: []*corev1.Pod{makePod("a").index(3).failures(0).failed(1).obj()}},
		"a damaged annotation is 0":      {job: limited(), pods: []*corev1.Pod{makePod("a").index(3).annotation(batch.JobIndexFailureCountAnnotation, "-7").failed(1).obj()}},
		"FailIndex": {
			job:  limited().failureRules(exitRule(batchv1.PodFailurePolicyActionFailIndex, 4)),
			pods: []*corev1.Pod{makePod("a").index(3).exited(4, 1).obj()}, wantFailed: "3",
		},
		"an ignored failure": {
			job:  limited().failureRules(exitRule(batchv1.PodFailurePolicyActionIgnore, 4)),
			pods: []*corev1.Pod{makePod("a").index(3).failures(1).exited(4, 1).obj()},
		},
		"a disruption": {
			job:  limited().disruption(batchv1.DisruptionIgnore),
			pods: []*corev1.Pod{makePod("a").index(3).failures(1).disrupted().failed(1).obj()},
		},
		"success and failure of one index": {
			job:           limited(),
			pods:          []*corev1.Pod{makePod("a").index(3).failures(1).failed(1).obj(), makePod("b").index(3).succeeded(2).obj()},
			wantSucceeded: "3",
		},
		"a success of a failed index":    {job: limited().status(status("", "3")), pods: []*corev1.Pod{makePod("b").index(3).succeeded(2).obj()}, wantFailed: "3"},
		"a failure of a succeeded index": {job: limited().status(status("3", "")), pods: []*corev1.Pod{makePod("b").index(3).failures(1).failed(2).obj()}, wantSucceeded: "3"},
		"a Pod counted as failed can't succeed": {
			job: limited().status(listFailed("uid-a")), pods: []*corev1.Pod{makePod("a").index(3).succeeded(1).obj()},
		},
		"released Pods are on record":   {job: limited(), pods: []*corev1.Pod{makePod("a").index(3).succeeded(1).untracked().obj()}},
		"an index beyond":               {job: limited(), pods: []*corev1.Pod{makePod("a").index(5).succeeded(1).obj()}},
		"no index":                      {job: limited(), pods: []*corev1.Pod{makePod("a").succeeded(1).obj()}},
		"a damaged index":               {job: limited(), pods: []*corev1.Pod{makePod("a").annotation(batch.JobCompletionIndexAnnotation, "x").succeeded(1).obj()}},
		"no limit per index, no failed": {job: makeJob().indexed(5), pods: []*corev1.Pod{makePod("a").index(3).failures(9).failed(1).obj()}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := observeAt(10, tc.job.obj(), tc.pods...)
			if got := s.succeededIndexes.String(); got != tc.wantSucceeded {
				t.Errorf("succeeded %q, want %q", got, tc.wantSucceeded)
			}
			if got := s.failedIndexes.String(); got != tc.wantFailed {
				t.Errorf("failed %q, want %q", got, tc.wantFailed)
			}
		})
	}
}

func TestAwaitingReplacement(t *testing.T) {
	t.Parallel()
	job := func() *jobBuilder { return makeJob().indexed(5).limitPerIndex(3).disruption(batchv1.DisruptionIgnore) }
	for name, tc := range map[string]struct {
		job         *jobBuilder
		pods        []*corev1.Pod
		want        string // name of the Pod that waits for index 0
		wantCounted int32
		wantIgnored int32
	}{
		"nothing failed":     {job: job()},
		"one failed":         {job: job(), pods: []*corev1.Pod{makePod("a").index(0).failures(1).failed(1).obj()}, want: "a", wantCounted: 2},
		"replaced":           {job: job(), pods: []*corev1.Pod{makePod("a").index(0).failed(1).obj(), makePod("b").index(0).running().obj()}},
		"index succeeded":    {job: job(), pods: []*corev1.Pod{makePod("a").index(0).failed(1).obj(), makePod("b").index(0).succeeded(2).obj()}},
		"index given up":     {job: job(), pods: []*corev1.Pod{makePod("a").index(0).failures(3).failed(1).obj()}},
		"most failures wins": {job: job(), pods: []*corev1.Pod{makePod("a").index(0).failures(2).failed(1).obj(), makePod("b").index(0).failures(1).failed(9).obj()}, want: "a", wantCounted: 3},
		"then the last":      {job: job(), pods: []*corev1.Pod{makePod("b").index(0).failed(1).obj(), makePod("a").index(0).failed(2).obj()}, want: "a", wantCounted: 1},
		"disrupted":          {job: job(), pods: []*corev1.Pod{makePod("a").index(0).failures(2).disrupted().failed(1).obj()}, want: "a", wantCounted: 2},
		"ignored": {
			job:  job().failureRules(exitRule(batchv1.PodFailurePolicyActionIgnore, 4)),
			pods: []*corev1.Pod{makePod("a").index(0).failures(1).annotation(batch.JobIndexIgnoredFailureCountAnnotation, "2").exited(4, 1).obj()},
			want: "a", wantCounted: 1, wantIgnored: 3,
		},
		"the largest count stays": {
			job:  job().limitPerIndex(2147483647).failureRules(exitRule(batchv1.PodFailurePolicyActionIgnore, 4)),
			pods: []*corev1.Pod{makePod("a").index(0).annotation(batch.JobIndexIgnoredFailureCountAnnotation, "2147483647").exited(4, 1).obj()},
			want: "a", wantIgnored: 2147483647,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := observeAt(10, tc.job.obj(), tc.pods...)
			var got string
			if p := s.replacedAt(0); p != nil {
				got = p.Name
			}
			counted, ignored := s.failuresFor(0)
			if got != tc.want || counted != tc.wantCounted || ignored != tc.wantIgnored {
				t.Errorf("%q waits with %d and %d failures, want %q with %d and %d", got, counted, ignored, tc.want, tc.wantCounted, tc.wantIgnored)
			}
		})
	}
}

// TestFailedPodOfIndexIsKept follows a failed Pod of an index with a limit of its own: it keeps its finalizer until its
// replacement exists, and is counted then.
func TestFailedPodOfIndexIsKept(t *testing.T) {
	t.Parallel()
	job := makeJob().indexed(1).limitPerIndex(1).started().obj()
	failed := makePod("a").index(0).failures(0).failed(1).obj()
	in := inputAt(2, job, failed)
	p := Compute(in)
	if len(p.Release)+len(p.Create) != 0 || !p.NextSync.Equal(at(11).Time) {
		t.Fatalf("at once: plan %+v", p)
	}
	in.Now = at(11).Time
	p = Compute(in)
	if len(p.Release) != 0 || len(p.Create) != 1 || p.Create[0].Annotations[batch.JobIndexFailureCountAnnotation] != "1" {
		t.Fatalf("after the delay: plan %+v", p)
	}
	in.Pods = append(in.Pods, p.Create[0])
	p = Compute(in)
	if p.Record == nil || len(p.Release) != 1 || p.Release[0].Name != "a" {
		t.Fatalf("with the replacement: plan %+v", p)
	}
	if status := Settle(in, p, allDone(p)); status.Failed != 1 {
		t.Errorf("failed is %d, want 1", status.Failed)
	}
}

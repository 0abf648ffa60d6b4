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
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

func TestNextBackoff(t *testing.T) {
	t.Parallel()
	job := makeJob().completions(10)
	for name, tc := range map[string]struct {
		job    *jobBuilder
		before BackoffRecord
		pods   []*corev1.Pod
		want   BackoffRecord
	}{
		"nothing happened": {job: job, before: BackoffRecord{Failures: 2, LastFailure: at(1).Time}, want: BackoffRecord{Failures: 2, LastFailure: at(1).Time}},
		"failures add up": {
			job: job, before: BackoffRecord{Failures: 2, LastFailure: at(1).Time},
			pods: []*corev1.Pod{makePod("a").failed(5).obj(), makePod("b").failed(4).obj()},
			want: BackoffRecord{Failures: 4, LastFailure: at(5).Time},
		},
		"a success forgets": {
			job: job, before: BackoffRecord{Failures: 2, LastFailure: at(1).Time}, pods: []*corev1.Pod{makePod("a").succeeded(5).obj()},
		},
		"failures after the last success": {
			job: job, before: BackoffRecord{Failures: 2, LastFailure: at(1).Time},
			pods: []*corev1.Pod{makePod("a").succeeded(5).obj(), makePod("b").failed(5).obj(), makePod("c").failed(6).obj(), makePod("d").succeeded(2).obj()},
			want: BackoffRecord{Failures: 1, LastFailure: at(6).Time},
		},
		"ignored failures delay too": {
			job:  makeJob().failureRules(exitRule(batchv1.PodFailurePolicyActionIgnore, 1)),
			pods: []*corev1.Pod{makePod("a").failed(5).obj()}, want: BackoffRecord{Failures: 1, LastFailure: at(5).Time},
		},
		"on record already": {job: makeJob().completions(10).status(listFailed("uid-a")), pods: []*corev1.Pod{makePod("a").failed(5).obj()}},
		"seen before": {
			job: job, before: BackoffRecord{Failures: 1, LastFailure: at(5).Time, Seen: []types.UID{"uid-a"}},
			pods: []*corev1.Pod{makePod("a").failed(5).obj()}, want: BackoffRecord{Failures: 1, LastFailure: at(5).Time},
		},
		"a success seen before forgets no later failure": {
			job: job, before: BackoffRecord{Failures: 1, LastFailure: at(7).Time, Seen: []types.UID{"uid-a", "uid-b"}},
			pods: []*corev1.Pod{makePod("a").succeeded(8).obj(), makePod("b").failed(7).obj()}, want: BackoffRecord{Failures: 1, LastFailure: at(7).Time},
		},
		"a failure after successes seen before": {
			job: job, before: BackoffRecord{Seen: []types.UID{"uid-a"}},
			pods: []*corev1.Pod{makePod("a").succeeded(8).obj(), makePod("b").failed(7).obj()}, want: BackoffRecord{Failures: 1, LastFailure: at(7).Time},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := inputAt(10, tc.job.obj(), tc.pods...)
			in.Backoff = tc.before
			got := Compute(in).Backoff
			if diff := cmp.Diff(tc.want, got, cmpopts.IgnoreFields(BackoffRecord{}, "Seen")); diff != "" {
				t.Errorf("record (-want +got):\n%s", diff)
			}
			in.Backoff = got
			if diff := cmp.Diff(got, Compute(in).Backoff); diff != "" {
				t.Errorf("the next sync changes the record (-first +second):\n%s", diff)
			}
		})
	}
}

func TestFailureDelay(t *testing.T) {
	t.Parallel()
	limits := Limits{}.withDefaults()
	for name, tc := range map[string]struct {
		failures int64
		elapsed  time.Duration
		want     time.Duration
	}{
		"none":                 {0, 0, 0},
		"first":                {1, 0, 10 * time.Second},
		"second":               {2, 0, 20 * time.Second},
		"fifth":                {5, 0, 160 * time.Second},
		"seventh is capped":    {7, 0, 600 * time.Second},
		"very many":            {math.MaxInt64, 0, 600 * time.Second},
		"some time has passed": {2, 15 * time.Second, 5 * time.Second},
		"enough time":          {2, 20 * time.Second, 0},
		"an end in the future": {1, -5 * time.Second, 15 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := limits.failureDelay(tc.failures, t0, t0.Add(tc.elapsed)); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

// TestReplacementWaits follows a failed Pod until it is replaced.
func TestReplacementWaits(t *testing.T) {
	t.Parallel()
	in := inputAt(1, makeJob().started().obj(), makePod("a").failed(1).obj())
	p := Compute(in)
	if len(p.Create) != 0 || !p.NextSync.Equal(at(11).Time) {
		t.Fatalf("creates %d Pods, next sync at %v", len(p.Create), p.NextSync)
	}
	in.Job.Status = Settle(in, p, allDone(p))
	in.Pods, in.Backoff = nil, p.Backoff
	for seconds, want := range map[int]int{10: 0, 11: 1} {
		in.Now = at(seconds).Time
		if got := len(Compute(in).Create); got != want {
			t.Errorf("after %d s: creates %d Pods, want %d", seconds, got, want)
		}
	}
}

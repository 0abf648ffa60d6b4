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
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

func TestAccount(t *testing.T) {
	t.Parallel()
	failing := func(b *jobBuilder) *jobBuilder {
		return b.condition(batchv1.JobFailureTarget, corev1.ConditionTrue, "R", "m")
	}
	succeeding := func(b *jobBuilder) *jobBuilder {
		return b.condition(batchv1.JobSuccessCriteriaMet, corev1.ConditionTrue, "R", "m")
	}
	job := func() *jobBuilder { return makeJob().completions(10).parallelism(10) }
	for name, tc := range map[string]struct {
		job           *jobBuilder
		pods          []*podBuilder
		released      []types.UID
		wantSucceeded []types.UID
		wantFailed    []types.UID
		wantRelease   []string
		wantCounters  podTally // in the status to record
	}{
		"active Pods are left alone": {job: job(), pods: []*podBuilder{makePod("a").running()}},
		"ended Pods": {
			job: job(), pods: []*podBuilder{makePod("a").succeeded(1), makePod("b").failed(1)},
			wantSucceeded: []types.UID{"uid-a"}, wantFailed: []types.UID{"uid-b"}, wantRelease: []string{"a", "b"},
		},
		"Pods without our finalizer":  {job: job(), pods: []*podBuilder{makePod("a").succeeded(1).untracked()}},
		"Pods released, not yet seen": {job: job(), pods: []*podBuilder{makePod("a").succeeded(1)}, released: []types.UID{"uid-a"}},
		"Pods on record are released again": {
			job: job().status(listFailed("uid-a", "gone")), pods: []*podBuilder{makePod("a").failed(1)},
			wantFailed: []types.UID{"uid-a"}, wantRelease: []string{"a"}, wantCounters: podTally{failed: 1},
		},
		"Pods on record and released are counted": {
			job: job().status(listFailed("uid-a")), pods: []*podBuilder{makePod("a").failed(1)}, released: []types.UID{"uid-a"},
			wantCounters: podTally{failed: 1},
		},
		"a Pod on record as failed does not succeed": {
			job: job().status(listFailed("uid-a")), pods: []*podBuilder{makePod("a").succeeded(1)},
			wantFailed: []types.UID{"uid-a"}, wantRelease: []string{"a"},
		},
		"terminating Pods count where they are replaced": {
			job: job(), pods: []*podBuilder{makePod("a").running().deleted(1)}, wantFailed: []types.UID{"uid-a"}, wantRelease: []string{"a"},
		},
		"terminating Pods wait where they are replaced at last": {job: job().replace(batchv1.Failed), pods: []*podBuilder{makePod("a").running().deleted(1)}},
		"ignored and disrupted Pods are let go": {
			job:  job().disruption(batchv1.DisruptionIgnore).failureRules(exitRule(batchv1.PodFailurePolicyActionIgnore, 4)),
			pods: []*podBuilder{makePod("a").exited(4, 1), makePod("b").exited(1, 1).disrupted()}, wantRelease: []string{"a", "b"},
		},
		"Indexed: indexes are recorded, not UIDs": {
			job:         makeJob().indexed(3).parallelism(3),
			pods:        []*podBuilder{makePod("a").index(1).succeeded(1), makePod("b").index(0).failed(1), makePod("c").index(7).failed(1), makePod("d").succeeded(1)},
			wantFailed:  []types.UID{"uid-b"},
			wantRelease: []string{"a", "b", "c", "d"}, wantCounters: podTally{succeeded: 1},
		},
		"the Job fails: terminating Pods count": {
			job:  failing(job().replace(batchv1.Failed)),
			pods: []*podBuilder{makePod("a").running().deleted(2), makePod("b").succeeded(1)}, wantFailed: []types.UID{"uid-a"}, wantSucceeded: []types.UID{"uid-b"},
			wantRelease: []string{"a", "b"},
		},
		"the Job succeeds: they don't": {
			job:  succeeding(job()),
			pods: []*podBuilder{makePod("a").running().deleted(2), makePod("b").succeeded(1), makePod("c").exited(143, 3).deleted(2)}, wantSucceeded: []types.UID{"uid-b"},
			wantRelease: []string{"a", "b", "c"},
		},
		"the Job is being deleted: all Pods are let go": {
			job:  job().deleting(),
			pods: []*podBuilder{makePod("a").running(), makePod("b").succeeded(1), makePod("c").failed(1)}, wantSucceeded: []types.UID{"uid-b"}, wantFailed: []types.UID{"uid-c"},
			wantRelease: []string{"a", "b", "c"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := inputAt(10, tc.job.obj())
			for _, pod := range tc.pods {
				in.Pods = append(in.Pods, pod.obj())
			}
			in.Released = sets.New(tc.released...)
			p := Compute(in)
			got := p.base.UncountedTerminatedPods
			if diff := cmp.Diff(&batchv1.UncountedTerminatedPods{Succeeded: tc.wantSucceeded, Failed: tc.wantFailed}, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("uncounted (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.wantRelease, podNames(p.Release)); diff != "" {
				t.Errorf("releases (-want +got):\n%s", diff)
			}
			if counters := (podTally{p.base.Succeeded, p.base.Failed}); counters != tc.wantCounters {
				t.Errorf("counters %+v, want %+v", counters, tc.wantCounters)
			}
		})
	}
}

// TestStopActive ends a Job with active Pods: they are on record before they are deleted, and released after.
func TestStopActive(t *testing.T) {
	t.Parallel()
	job := makeJob().completions(10).parallelism(10).deadline(5).started()
	in := inputAt(10, job.obj(), makePod("a").ready(1).obj(), makePod("b").running().untracked().obj(), makePod("c").running().disrupted().obj())
	p := Compute(in)
	want := map[string]FinalizerOrder{"a": ReleaseAfter, "b": KeepFinalizer, "c": ReleaseAfter}
	got := map[string]FinalizerOrder{}
	for _, deletion := range p.Delete {
		got[deletion.Pod.Name] = deletion.Finalizer
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("deletions (-want +got):\n%s", diff)
	}
	if p.Record == nil || trueCondition(p.Record.Conditions, batchv1.JobFailureTarget) == nil || len(p.Record.UncountedTerminatedPods.Failed) != 2 {
		t.Fatalf("record %+v", p.Record)
	}
	status := Settle(in, p, allDone(p))
	if status.Failed != 2 || status.Active != 0 || *status.Terminating != 3 || *status.Ready != 0 || terminalCondition(&status) != nil {
		t.Errorf("status %+v", status)
	}
	in = inputAt(10, job.disruption(batchv1.DisruptionIgnore).obj(), in.Pods...)
	if p := Compute(in); len(p.Record.UncountedTerminatedPods.Failed) != 1 {
		t.Errorf("the disrupted Pod is counted too: %+v", p.Record.UncountedTerminatedPods)
	}
}

// TestAccountIsLimited works off more Pods than one sync may record.
func TestAccountIsLimited(t *testing.T) {
	t.Parallel()
	for _, mode := range []batchv1.CompletionMode{batchv1.NonIndexedCompletion, batchv1.IndexedCompletion} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			const pods, limit = 1300, 500
			job := makeJob().completions(pods).parallelism(pods).started()
			job.Spec.CompletionMode = &mode
			in := inputAt(10, job.obj(), manyPods("p", pods, func(i int, b *podBuilder) { b.index(i).succeeded(1) })...)
			for _, want := range []int{limit, limit, pods - 2*limit} {
				p := Compute(in)
				if len(p.Release) != want {
					t.Fatalf("releases %d Pods, want %d", len(p.Release), want)
				}
				if again := p.NextSync.Equal(in.Now); again != (want == limit) {
					t.Errorf("next sync at %v", p.NextSync)
				}
				status := Settle(in, p, allDone(p))
				if finished := terminalCondition(&status) != nil; finished != (want != limit) {
					t.Errorf("finished: %v", finished)
				}
				in.Job.Status = status
				in.Released = allDone(p).Released.Union(in.Released)
			}
			if in.Job.Status.Succeeded != pods {
				t.Errorf("succeeded is %d, want %d", in.Job.Status.Succeeded, pods)
			}
		})
	}
}

// TestStoppingIsLimited ends a Job with more active Pods than one sync may record: all are deleted, the rest is counted by
// the next.
func TestStoppingIsLimited(t *testing.T) {
	t.Parallel()
	in := inputAt(10, makeJob().completions(900).parallelism(900).deadline(5).started().obj(), manyPods("p", 700, func(_ int, b *podBuilder) { b.running() })...)
	p := Compute(in)
	kept := 0
	for _, deletion := range p.Delete {
		if deletion.Finalizer == KeepFinalizer {
			kept++
		}
	}
	if len(p.Delete) != 700 || kept != 200 || len(p.Record.UncountedTerminatedPods.Failed) != 500 || !p.NextSync.Equal(in.Now) {
		t.Errorf("deletes %d, %d of them to be counted later, records %d, next sync %v", len(p.Delete), kept, len(p.Record.UncountedTerminatedPods.Failed), p.NextSync)
	}
}

func TestFailurePolicyMetrics(t *testing.T) {
	t.Parallel()
	job := makeJob().completions(10).failureRules(exitRule(batchv1.PodFailurePolicyActionIgnore, 4), exitRule(batchv1.PodFailurePolicyActionCount, 5))
	var pods []*corev1.Pod
	for i, code := range []int32{4, 4, 5, 6} {
		pods = append(pods, makePod(fmt.Sprint(i)).exited(code, 1).obj())
	}
	in := inputAt(10, job.obj(), pods...)
	p := Compute(in)
	count, ignore := batchv1.PodFailurePolicyActionCount, batchv1.PodFailurePolicyActionIgnore
	for name, tc := range map[string]struct {
		released sets.Set[types.UID]
		want     map[batchv1.PodFailurePolicyAction]int
	}{
		"all finalizers are off":           {allDone(p).Released, map[batchv1.PodFailurePolicyAction]int{ignore: 2, count: 1}},
		"one of the ignored Pods has none": {sets.New(pods[1].UID, pods[3].UID), map[batchv1.PodFailurePolicyAction]int{ignore: 1, count: 1}},
		"none is off":                      {nil, map[batchv1.PodFailurePolicyAction]int{count: 1}},
	} {
		if diff := cmp.Diff(tc.want, p.Metrics.HandledFailures(Outcome{Recorded: true, Released: tc.released})); diff != "" {
			t.Errorf("%s: actions (-want +got):\n%s", name, diff)
		}
	}
	// After a sync that removed no finalizer, only the ignored Pods are left to be counted.
	in.Job.Status = Settle(in, p, Outcome{Recorded: true})
	p = Compute(in)
	if diff := cmp.Diff(map[batchv1.PodFailurePolicyAction]int{ignore: 2}, p.Metrics.HandledFailures(allDone(p))); diff != "" {
		t.Errorf("actions of the second sync (-want +got):\n%s", diff)
	}
}

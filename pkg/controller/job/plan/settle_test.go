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
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

func condition(conditionType batchv1.JobConditionType, reason, message string, when metav1.Time) batchv1.JobCondition {
	return batchv1.JobCondition{Type: conditionType, Status: corev1.ConditionTrue, Reason: reason, Message: message, LastProbeTime: when, LastTransitionTime: when}
}

// TestOnePodJob follows the smallest Job through its three writes.
func TestOnePodJob(t *testing.T) {
	t.Parallel()
	in := inputAt(5, makeJob().obj())
	p := Compute(in)
	if p.Record != nil || len(p.Create) != 1 {
		t.Fatalf("at first: plan %+v", p)
	}
	in.Job.Status = Settle(in, p, allDone(p))
	want := batchv1.JobStatus{
		StartTime: new(at(5)), Active: 1, Ready: new(int32(0)), Terminating: new(int32(0)), UncountedTerminatedPods: &batchv1.UncountedTerminatedPods{},
	}
	if diff := cmp.Diff(want, in.Job.Status); diff != "" {
		t.Errorf("started (-want +got):\n%s", diff)
	}

	in = inputAt(7, in.Job, makePod("a").succeeded(6).obj())
	p = Compute(in)
	const message = "Reached expected number of succeeded pods"
	want.Active = 0
	want.UncountedTerminatedPods.Succeeded = []types.UID{"uid-a"}
	want.Conditions = []batchv1.JobCondition{condition(batchv1.JobSuccessCriteriaMet, batch.ReasonCompletionsReached, message, at(7))}
	if diff := cmp.Diff(&want, p.Record); diff != "" {
		t.Errorf("recorded (-want +got):\n%s", diff)
	}

	status := Settle(in, p, allDone(p))
	want.UncountedTerminatedPods.Succeeded = nil
	want.Succeeded = 1
	want.CompletionTime = new(at(7))
	want.Conditions = append(want.Conditions, condition(batchv1.JobComplete, batch.ReasonCompletionsReached, message, at(7)))
	if diff := cmp.Diff(want, status, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("finished (-want +got):\n%s", diff)
	}
}

// TestSettleOutcomes lets parts of a plan fail.
func TestSettleOutcomes(t *testing.T) {
	t.Parallel()
	finishing := inputAt(10, makeJob().completions(2).started().obj(), makePod("a").succeeded(6).obj(), makePod("b").succeeded(6).obj())
	scaling := inputAt(10, makeJob().completions(9).parallelism(0).started().obj(), makePod("a").ready(1).obj(), makePod("b").running().obj())
	creating := inputAt(10, makeJob().completions(9).parallelism(4).started().obj(), makePod("a").ready(1).obj())
	unseen := finishing
	unseen.Observed = false
	unseen.Job = makeJob().completions(2).started().condition(batchv1.JobFailureTarget, corev1.ConditionTrue, "R", "m").
		status(func(s *batchv1.JobStatus) { s.Active, s.Ready = 7, new(int32(3)) }).obj()
	uids := func(names ...types.UID) sets.Set[types.UID] { return sets.New(names...) }
	type summary struct {
		Active, Ready, Terminating, Succeeded, Failed int32
		Uncounted                                     []types.UID
		Finished                                      bool
	}
	for name, tc := range map[string]struct {
		in      Input
		outcome Outcome
		want    summary
	}{
		"all worked":            {finishing, Outcome{Recorded: true, Released: uids("uid-a", "uid-b")}, summary{Succeeded: 2, Finished: true}},
		"not recorded":          {finishing, Outcome{}, summary{}},
		"a release failed":      {finishing, Outcome{Recorded: true, Released: uids("uid-a")}, summary{Succeeded: 1, Uncounted: []types.UID{"uid-b"}}},
		"all releases failed":   {finishing, Outcome{Recorded: true}, summary{Uncounted: []types.UID{"uid-a", "uid-b"}}},
		"perhaps unseen Pods":   {unseen, Outcome{Recorded: true, Released: uids("uid-a", "uid-b")}, summary{Active: 7, Ready: 3, Succeeded: 2}},
		"deletions worked":      {scaling, Outcome{Released: uids("uid-a", "uid-b"), Deleted: uids("uid-a", "uid-b")}, summary{Terminating: 2}},
		"a deletion failed":     {scaling, Outcome{Released: uids("uid-a", "uid-b"), Deleted: uids("uid-b")}, summary{Active: 1, Ready: 1, Terminating: 1}},
		"creations worked":      {creating, Outcome{Created: 3}, summary{Active: 4, Ready: 1}},
		"some creations failed": {creating, Outcome{Created: 1}, summary{Active: 2, Ready: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status := Settle(tc.in, Compute(tc.in), tc.outcome)
			got := summary{Active: status.Active, Succeeded: status.Succeeded, Failed: status.Failed, Finished: terminalCondition(&status) != nil}
			if status.Ready != nil {
				got.Ready = *status.Ready
			}
			if status.Terminating != nil {
				got.Terminating = *status.Terminating
			}
			if uncounted := status.UncountedTerminatedPods; uncounted != nil {
				got.Uncounted = append(uncounted.Succeeded, uncounted.Failed...)
			}
			if diff := cmp.Diff(tc.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("status (-want +got):\n%s", diff)
			}
		})
	}
}

// TestFinishWaits keeps the terminal condition back while Pods are left.
func TestFinishWaits(t *testing.T) {
	t.Parallel()
	job := func() *jobBuilder {
		return makeJob().started().condition(batchv1.JobFailureTarget, corev1.ConditionTrue, "R", "m")
	}
	for name, tc := range map[string]struct {
		job  *jobBuilder
		pods []*corev1.Pod
		want batchv1.JobConditionType
	}{
		"nothing is left":          {job: job(), want: batchv1.JobFailed},
		"a terminating Pod":        {job: job(), pods: []*corev1.Pod{makePod("a").running().untracked().deleted(1).obj()}},
		"an active Pod":            {job: job(), pods: []*corev1.Pod{makePod("a").running().obj()}},
		"an ended Pod":             {job: job(), pods: []*corev1.Pod{makePod("a").failed(1).obj()}, want: batchv1.JobFailed},
		"an uncounted Pod":         {job: job().status(listFailed("gone")), want: batchv1.JobFailed},
		"the Job is being deleted": {job: job().deleting(), want: batchv1.JobFailed},
		"success":                  {job: makeJob().started().condition(batchv1.JobSuccessCriteriaMet, corev1.ConditionTrue, "R", "m"), want: batchv1.JobComplete},
		"never resumed":            {job: makeJob().suspend("").condition(batchv1.JobSuccessCriteriaMet, corev1.ConditionTrue, "R", "m"), want: batchv1.JobComplete},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := inputAt(10, tc.job.obj(), tc.pods...)
			p := Compute(in)
			status := Settle(in, p, allDone(p))
			var got batchv1.JobConditionType
			if c := terminalCondition(&status); c != nil {
				got = c.Type
				if c.Reason != "R" || c.Message != "m" || !c.LastTransitionTime.Equal(new(at(10))) {
					t.Errorf("condition %+v", c)
				}
				if status.StartTime == nil || (status.CompletionTime != nil) != (got == batchv1.JobComplete) {
					t.Errorf("startTime %v, completionTime %v", status.StartTime, status.CompletionTime)
				}
			}
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// TestFinishAfterTheClockWasSetBack completes a Job at a time before it started, which the API does not accept (rule S7).
func TestFinishAfterTheClockWasSetBack(t *testing.T) {
	t.Parallel()
	in := inputAt(-3600, makeJob().started().obj(), makePod("a").succeeded(-3600).obj())
	p := Compute(in)
	status := Settle(in, p, allDone(p))
	if status.CompletionTime == nil || status.CompletionTime.Before(status.StartTime) {
		t.Errorf("started %v, completed %v", status.StartTime, status.CompletionTime)
	}
}

// TestFinishedJobIsLeftAlone lets go of Pods and changes nothing else.
func TestFinishedJobIsLeftAlone(t *testing.T) {
	t.Parallel()
	job := makeJob().completions(5).deadline(1).started().condition(batchv1.JobComplete, corev1.ConditionTrue, "R", "m").obj()
	in := inputAt(10, job, makePod("a").succeeded(1).obj(), makePod("b").running().obj(), makePod("c").failed(1).untracked().obj())
	p := Compute(in)
	if diff := cmp.Diff([]string{"a", "b"}, podNames(p.Release)); diff != "" {
		t.Errorf("releases (-want +got):\n%s", diff)
	}
	if p.Record != nil || len(p.Create)+len(p.Delete)+len(p.Events) > 0 || !p.NextSync.IsZero() {
		t.Errorf("plan %+v", p)
	}
	if diff := cmp.Diff(job.Status, Settle(in, p, allDone(p))); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
}

func TestUnsupportedJob(t *testing.T) {
	t.Parallel()
	unknown := makeJob()
	unknown.Spec.CompletionMode = new(batchv1.CompletionMode("Ranked"))
	countless := makeJob().indexed(1)
	countless.Spec.Completions = nil
	for message, job := range map[string]*batchv1.Job{
		"Skipped Job sync because completion mode is unknown":                            unknown.obj(),
		"Skipped Job sync because spec.completions is unset, which an Indexed Job needs": countless.obj(),
	} {
		in := inputAt(10, job, makePod("a").succeeded(1).obj())
		in.Backoff = BackoffRecord{Failures: 3}
		p := Compute(in)
		want := Plan{
			Events:  []Event{{Type: "Warning", Reason: "UnknownCompletionMode", Message: message}},
			Backoff: in.Backoff,
		}
		if diff := cmp.Diff(want, p, cmp.AllowUnexported(Plan{}, podCounts{})); diff != "" {
			t.Errorf("plan (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(job.Status, Settle(in, p, Outcome{})); diff != "" {
			t.Errorf("status (-want +got):\n%s", diff)
		}
	}
}

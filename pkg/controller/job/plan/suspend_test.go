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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

func TestSuspension(t *testing.T) {
	t.Parallel()
	suspendedEvents := []Event{{Type: "Normal", Reason: "Suspended", Message: "Job suspended"}}
	resumedEvents := []Event{{Type: "Normal", Reason: "Resumed", Message: "Job resumed"}}
	isTrue := func(b *jobBuilder) *jobBuilder {
		return b.condition(batchv1.JobSuspended, corev1.ConditionTrue, batch.ReasonJobSuspended, "Job suspended")
	}
	resumed := func(b *jobBuilder) *jobBuilder { b.Spec.Suspend = new(false); return b }
	running := []*corev1.Pod{makePod("a").ready(1).obj(), makePod("b").running().obj()}
	job := func() *jobBuilder { return makeJob().completions(5).parallelism(2).started() }
	const deletePods, keepPods = batchv1.SuspendDeletePods, batchv1.SuspendKeepPods
	for name, tc := range map[string]struct {
		job           *jobBuilder
		pods          []*corev1.Pod
		wantEvents    []Event
		wantCondition corev1.ConditionStatus
		wantStart     *metav1.Time
		wantDeleted   int
		wantCreated   int
	}{
		"never suspended":            {job: job(), pods: running, wantStart: new(at(0))},
		"suspended":                  {job: job().suspend(deletePods), pods: running, wantEvents: suspendedEvents, wantCondition: "True", wantDeleted: 2},
		"suspended, unset policy":    {job: job().suspend(""), pods: running, wantEvents: suspendedEvents, wantCondition: "True", wantDeleted: 2},
		"still suspended":            {job: isTrue(job().suspend(deletePods)).status(func(s *batchv1.JobStatus) { s.StartTime = nil }), wantCondition: "True"},
		"suspended, Pods kept":       {job: job().suspend(keepPods), pods: running, wantEvents: suspendedEvents, wantCondition: "True", wantStart: new(at(0))},
		"suspended, no Pods to keep": {job: job().suspend(keepPods), wantEvents: suspendedEvents, wantCondition: "True", wantStart: new(at(0))},
		"suspended and scaled down":  {job: job().parallelism(1).suspend(keepPods), pods: running, wantEvents: suspendedEvents, wantCondition: "True", wantStart: new(at(0)), wantDeleted: 1},
		"created suspended":          {job: makeJob().suspend(keepPods), wantEvents: suspendedEvents, wantCondition: "True"},
		"resumed":                    {job: resumed(isTrue(job().suspend(deletePods))), wantEvents: resumedEvents, wantCondition: "False", wantStart: new(at(10)), wantCreated: 2},
		"resumed, Pods kept":         {job: resumed(isTrue(job().suspend(keepPods))), pods: running, wantEvents: resumedEvents, wantCondition: "False", wantStart: new(at(0))},
		"resumed for the first time": {job: resumed(isTrue(makeJob().suspend(keepPods))), wantEvents: resumedEvents, wantCondition: "False", wantStart: new(at(10)), wantCreated: 1},
		"being deleted":              {job: job().suspend(deletePods).deleting(), pods: running, wantStart: new(at(0))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := inputAt(10, tc.job.obj(), tc.pods...)
			p := Compute(in)
			status := Settle(in, p, allDone(p))
			if diff := cmp.Diff(tc.wantEvents, p.Events); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			var condition corev1.ConditionStatus
			if c := findCondition(status.Conditions, batchv1.JobSuspended); c != nil {
				condition = c.Status
			}
			if condition != tc.wantCondition {
				t.Errorf("condition %q, want %q", condition, tc.wantCondition)
			}
			if diff := cmp.Diff(tc.wantStart, status.StartTime); diff != "" {
				t.Errorf("startTime (-want +got):\n%s", diff)
			}
			if len(p.Delete) != tc.wantDeleted || len(p.Create) != tc.wantCreated {
				t.Errorf("deletes %d and creates %d, want %d and %d", len(p.Delete), len(p.Create), tc.wantDeleted, tc.wantCreated)
			}
			for _, deletion := range p.Delete {
				if deletion.Finalizer != ReleaseFirst {
					t.Errorf("%s would be counted as failed", deletion.Pod.Name)
				}
			}
		})
	}
}

// TestSuspendedJobWithKeptPodsEnds counts and completes while suspended.
func TestSuspendedJobWithKeptPodsEnds(t *testing.T) {
	t.Parallel()
	in := inputAt(10, makeJob().started().suspend(batchv1.SuspendKeepPods).obj(), makePod("a").succeeded(9).obj())
	p := Compute(in)
	status := Settle(in, p, allDone(p))
	if trueCondition(status.Conditions, batchv1.JobComplete) == nil || status.Succeeded != 1 {
		t.Errorf("status %+v", status)
	}
}

// TestSuspensionWaits leaves the condition alone while the cache may not show all Pods.
func TestSuspensionWaits(t *testing.T) {
	t.Parallel()
	in := inputAt(10, makeJob().started().suspend(batchv1.SuspendDeletePods).obj(), makePod("a").running().obj())
	in.Observed = false
	if p := Compute(in); len(p.Events)+len(p.Delete) > 0 {
		t.Errorf("plan %+v", p)
	}
}

// TestSuspensionThatEndsTheJob suspends Jobs that have done their work and only have Pods left to be deleted: they complete,
// and are not called suspended before.
func TestSuspensionThatEndsTheJob(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		job         *jobBuilder
		wantEnd     bool
		wantDeleted int
	}{
		"a work queue after a success":      {makeJob().workQueue(batchv1.WorkQueueCompleteOnFirstSuccess).suspend(batchv1.SuspendDeletePods), true, 1},
		"all completions reached":           {makeJob().completions(1).suspend(batchv1.SuspendDeletePods), true, 1},
		"all completions reached, KeepPods": {makeJob().completions(1).suspend(batchv1.SuspendKeepPods), true, 1},
		"completions missing":               {makeJob().completions(2).suspend(batchv1.SuspendDeletePods), false, 1},
		"a work queue whose Pods go on":     {makeJob().workQueue(batchv1.WorkQueueCompleteOnFirstSuccess).suspend(batchv1.SuspendKeepPods), false, 0},
		"a worker pool, whatever succeeded": {makeJob().workQueue(batchv1.WorkQueueRunUntilDeleted).suspend(batchv1.SuspendDeletePods), false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := inputAt(10, tc.job.started().obj(), makePod("a").succeeded(5).obj(), makePod("b").running().obj())
			p := Compute(in)
			status := Settle(in, p, allDone(p))
			if len(p.Delete) != tc.wantDeleted {
				t.Errorf("deletes %d Pods, want %d", len(p.Delete), tc.wantDeleted)
			}
			suspended := trueCondition(status.Conditions, batchv1.JobSuspended) != nil
			if suspended == tc.wantEnd || (len(p.Events) == 0) != tc.wantEnd {
				t.Errorf("suspended: %v, events %v; the Job ends: %v", suspended, p.Events, tc.wantEnd)
			}
			in = inputAt(11, in.Job, makePod("b").running().untracked().deleted(10).obj())
			in.Job.Status = status
			if met := Compute(in).Verdict != nil; met != tc.wantEnd && tc.wantDeleted > 0 {
				t.Errorf("the next sync ends the Job: %v, want %v", met, tc.wantEnd)
			}
		})
	}
}

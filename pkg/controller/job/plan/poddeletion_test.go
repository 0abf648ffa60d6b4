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
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

func TestSurplus(t *testing.T) {
	t.Parallel()
	pending, running, ready := makePod("pending").index(0).obj(), makePod("running").index(1).running().obj(), makePod("ready").index(2).ready(1).obj()
	all := []*corev1.Pod{ready, pending, running}
	for name, tc := range map[string]struct {
		job  *jobBuilder
		pods []*corev1.Pod
		want []string
	}{
		"none":                           {job: makeJob().completions(5).parallelism(3), pods: all},
		"too many":                       {job: makeJob().completions(5).parallelism(1), pods: all, want: []string{"pending", "running"}},
		"parallelism 0":                  {job: makeJob().completions(5).parallelism(0), pods: all, want: []string{"pending", "running", "ready"}},
		"more than the completions left": {job: makeJob().completions(5).parallelism(3).status(func(s *batchv1.JobStatus) { s.Succeeded = 3 }), pods: all, want: []string{"pending"}},
		"work queue after a success":     {job: makeJob().workQueue("").parallelism(1).status(func(s *batchv1.JobStatus) { s.Succeeded = 3 }), pods: all},
		"worker pool after a success":    {job: makeJob().workQueue(batchv1.WorkQueueRunUntilDeleted).parallelism(1).status(func(s *batchv1.JobStatus) { s.Succeeded = 3 }), pods: all, want: []string{"pending", "running"}},
		"without a finalizer":            {job: makeJob().completions(5).parallelism(3), pods: []*corev1.Pod{makePod("a").untracked().running().obj(), running}, want: []string{"a"}},
		"Indexed":                        {job: makeJob().indexed(5).parallelism(3), pods: all},
		"Indexed, too many":              {job: makeJob().indexed(5).parallelism(2), pods: all, want: []string{"pending"}},
		"Indexed, no index":              {job: makeJob().indexed(5).parallelism(5), pods: []*corev1.Pod{ready, makePod("a").running().obj()}, want: []string{"a"}},
		"Indexed, index beyond":          {job: makeJob().indexed(2).parallelism(2), pods: all, want: []string{"ready"}},
		"Indexed, the same index twice":  {job: makeJob().indexed(5).parallelism(5), pods: []*corev1.Pod{ready, makePod("b").index(2).running().obj(), makePod("a").index(2).obj()}, want: []string{"a", "b"}},
		"Indexed, an index that succeeded": {job: makeJob().indexed(5).parallelism(5).status(func(s *batchv1.JobStatus) { s.CompletedIndexes = "1" }),
			pods: all, want: []string{"running"}},
		"Indexed, useless ones count as too many": {job: makeJob().indexed(5).parallelism(2), pods: append(slices.Clone(all), makePod("a").running().obj()), want: []string{"a", "pending"}},
		"Indexed, only useless ones go":           {job: makeJob().indexed(5).parallelism(3), pods: append(slices.Clone(all), makePod("a").running().obj()), want: []string{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := Compute(inputAt(10, tc.job.obj(), tc.pods...))
			var got []string
			for _, deletion := range p.Delete {
				got = append(got, deletion.Pod.Name)
				if deletion.Finalizer != ReleaseFirst {
					t.Errorf("%s would be counted", deletion.Pod.Name)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("deletes (-want +got):\n%s", diff)
			}
			if len(got) > 0 && len(p.Create) > 0 {
				t.Errorf("deletes and creates in one sync")
			}
		})
	}
}

func TestSurplusIsLimited(t *testing.T) {
	t.Parallel()
	pods := manyPods("p", 700, func(_ int, b *podBuilder) { b.running() })
	job := makeJob().completions(1000).parallelism(0)
	if got := len(Compute(inputAt(10, job.obj(), pods...)).Delete); got != 500 {
		t.Errorf("scaling down deletes %d Pods in one sync, want 500", got)
	}
	if got := len(Compute(inputAt(10, job.suspend(batchv1.SuspendDeletePods).obj(), pods...)).Delete); got != 700 {
		t.Errorf("suspending deletes %d Pods in one sync, want all 700", got)
	}
}

// TestCompareForDeletion lists Pods in the order in which they go, each a little better to keep than the one before.
func TestCompareForDeletion(t *testing.T) {
	t.Parallel()
	readyUnset := makePod("ready, since when unknown").ready(0)
	readyUnset.Status.Conditions[0].LastTransitionTime.Reset()
	sidecar := makePod("sidecar restarts").ready(1)
	sidecar.Spec.InitContainers = []corev1.Container{{Name: "side", RestartPolicy: new(corev1.ContainerRestartPolicyAlways)}}
	sidecar.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "side", RestartCount: 5}}
	young := makePod("made later").ready(1).created(5)
	unset := makePod("made unknown when").ready(1)
	unset.CreationTimestamp.Reset()
	want := []*podState{
		{Pod: makePod("on no node").phase(corev1.PodRunning).obj()},
		{Pod: makePod("pending").node("n").obj()},
		{Pod: makePod("unknown").node("n").phase(corev1.PodUnknown).obj()},
		{Pod: makePod("not ready").running().obj()},
		{Pod: readyUnset.obj()},
		{Pod: makePod("ready for a short time").ready(9).obj()},
		{Pod: makePod("ready but restarted").ready(1).restarts(7).obj()},
		{Pod: sidecar.obj()},
		{Pod: unset.obj()},
		{Pod: young.obj()},
		{Pod: makePod("the best").ready(1).obj()},
		{Pod: makePod("the best by name too").ready(1).obj()},
	}
	for i, a := range want {
		for j, b := range want {
			if got := compareForDeletion(a, b); (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("%q against %q: %d", a.Name, b.Name, got)
			}
		}
	}
}

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

func TestRuleCompletions(t *testing.T) {
	t.Parallel()
	succeeded := makePod("s").index(0).succeeded(1).obj()
	running := makePod("r").index(1).running().obj()
	terminating := makePod("t").index(1).running().deleted(1).obj()
	for name, tc := range map[string]struct {
		job    *jobBuilder
		pods   []*corev1.Pod
		unseen bool
		want   bool
	}{
		"reached":                           {job: makeJob(), pods: []*corev1.Pod{succeeded}, want: true},
		"reached, terminating Pods":         {job: makeJob(), pods: []*corev1.Pod{succeeded, terminating}, want: true},
		"reached, active Pods":              {job: makeJob(), pods: []*corev1.Pod{succeeded, running}},
		"reached, perhaps unseen Pods":      {job: makeJob(), pods: []*corev1.Pod{succeeded}, unseen: true},
		"not reached":                       {job: makeJob().completions(2), pods: []*corev1.Pod{succeeded}},
		"counted and new":                   {job: makeJob().completions(3).status(func(s *batchv1.JobStatus) { s.Succeeded = 2 }), pods: []*corev1.Pod{succeeded}, want: true},
		"more than enough":                  {job: makeJob().completions(1).status(func(s *batchv1.JobStatus) { s.Succeeded = 2 }), want: true},
		"0 completions":                     {job: makeJob().completions(0), want: true},
		"0 completions, suspended":          {job: makeJob().completions(0).suspend(batchv1.SuspendDeletePods), want: true},
		"Indexed, all":                      {job: makeJob().indexed(2).status(func(s *batchv1.JobStatus) { s.CompletedIndexes = "1" }), pods: []*corev1.Pod{succeeded}, want: true},
		"Indexed, the same index twice":     {job: makeJob().indexed(2).status(func(s *batchv1.JobStatus) { s.CompletedIndexes = "0" }), pods: []*corev1.Pod{succeeded}},
		"work queue, nothing yet":           {job: makeJob().workQueue(batchv1.WorkQueueCompleteOnFirstSuccess)},
		"work queue, a success":             {job: makeJob().workQueue(batchv1.WorkQueueCompleteOnFirstSuccess), pods: []*corev1.Pod{succeeded}, want: true},
		"work queue, a success, others run": {job: makeJob().workQueue(batchv1.WorkQueueCompleteOnFirstSuccess), pods: []*corev1.Pod{succeeded, running}},
		"work queue of unset policy":        {job: makeJob().workQueue(""), pods: []*corev1.Pod{succeeded}, want: true},
		"worker pool":                       {job: makeJob().workQueue(batchv1.WorkQueueRunUntilDeleted), pods: []*corev1.Pod{succeeded}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := inputAt(10, tc.job.obj(), tc.pods...)
			in.Observed = !tc.unseen
			message := map[bool]string{true: "Reached expected number of succeeded pods"}[tc.want]
			checkVerdict(t, ruleCompletions(observe(in)), batchv1.JobSuccessCriteriaMet, batch.ReasonCompletionsReached, message)
		})
	}
}

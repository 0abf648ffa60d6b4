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
	"k8s.io/apimachinery/pkg/types"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

func TestRuleBackoffLimit(t *testing.T) {
	t.Parallel()
	failed := func(n int) []*corev1.Pod {
		return manyPods("f", n, func(i int, b *podBuilder) { b.failed(i) })
	}
	restarted := func(counts ...int32) []*corev1.Pod {
		return manyPods("r", len(counts), func(i int, b *podBuilder) { b.restarts(counts[i]) })
	}
	initRestarted := makePod("i").restarts(1)
	initRestarted.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "init", RestartCount: 1}}
	for name, tc := range map[string]struct {
		job  *jobBuilder
		pods []*corev1.Pod
		want bool
	}{
		"as many as the limit":           {job: makeJob().backoffLimit(2), pods: failed(2)},
		"one more":                       {job: makeJob().backoffLimit(2), pods: failed(3), want: true},
		"limit 0, none":                  {job: makeJob().backoffLimit(0), pods: failed(0)},
		"limit 0, one":                   {job: makeJob().backoffLimit(0), pods: failed(1), want: true},
		"counted ones":                   {job: makeJob().backoffLimit(2).status(func(s *batchv1.JobStatus) { s.Failed = 2 }), pods: failed(1), want: true},
		"uncounted ones that are gone":   {job: makeJob().backoffLimit(1).status(listFailed("x", "y")), want: true},
		"uncounted ones are not doubled": {job: makeJob().backoffLimit(2).status(listFailed("uid-f-0", "uid-f-1")), pods: failed(2)},
		"released ones do not count again": {job: makeJob().backoffLimit(0), pods: []*corev1.Pod{
			makePod("a").untracked().failed(1).obj(),
		}},
		"ignored ones do not count": {job: makeJob().backoffLimit(0).failureRules(exitRule(batchv1.PodFailurePolicyActionIgnore, 1)), pods: failed(3)},
		"of an Indexed Job only valid indexes count": {job: makeJob().indexed(2).backoffLimit(1), pods: []*corev1.Pod{
			makePod("a").index(0).failed(1).obj(), makePod("b").index(2).failed(1).obj(), makePod("c").failed(1).obj(),
		}},
		"terminating ones count where they are replaced":        {job: makeJob().backoffLimit(0), pods: []*corev1.Pod{makePod("a").running().deleted(1).obj()}, want: true},
		"terminating ones wait where they are replaced at last": {job: makeJob().backoffLimit(0).replace(batchv1.Failed), pods: []*corev1.Pod{makePod("a").running().deleted(1).obj()}},
		"restarts below the limit":                              {job: makeJob().onFailure().backoffLimit(3), pods: restarted(1, 1)},
		"restarts at the limit":                                 {job: makeJob().onFailure().backoffLimit(3), pods: restarted(1, 2), want: true},
		"restarts of init containers":                           {job: makeJob().onFailure().backoffLimit(2), pods: []*corev1.Pod{initRestarted.obj()}, want: true},
		"limit 0 without restarts":                              {job: makeJob().onFailure().backoffLimit(0), pods: restarted(0)},
		"limit 0 with a restart":                                {job: makeJob().onFailure().backoffLimit(0), pods: restarted(1), want: true},
		"restarts of terminating Pods":                          {job: makeJob().onFailure().backoffLimit(2).replace(batchv1.Failed), pods: []*corev1.Pod{makePod("a").restarts(2).deleted(1).obj()}, want: true},
		"restarts of ended Pods don't matter":                   {job: makeJob().onFailure().backoffLimit(1), pods: []*corev1.Pod{makePod("a").restarts(5).phase(corev1.PodSucceeded).obj()}},
		"restarts with restartPolicy Never don't matter":        {job: makeJob().backoffLimit(1), pods: restarted(5)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			message := ""
			if tc.want {
				message = "Job has reached the specified backoff limit"
			}
			checkVerdict(t, ruleBackoffLimit(observeAt(10, tc.job.obj(), tc.pods...)), batchv1.JobFailureTarget, batch.ReasonBackoffLimitExceeded, message)
		})
	}
}

// listFailed puts the UIDs on the list of uncounted failed Pods.
func listFailed(uids ...types.UID) func(*batchv1.JobStatus) {
	return func(s *batchv1.JobStatus) {
		s.UncountedTerminatedPods = &batchv1.UncountedTerminatedPods{Failed: uids}
	}
}

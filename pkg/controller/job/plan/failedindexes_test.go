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

func TestFailedIndexRules(t *testing.T) {
	t.Parallel()
	status := func(completed, failed string) func(*batchv1.JobStatus) {
		return func(s *batchv1.JobStatus) { s.CompletedIndexes, s.FailedIndexes = completed, &failed }
	}
	for name, tc := range map[string]struct {
		job        *jobBuilder
		pods       []*corev1.Pod
		wantMax    bool
		wantFailed bool
	}{
		"none failed":                   {job: makeJob().indexed(4).limitPerIndex(0).maxFailed(0).status(status("0-3", ""))},
		"as many as allowed":            {job: makeJob().indexed(4).limitPerIndex(0).maxFailed(2).status(status("", "1,2"))},
		"more than allowed":             {job: makeJob().indexed(4).limitPerIndex(0).maxFailed(1).status(status("", "1,2")), wantMax: true},
		"a new one":                     {job: makeJob().indexed(4).limitPerIndex(1).maxFailed(1).status(status("", "1")), pods: []*corev1.Pod{makePod("a").index(2).failures(1).failed(1).obj()}, wantMax: true},
		"the index has another try":     {job: makeJob().indexed(4).limitPerIndex(2).maxFailed(0), pods: []*corev1.Pod{makePod("a").index(2).failures(1).failed(1).obj()}},
		"all ended":                     {job: makeJob().indexed(4).limitPerIndex(0).status(status("0,3", "1,2")), wantFailed: true},
		"one is left":                   {job: makeJob().indexed(5).limitPerIndex(0).status(status("0,3", "1,2"))},
		"indexes beyond don't matter":   {job: makeJob().indexed(2).limitPerIndex(0).maxFailed(0).status(status("0,1", "2,3"))},
		"without a limit of their own":  {job: makeJob().indexed(1), pods: []*corev1.Pod{makePod("a").index(0).failed(1).obj()}},
		"a success after it is refused": {job: makeJob().indexed(2).limitPerIndex(0).status(status("1", "0")), pods: []*corev1.Pod{makePod("a").index(0).succeeded(1).obj()}, wantFailed: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := observeAt(10, tc.job.obj(), tc.pods...)
			message := map[bool]string{true: "Job has exceeded the specified maximal number of failed indexes"}[tc.wantMax]
			checkVerdict(t, ruleMaxFailedIndexes(s), batchv1.JobFailureTarget, batch.ReasonMaxFailedIndexesExceeded, message)
			message = map[bool]string{true: "Job has failed indexes"}[tc.wantFailed]
			checkVerdict(t, ruleFailedIndexes(s), batchv1.JobFailureTarget, batch.ReasonFailedIndexes, message)
		})
	}
}

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

	"github.com/google/go-cmp/cmp"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

// checkVerdict compares a verdict; an empty message means that there must be none.
func checkVerdict(t *testing.T, got *Verdict, conditionType batchv1.JobConditionType, reason, message string) {
	t.Helper()
	var want *Verdict
	if message != "" {
		want = &Verdict{Type: conditionType, Reason: reason, Message: message}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("verdict (-want +got):\n%s", diff)
	}
}

// TestDecideOrder gives Jobs that several rules would end to the first of them.
func TestDecideOrder(t *testing.T) {
	t.Parallel()
	// all would end by every rule but the recorded ones.
	all := func() *jobBuilder {
		return makeJob().indexed(2).parallelism(2).failureRules(exitRule(batchv1.PodFailurePolicyActionFailJob, 9)).
			backoffLimit(0).limitPerIndex(0).maxFailed(0).deadline(5).started().
			successRules(batchv1.SuccessPolicyRule{SucceededCount: new(int32(1))})
	}
	pods := []*corev1.Pod{makePod("a").index(0).exited(9, 1).obj(), makePod("b").index(1).succeeded(1).obj()}
	for name, tc := range map[string]struct {
		job  *jobBuilder
		want string
	}{
		"success on record": {all().condition(batchv1.JobSuccessCriteriaMet, corev1.ConditionTrue, "First", "m"), "First"},
		"failure on record": {all().condition(batchv1.JobFailureTarget, corev1.ConditionTrue, "First", "m"), "First"},
		"both on record": {all().condition(batchv1.JobFailureTarget, corev1.ConditionTrue, "Second", "m").
			condition(batchv1.JobSuccessCriteriaMet, corev1.ConditionTrue, "First", "m"), "First"},
		"a condition that is not true": {all().condition(batchv1.JobFailureTarget, corev1.ConditionFalse, "Not", "m"), batch.ReasonPodFailurePolicy},
		"podFailurePolicy":             {all(), batch.ReasonPodFailurePolicy},
		"backoffLimit":                 {all().failureRules(), batch.ReasonBackoffLimitExceeded},
		"activeDeadlineSeconds":        {all().failureRules().backoffLimit(9), batch.ReasonDeadlineExceeded},
		"maxFailedIndexes":             {all().failureRules().backoffLimit(9).deadline(900), batch.ReasonMaxFailedIndexesExceeded},
		"failed indexes":               {all().failureRules().backoffLimit(9).deadline(900).maxFailed(1), batch.ReasonFailedIndexes},
		"successPolicy":                {all().failureRules().backoffLimit(9).deadline(900).limitPerIndex(3), batch.ReasonSuccessPolicy},
		"completions":                  {makeJob().backoffLimit(9), batch.ReasonCompletionsReached},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := decide(observeAt(10, tc.job.obj(), pods...))
			if got == nil || got.Reason != tc.want {
				t.Errorf("verdict %+v, want the reason %s", got, tc.want)
			}
		})
	}
	if got := decide(observeAt(10, makeJob().obj(), makePod("a").running().obj())); got != nil {
		t.Errorf("a Job in progress: verdict %+v", got)
	}
}

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

func TestMatchPodFailurePolicy(t *testing.T) {
	t.Parallel()
	notIn := exitRule(batchv1.PodFailurePolicyActionCount, 1, 2)
	notIn.OnExitCodes.Operator = batchv1.PodFailurePolicyOnExitCodesOpNotIn
	named := exitRule(batchv1.PodFailurePolicyActionIgnore, 7)
	named.OnExitCodes.ContainerName = new("side")
	strangeOperator := exitRule(batchv1.PodFailurePolicyActionIgnore, 7)
	strangeOperator.OnExitCodes.Operator = "Between"
	disrupted := batchv1.PodFailurePolicyRule{
		Action:          batchv1.PodFailurePolicyActionIgnore,
		OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{{Type: "Other", Status: "False"}, {Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}},
	}
	withInit := makePod("p").exited(7, 1)
	withInit.Status.InitContainerStatuses = withInit.Status.ContainerStatuses
	withInit.Status.InitContainerStatuses[0].Name = "init"
	withInit.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main"}}
	for name, tc := range map[string]struct {
		rules      []batchv1.PodFailurePolicyRule
		pod        *podBuilder
		wantAction batchv1.PodFailurePolicyAction
		wantWhy    string
	}{
		"no rule": {pod: makePod("p").exited(7, 1)},
		"code in the values": {
			rules:      []batchv1.PodFailurePolicyRule{exitRule(batchv1.PodFailurePolicyActionFailJob, 3, 7)},
			pod:        makePod("p").exited(7, 1),
			wantAction: batchv1.PodFailurePolicyActionFailJob,
			wantWhy:    "Container main for pod ns/p failed with exit code 7 matching FailJob rule at index 0",
		},
		"code not in the values": {
			rules: []batchv1.PodFailurePolicyRule{exitRule(batchv1.PodFailurePolicyActionFailJob, 3)},
			pod:   makePod("p").exited(7, 1),
		},
		"NotIn": {
			rules: []batchv1.PodFailurePolicyRule{notIn}, pod: makePod("p").exited(7, 1), wantAction: batchv1.PodFailurePolicyActionCount,
			wantWhy: "Container main for pod ns/p failed with exit code 7 matching Count rule at index 0",
		},
		"NotIn does not match 0": {rules: []batchv1.PodFailurePolicyRule{notIn}, pod: makePod("p").exited(0, 1).phase(corev1.PodFailed)},
		"an operator of the future matches nothing": {
			rules: []batchv1.PodFailurePolicyRule{strangeOperator}, pod: makePod("p").exited(7, 1),
		},
		"another container": {rules: []batchv1.PodFailurePolicyRule{named}, pod: makePod("p").exited(7, 1)},
		"an init container": {
			rules: []batchv1.PodFailurePolicyRule{exitRule(batchv1.PodFailurePolicyActionFailIndex, 7)}, pod: withInit,
			wantAction: batchv1.PodFailurePolicyActionFailIndex,
			wantWhy:    "Container init for pod ns/p failed with exit code 7 matching FailIndex rule at index 0",
		},
		"a condition": {
			rules: []batchv1.PodFailurePolicyRule{disrupted}, pod: makePod("p").disrupted().exited(7, 1),
			wantAction: batchv1.PodFailurePolicyActionIgnore, wantWhy: "Pod ns/p has condition DisruptionTarget matching Ignore rule at index 0",
		},
		"a condition with another status": {
			rules: []batchv1.PodFailurePolicyRule{{Action: batchv1.PodFailurePolicyActionIgnore, OnPodConditions: disrupted.OnPodConditions[:1]}},
			pod:   makePod("p").disrupted().exited(7, 1),
		},
		"the first of two that match": {
			rules: []batchv1.PodFailurePolicyRule{disrupted, exitRule(batchv1.PodFailurePolicyActionCount, 7), exitRule(batchv1.PodFailurePolicyActionFailJob, 7)},
			pod:   makePod("p").exited(7, 1), wantAction: batchv1.PodFailurePolicyActionCount,
			wantWhy: "Container main for pod ns/p failed with exit code 7 matching Count rule at index 1",
		},
		"an action of the future is passed over": {
			rules: []batchv1.PodFailurePolicyRule{exitRule("Retry", 7), exitRule(batchv1.PodFailurePolicyActionIgnore, 7)},
			pod:   makePod("p").exited(7, 1), wantAction: batchv1.PodFailurePolicyActionIgnore,
			wantWhy: "Container main for pod ns/p failed with exit code 7 matching Ignore rule at index 1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := matchPodFailurePolicy(&batchv1.PodFailurePolicy{Rules: tc.rules}, tc.pod.obj())
			if got == nil {
				got = &matchedRule{}
			}
			if want := (matchedRule{tc.wantAction, tc.wantWhy}); *got != want {
				t.Errorf("got %+v, want %+v", *got, want)
			}
		})
	}
	if got := matchPodFailurePolicy(nil, makePod("p").failed(1).obj()); got != nil {
		t.Errorf("without a policy: got %+v", got)
	}
}

func TestRuleFailJob(t *testing.T) {
	t.Parallel()
	job := makeJob().failureRules(exitRule(batchv1.PodFailurePolicyActionIgnore, 8), exitRule(batchv1.PodFailurePolicyActionFailJob, 9))
	message := func(pod string) string {
		return "Container main for pod ns/" + pod + " failed with exit code 9 matching FailJob rule at index 1"
	}
	for name, tc := range map[string]struct {
		job  *jobBuilder
		pods []*corev1.Pod
		want string
	}{
		"no policy":                    {job: makeJob(), pods: []*corev1.Pod{makePod("a").exited(9, 1).obj()}},
		"no match":                     {job: job, pods: []*corev1.Pod{makePod("a").exited(8, 1).obj()}},
		"match":                        {job: job, pods: []*corev1.Pod{makePod("a").exited(9, 1).obj()}, want: message("a")},
		"on record already":            {job: job, pods: []*corev1.Pod{makePod("a").exited(9, 1).untracked().obj()}, want: message("a")},
		"the first by name is told of": {job: job, pods: []*corev1.Pod{makePod("b").exited(9, 1).obj(), makePod("a").exited(9, 1).obj()}, want: message("a")},
		"not while it is terminating": {job: job, pods: []*corev1.Pod{
			makePod("a").exited(9, 1).phase(corev1.PodRunning).deleted(1).obj(),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkVerdict(t, ruleFailJob(observeAt(10, tc.job.obj(), tc.pods...)), batchv1.JobFailureTarget, batch.ReasonPodFailurePolicy, tc.want)
		})
	}
}

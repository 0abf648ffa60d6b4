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

package tests

import (
	"fmt"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/jobserver-dev/jobserver/test/conformance/suite"
)

// twoContainers gives the Pods a second container and an init container.
var twoContainers = podSpec(func(spec *corev1.PodSpec) {
	spec.Containers = append(spec.Containers, corev1.Container{Name: "side", Image: "busybox:1.36", Command: []string{"true"}})
	spec.InitContainers = []corev1.Container{{Name: "before", Image: "busybox:1.36", Command: []string{"true"}}}
})

// exits is a change for End: the containers ended with exit codes of their own.
func exits(codes map[string]int32) func(status *corev1.PodStatus) {
	return func(status *corev1.PodStatus) {
		state := func(code int32) corev1.ContainerState {
			return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code}}
		}
		for i := range status.ContainerStatuses {
			status.ContainerStatuses[i].State = state(codes[status.ContainerStatuses[i].Name])
		}
		if code, found := codes["before"]; found {
			status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "before", State: state(code)}}
		}
	}
}

// verdict is a test of what a podFailurePolicy makes of the first Pod of a Job of two, whose containers end with some codes.
func verdict(name, description, want string, codes map[string]int32, rules []batchv1.PodFailurePolicyRule, changes ...func(status *corev1.PodStatus)) suite.Test {
	return suite.Test{Name: name, Description: description, Source: "KEP-3329; reference B66", KubernetesPolicies: true, Run: func(t *suite.T) {
		job := t.Create(newJob(completions(2), parallelism(2), backoffLimit(1), twoContainers, podFailurePolicy(rules...)))
		pods := t.WaitActive(job, 2)
		changes := append([]func(status *corev1.PodStatus){exits(codes)}, changes...)
		t.End(pods[0], corev1.PodFailed, 0, changes...)
		switch want {
		case "FailJob":
			t.WaitFailed(job, "PodFailurePolicy")
		case "Count":
			t.WaitStatus(job, 1, 0, 1)
			t.End(pods[1], corev1.PodFailed, 0, changes...)
			t.WaitFailed(job, "BackoffLimitExceeded")
		case "Ignore":
			// An ignored failure delays the replacement as others do.
			t.WaitPod(pods[0], "is not tracked any more", func(pod *corev1.Pod) bool { return pod != nil && !isTracked(*pod) })
			t.Succeed(t.WaitActive(job, 2)...)
			suite.Equal(t, "failed", t.WaitComplete(job, "CompletionsReached").Status.Failed, 0)
		}
	}}
}

func rules(rules ...batchv1.PodFailurePolicyRule) []batchv1.PodFailurePolicyRule { return rules }

// ofMain is an exit code of the first container.
func ofMain(code int32) map[string]int32 { return map[string]int32{"main": code} }

// onExitCodesOf is a rule for exit codes of one container.
func onExitCodesOf(action batchv1.PodFailurePolicyAction, container string, codes ...int32) batchv1.PodFailurePolicyRule {
	rule := onExitCodes(action, codes...)
	rule.OnExitCodes.ContainerName = &container
	return rule
}

// onOtherExitCodes is a rule for all exit codes but some.
func onOtherExitCodes(action batchv1.PodFailurePolicyAction, codes ...int32) batchv1.PodFailurePolicyRule {
	rule := onExitCodes(action, codes...)
	rule.OnExitCodes.Operator = batchv1.PodFailurePolicyOnExitCodesOpNotIn
	return rule
}

// onConditionFalse is a rule for Pods with a condition that is false.
func onConditionFalse(action batchv1.PodFailurePolicyAction, kind corev1.PodConditionType) batchv1.PodFailurePolicyRule {
	rule := onCondition(action, kind)
	rule.OnPodConditions[0].Status = corev1.ConditionFalse
	return rule
}

// broken is a change for End: the Pod has a condition of the test's own.
func broken(status *corev1.PodStatus) {
	status.Conditions = append(status.Conditions, corev1.PodCondition{Type: "example.com/Broken", Status: corev1.ConditionTrue})
}

// What the rules make of a failure.
func init() {
	subject("FailurePolicy",
		verdict("FailJob", "The action FailJob fails the Job, whatever its backoffLimit.", "FailJob", ofMain(3), rules(onExitCodes(failJob, 2, 3))),
		verdict("OtherCode", "An exit code that no rule names counts against backoffLimit.", "Count", ofMain(4), rules(onExitCodes(failJob, 2, 3))),
		verdict("NotIn", "The operator NotIn is for exit codes that are not named.", "FailJob", ofMain(4), rules(onOtherExitCodes(failJob, 2, 3))),
		verdict("NotInNamed", "The operator NotIn is not for exit codes that are named.", "Count", ofMain(3), rules(onOtherExitCodes(failJob, 2, 3))),
		verdict("SuccessIsNoFailure", "A container that exits with 0 matches no rule, with the operator NotIn neither.", "Count",
			map[string]int32{"main": 0, "side": 2}, rules(onOtherExitCodes(failJob, 2, 3))),
		verdict("Container", "A rule for a container looks at its exit code.", "FailJob", map[string]int32{"main": 0, "side": 3}, rules(onExitCodesOf(failJob, "side", 3))),
		verdict("OtherContainer", "A rule for a container doesn't look at the exit codes of others.", "Count",
			map[string]int32{"main": 3, "side": 1}, rules(onExitCodesOf(failJob, "side", 3))),
		verdict("AnyContainer", "A rule without container looks at all.", "FailJob", map[string]int32{"main": 1, "side": 3}, rules(onExitCodes(failJob, 3))),
		verdict("InitContainer", "A rule looks at the exit codes of init containers, too.", "FailJob", map[string]int32{"before": 3}, rules(onExitCodesOf(failJob, "before", 3))),
		verdict("FirstRule", "Of the rules that match, the first decides.", "Count", ofMain(3), rules(onExitCodes(countFailure, 3), onExitCodes(failJob, 3))),
		verdict("SecondRule", "A rule that doesn't match leaves the decision to the next.", "FailJob", ofMain(3), rules(onExitCodes(countFailure, 2), onExitCodes(failJob, 3))),
		verdict("Ignore", "The action Ignore counts nothing against backoffLimit, and the Pod is replaced.", "Ignore", ofMain(3), rules(onExitCodes(ignoreFailure, 3))),
		verdict("Count", "The action Count counts against backoffLimit.", "Count", ofMain(3), rules(onExitCodes(countFailure, 3))),
		verdict("Condition", "A rule for a Pod condition looks at its type and status.", "FailJob", ofMain(1), rules(onCondition(failJob, "example.com/Broken")), broken),
		verdict("ConditionStatus", "A rule for a Pod condition with another status doesn't match.", "Count", ofMain(1), rules(onConditionFalse(failJob, "example.com/Broken")), broken),
		verdict("NoCondition", "A rule for a Pod condition doesn't match a Pod without it.", "Count", ofMain(1), rules(onCondition(failJob, "example.com/Broken"))),
		verdict("Disruption", "A Pod that was disrupted can be ignored.", "Ignore", ofMain(137), rules(onCondition(ignoreFailure, corev1.DisruptionTarget)),
			suite.Disrupted("DeletionByTaintManager")),
		verdict("NoRules", "A podFailurePolicy without rules counts everything.", "Count", ofMain(3), nil),
	)
}

// What the Job says of it, and what becomes of its Pods.
func init() {
	subject("FailurePolicy",
		suite.Test{
			Name: "MessageOfExitCode", Description: "The condition names the container, the Pod, the exit code, the action and the rule.", Source: "KEP-3329; reference B67",
			Run: func(t *suite.T) {
				job := t.Create(newJob(podFailurePolicy(onExitCodes(countFailure, 1), onExitCodes(failJob, 3))))
				pod := t.WaitActive(job, 1)[0]
				t.Fail(3, pod)
				job = t.WaitFailed(job, "PodFailurePolicy")
				text := fmt.Sprintf("Container main for pod %s/%s failed with exit code 3 matching FailJob rule at index 1", pod.Namespace, pod.Name)
				suite.Equal(t, "message", suite.Condition(job, batchv1.JobFailed).Message, text)
				suite.Equal(t, "message of FailureTarget", suite.Condition(job, batchv1.JobFailureTarget).Message, text)
				t.WaitEvent(job, "Warning", "PodFailurePolicy", text)
			},
		},
		suite.Test{
			Name: "MessageOfCondition", Description: "The condition names the Pod, its condition, the action and the rule.", Source: "KEP-3329; reference B67",
			Run: func(t *suite.T) {
				job := t.Create(newJob(podFailurePolicy(onCondition(failJob, "example.com/Broken"))))
				pod := t.WaitActive(job, 1)[0]
				t.End(pod, corev1.PodFailed, 1, broken)
				job = t.WaitFailed(job, "PodFailurePolicy")
				suite.Equal(t, "message", suite.Condition(job, batchv1.JobFailed).Message,
					fmt.Sprintf("Pod %s/%s has condition example.com/Broken matching FailJob rule at index 0", pod.Namespace, pod.Name))
			},
		},
		suite.Test{
			Name: "OthersAreDeleted", Description: "When a podFailurePolicy fails the Job, its active Pods are deleted.", Source: "KEP-3329; reference B25",
			Run: func(t *suite.T) {
				job := t.Create(newJob(completions(3), parallelism(3), podFailurePolicy(onExitCodes(failJob, 3))))
				pods := t.WaitActive(job, 3)
				t.Fail(3, pods[0])
				suite.Equal(t, "failed", t.WaitFailed(job, "PodFailurePolicy").Status.Failed, 3)
				t.WaitPodGone(pods[1])
				t.WaitPodGone(pods[2])
			},
		},
		suite.Test{
			Name: "TerminatingPod", Description: "A Pod that terminates is judged once it has ended.", Source: "KEP-3329; reference B20", KubernetesPolicies: true,
			Run: func(t *suite.T) {
				job := t.Create(newJob(backoffLimit(0), podFailurePolicy(onExitCodes(ignoreFailure, 143))))
				pod := t.WaitActive(job, 1)[0]
				t.Bind(pod)
				t.DeletePod(pod)
				job = t.WaitJob(job, "has a terminating Pod", func(job *batchv1.Job) bool { return ptr.Deref(job.Status.Terminating, 0) == 1 })
				suite.Equal(t, "number of conditions", len(job.Status.Conditions), 0)
				t.EndDeleted(pod, 143)
				t.Succeed(t.WaitActive(job, 1)...)
				suite.Equal(t, "failed", t.WaitComplete(job, "CompletionsReached").Status.Failed, 0)
			},
		},
	)
}

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
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

// matchedRule is the rule of a podFailurePolicy that a failed Pod matches.
type matchedRule struct {
	action batchv1.PodFailurePolicyAction

	// why says which container or condition matched, in the words that the message of a failed Job has (rule B67).
	why string
}

// matchPodFailurePolicy returns the first rule that the failed Pod matches, nil if it matches none (rule B66). Rules with
// an action that this version does not know are passed over.
func matchPodFailurePolicy(policy *batchv1.PodFailurePolicy, pod *corev1.Pod) *matchedRule {
	if policy == nil {
		return nil
	}
	for i := range policy.Rules {
		rule := &policy.Rules[i]
		if !isKnownAction(rule.Action) {
			continue
		}
		if rule.OnExitCodes != nil {
			if container := matchExitCodes(pod, rule.OnExitCodes); container != nil {
				return &matchedRule{rule.Action, fmt.Sprintf("Container %s for pod %s/%s failed with exit code %v matching %v rule at index %d",
					container.Name, pod.Namespace, pod.Name, container.State.Terminated.ExitCode, rule.Action, i)}
			}
		} else if condition := matchConditions(pod, rule.OnPodConditions); condition != nil {
			return &matchedRule{rule.Action, fmt.Sprintf("Pod %s/%s has condition %v matching %v rule at index %d",
				pod.Namespace, pod.Name, condition.Type, rule.Action, i)}
		}
	}
	return nil
}

func isKnownAction(action batchv1.PodFailurePolicyAction) bool {
	switch action {
	case batchv1.PodFailurePolicyActionFailJob, batchv1.PodFailurePolicyActionFailIndex,
		batchv1.PodFailurePolicyActionIgnore, batchv1.PodFailurePolicyActionCount:
		return true
	default:
		return false
	}
}

// matchExitCodes returns the first failed container that meets the requirement; regular containers go before init containers.
func matchExitCodes(pod *corev1.Pod, requirement *batchv1.PodFailurePolicyOnExitCodesRequirement) *corev1.ContainerStatus {
	for _, statuses := range [][]corev1.ContainerStatus{pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses} {
		for i := range statuses {
			status := &statuses[i]
			if status.State.Terminated == nil || status.State.Terminated.ExitCode == 0 {
				continue
			}
			if requirement.ContainerName != nil && *requirement.ContainerName != status.Name {
				continue
			}
			if meetsOperator(requirement, status.State.Terminated.ExitCode) {
				return status
			}
		}
	}
	return nil
}

func meetsOperator(requirement *batchv1.PodFailurePolicyOnExitCodesRequirement, exitCode int32) bool {
	listed := slices.Contains(requirement.Values, exitCode)
	switch requirement.Operator {
	case batchv1.PodFailurePolicyOnExitCodesOpIn:
		return listed
	case batchv1.PodFailurePolicyOnExitCodesOpNotIn:
		return !listed
	default:
		return false
	}
}

func matchConditions(pod *corev1.Pod, patterns []batchv1.PodFailurePolicyOnPodConditionsPattern) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		condition := &pod.Status.Conditions[i]
		for _, pattern := range patterns {
			if condition.Type == pattern.Type && condition.Status == pattern.Status {
				return condition
			}
		}
	}
	return nil
}

// ruleFailJob ends the Job if a failed Pod matches a rule with the action FailJob, be the Pod on record already or not. Of
// several the first by name is named, so that the message does not depend on the order in which a cache lists them.
func ruleFailJob(s *state) *Verdict {
	if s.job.Spec.PodFailurePolicy == nil {
		return nil
	}
	var first *corev1.Pod
	var message string
	for _, pod := range s.in.Pods {
		if !isFailed(s.job, pod) || first != nil && first.Name <= pod.Name {
			continue
		}
		if rule := matchPodFailurePolicy(s.job.Spec.PodFailurePolicy, pod); rule != nil && rule.action == batchv1.PodFailurePolicyActionFailJob {
			first, message = pod, rule.why
		}
	}
	if first == nil {
		return nil
	}
	return failure(batch.ReasonPodFailurePolicy, message)
}

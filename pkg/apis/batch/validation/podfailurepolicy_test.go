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

package validation

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
)

const firstRule = "spec.podFailurePolicy.rules[0]"

// onExitCodes is a rule that ignores failures with the exit codes.
func onExitCodes(operator batch.PodFailurePolicyOnExitCodesOperator, values ...int32) batch.PodFailurePolicyRule {
	return batch.PodFailurePolicyRule{
		Action:      batch.PodFailurePolicyActionIgnore,
		OnExitCodes: &batch.PodFailurePolicyOnExitCodesRequirement{Operator: operator, Values: values},
	}
}

// onCondition is a rule that ignores failures of Pods with the condition.
func onCondition(conditionType corev1.PodConditionType, status corev1.ConditionStatus) batch.PodFailurePolicyRule {
	return batch.PodFailurePolicyRule{
		Action:          batch.PodFailurePolicyActionIgnore,
		OnPodConditions: []batch.PodFailurePolicyOnPodConditionsPattern{{Type: conditionType, Status: status}},
	}
}

func ofContainer(name string, rule batch.PodFailurePolicyRule) batch.PodFailurePolicyRule {
	rule.OnExitCodes.ContainerName = &name
	return rule
}

func withAction(action batch.PodFailurePolicyAction, rule batch.PodFailurePolicyRule) batch.PodFailurePolicyRule {
	rule.Action = action
	return rule
}

func TestPodFailurePolicyRules(t *testing.T) {
	t.Parallel()
	matching := onCondition("DisruptionTarget", corev1.ConditionTrue)
	policy := func(rules ...batch.PodFailurePolicyRule) []edit { return []edit{failurePolicy(rules...)} }
	runCreateCases(t, []createCase{
		{name: "J7 no rules", edits: policy()},
		{name: "J7 20 rules", edits: policy(slices.Repeat([]batch.PodFailurePolicyRule{matching}, 20)...)},
		{name: "J7 21 rules", edits: policy(slices.Repeat([]batch.PodFailurePolicyRule{matching}, 21)...),
			want: []string{"Too many spec.podFailurePolicy.rules: must have at most 20 items"}},
		{name: "J7 all actions", edits: []edit{indexed(2), perIndexBackoff(1), failurePolicy(
			withAction(batch.PodFailurePolicyActionFailJob, matching), withAction(batch.PodFailurePolicyActionFailIndex, matching),
			withAction(batch.PodFailurePolicyActionIgnore, matching), withAction(batch.PodFailurePolicyActionCount, matching))}},
		{name: "J7 no action", edits: policy(withAction("", matching)),
			want: []string{"Required value " + firstRule + `.action: valid values: ["Count" "FailIndex" "FailJob" "Ignore"]`}},
		{name: "J7 unknown action", edits: policy(withAction("Retry", matching)),
			want: []string{"Unsupported value " + firstRule + `.action: supported values: "Count", "FailIndex", "FailJob", "Ignore"`}},
		{name: "J7 FailIndex without backoffLimitPerIndex", edits: policy(withAction(batch.PodFailurePolicyActionFailIndex, matching)),
			want: []string{"Invalid value " + firstRule + ".action: requires the backoffLimitPerIndex to be set"}},
		{name: "J7 both requirements", edits: policy(batch.PodFailurePolicyRule{
			Action:          batch.PodFailurePolicyActionIgnore,
			OnExitCodes:     onExitCodes(batch.PodFailurePolicyOnExitCodesOpIn, 1).OnExitCodes,
			OnPodConditions: matching.OnPodConditions,
		}), want: []string{"Invalid value " + firstRule + ": specifying both OnExitCodes and OnPodConditions is not supported"}},
		{name: "J7 all wrong", edits: policy(batch.PodFailurePolicyRule{
			Action:          batch.PodFailurePolicyActionFailIndex,
			OnExitCodes:     onExitCodes("", 1).OnExitCodes,
			OnPodConditions: slices.Repeat(onCondition("DisruptionTarget", "").OnPodConditions, 2),
		}), want: []string{
			"Invalid value " + firstRule + ".action: requires the backoffLimitPerIndex to be set",
			"Required value " + firstRule + `.onExitCodes.operator: valid values: ["In" "NotIn"]`,
			"Required value " + firstRule + `.onPodConditions[0].status: valid values: ["False" "True" "Unknown"]`,
			"Required value " + firstRule + `.onPodConditions[1].status: valid values: ["False" "True" "Unknown"]`,
			"Invalid value " + firstRule + ": specifying both OnExitCodes and OnPodConditions is not supported",
		}},
		{name: "J7 no requirement", edits: policy(batch.PodFailurePolicyRule{Action: batch.PodFailurePolicyActionIgnore}),
			want: []string{"Invalid value " + firstRule + ": specifying one of OnExitCodes and OnPodConditions is required"}},
	})
}

func TestOnPodConditions(t *testing.T) {
	t.Parallel()
	policy := func(rule batch.PodFailurePolicyRule) []edit { return []edit{failurePolicy(rule)} }
	many := func(count int) batch.PodFailurePolicyRule {
		rule := onCondition("DisruptionTarget", corev1.ConditionTrue)
		rule.OnPodConditions = slices.Repeat(rule.OnPodConditions, count)
		return rule
	}
	const path = firstRule + ".onPodConditions"
	runCreateCases(t, []createCase{
		{name: "J7 status False", edits: policy(onCondition("example.com/Lost", corev1.ConditionFalse))},
		{name: "J7 status Unknown", edits: policy(onCondition("DisruptionTarget", corev1.ConditionUnknown))},
		{name: "J7 20 patterns", edits: policy(many(20))},
		{name: "J7 21 patterns", edits: policy(many(21)), want: []string{"Too many " + path + ": must have at most 20 items"}},
		{name: "J7 type is no qualified name", edits: policy(onCondition("a condition", corev1.ConditionTrue)),
			want: []string{"Invalid value " + path + "[0].type: name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end " +
				"with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"}},
		{name: "J7 no type", edits: policy(onCondition("", corev1.ConditionTrue)),
			want: []string{
				"Invalid value " + path + "[0].type: name part must be non-empty",
				"Invalid value " + path + "[0].type: name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end " +
					"with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
			}},
		{name: "J7 no status", edits: policy(onCondition("DisruptionTarget", "")),
			want: []string{"Required value " + path + `[0].status: valid values: ["False" "True" "Unknown"]`}},
		{name: "J7 unknown status", edits: policy(onCondition("DisruptionTarget", "Maybe")),
			want: []string{"Unsupported value " + path + `[0].status: supported values: "False", "True", "Unknown"`}},
	})
}

func TestOnExitCodes(t *testing.T) {
	t.Parallel()
	const in, notIn = batch.PodFailurePolicyOnExitCodesOpIn, batch.PodFailurePolicyOnExitCodesOpNotIn
	policy := func(rule batch.PodFailurePolicyRule) []edit { return []edit{failurePolicy(rule)} }
	numbers := func(count int) []int32 {
		values := make([]int32, count)
		for i := range values {
			values[i] = int32(i + 1)
		}
		return values
	}
	const path = firstRule + ".onExitCodes"
	runCreateCases(t, []createCase{
		{name: "J7 In", edits: policy(onExitCodes(in, 1, 42))},
		{name: "J7 NotIn 0", edits: policy(onExitCodes(notIn, 0, 1))},
		{name: "J7 negative", edits: policy(onExitCodes(in, -1, 1))},
		{name: "J7 255 values", edits: policy(onExitCodes(in, numbers(255)...))},
		{name: "J7 256 values", edits: policy(onExitCodes(in, numbers(256)...)),
			want: []string{"Too many " + path + ".values: must have at most 255 items"}},
		{name: "J7 no values", edits: policy(onExitCodes(in)), want: []string{"Invalid value " + path + ".values: at least one value is required"}},
		{name: "J7 In 0", edits: policy(onExitCodes(in, 0, 1)), want: []string{"Invalid value " + path + ".values[0]: must not be 0 for the In operator"}},
		{name: "J7 all wrong", edits: policy(ofContainer("other", onExitCodes(in, 1, 0, 0))), want: []string{
			"Invalid value " + path + ".containerName: must be one of the container or initContainer names in the pod template",
			"Invalid value " + path + ".values[1]: must not be 0 for the In operator",
			"Invalid value " + path + ".values[2]: must not be 0 for the In operator",
			"Duplicate value " + path + ".values[2]: ",
			"Invalid value " + path + ".values: must be ordered",
		}},
		{name: "J7 twice", edits: policy(onExitCodes(in, 1, 1, 2)), want: []string{"Duplicate value " + path + ".values[1]: "}},
		{name: "J7 unordered", edits: policy(onExitCodes(in, 2, 1)), want: []string{"Invalid value " + path + ".values: must be ordered"}},
		{name: "J7 no operator", edits: policy(onExitCodes("", 0)), want: []string{"Required value " + path + `.operator: valid values: ["In" "NotIn"]`}},
		{name: "J7 unknown operator", edits: policy(onExitCodes("Below", 1)),
			want: []string{"Unsupported value " + path + `.operator: supported values: "In", "NotIn"`}},
		{name: "J7 container", edits: policy(ofContainer("main", onExitCodes(in, 1)))},
		{name: "J7 init container", edits: []edit{failurePolicy(ofContainer("first", onExitCodes(in, 1))), withInitContainer("first")}},
		{name: "J7 unknown container", edits: policy(ofContainer("other", onExitCodes(in, 1))),
			want: []string{"Invalid value " + path + ".containerName: must be one of the container or initContainer names in the pod template"}},
	})
}

func withInitContainer(name string) edit {
	return func(job *batch.Job) {
		container := *job.Spec.Template.Spec.Containers[0].DeepCopy()
		container.Name = name
		job.Spec.Template.Spec.InitContainers = append(job.Spec.Template.Spec.InitContainers, container)
	}
}

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
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/jobserver-dev/jobserver/test/conformance/suite"
)

// Where the rules of the policies stand.
const (
	failureRules = "spec.podFailurePolicy.rules"
	exitCodes    = failureRules + "[0].onExitCodes"
	successRules = "spec.successPolicy.rules"
)

// failureRule gives a Job a podFailurePolicy of a rule about exit codes, with a change.
func failureRule(change func(rule *batchv1.PodFailurePolicyOnExitCodesRequirement)) edit {
	rule := onExitCodes(failJob, 1)
	change(rule.OnExitCodes)
	return podFailurePolicy(rule)
}

// conditionRule gives a Job a podFailurePolicy of a rule about a Pod condition.
func conditionRule(pattern batchv1.PodFailurePolicyOnPodConditionsPattern) edit {
	return podFailurePolicy(batchv1.PodFailurePolicyRule{
		Action: failJob, OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{pattern},
	})
}

// successRule gives a Job a successPolicy of one rule.
func successRule(indexes *string, count *int32) edit {
	return successPolicy(batchv1.SuccessPolicyRule{SucceededIndexes: indexes, SucceededCount: count})
}

// malformed is a test of a Job of five indexes whose successPolicy has a list of indexes with a problem.
func malformed(name, description, indexes, problem string) suite.Test {
	return invalid(name, description, "reference J8 and 1.6",
		[]string{fmt.Sprintf("%s[0].succeededIndexes: Invalid value: %q: error parsing succeededIndexes: %s", successRules, indexes, problem)},
		indexed(5), successRule(&indexes, nil))
}

// The rules of a podFailurePolicy.
func init() {
	subject("FailurePolicyValidation",
		valid("NoRules", "A podFailurePolicy may be without rules.", "reference J7", podFailurePolicy()),
		valid("TwentyRules", "A podFailurePolicy may have 20 rules.", "reference J7", podFailurePolicy(slices.Repeat([]batchv1.PodFailurePolicyRule{onExitCodes(failJob, 1)}, 20)...)),
		invalid("TooManyRules", "A podFailurePolicy has at most 20 rules.", "reference J7; KEP-3329",
			[]string{failureRules + ": Too many: 21: must have at most 20 items"}, podFailurePolicy(slices.Repeat([]batchv1.PodFailurePolicyRule{onExitCodes(failJob, 1)}, 21)...)),
		invalid("NoAction", "A rule has an action.", "reference J7; KEP-3329",
			[]string{failureRules + `[0].action: Required value: valid values: ["Count" "FailIndex" "FailJob" "Ignore"]`}, podFailurePolicy(onExitCodes("", 1))),
		invalid("UnknownAction", "The action of a rule is Count, FailIndex, FailJob or Ignore.", "reference J7; KEP-3329",
			[]string{failureRules + `[0].action: Unsupported value: "Retry": supported values: "Count", "FailIndex", "FailJob", "Ignore"`}, podFailurePolicy(onExitCodes("Retry", 1))),
		invalid("FailIndexWithoutLimit", "The action FailIndex requires backoffLimitPerIndex.", "reference J7; KEP-3850",
			[]string{failureRules + `[0].action: Invalid value: "FailIndex": requires the backoffLimitPerIndex to be set`},
			indexed(2), podFailurePolicy(onExitCodes(failIndex, 1))),
		invalid("BothRequirements", "A rule is about exit codes or conditions, not both.", "reference J7; KEP-3329",
			[]string{failureRules + "[0]: Invalid value: specifying both OnExitCodes and OnPodConditions is not supported"}, podFailurePolicy(batchv1.PodFailurePolicyRule{
				Action:          failJob,
				OnExitCodes:     onExitCodes(failJob, 1).OnExitCodes,
				OnPodConditions: onCondition(failJob, corev1.DisruptionTarget).OnPodConditions,
			})),
		invalid("NoRequirement", "A rule is about exit codes or conditions.", "reference J7; KEP-3329",
			[]string{failureRules + "[0]: Invalid value: specifying one of OnExitCodes and OnPodConditions is required"}, podFailurePolicy(batchv1.PodFailurePolicyRule{Action: failJob})),
		invalid("ConditionType", "The type of a Pod condition in a rule is a qualified name.", "reference J7; KEP-3329",
			[]string{failureRules + `[0].onPodConditions[0].type: Invalid value: "-": …`}, conditionRule(batchv1.PodFailurePolicyOnPodConditionsPattern{Type: "-", Status: "True"})),
		invalid("ConditionStatus", "The status of a Pod condition in a rule is True, False or Unknown.", "reference J7; KEP-3329",
			[]string{failureRules + `[0].onPodConditions[0].status: Unsupported value: "Maybe": supported values: "False", "True", "Unknown"`},
			conditionRule(batchv1.PodFailurePolicyOnPodConditionsPattern{Type: corev1.DisruptionTarget, Status: "Maybe"})),
		invalid("TooManyConditions", "A rule has at most 20 Pod conditions.", "reference J7; KEP-3329",
			[]string{failureRules + "[0].onPodConditions: Too many: 21: must have at most 20 items"},
			podFailurePolicy(batchv1.PodFailurePolicyRule{Action: failJob, OnPodConditions: slices.Repeat(onCondition(failJob, "A").OnPodConditions, 21)})),
	)
}

// The exit codes of a rule.
func init() {
	subject("FailurePolicyValidation",
		invalid("NoOperator", "Exit codes in a rule have an operator.", "reference J7; KEP-3329",
			[]string{exitCodes + `.operator: Required value: valid values: ["In" "NotIn"]`},
			failureRule(func(rule *batchv1.PodFailurePolicyOnExitCodesRequirement) { rule.Operator = "" })),
		invalid("UnknownOperator", "The operator of exit codes is In or NotIn.", "reference J7; KEP-3329",
			[]string{exitCodes + `.operator: Unsupported value: "Near": supported values: "In", "NotIn"`},
			failureRule(func(rule *batchv1.PodFailurePolicyOnExitCodesRequirement) { rule.Operator = "Near" })),
		invalid("UnknownContainer", "A rule names a container of the Pod template.", "reference J7; KEP-3329",
			[]string{exitCodes + `.containerName: Invalid value: "other": must be one of the container or initContainer names in the pod template`},
			failureRule(func(rule *batchv1.PodFailurePolicyOnExitCodesRequirement) { rule.ContainerName = ptr.To("other") })),
		invalid("NoExitCodes", "A rule about exit codes has at least one.", "reference J7; KEP-3329",
			[]string{exitCodes + ".values: Invalid value: …: at least one value is required"},
			failureRule(func(rule *batchv1.PodFailurePolicyOnExitCodesRequirement) { rule.Values = []int32{} })),
		invalid("TooManyExitCodes", "A rule has at most 255 exit codes.", "reference J7; KEP-3329",
			[]string{exitCodes + ".values: Too many: 256: must have at most 255 items"},
			failureRule(func(rule *batchv1.PodFailurePolicyOnExitCodesRequirement) {
				rule.Values = nil
				for code := range int32(256) {
					rule.Values = append(rule.Values, code+1)
				}
			})),
		invalid("ExitCodeZero", "The operator In does not accept exit code 0, which is no failure.", "reference J7; KEP-3329",
			[]string{exitCodes + ".values[0]: Invalid value: 0: must not be 0 for the In operator"},
			failureRule(func(rule *batchv1.PodFailurePolicyOnExitCodesRequirement) { rule.Values = []int32{0, 1} })),
		invalid("ExitCodeTwice", "No exit code stands twice in a rule.", "reference J7; KEP-3329",
			[]string{exitCodes + ".values[1]: Duplicate value: 4"},
			failureRule(func(rule *batchv1.PodFailurePolicyOnExitCodesRequirement) { rule.Values = []int32{4, 4} })),
		invalid("ExitCodesOutOfOrder", "The exit codes of a rule are in order.", "reference J7; KEP-3329",
			[]string{exitCodes + ".values: Invalid value: …: must be ordered"},
			failureRule(func(rule *batchv1.PodFailurePolicyOnExitCodesRequirement) { rule.Values = []int32{5, 4} })),
	)
}

// The rules of a successPolicy.
func init() {
	subject("SuccessPolicyValidation",
		invalid("NonIndexed", "A successPolicy requires an Indexed Job.", "reference J8; KEP-3998",
			[]string{"spec.successPolicy: Invalid value: …requires indexed completion mode"}, completions(2), successRule(nil, ptr.To[int32](1))),
		invalid("NoRules", "A successPolicy has rules.", "reference J8; KEP-3998",
			[]string{successRules + ": Required value: at least one rules must be specified when the successPolicy is specified"}, indexed(2), successPolicy()),
		invalid("TooManyRules", "A successPolicy has at most 20 rules.", "reference J8; KEP-3998",
			[]string{successRules + ": Too many: 21: must have at most 20 items"},
			indexed(2), successPolicy(slices.Repeat([]batchv1.SuccessPolicyRule{{SucceededCount: ptr.To[int32](1)}}, 21)...)),
		invalid("EmptyRule", "A rule of a successPolicy is about indexes or their number.", "reference J8; KEP-3998",
			[]string{successRules + "[0]: Required value: at least one of succeededCount or succeededIndexes must be specified"}, indexed(2), successRule(nil, nil)),
		invalid("NegativeCount", "SucceededCount is not negative.", "reference J8; KEP-3998",
			[]string{successRules + "[0].succeededCount: Invalid value: -1: must be greater than or equal to 0"}, indexed(2), successRule(nil, ptr.To[int32](-1))),
		invalid("CountOverCompletions", "SucceededCount is at most completions.", "reference J8; KEP-3998",
			[]string{successRules + "[0].succeededCount: Invalid value: 3: must be less than or equal to 2 (the number of specified completions)"}, indexed(2), successRule(nil, ptr.To[int32](3))),
		invalid("CountOverIndexes", "SucceededCount is at most the number of indexes beside it.", "reference J8; KEP-3998",
			[]string{successRules + "[0].succeededCount: Invalid value: 3: must be less than or equal to 2 (the number of indexes in the specified succeededIndexes field)"},
			indexed(5), successRule(ptr.To("0-1"), ptr.To[int32](3))),
		invalid("IndexesTooLong", "SucceededIndexes has at most 64 KiB.", "reference J8; KEP-3998",
			[]string{successRules + "[0].succeededIndexes: Too long: may not be more than 65536 bytes"},
			indexed(100_000), parallelism(1), successRule(ptr.To(everySecondIndex()), nil)),
		malformed("IndexNotANumber", "Indexes are numbers.", "a", `cannot convert string to integer for index: "a"`),
		malformed("IndexTooLarge", "Indexes are less than completions.", "5", `too large index: "5"`),
		malformed("IntervalTooLarge", "The end of an interval of indexes is less than completions.", "0-7", `too large index: "7"`),
		malformed("IntervalOfThree", "An interval of indexes has two ends.", "0-1-2",
			`the fragment "0-1-2" violates the requirement that an index interval can have at most two parts separated by '-'`),
		malformed("IntervalBackwards", "The ends of an interval of indexes are in order.", "3-2", "non-increasing order, previous: 3, current: 2"),
		malformed("IntervalOfOne", "An interval of indexes has two different ends.", "3-3", "non-increasing order, previous: 3, current: 3"),
		malformed("IndexesOutOfOrder", "Indexes are in order.", "3,1", "non-increasing order, previous: 3, current: 1"),
		malformed("IndexTwice", "No index stands twice.", "1,1", "non-increasing order, previous: 1, current: 1"),
		malformed("IntervalsOverlap", "Intervals of indexes don't overlap.", "0-2,2-3", "non-increasing order, previous: 2, current: 2"),
		valid("Indexes", "Indexes are numbers and intervals with commas between them.", "reference J8 and 1.6", indexed(10), successRule(ptr.To("0,2-4,6,8-9"), ptr.To[int32](7))),
		suite.Test{
			Name: "WithoutCompletions", Description: "A successPolicy does not make up for missing completions.", Source: "reference J5 and J8",
			UpstreamBug: "validation of successPolicy dereferences spec.completions without a look whether it is there " +
				"(pkg/apis/batch/validation/validation.go, validateSuccessPolicyRule): status 500",
			Run: func(t *suite.T) {
				_, err := t.TryCreate(newJob(successRule(nil, ptr.To[int32](1)), parallelism(1), spec(func(spec *batchv1.JobSpec) {
					spec.CompletionMode = ptr.To(batchv1.IndexedCompletion)
				})))
				t.Refused(err, "spec.completions: Required value: when completion mode is Indexed")
			},
		},
	)
}

// everySecondIndex is a list of indexes below 100,000 that is longer than 64 KiB.
func everySecondIndex() string {
	var list strings.Builder
	for index := 0; list.Len() <= 64<<10; index += 2 {
		if index > 0 {
			list.WriteByte(',')
		}
		fmt.Fprint(&list, index)
	}
	return list.String()
}

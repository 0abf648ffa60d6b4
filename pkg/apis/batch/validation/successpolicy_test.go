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
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
)

func succeededCount(count int32) batch.SuccessPolicyRule {
	return batch.SuccessPolicyRule{SucceededCount: &count}
}

func succeededIndexes(list string) batch.SuccessPolicyRule {
	return batch.SuccessPolicyRule{SucceededIndexes: &list}
}

func succeededCountOf(count int32, list string) batch.SuccessPolicyRule {
	return batch.SuccessPolicyRule{SucceededIndexes: &list, SucceededCount: &count}
}

func TestSuccessPolicy(t *testing.T) {
	t.Parallel()
	policy := func(rules ...batch.SuccessPolicyRule) []edit { return []edit{indexed(5), successPolicy(rules...)} }
	noCompletions := func(job *batch.Job) { job.Spec.Completions = nil }
	const (
		rule          = "spec.successPolicy.rules[0]"
		noCompletionE = "Required value spec.completions: when completion mode is Indexed"
	)
	runCreateCases(t, []createCase{
		{name: "J8 indexes", edits: policy(succeededIndexes("0,2-4"))},
		{name: "J8 count", edits: policy(succeededCount(5))},
		{name: "J8 count 0", edits: policy(succeededCount(0))},
		{name: "J8 count of indexes", edits: policy(succeededCountOf(3, "1,3-4"))},
		{name: "J8 20 rules", edits: policy(slices.Repeat([]batch.SuccessPolicyRule{succeededCount(1)}, 20)...)},
		{name: "J8 NonIndexed", edits: []edit{successPolicy(succeededCount(1))},
			want: []string{"Invalid value spec.successPolicy: requires indexed completion mode"}},
		{name: "J8 no mode", edits: []edit{successPolicy(succeededCount(1)), func(job *batch.Job) { job.Spec.CompletionMode = nil }},
			want: []string{"Invalid value spec.successPolicy: requires indexed completion mode"}},
		{name: "J8 no rules", edits: policy(),
			want: []string{"Required value spec.successPolicy.rules: at least one rules must be specified when the successPolicy is specified"}},
		{name: "J8 21 rules", edits: policy(slices.Repeat([]batch.SuccessPolicyRule{succeededCount(1)}, 21)...),
			want: []string{"Too many spec.successPolicy.rules: must have at most 20 items"}},
		{name: "J8 empty rule", edits: policy(batch.SuccessPolicyRule{}),
			want: []string{"Required value " + rule + ": at least one of succeededCount or succeededIndexes must be specified"}},
		{name: "J8 negative count", edits: policy(succeededCount(-1)), want: []string{"Invalid value " + rule + ".succeededCount: " + notNegative}},
		{name: "J8 count above completions", edits: policy(succeededCount(6)),
			want: []string{"Invalid value " + rule + ".succeededCount: must be less than or equal to 5 (the number of specified completions)"}},
		{name: "J8 count above indexes", edits: policy(succeededCountOf(4, "1,3-4")),
			want: []string{"Invalid value " + rule + ".succeededCount: must be less than or equal to 3 (the number of indexes in the specified succeededIndexes field)"}},
		{name: "J8 index not below completions", edits: policy(succeededIndexes("3-5")),
			want: []string{"Invalid value " + rule + `.succeededIndexes: error parsing succeededIndexes: too large index: "5"`}},
		{name: "J8 count above all", edits: []edit{indexed(5), successPolicy(succeededCountOf(6, strings.Repeat("0", 65536)))}, want: []string{
			"Invalid value " + rule + ".succeededCount: must be less than or equal to 5 (the number of specified completions)",
			"Invalid value " + rule + ".succeededCount: must be less than or equal to 1 (the number of indexes in the specified succeededIndexes field)",
		}},
		{name: "J8 longest indexes", edits: policy(succeededIndexes(strings.Repeat("0", 65536)))},
		{name: "J8 indexes too long", edits: policy(succeededIndexes(strings.Repeat("0", 65537))),
			want: []string{"Too long " + rule + ".succeededIndexes: may not be more than 65536 bytes"}},
		{name: "J8 indexes too long and malformed", edits: policy(succeededIndexes(strings.Repeat("0", 65536) + "-")), want: []string{
			"Too long " + rule + ".succeededIndexes: may not be more than 65536 bytes",
			"Invalid value " + rule + `.succeededIndexes: error parsing succeededIndexes: cannot convert string to integer for index: ""`,
		}},
		{name: "J8 21 rules, each wrong", edits: policy(slices.Repeat([]batch.SuccessPolicyRule{{}}, 21)...), want: func() []string {
			want := []string{"Too many spec.successPolicy.rules: must have at most 20 items"}
			for i := range 21 {
				want = append(want, fmt.Sprintf("Required value spec.successPolicy.rules[%d]: at least one of succeededCount or succeededIndexes must be specified", i))
			}
			return want
		}()},

		// Upstream answers these with an internal error.
		{name: "J8 no completions, count", edits: append(policy(succeededCount(7)), noCompletions), want: []string{noCompletionE}},
		{name: "J8 no completions, indexes", edits: append(policy(succeededIndexes("0-9")), noCompletions), want: []string{noCompletionE}},
		{name: "J8 no completions, all else is still checked", edits: append(policy(succeededCountOf(3, "1,0")), noCompletions), want: []string{
			noCompletionE,
			"Invalid value " + rule + ".succeededIndexes: error parsing succeededIndexes: non-increasing order, previous: 1, current: 0",
			"Invalid value " + rule + ".succeededCount: must be less than or equal to 0 (the number of indexes in the specified succeededIndexes field)",
		}},
	})
}

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

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

func TestRuleSuccessPolicy(t *testing.T) {
	t.Parallel()
	rule := func(indexes string, count int32) batchv1.SuccessPolicyRule {
		var r batchv1.SuccessPolicyRule
		if indexes != "" {
			r.SucceededIndexes = &indexes
		}
		if count > 0 {
			r.SucceededCount = &count
		}
		return r
	}
	for name, tc := range map[string]struct {
		rules     []batchv1.SuccessPolicyRule
		completed string
		want      string
	}{
		"no policy":                      {completed: "0-9"},
		"nothing succeeded":              {rules: []batchv1.SuccessPolicyRule{rule("", 1)}},
		"count reached":                  {rules: []batchv1.SuccessPolicyRule{rule("", 3)}, completed: "1,5,9", want: "Matched rules at index 0"},
		"count not reached":              {rules: []batchv1.SuccessPolicyRule{rule("", 4)}, completed: "1,5,9"},
		"all named indexes":              {rules: []batchv1.SuccessPolicyRule{rule("0,2-4", 0)}, completed: "0-6", want: "Matched rules at index 0"},
		"one named index is missing":     {rules: []batchv1.SuccessPolicyRule{rule("0,2-4", 0)}, completed: "0-3,5-9"},
		"enough of the named indexes":    {rules: []batchv1.SuccessPolicyRule{rule("0,2-4", 2)}, completed: "3-9", want: "Matched rules at index 0"},
		"too few of the named indexes":   {rules: []batchv1.SuccessPolicyRule{rule("0,2-4", 3)}, completed: "3-9"},
		"second rule":                    {rules: []batchv1.SuccessPolicyRule{rule("0", 0), rule("", 1)}, completed: "3", want: "Matched rules at index 1"},
		"unreadable indexes are no rule": {rules: []batchv1.SuccessPolicyRule{rule("x", 1)}, completed: "0-9"},
		"indexes beyond the completions": {rules: []batchv1.SuccessPolicyRule{rule("20-30", 1)}, completed: "0-9"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := makeJob().indexed(10).status(func(s *batchv1.JobStatus) { s.CompletedIndexes = tc.completed })
			if tc.rules != nil {
				b.successRules(tc.rules...)
			}
			checkVerdict(t, ruleSuccessPolicy(observeAt(10, b.obj())), batchv1.JobSuccessCriteriaMet, batch.ReasonSuccessPolicy, tc.want)
		})
	}
}

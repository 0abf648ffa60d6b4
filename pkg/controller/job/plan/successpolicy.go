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

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

// ruleSuccessPolicy ends the Job with success as soon as a rule of its successPolicy is met (rule B69).
func ruleSuccessPolicy(s *state) *Verdict {
	policy := s.job.Spec.SuccessPolicy
	if policy == nil || len(s.succeededIndexes) == 0 {
		return nil
	}
	for i := range policy.Rules {
		if meetsSuccessRule(s, &policy.Rules[i]) {
			return success(batch.ReasonSuccessPolicy, fmt.Sprintf("Matched rules at index %d", i))
		}
	}
	return nil
}

// meetsSuccessRule says whether enough indexes have succeeded for the rule: succeededCount of those that it names, or all
// of them; without names, succeededCount of any. A rule whose indexes can't be read is met by nothing.
func meetsSuccessRule(s *state, rule *batchv1.SuccessPolicyRule) bool {
	if rule.SucceededIndexes == nil {
		return rule.SucceededCount != nil && s.succeededIndexes.size() >= int(*rule.SucceededCount)
	}
	wanted := parseIndexes(*rule.SucceededIndexes, s.completions)
	if len(wanted) == 0 {
		return false
	}
	got := s.succeededIndexes.overlap(wanted)
	return got == wanted.size() || rule.SucceededCount != nil && got >= int(*rule.SucceededCount)
}

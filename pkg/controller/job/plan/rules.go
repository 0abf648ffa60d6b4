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
	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

// rules are the reasons for which a Job can end, in the order in which they are asked: the first that gives a verdict decides
// (rule B24).
var rules = []func(*state) *Verdict{
	ruleRecorded,         // what was decided stays decided
	ruleFailJob,          // podFailurePolicy
	ruleBackoffLimit,     // backoffLimit
	ruleActiveDeadline,   // activeDeadlineSeconds
	ruleMaxFailedIndexes, // maxFailedIndexes
	ruleFailedIndexes,    // backoffLimitPerIndex
	ruleSuccessPolicy,    // successPolicy
	ruleCompletions,      // completions, workQueuePolicy
}

// decide returns the reason for which the Job ends, nil if it goes on.
func decide(s *state) *Verdict {
	for _, rule := range rules {
		if verdict := rule(s); verdict != nil {
			return verdict
		}
	}
	return nil
}

func failure(reason, message string) *Verdict {
	return &Verdict{Type: batchv1.JobFailureTarget, Reason: reason, Message: message}
}

func success(reason, message string) *Verdict {
	return &Verdict{Type: batchv1.JobSuccessCriteriaMet, Reason: reason, Message: message}
}

// ruleRecorded repeats the verdict of an earlier sync.
func ruleRecorded(s *state) *Verdict {
	decided := interimCondition(&s.job.Status)
	if decided == nil {
		return nil
	}
	return &Verdict{Type: decided.Type, Reason: decided.Reason, Message: decided.Message}
}

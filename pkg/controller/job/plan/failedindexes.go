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
	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

// hasLimitPerIndex says whether each index has failures of its own to bear (KEP-3850).
func hasLimitPerIndex(job *batchv1.Job) bool {
	return job.Spec.BackoffLimitPerIndex != nil
}

// ruleMaxFailedIndexes fails the Job once more indexes were given up than maxFailedIndexes bears.
func ruleMaxFailedIndexes(s *state) *Verdict {
	limit := s.job.Spec.MaxFailedIndexes
	if limit == nil || !hasLimitPerIndex(s.job) || s.failedIndexes.size() <= int(*limit) {
		return nil
	}
	return failure(batch.ReasonMaxFailedIndexesExceeded, "Job has exceeded the specified maximal number of failed indexes")
}

// ruleFailedIndexes fails the Job once all indexes have ended and some of them were given up.
func ruleFailedIndexes(s *state) *Verdict {
	if !hasLimitPerIndex(s.job) || len(s.failedIndexes) == 0 || s.failedIndexes.size()+s.succeededIndexes.size() < s.completions {
		return nil
	}
	return failure(batch.ReasonFailedIndexes, "Job has failed indexes")
}

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

// runsUntilDeleted says whether the Job is a pool of workers that never completes, as the guide has it. Unset is
// Kubernetes' way: a work queue is done once one Pod succeeded and all have ended.
func runsUntilDeleted(job *batchv1.Job) bool {
	return job.Spec.Completions == nil && job.Spec.WorkQueuePolicy != nil && *job.Spec.WorkQueuePolicy == batchv1.WorkQueueRunUntilDeleted
}

// ruleCompletions completes the Job once as many Pods as it asks for have succeeded, or the work queue is done. It waits
// until no Pod is active, and until that is sure: a Pod that the cache does not show yet may be.
func ruleCompletions(s *state) *Verdict {
	if len(s.active) > 0 || !s.in.Observed || !hasReachedCompletions(s) {
		return nil
	}
	return success(batch.ReasonCompletionsReached, "Reached expected number of succeeded pods")
}

// hasReachedCompletions says whether the Job asks for no more successes than there are.
func hasReachedCompletions(s *state) bool {
	switch completions := s.job.Spec.Completions; {
	case runsUntilDeleted(s.job):
		return false
	case completions == nil:
		return s.succeeded() > 0
	default:
		return s.succeeded() >= *completions
	}
}

// succeeded is how much of the work is done: Pods that succeeded, or indexes.
func (s *state) succeeded() int32 {
	if s.indexed {
		return int32(s.succeededIndexes.size())
	}
	return s.tally.succeeded
}

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
	"math"

	corev1 "k8s.io/api/core/v1"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

// observeIndexes works out which indexes of the Job have ended and how. An index ends once: one that succeeded can't fail
// any more, nor the other way round, even where two Pods of it should have run.
func (s *state) observeIndexes() {
	status := &s.job.Status
	s.recordedSucceeded = parseIndexes(status.CompletedIndexes, s.completions)
	if hasLimitPerIndex(s.job) && status.FailedIndexes != nil {
		s.recordedFailed = parseIndexes(*status.FailedIndexes, s.completions)
	}
	s.succeededIndexes = s.recordedSucceeded.union(s.indexesOf(s.ended, func(p *podState) bool {
		// A Pod that was counted as failed while it was being deleted stays failed, however it ended.
		return p.result.kind == resultSucceeded && p.listed != listedFailed && !s.recordedFailed.has(p.index)
	}))
	s.failedIndexes = s.recordedFailed
	if hasLimitPerIndex(s.job) {
		s.failedIndexes = s.failedIndexes.union(s.indexesOf(s.ended, func(p *podState) bool {
			return s.exhaustsIndex(p) && !s.succeededIndexes.has(p.index)
		}))
	}
	s.activeIndexes = s.indexesOf(s.active, func(*podState) bool { return true })
	if hasLimitPerIndex(s.job) {
		s.findAwaitingReplacement()
	}
}

// indexesOf returns the indexes of those of the Pods that fit.
func (s *state) indexesOf(pods []*podState, fits func(*podState) bool) indexSet {
	if len(pods) == 0 {
		return nil
	}
	found := newIndexBits(s.completions)
	for _, p := range pods {
		if p.index != noIndex && fits(p) {
			found.add(p.index)
		}
	}
	return found.set()
}

// exhaustsIndex says whether the Pod's failure is one too many for its index (rule B62).
func (s *state) exhaustsIndex(p *podState) bool {
	if p.result.kind != resultFailed {
		return false
	}
	if p.result.rule != nil && p.result.rule.action == batchv1.PodFailurePolicyActionFailIndex {
		return true
	}
	return p.failures >= *s.job.Spec.BackoffLimitPerIndex
}

// findAwaitingReplacement picks, of each index that must be tried again, the last failed Pod: the one with the most
// failures before it, and of these the one that ended last (rule B63).
func (s *state) findAwaitingReplacement() {
	for _, p := range s.ended {
		if p.result.kind == resultSucceeded || p.index == noIndex || s.activeIndexes.has(p.index) || s.hasIndexEnded(p.index) {
			continue
		}
		if s.awaitingReplacement == nil {
			s.awaitingReplacement = make([]*podState, s.completions)
		}
		if last := s.awaitingReplacement[p.index]; last == nil || endedAfter(p, last) {
			s.awaitingReplacement[p.index] = p
		}
	}
}

// replacedAt returns the failed Pod that waits for its replacement at the index; nil if none does.
func (s *state) replacedAt(index int) *podState {
	if s.awaitingReplacement == nil || index == noIndex {
		return nil
	}
	return s.awaitingReplacement[index]
}

// hasIndexEnded says whether the index has succeeded or was given up.
func (s *state) hasIndexEnded(index int) bool {
	return s.succeededIndexes.has(index) || s.failedIndexes.has(index)
}

// endedAfter says whether p is a later try of its index than other. Names decide where nothing else does, so that the order
// of the Pods does not matter.
func endedAfter(p, other *podState) bool {
	if failures, others := priorFailures(p.Pod), priorFailures(other.Pod); failures != others {
		return failures > others
	}
	if ended, others := finishTime(p.Pod), finishTime(other.Pod); !ended.Equal(others) {
		return ended.After(others)
	}
	return p.Name > other.Name
}

// priorFailures is how many failures the Pod's index had before this Pod, ignored ones included.
func priorFailures(pod *corev1.Pod) int64 {
	return int64(countAnnotation(pod, batch.JobIndexFailureCountAnnotation)) + int64(countAnnotation(pod, batch.JobIndexIgnoredFailureCountAnnotation))
}

// failuresFor returns how many counted and ignored failures the index has had, for the annotations of its next Pod (rule
// B64). A disruption adds to neither.
func (s *state) failuresFor(index int) (counted, ignored int32) {
	last := s.replacedAt(index)
	if last == nil {
		return 0, 0
	}
	counted = last.failures
	ignored = countAnnotation(last.Pod, batch.JobIndexIgnoredFailureCountAnnotation)
	switch last.result.kind {
	case resultFailed:
		counted += min(1, math.MaxInt32-counted)
	case resultIgnored:
		ignored += min(1, math.MaxInt32-ignored)
	}
	return counted, ignored
}

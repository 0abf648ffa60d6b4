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
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// wantActive is how many Pods are to be active (rule B46): as many as parallelism allows and completions still ask for. A
// work queue that has seen a success starts no more and keeps what it has.
func wantActive(s *state) int {
	parallelism := int(ptr.Deref(s.job.Spec.Parallelism, kubernetesParallelism))
	switch {
	case s.job.Spec.Completions != nil:
		return max(0, min(parallelism, int(*s.job.Spec.Completions-s.succeeded())))
	case runsUntilDeleted(s.job) || s.succeeded() == 0:
		return parallelism
	default:
		return len(s.active)
	}
}

// createPods returns the Pods to create now, and when to look again for those that have to wait; zero if none has to (rules
// B49, B50).
func createPods(s *state, record BackoffRecord) ([]*corev1.Pod, time.Time) {
	missing := wantActive(s) - len(s.active)
	if replacesOnlyEnded(s.job) {
		missing -= len(s.terminating)
	}
	if missing <= 0 || isSuspended(s.job) {
		return nil, time.Time{}
	}
	if delay := creationDelay(s, record); delay > 0 {
		return nil, s.in.Now.Add(delay)
	}
	missing = min(missing, s.in.Limits.MaxPodCreateDeletePerSync)
	if !s.indexed {
		pods := make([]*corev1.Pod, missing)
		for i := range pods {
			pods[i] = podFor(s.job, s.in.Identity)
		}
		return pods, time.Time{}
	}
	indexes, next := s.dueIndexes(missing)
	pods := make([]*corev1.Pod, len(indexes))
	for i, index := range indexes {
		pods[i] = podForIndex(s, index)
	}
	return pods, next
}

// dueIndexes returns which of the lowest count indexes that need a Pod may get it now, and when the first of the others
// may; zero if all may.
func (s *state) dueIndexes(count int) ([]int, time.Time) {
	taken := s.succeededIndexes.union(s.failedIndexes).union(s.activeIndexes)
	if replacesOnlyEnded(s.job) {
		taken = taken.union(s.indexesOf(s.terminating, func(*podState) bool { return true }))
	}
	var due []int
	var next time.Time
	for _, index := range taken.firstMissing(count, s.completions) {
		delay := s.indexDelay(index)
		if delay == 0 {
			due = append(due, index)
			continue
		}
		next = earlierOf(next, s.in.Now.Add(delay))
	}
	return due, next
}

// earlierOf returns the earlier of two times, of which zero stands for never.
func earlierOf(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

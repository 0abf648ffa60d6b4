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

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
)

// nextBackoff returns the record with the Pods in it that have ended since (rule B55): failures add up, a success forgets
// those that ended no later than it did.
func nextBackoff(s *state) BackoffRecord {
	record := s.in.Backoff
	fresh, seen := s.unseen()
	record.Seen = seen
	var succeeded, failed []*podState
	disruptions := 0
	for _, p := range fresh {
		switch p.result.kind {
		case resultSucceeded:
			succeeded = append(succeeded, p)
		case resultFailed, resultIgnored:
			failed = append(failed, p)
		case resultDisrupted:
			disruptions++
		}
	}
	record.DisruptionsSettled = s.chargeDisruptions(record.DisruptionsSettled, disruptions)
	if hasLimitPerIndex(s.job) {
		return record // each index waits on its own, by what its last Pod says
	}
	if len(succeeded) > 0 {
		record.Failures, record.LastFailure = 0, time.Time{}
	}
	if len(failed) > 0 { // or nothing depends on when the others succeeded
		var lastSuccess time.Time
		for _, p := range succeeded {
			lastSuccess = laterOf(lastSuccess, finishTime(p.Pod))
		}
		for _, p := range failed {
			if ended := finishTime(p.Pod); len(succeeded) == 0 || ended.After(lastSuccess) {
				record.Failures++
				record.LastFailure = laterOf(record.LastFailure, ended)
			}
		}
	}
	return record
}

// unseen returns the ended Pods that are neither on record nor part of the back-off record of the last sync, and the UIDs of
// all that the next one must know. Where none of them can change the record it returns no Pods: to look each up among 100,000 takes
// half as long as all the rest.
func (s *state) unseen() (fresh []*podState, seen []types.UID) {
	matters := false
	for _, p := range s.ended {
		if !s.isNew(p) {
			continue
		}
		if seen == nil {
			seen = make([]types.UID, 0, len(s.ended))
		}
		seen = append(seen, p.UID)
		matters = matters || s.changesBackoff(p.result.kind)
	}
	if !matters {
		return nil, seen
	}
	known := sets.New(s.in.Backoff.Seen...)
	for _, p := range s.ended {
		if s.isNew(p) && !known.Has(p.UID) {
			fresh = append(fresh, p)
		}
	}
	return fresh, seen
}

// changesBackoff tells whether Pods of that result, and no others, can change the back-off record.
func (s *state) changesBackoff(kind resultKind) bool {
	switch kind {
	case resultDisrupted:
		return true
	case resultFailed, resultIgnored:
		return !hasLimitPerIndex(s.job)
	case resultSucceeded:
		return s.in.Backoff.Failures > 0 && !hasLimitPerIndex(s.job)
	default:
		return false
	}
}

// failureDelay is how long a replacement has to wait after so many failures in a row, the last at the given time:
// FailureBackoff doubled with each further failure up to FailureBackoffMax, less the time that has passed (rule B56).
func (l Limits) failureDelay(failures int64, last, now time.Time) time.Duration {
	if failures <= 0 {
		return 0
	}
	delay := l.FailureBackoff
	for ; failures > 1 && delay < l.FailureBackoffMax; failures-- {
		delay *= 2
	}
	delay = min(delay, l.FailureBackoffMax)
	return max(0, delay-now.Sub(last))
}

// creationDelay is how long the Job has to wait before any Pod may be created. With a limit per index each index waits on
// its own.
func creationDelay(s *state, record BackoffRecord) time.Duration {
	delay := s.disruptionDelay(record.DisruptionsSettled)
	if !hasLimitPerIndex(s.job) {
		delay = max(delay, s.in.Limits.failureDelay(int64(record.Failures), record.LastFailure, s.in.Now))
	}
	return delay
}

// indexDelay is how long the index has to wait for its next Pod (rule B59). After a disruption it does not: the delay for
// the failures before it has passed already.
func (s *state) indexDelay(index int) time.Duration {
	last := s.replacedAt(index)
	if last == nil || last.result.kind == resultDisrupted {
		return 0
	}
	return s.in.Limits.failureDelay(priorFailures(last.Pod)+1, finishTime(last.Pod), s.in.Now)
}

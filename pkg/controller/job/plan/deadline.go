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
	"time"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
)

// maxDeadlineSeconds is the longest deadline that time can express, 292 years. Longer ones, which the API takes, are never
// reached.
const maxDeadlineSeconds = int64(math.MaxInt64 / time.Second)

// ruleActiveDeadline fails the Job that has been active for activeDeadlineSeconds.
func ruleActiveDeadline(s *state) *Verdict {
	deadline := activeDeadline(s)
	if deadline.IsZero() || s.in.Now.Before(deadline) {
		return nil
	}
	return failure(batch.ReasonDeadlineExceeded, "Job was active longer than specified deadline")
}

// activeDeadline says when the Job will have been active for too long: zero if it has no deadline, has not started or its
// clock stands still. The clock of a Job that is just being resumed starts with this sync, whatever an older status says.
func activeDeadline(s *state) time.Time {
	seconds := s.job.Spec.ActiveDeadlineSeconds
	if seconds == nil || *seconds > maxDeadlineSeconds || isStopped(s.job) {
		return time.Time{}
	}
	start := s.job.Status.StartTime
	switch {
	case start == nil && isSuspended(s.job):
		return time.Time{}
	case start == nil, isResuming(s.job) && !keepsPods(s.job):
		start = &s.now
	}
	return start.Add(time.Duration(*seconds) * time.Second)
}

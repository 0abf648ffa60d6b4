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

package ttlafterfinished

import (
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

// errNoFinishTime says that a Job's terminal condition carries no lastTransitionTime, so that its TTL can't be reckoned.
var errNoFinishTime = errors.New("the terminal condition of the Job has no lastTransitionTime")

// action is what there is to do with a Job.
type action int

const (
	// leaveAlone: the Job has no TTL, has not finished, or is being deleted already.
	leaveAlone action = iota
	// awaitExpiry: the Job's TTL has not passed yet.
	awaitExpiry
	// deleteNow: the Job's TTL has passed.
	deleteNow
)

// verdict is what decide found.
type verdict struct {
	action action
	// expiresAt is when the TTL passes or passed; zero with leaveAlone.
	expiresAt time.Time
	// remaining is how long after the given time that is; positive with awaitExpiry and zero otherwise.
	remaining time.Duration
	// future is true if the Job finished after the given time: the clock was set back, or another machine's differs.
	future bool
}

// decide says what there is to do with the Job at the given time. It errs if the Job finished at no known time (B71).
func decide(job *batchv1.Job, now time.Time) (verdict, error) {
	if job.DeletionTimestamp != nil || job.Spec.TTLSecondsAfterFinished == nil {
		return verdict{action: leaveAlone}, nil
	}
	finished, found := finishTime(job)
	if !found {
		return verdict{action: leaveAlone}, nil
	}
	if finished.IsZero() {
		return verdict{}, errNoFinishTime
	}
	ttl := time.Duration(*job.Spec.TTLSecondsAfterFinished) * time.Second
	v := verdict{
		action:    deleteNow,
		expiresAt: finished.Add(ttl),
		future:    finished.After(now),
	}
	if v.remaining = max(0, v.expiresAt.Sub(now)); v.remaining > 0 {
		v.action = awaitExpiry
	}
	return v, nil
}

// finishTime returns when the Job's Complete or Failed condition became true, and whether one of them is.
func finishTime(job *batchv1.Job) (metav1.Time, bool) {
	for _, c := range job.Status.Conditions {
		terminal := c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed
		if terminal && c.Status == corev1.ConditionTrue {
			return c.LastTransitionTime, true
		}
	}
	return metav1.Time{}, false
}

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

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

// disruptionBurst is how many times each of a Job's places may be disrupted in quick succession with its Pod replaced at
// once.
const disruptionBurst = 5

// ignoresDisruptions says whether the Job does not count Pods that were lost through no fault of their own, as the guide
// has it. Unset is Kubernetes' way: they count.
func ignoresDisruptions(job *batchv1.Job) bool {
	return job.Spec.DisruptionPolicy != nil && *job.Spec.DisruptionPolicy == batchv1.DisruptionIgnore
}

// isDisrupted says whether a Pod that did not succeed went away by disruption: it was evicted, preempted or lost, which its
// DisruptionTarget condition tells, or it was deleted before it came to an end by itself.
//
// The API keeps times in seconds. A Pod that ended in the very second of its deletion is taken for disrupted: ending at
// once is what a container does that is told to stop.
func isDisrupted(pod *corev1.Pod) bool {
	if target := podCondition(pod, corev1.DisruptionTarget); target != nil && target.Status == corev1.ConditionTrue {
		return true
	}
	if pod.DeletionTimestamp == nil {
		return false
	}
	ended := containersFinishTime(pod)
	return !hasEnded(pod) || ended.IsZero() || !ended.Before(deletionRequested(pod))
}

// Replacing disrupted Pods without any delay would make a hot loop of a Job whose Pods are evicted as soon as they start.
// So disruptions are paid for: each costs the Job FailureBackoff, shared among its places, of which it may owe
// disruptionBurst times as much and is forgiven as time passes. In effect each place may lose 5 Pods at once, and then one
// each 10 seconds.

// disruptionCost is what one disruption adds to the time at which all are settled.
func (s *state) disruptionCost() time.Duration {
	places := max(1, ptr.Deref(s.job.Spec.Parallelism, kubernetesParallelism))
	return s.in.Limits.FailureBackoff / time.Duration(places)
}

// chargeDisruptions returns when count more disruptions will be settled. What is owed stays bounded, so that a mass
// eviction delays the Job by no more than FailureBackoffMax.
func (s *state) chargeDisruptions(settled time.Time, count int) time.Time {
	if count == 0 {
		return settled
	}
	settled = laterOf(settled, s.in.Now).Add(time.Duration(count) * s.disruptionCost())
	if latest := s.in.Now.Add(s.disruptionAllowance() + s.in.Limits.FailureBackoffMax); settled.After(latest) {
		return latest
	}
	return settled
}

// disruptionAllowance is how much may be owed without any delay.
func (s *state) disruptionAllowance() time.Duration {
	return disruptionBurst * s.in.Limits.FailureBackoff
}

// disruptionDelay is how long to wait before Pods may be created; 0 if they may at once.
func (s *state) disruptionDelay(settled time.Time) time.Duration {
	return max(0, settled.Add(-s.disruptionAllowance()).Sub(s.in.Now))
}

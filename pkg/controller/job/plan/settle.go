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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/ptr"

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

// Settle returns the status after the plan was carried out with outcome o. The caller writes it if it differs from the status
// that was written last (Plan.Record, or else the Input's). If the plan could not be recorded, it is the Input's own.
func Settle(in Input, p Plan, o Outcome) batchv1.JobStatus {
	if !p.settles || p.Record != nil && !o.Recorded {
		return *in.Job.Status.DeepCopy()
	}
	status := *p.base.DeepCopy()
	countReleased(in.Job, &status, o.Released)
	counts := p.counts.after(p, o)
	if in.Observed {
		counts.write(&status)
	}
	if p.canFinish && counts == (podCounts{}) && p.allReleased(o) {
		finish(in, &status, *p.Verdict)
	}
	return status
}

// countReleased moves Pods that have lost their finalizer from the uncounted lists to the counters. What an Indexed Job's
// succeeded counts is indexes, not Pods.
func countReleased(job *batchv1.Job, status *batchv1.JobStatus, released sets.Set[types.UID]) {
	uncounted := status.UncountedTerminatedPods
	succeeded, failed := without(uncounted.Succeeded, released), without(uncounted.Failed, released)
	if !isIndexed(job) {
		status.Succeeded += int32(len(uncounted.Succeeded) - len(succeeded))
	}
	status.Failed += int32(len(uncounted.Failed) - len(failed))
	uncounted.Succeeded, uncounted.Failed = succeeded, failed
}

func without(uids []types.UID, set sets.Set[types.UID]) []types.UID {
	var kept []types.UID
	for _, uid := range uids {
		if !set.Has(uid) {
			kept = append(kept, uid)
		}
	}
	return kept
}

// after returns the numbers of Pods after the plan was carried out: a deleted Pod terminates until the cache shows that it
// is gone.
func (c podCounts) after(p Plan, o Outcome) podCounts {
	for _, deletion := range p.Delete {
		if !o.Deleted.Has(deletion.Pod.UID) {
			continue
		}
		c.active--
		c.terminating++
		if isReady(deletion.Pod) {
			c.ready--
		}
	}
	c.active += int32(o.Created)
	return c
}

// allReleased says whether all finalizers are off that the plan takes off.
func (p *Plan) allReleased(o Outcome) bool {
	for _, pod := range p.Release {
		if !o.Released.Has(pod.UID) {
			return false
		}
	}
	return true
}

// finish adds the terminal condition, with the reason and message of the verdict (rules B39 and B41). A finished Job must
// have a start time, which one that was never resumed lacks, and must not complete before it: where the clock was set back, or is behind
// that of the replica that started the Job, the API would refuse the end until the clock has caught up.
func finish(in Input, status *batchv1.JobStatus, verdict Verdict) {
	now := metav1.NewTime(in.Now.Truncate(time.Second))
	if status.StartTime == nil && !(isSuspended(in.Job) && ptr.Deref(in.Job.Spec.Completions, 1) == 0) {
		status.StartTime = now.DeepCopy()
	}
	setCondition(&status.Conditions, verdict.Final(), corev1.ConditionTrue, verdict.Reason, verdict.Message, now)
	if verdict.Final() == batchv1.JobComplete {
		status.CompletionTime = now.DeepCopy()
		if now.Before(status.StartTime) {
			status.CompletionTime = status.StartTime.DeepCopy()
		}
	}
}

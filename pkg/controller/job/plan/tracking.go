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
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

// accounting is the part of a Plan by which ended Pods get from their finalizer into the status (rule B36).
type accounting struct {
	s       *state
	verdict *Verdict

	release []*corev1.Pod
	stop    []Deletion // the active Pods, if the verdict ends the Job

	newSucceeded, newFailed []types.UID // to be added to the uncounted lists

	// more says that Pods are left that could not be dealt with for the limit on the work of one sync.
	more bool

	// actions and ignored are for the metrics, see Metrics.
	actions map[batchv1.PodFailurePolicyAction]int
	ignored []types.UID
}

// account decides which Pods are recorded and lose their finalizer. Pods that are on record already come first: they are
// what keeps the uncounted lists long. Then those that ended, and, if the Job ends, those that are still active.
func account(s *state, verdict *Verdict) *accounting {
	a := &accounting{s: s, verdict: verdict}
	var pending []*podState
	for _, p := range s.tracked {
		switch {
		case p.active && verdict != nil:
			// dealt with by stopActive
		case !a.isReleasable(p):
		case p.listed != notListed:
			a.release = append(a.release, p.Pod)
		case len(pending) < s.in.Limits.MaxUncountedPods:
			pending = append(pending, p)
		default:
			a.more = true
		}
	}
	for _, p := range pending {
		if a.full() {
			a.more = true
			break
		}
		a.record(p, a.resultOf(p))
		a.release = append(a.release, p.Pod)
	}
	if verdict != nil {
		a.stopActive()
	}
	return a
}

// isReleasable says whether the Pod needs its finalizer no more once its result is on record (rule B37).
func (a *accounting) isReleasable(p *podState) bool {
	switch {
	case a.s.job.DeletionTimestamp != nil, a.verdict != nil, p.result.kind == resultSucceeded:
		return true
	case a.s.isAwaitingReplacement(p):
		return false
	default:
		return p.result.kind != resultNone || p.listed != notListed
	}
}

func (s *state) isAwaitingReplacement(p *podState) bool {
	return p == s.replacedAt(p.index)
}

// resultOf is what the Pod is recorded as. The end of the Job decides for Pods that have none of their own.
func (a *accounting) resultOf(p *podState) result {
	if p.result.kind != resultNone || a.verdict == nil {
		return p.result
	}
	return a.stopResult(p)
}

// stopResult judges a Pod that the end of the Job stops: where the Job failed it counts as failed, as in Kubernetes, unless
// a policy has it that it does not.
func (a *accounting) stopResult(p *podState) result {
	if a.verdict.Type == batchv1.JobSuccessCriteriaMet {
		return result{kind: resultSpare}
	}
	if r := a.s.judgeStopped(p); r.kind != resultNone {
		return r
	}
	return a.s.judgeFailure(p)
}

// record puts the Pod on the uncounted lists if it counts there. Succeeded Pods of an Indexed Job don't: their index is
// what is recorded.
func (a *accounting) record(p *podState, r result) {
	if a.s.indexed && p.index == noIndex {
		return
	}
	switch {
	case r.kind == resultIgnored:
		a.ignored = append(a.ignored, p.UID)
	case r.rule != nil:
		if a.actions == nil {
			a.actions = make(map[batchv1.PodFailurePolicyAction]int)
		}
		a.actions[r.rule.action]++
	}
	switch {
	case r.kind == resultSucceeded && !a.s.indexed:
		a.newSucceeded = append(a.newSucceeded, p.UID)
	case r.counts():
		a.newFailed = append(a.newFailed, p.UID)
	}
}

// stopActive deletes the active Pods of a Job that ends. They are put on record before, and lose their finalizer after, so
// that they count once however the deletion goes (rule B60). Those beyond the limit keep it until the next sync.
func (a *accounting) stopActive() {
	for _, p := range a.s.active {
		deletion := Deletion{Pod: p.Pod, Finalizer: KeepFinalizer}
		switch {
		case !p.tracked:
		case p.listed != notListed:
			deletion.Finalizer = ReleaseAfter
		case a.full():
			a.more = true
		default:
			a.record(p, a.stopResult(p))
			deletion.Finalizer = ReleaseAfter
		}
		a.stop = append(a.stop, deletion)
	}
}

// full says whether the sync has recorded or released as many Pods as it may.
func (a *accounting) full() bool {
	limit := a.s.in.Limits.MaxUncountedPods
	listed := len(a.s.uncounted.Succeeded) + len(a.s.uncounted.Failed) + len(a.newSucceeded) + len(a.newFailed)
	return listed >= limit || len(a.release) >= limit
}

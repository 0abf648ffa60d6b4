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

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

// kubernetesBackoffLimit and kubernetesParallelism stand in for fields that defaulting always fills.
const (
	kubernetesBackoffLimit = 6
	kubernetesParallelism  = 1
)

// state is the Input in the terms that the rules are stated in. It is computed once and not changed afterwards.
type state struct {
	in  Input
	job *batchv1.Job
	now metav1.Time // Input.Now in the resolution of the API

	indexed     bool
	completions int // how many indexes there are; only if indexed

	active      []*podState
	terminating []*podState
	ended       []*podState // tracked Pods with a result to be recorded or released: succeeded or failed, see isFailed
	tracked     []*podState // all Pods that are tracked, whatever their phase
	counts      podCounts

	// uncounted are the Pods of the uncounted lists whose finalizer is not off yet. settled are how many of each list have
	// lost it: they belong into the counters.
	uncounted uncountedPods
	settled   podTally

	// tally is how many Pods succeeded and failed in all, counted or not (rule B21).
	tally podTally

	// recordedIndexes are the succeeded and failed indexes of the status; succeededIndexes and failedIndexes those and the
	// ones that ended since.
	recordedSucceeded, recordedFailed indexSet
	succeededIndexes, failedIndexes   indexSet

	// activeIndexes are the indexes of the active Pods.
	activeIndexes indexSet

	// awaitingReplacement has, at each index that must be tried again, the failed Pod that tells its replacement the number
	// of failures (rule B63). Nil, or one element for each index; only with backoffLimitPerIndex.
	awaitingReplacement []*podState
}

// podTally counts ended Pods.
type podTally struct {
	succeeded, failed int32
}

// podState is a Pod with what the rules ask of it again and again. With 100,000 Pods, most of what a sync costs is to fetch them
// from memory, so each Pod is looked at once for all that every sync needs.
type podState struct {
	*corev1.Pod
	result   result
	index    int   // noIndex unless the Job is Indexed and the index lies below completions
	failures int32 // how many failures its index had before that counted; only with backoffLimitPerIndex
	tracked  bool  // has our finalizer, and its removal was not sent either
	active   bool
	listed   list
}

// list is which of the uncounted lists of the status has a Pod.
type list uint8

const (
	notListed list = iota
	listedSucceeded
	listedFailed
)

// observe digests the Input.
func observe(in Input) *state {
	job := in.Job
	s := &state{
		in:          in,
		job:         job,
		now:         metav1.NewTime(in.Now.Truncate(time.Second)),
		indexed:     isIndexed(job),
		completions: int(ptr.Deref(job.Spec.Completions, 0)),
	}
	pods := make([]podState, len(in.Pods))
	s.tracked = make([]*podState, 0, len(pods))
	for i, pod := range in.Pods {
		pods[i] = s.digest(pod)
		s.sort(&pods[i])
	}
	s.counts.active = int32(len(s.active))
	s.counts.terminating = int32(len(s.terminating))
	s.observeUncounted()
	s.observeResults()
	if s.indexed {
		s.observeIndexes()
	}
	return s
}

// isIndexed says whether each Pod of the Job has an index of its own.
func isIndexed(job *batchv1.Job) bool {
	return job.Spec.CompletionMode != nil && *job.Spec.CompletionMode == batchv1.IndexedCompletion
}

func (s *state) digest(pod *corev1.Pod) podState {
	p := podState{Pod: pod, index: noIndex, active: isActive(pod)}
	p.tracked = s.in.Identity.Tracks(pod) && !s.in.Released.Has(pod.UID)
	if s.indexed {
		if index := completionIndex(pod); index < s.completions {
			p.index = index
		}
		if hasLimitPerIndex(s.job) {
			p.failures = countAnnotation(pod, batch.JobIndexFailureCountAnnotation)
		}
	}
	return p
}

// sort puts the Pod into the lists that it belongs to.
func (s *state) sort(p *podState) {
	switch {
	case p.active:
		s.active = append(s.active, p)
		if isReady(p.Pod) {
			s.counts.ready++
		}
	case isTerminating(p.Pod):
		s.terminating = append(s.terminating, p)
	}
	if !p.tracked {
		return
	}
	s.tracked = append(s.tracked, p)
	if p.Status.Phase == corev1.PodSucceeded || isFailed(s.job, p.Pod) {
		p.result = s.judge(p)
		s.ended = append(s.ended, p)
	}
}

// observeUncounted divides the uncounted lists of the status into Pods that still have their finalizer and those that have
// not.
func (s *state) observeUncounted() {
	listed := s.job.Status.UncountedTerminatedPods
	if listed == nil || len(listed.Succeeded)+len(listed.Failed) == 0 {
		return
	}
	succeeded, failed := sets.New(listed.Succeeded...), sets.New(listed.Failed...)
	waiting := sets.New[types.UID]()
	for _, p := range s.tracked {
		switch {
		case failed.Has(p.UID):
			p.listed = listedFailed
		case succeeded.Has(p.UID):
			p.listed = listedSucceeded
		default:
			continue
		}
		waiting.Insert(p.UID)
	}
	s.uncounted.Succeeded = keep(listed.Succeeded, waiting)
	s.uncounted.Failed = keep(listed.Failed, waiting)
	s.settled = podTally{
		succeeded: int32(len(listed.Succeeded) - len(s.uncounted.Succeeded)),
		failed:    int32(len(listed.Failed) - len(s.uncounted.Failed)),
	}
}

// keep returns those of the UIDs that are in the set, in their order, as a new slice.
func keep(uids []types.UID, set sets.Set[types.UID]) []types.UID {
	var kept []types.UID
	for _, uid := range uids {
		if set.Has(uid) {
			kept = append(kept, uid)
		}
	}
	return kept
}

// observeResults counts the ended Pods.
func (s *state) observeResults() {
	status := &s.job.Status
	s.tally.succeeded = status.Succeeded + s.settled.succeeded + int32(len(s.uncounted.Succeeded))
	s.tally.failed = status.Failed + s.settled.failed + int32(len(s.uncounted.Failed))
	for _, p := range s.ended {
		switch {
		case !s.isNew(p):
		case p.result.kind == resultSucceeded:
			s.tally.succeeded++
		case p.result.counts():
			s.tally.failed++
		}
	}
}

// isNew says whether an ended Pod is not on record yet and has something to be recorded (rule B20).
func (s *state) isNew(p *podState) bool {
	return p.listed == notListed && (!s.indexed || p.index != noIndex)
}

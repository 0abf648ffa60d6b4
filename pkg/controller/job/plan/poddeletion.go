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
	"cmp"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// surplus returns the active Pods that the Job does not want, for it goes on: all of them while it is stopped, otherwise
// those that can't contribute, and of the rest as many as run too many (rules B45 and B47).
func surplus(s *state) []Deletion {
	useless, useful := s.divideActive()
	var unwanted []*podState
	switch excess := len(s.active) - wantActive(s); {
	case isStopped(s.job):
		unwanted = s.active
	case len(useless) >= excess:
		unwanted = useless
	default:
		slices.SortFunc(useful, compareForDeletion)
		unwanted = append(useless, useful[:excess-len(useless)]...)
	}
	if limit := s.in.Limits.MaxPodCreateDeletePerSync; len(unwanted) > limit && !isStopped(s.job) {
		unwanted = unwanted[:limit]
	}
	deletions := make([]Deletion, len(unwanted))
	for i, p := range unwanted {
		deletions[i] = Deletion{Pod: p.Pod, Finalizer: ReleaseFirst}
	}
	return deletions
}

// divideActive finds the active Pods that can't contribute to the Job. Those are:
//
//   - Pods without our finalizer: their result could not be counted. An earlier sync took it off and then failed to delete them.
//   - in an Indexed Job, Pods without an index, or one of completions and above;
//   - Pods of an index that has ended, and all but one of an index that several Pods work on.
func (s *state) divideActive() (useless, useful []*podState) {
	useful = make([]*podState, 0, len(s.active))
	each := s.activeIndexes.size() == len(s.active) // each Pod has an index of its own, the usual case
	byIndex := make(map[int]*podState)
	for _, p := range s.active {
		switch {
		case !p.tracked:
			useless = append(useless, p)
		case !s.indexed:
			useful = append(useful, p)
		case p.index == noIndex || s.hasIndexEnded(p.index):
			useless = append(useless, p)
		case each:
			useful = append(useful, p)
		case byIndex[p.index] == nil:
			byIndex[p.index] = p
		case compareForDeletion(p, byIndex[p.index]) > 0:
			useless = append(useless, byIndex[p.index])
			byIndex[p.index] = p
		default:
			useless = append(useless, p)
		}
	}
	for _, p := range byIndex {
		useful = append(useful, p)
	}
	slices.SortFunc(useless, compareForDeletion)
	return useless, useful
}

// compareForDeletion orders active Pods: negative if a is to go before b (rule B48). The first difference decides: not on a
// node, pending, not ready, ready for a shorter time, more restarts, younger. Names make the order complete.
func compareForDeletion(a, b *podState) int {
	return cmp.Or(
		compareBools(a.Spec.NodeName != "", b.Spec.NodeName != ""),
		cmp.Compare(phaseRank(a.Status.Phase), phaseRank(b.Status.Phase)),
		compareBools(isReady(a.Pod), isReady(b.Pod)),
		compareYoungerFirst(readySince(a.Pod), readySince(b.Pod)),
		cmp.Compare(maxRestarts(b.Pod, false), maxRestarts(a.Pod, false)),
		cmp.Compare(maxRestarts(b.Pod, true), maxRestarts(a.Pod, true)),
		compareYoungerFirst(a.CreationTimestamp.Time, b.CreationTimestamp.Time),
		cmp.Compare(a.Name, b.Name),
	)
}

// compareBools orders false before true.
func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}

// compareYoungerFirst orders later times first, and zero, which is not known yet, before all.
func compareYoungerFirst(a, b time.Time) int {
	if a.IsZero() || b.IsZero() {
		return compareBools(!a.IsZero(), !b.IsZero())
	}
	return b.Compare(a)
}

func phaseRank(phase corev1.PodPhase) int {
	switch phase {
	case corev1.PodUnknown:
		return 1
	case corev1.PodRunning:
		return 2
	default:
		return 0
	}
}

// readySince says when the Pod became ready, zero if it is not.
func readySince(pod *corev1.Pod) time.Time {
	if !isReady(pod) {
		return time.Time{}
	}
	return podCondition(pod, corev1.PodReady).LastTransitionTime.Time
}

// maxRestarts is how often the most restarted container of the Pod was: of its regular containers, or of its sidecars.
func maxRestarts(pod *corev1.Pod, sidecars bool) int32 {
	var restarts int32
	if !sidecars {
		for i := range pod.Status.ContainerStatuses {
			restarts = max(restarts, pod.Status.ContainerStatuses[i].RestartCount)
		}
		return restarts
	}
	for i := range pod.Status.InitContainerStatuses {
		if status := &pod.Status.InitContainerStatuses[i]; isSidecar(pod, status.Name) {
			restarts = max(restarts, status.RestartCount)
		}
	}
	return restarts
}

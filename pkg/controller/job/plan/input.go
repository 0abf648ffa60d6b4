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
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

// Input is everything that one sync of a Job may know. Compute and Settle read it and never modify it.
type Input struct {
	// Job is the Job as the cache has it, defaults filled in. Own status writes must have been observed: the caller skips the
	// sync while its cache is older than what it wrote (rule B9).
	Job *batchv1.Job

	// Pods are the Pods that the Job owns, after adoption and release (rules B31 to B35), in any order. Of each, only the
	// fields that TrimPod keeps are read.
	Pods []*corev1.Pod

	// Released holds the UIDs of Pods whose tracking finalizer was removed by us although the cache still shows it (rule
	// B43). Their results are already recorded. Nil is empty.
	Released sets.Set[types.UID]

	// Observed says that the cache shows every creation and deletion of Pods that we made for this Job. While it is false
	// no Pod is created, none is deleted to scale down, and the Job does not finish. The caller evaluates it before it lists
	// the Pods (rule B16).
	Observed bool

	// Backoff is the record that the Job's last sync left in Plan.Backoff; zero for a Job never seen by this process.
	Backoff BackoffRecord

	// Now is the time of this sync. API times have a resolution of one second, so it is rounded down to that where it is
	// written into the status.
	Now time.Time

	// Limits bounds the work of one sync.
	Limits Limits

	// Identity says how the Pods of this server's Jobs are marked.
	Identity Identity
}

// Limits bounds what one sync of a Job does, and how fast failed Pods are replaced. Zero fields stand for upstream's
// values, see DefaultLimits.
type Limits struct {
	// MaxUncountedPods is how many ended Pods one sync records before it removes their finalizers. It keeps the status
	// small (500 UIDs are about 20 KB) and keeps a huge Job from starving the others.
	MaxUncountedPods int

	// MaxPodCreateDeletePerSync is how many Pods one sync creates, and how many it deletes to scale down.
	MaxPodCreateDeletePerSync int

	// FailureBackoff is the delay before the Pod after the first failure; it doubles with each further one.
	FailureBackoff time.Duration

	// FailureBackoffMax is the longest such delay.
	FailureBackoffMax time.Duration
}

// DefaultLimits returns the limits of upstream's controller (section 2.0 of its behaviour): 500 Pods recorded and 500
// created or deleted in a sync, a delay of 10 seconds that doubles up to 10 minutes.
func DefaultLimits() Limits {
	return Limits{
		MaxUncountedPods:          500,
		MaxPodCreateDeletePerSync: 500,
		FailureBackoff:            10 * time.Second,
		FailureBackoffMax:         10 * time.Minute,
	}
}

// withDefaults fills the fields that are zero.
func (l Limits) withDefaults() Limits {
	defaults := DefaultLimits()
	if l.MaxUncountedPods <= 0 {
		l.MaxUncountedPods = defaults.MaxUncountedPods
	}
	if l.MaxPodCreateDeletePerSync <= 0 {
		l.MaxPodCreateDeletePerSync = defaults.MaxPodCreateDeletePerSync
	}
	if l.FailureBackoff <= 0 {
		l.FailureBackoff = defaults.FailureBackoff
	}
	if l.FailureBackoffMax <= 0 {
		l.FailureBackoffMax = defaults.FailureBackoffMax
	}
	l.FailureBackoffMax = max(l.FailureBackoffMax, l.FailureBackoff)
	return l
}

// Identity says how Pods are tied to their Job. It differs between the modes of the server (design: own names in a
// cluster, upstream's where batch/v1 is served).
type Identity struct {
	// Owner is the group, version and kind that the owner reference of a new Pod names.
	Owner schema.GroupVersionKind

	// Finalizer is the tracking finalizer that a new Pod gets.
	Finalizer string

	// Label is a label that a new Pod gets, with the UID of the Job as its value. Empty: none.
	Label string

	// Finalizers are all tracking finalizers that count as ours on an existing Pod. Finalizer is one of them even where it
	// is left out.
	Finalizers []string
}

// OwnFinalizers returns the finalizers of the list that are ours: those that a release takes off a Pod. Nil if there is none.
func (id Identity) OwnFinalizers(finalizers []string) []string {
	var own []string
	for _, name := range finalizers {
		if id.isOwn(name) {
			own = append(own, name)
		}
	}
	return own
}

// Tracks says whether the Pod carries a tracking finalizer of ours.
func (id Identity) Tracks(pod *corev1.Pod) bool {
	for _, name := range pod.Finalizers {
		if id.isOwn(name) {
			return true
		}
	}
	return false
}

func (id Identity) isOwn(name string) bool {
	if name == id.Finalizer {
		return true
	}
	for _, own := range id.Finalizers {
		if name == own {
			return true
		}
	}
	return false
}

// BackoffRecord is what has to be remembered of ended Pods from one sync to the next to delay replacements. It lives in
// memory only: after a restart of the server the delays start anew, as upstream's do. Treat it as opaque, and as immutable.
type BackoffRecord struct {
	// Failures is how many Pods failed since the last one that succeeded (rule B55). With a limit per index, where each index waits on
	// its own, none are counted.
	Failures int32

	// LastFailure is when the latest of them ended; zero if there is none.
	LastFailure time.Time

	// DisruptionsSettled is when the Job's disruptions so far will have been paid for, see disruption.go; zero: nothing
	// is owed.
	DisruptionsSettled time.Time

	// Seen holds the UIDs of ended Pods that are part of the fields above and may be met again, because they still have
	// their finalizer, in any order. Without it a Pod whose finalizer could not be removed would delay the Job once more in
	// each sync.
	Seen []types.UID
}

// Outcome is what became of a Plan.
type Outcome struct {
	// Recorded says that Plan.Record was written. Where it should have been and was not, nothing of the plan may have
	// been carried out. Its value does not matter if Plan.Record is nil.
	Recorded bool

	// Released holds the UIDs of the Pods of Plan.Release, and of the Pods of Plan.Delete, whose finalizer is off now. A Pod
	// that no longer exists counts as released.
	Released sets.Set[types.UID]

	// Deleted holds the UIDs of the Pods of Plan.Delete for which the API accepted the deletion. A Pod that no
	// longer exists counts as deleted.
	Deleted sets.Set[types.UID]

	// Created is how many Pods of Plan.Create were created.
	Created int
}

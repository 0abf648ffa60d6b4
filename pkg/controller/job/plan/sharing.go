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
	"hash/maphash"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
)

// recentValues is how many values of a kind are remembered. Pods of one Job come together, so that few suffice.
const recentValues = 1024

// recent remembers values that came by, so that equal ones can share their memory. It is bounded, forgets, and needs no lock. Whatever it
// remembers, what it returns is equal to what it was given: nothing but memory depends on it.
type recent[T any] struct {
	slots [recentValues]atomic.Pointer[T]
}

// share returns an equal value that came by before, or value itself.
func (r *recent[T]) share(hash uint64, value T, equal func(a, b T) bool) T {
	slot := &r.slots[hash%recentValues]
	if seen := slot.Load(); seen != nil && equal(*seen, value) {
		return *seen
	}
	kept := value
	slot.Store(&kept)
	return value
}

var (
	hashSeed = maphash.MakeSeed()

	recentStrings    recent[string]
	recentOwners     recent[[]metav1.OwnerReference]
	recentLabels     recent[map[string]string]
	recentConditions recent[[]corev1.PodCondition]
	recentStatuses   recent[[]corev1.ContainerStatus]
)

func hashOf(s string) uint64 { return maphash.String(hashSeed, s) }

// shareString is for strings that many Pods have: their namespace, their node.
func shareString(s string) string {
	return recentStrings.share(hashOf(s), s, func(a, b string) bool { return a == b })
}

// sharedIndexes is how many completion indexes there are strings for.
const sharedIndexes = 100000

// digits is what indexDigits has made.
var digits atomic.Pointer[string]

// indexDigits has the indexes from 0 on, one after the other: half a megabyte for all Jobs, where indexes that each have a place of their own in memory are a good
// part of what it costs to read them all. It is made when it is needed first, by everybody who needs it then.
func indexDigits() string {
	if made := digits.Load(); made != nil {
		return *made
	}
	var b strings.Builder
	for i := range sharedIndexes {
		b.WriteString(strconv.Itoa(i))
	}
	made := b.String()
	if !digits.CompareAndSwap(nil, &made) {
		return *digits.Load()
	}
	return made
}

// shareIndex is for completion indexes: an equal string whose memory all indexes share; text itself where it is none of them, or written in another way.
func shareIndex(text string) string {
	index, err := strconv.Atoi(text)
	if err != nil || index < 0 || index >= sharedIndexes {
		return text
	}
	// Before those with as many digits come 10 numbers with one digit, 90 with two, 900 with three, and so on.
	offset, first := 0, 0
	for digits, next := 1, 10; next <= index; digits, next = digits+1, next*10 {
		offset += (next - first) * digits
		first = next
	}
	offset += (index - first) * len(text)
	if end := offset + len(text); end <= len(indexDigits()) && indexDigits()[offset:end] == text {
		return indexDigits()[offset:end]
	}
	return text
}

// shareOwners is for owner references, which the Pods of a Job have in common.
func shareOwners(refs []metav1.OwnerReference) []metav1.OwnerReference {
	if len(refs) == 0 {
		return nil
	}
	return recentOwners.share(hashOf(string(refs[0].UID)), refs, func(a, b []metav1.OwnerReference) bool {
		return slices.EqualFunc(a, b, func(a, b metav1.OwnerReference) bool {
			return a.UID == b.UID && a.Name == b.Name && a.Kind == b.Kind && a.APIVersion == b.APIVersion &&
				ptr.Equal(a.Controller, b.Controller) && ptr.Equal(a.BlockOwnerDeletion, b.BlockOwnerDeletion)
		})
	})
}

// controllerIn returns the reference to the controller; nil if there is none.
func controllerIn(refs []metav1.OwnerReference) *metav1.OwnerReference {
	for i := range refs {
		if ptr.Deref(refs[i].Controller, false) {
			return &refs[i]
		}
	}
	return nil
}

// shareLabelSet is for labels as a whole, which the Pods of a Job without indexes have in common.
func shareLabelSet(labels map[string]string) map[string]string {
	if _, indexed := labels[batch.JobCompletionIndexAnnotation]; indexed || len(labels) == 0 {
		return labels
	}
	var hash uint64
	for key, value := range labels {
		hash += hashOf(key) ^ hashOf(value)*3 // in any order
	}
	return recentLabels.share(hash, labels, func(a, b map[string]string) bool {
		if len(a) != len(b) {
			return false
		}
		for key, value := range a {
			if other, ok := b[key]; !ok || other != value {
				return false
			}
		}
		return true
	})
}

// shareConditions is for trimmed conditions: nearly all of a second are equal.
func shareConditions(conditions []corev1.PodCondition) []corev1.PodCondition {
	if len(conditions) == 0 {
		return nil
	}
	var hash uint64
	for i := range conditions {
		c := &conditions[i]
		hash = hash*31 + hashOf(string(c.Type)) ^ hashOf(string(c.Status)) + uint64(c.LastTransitionTime.Unix())
	}
	return recentConditions.share(hash, conditions, func(a, b []corev1.PodCondition) bool {
		return slices.EqualFunc(a, b, func(a, b corev1.PodCondition) bool {
			return a.Type == b.Type && a.Status == b.Status && a.LastTransitionTime.Time.Equal(b.LastTransitionTime.Time)
		})
	})
}

// shareStatuses is for trimmed statuses of containers.
func shareStatuses(statuses []corev1.ContainerStatus) []corev1.ContainerStatus {
	if len(statuses) == 0 {
		return nil
	}
	var hash uint64
	for i := range statuses {
		hash = hash*31 + hashOf(statuses[i].Name) + uint64(statuses[i].RestartCount)
		if ended := statuses[i].State.Terminated; ended != nil {
			hash = hash*31 + uint64(ended.ExitCode) + uint64(ended.FinishedAt.Unix())
		}
	}
	return recentStatuses.share(hash, statuses, func(a, b []corev1.ContainerStatus) bool {
		return slices.EqualFunc(a, b, func(a, b corev1.ContainerStatus) bool {
			return a.Name == b.Name && a.RestartCount == b.RestartCount && sameEnd(a.State.Terminated, b.State.Terminated)
		})
	})
}

func sameEnd(a, b *corev1.ContainerStateTerminated) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.ExitCode == b.ExitCode && a.FinishedAt.Time.Equal(b.FinishedAt.Time)
}

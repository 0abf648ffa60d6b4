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

package garbagecollector

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// ownerState is what the server said about an owner.
type ownerState int

const (
	// solid: the owner is there. It keeps its dependents.
	solid ownerState = iota
	// dangling: nothing with this name and UID exists.
	dangling
	// waiting: the owner is being deleted and waits for its dependents to go.
	waiting
)

// step is what is to be done with an object; the zero value is nothing.
type step struct {
	// forget are the owners whose references are to be taken off the object.
	forget []types.UID
	// remove says that the object is to be deleted.
	remove bool
	// propagation says how, with remove.
	propagation metav1.DeletionPropagation
}

// decide says what is to be done with a live object, not being deleted, given the state of the owner of each of its owner
// references, in their order. One solid owner keeps it, and then it only forgets the others: those that wait, lest they
// wait for ever.
func decide(live *metav1.PartialObjectMetadata, states []ownerState, hasDependents bool) step {
	if len(states) == 0 {
		return step{}
	}
	var keep, forget []types.UID
	for i, ref := range live.OwnerReferences {
		if states[i] == solid {
			keep = append(keep, ref.UID)
		} else if !slices.Contains(forget, ref.UID) {
			forget = append(forget, ref.UID)
		}
	}
	if len(keep) > 0 {
		// References are removed by UID: one that is wrong stays if another with its UID is right.
		return step{forget: slices.DeleteFunc(forget, func(uid types.UID) bool { return slices.Contains(keep, uid) })}
	}
	return step{remove: true, propagation: propagation(live, slices.Contains(states, waiting) && hasDependents)}
}

// propagation says how an object without owners is to be deleted: in the foreground if an owner waits and the object has
// dependents itself, so that the owner waits for these too; else as the finalizers on it already ask for; else in the background.
func propagation(live *metav1.PartialObjectMetadata, ownerWaits bool) metav1.DeletionPropagation {
	switch {
	case ownerWaits:
		return metav1.DeletePropagationForeground
	case slices.Contains(live.Finalizers, metav1.FinalizerOrphanDependents):
		return metav1.DeletePropagationOrphan
	case slices.Contains(live.Finalizers, metav1.FinalizerDeleteDependents):
		return metav1.DeletePropagationForeground
	default:
		return metav1.DeletePropagationBackground
	}
}

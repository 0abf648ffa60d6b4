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

package job

import (
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
	"github.com/jobserver-dev/jobserver/pkg/controller/job/plan"
)

// Identity is how the controller marks Pods as its own, and how it recognises them. Beside another Job controller on the
// same Pods the names have to differ from that one's, or each takes the other's Pods for orphans.
type Identity struct {
	// Identity names the owner kind and the finalizer that Pods get, and the finalizers that count as ours: a Pod that has
	// one of them waits for its accounting, and releasing it takes off each. A cluster that changes over from one name to
	// another lists both. The owner kind is in the regarding object of events too.
	plan.Identity

	// Owners are all kinds of owner reference that count as ours, in any version. They include the kind of Owner.
	Owners []schema.GroupKind
}

// KubeIdentity is upstream's identity, for where no other Job controller runs: owner batch/v1 Job and finalizer
// batch.kubernetes.io/job-tracking. Pods made under OwnIdentity are recognised too.
func KubeIdentity() Identity {
	return Identity{
		Identity: plan.Identity{
			Owner:      schema.GroupVersionKind{Group: "batch", Version: "v1", Kind: "Job"},
			Finalizer:  batch.KubeTrackingFinalizer,
			Finalizers: []string{batch.KubeTrackingFinalizer, batch.TrackingFinalizer},
		},
		Owners: []schema.GroupKind{{Group: "batch", Kind: "Job"}, {Group: batch.GroupName, Kind: "Job"}},
	}
}

// OwnIdentity is the identity for a cluster whose own Job controller runs: owner batch.jobserver.dev/v1 Job and finalizer
// batch.jobserver.dev/job-tracking. batch/v1 Jobs belong to that other controller, so their Pods are none of ours; its
// finalizer is recognised on Pods of our Jobs. Pods get a label, so that a cache can leave out all others.
func OwnIdentity() Identity {
	return Identity{
		Identity: plan.Identity{
			Owner:      batchv1.JobGroupVersionKind,
			Label:      batch.ManagedLabel,
			Finalizer:  batch.TrackingFinalizer,
			Finalizers: []string{batch.TrackingFinalizer, batch.KubeTrackingFinalizer},
		},
		Owners: []schema.GroupKind{{Group: batch.GroupName, Kind: "Job"}},
	}
}

// validate returns an error that names every field that is missing or contradicts another.
func (id Identity) validate() error {
	var errs []error
	if id.Owner.Version == "" || id.Owner.Kind == "" {
		errs = append(errs, fmt.Errorf("Identity.Owner: version and kind are required, got %q", id.Owner.String()))
	}
	if !slices.Contains(id.Owners, id.Owner.GroupKind()) {
		errs = append(errs, fmt.Errorf("Identity.Owners: must include the kind of Identity.Owner, %q", id.Owner.GroupKind().String()))
	}
	if id.Finalizer == "" {
		errs = append(errs, errors.New("Identity.Finalizer: is required"))
	}
	return errors.Join(errs...)
}

// owns tells whether the owner reference is to a kind of Job that is ours.
func (id Identity) owns(ref *metav1.OwnerReference) bool {
	gv, err := schema.ParseGroupVersion(ref.APIVersion)
	if err != nil {
		return false
	}
	return slices.Contains(id.Owners, schema.GroupKind{Group: gv.Group, Kind: ref.Kind})
}

// controllerRef returns the controller owner reference of the Pod where that is a Job of ours, nil otherwise.
func (id Identity) controllerRef(pod *corev1.Pod) *metav1.OwnerReference {
	if ref := metav1.GetControllerOfNoCopy(pod); ref != nil && id.owns(ref) {
		return ref
	}
	return nil
}

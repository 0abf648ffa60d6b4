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

package pod

import (
	"context"
	"fmt"
	"slices"

	policyv1 "k8s.io/api/policy/v1"
	policyv1beta1 "k8s.io/api/policy/v1beta1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/util/dryrun"
	podutil "k8s.io/kubernetes/pkg/api/pod"
	"k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/pkg/apis/policy"
)

var (
	_ rest.NamedCreater             = &EvictionREST{}
	_ rest.GroupVersionKindProvider = &EvictionREST{}
	_ rest.GroupVersionAcceptor     = &EvictionREST{}
)

// What the eviction API writes into a Pod's condition DisruptionTarget. A Job's podFailurePolicy matches the type;
// people and tools read the rest.
const (
	evictionReason  = "EvictionByEvictionAPI"
	evictionMessage = "Eviction API: evicting"
)

// EvictionREST serves pods/eviction: a delete that says in the Pod's status that it is a disruption and no failure.
// This server has no PodDisruptionBudgets, so every eviction is allowed.
type EvictionREST struct {
	// pods updates the status of Pods and deletes them.
	pods rest.StandardStorage
}

// New returns an empty eviction.
func (r *EvictionREST) New() runtime.Object { return &policy.Eviction{} }

// Destroy does nothing: the store belongs to the kind's REST.
func (r *EvictionREST) Destroy() {}

// GroupVersionKind returns policy/v1's Eviction, which clients find in discovery to learn that evictions are served.
func (r *EvictionREST) GroupVersionKind(schema.GroupVersion) schema.GroupVersionKind {
	return policyv1.SchemeGroupVersion.WithKind("Eviction")
}

// AcceptsGroupVersion says that an eviction may be sent as policy/v1 and, by old clients, as policy/v1beta1.
func (r *EvictionREST) AcceptsGroupVersion(gv schema.GroupVersion) bool {
	return gv == policyv1.SchemeGroupVersion || gv == policyv1beta1.SchemeGroupVersion
}

// Create evicts the Pod called name: it sets DisruptionTarget in the status and deletes the Pod with the eviction's
// delete options. As in 1.37, a Pod that has ended or is being deleted already is treated no differently.
func (r *EvictionREST) Create(ctx context.Context, name string, obj runtime.Object, validate rest.ValidateObjectFunc, options *metav1.CreateOptions) (runtime.Object, error) {
	eviction, ok := obj.(*policy.Eviction)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("not an Eviction object: %T", obj))
	}
	if name != eviction.Name {
		return nil, apierrors.NewBadRequest("name in URL does not match name in Eviction object")
	}
	deleteOptions, err := r.deleteOptions(eviction, options)
	if err != nil {
		return nil, err
	}
	if validate != nil {
		if err := validate(ctx, eviction.DeepCopyObject()); err != nil {
			return nil, err
		}
	}
	if !dryrun.IsDryRun(deleteOptions.DryRun) {
		if err := r.markDisrupted(ctx, name, deleteOptions); err != nil {
			return nil, err
		}
	}
	if _, _, err := r.pods.Delete(ctx, name, rest.ValidateAllObjectFunc, deleteOptions); err != nil {
		return nil, err
	}
	return &metav1.Status{Status: metav1.StatusSuccess}, nil
}

// deleteOptions returns a copy of the eviction's delete options, a dry run if either they or the request are one.
func (r *EvictionREST) deleteOptions(eviction *policy.Eviction, options *metav1.CreateOptions) (*metav1.DeleteOptions, error) {
	out := &metav1.DeleteOptions{}
	if eviction.DeleteOptions != nil {
		out = eviction.DeleteOptions.DeepCopy()
	}
	if p := out.IgnoreStoreReadErrorWithClusterBreakingPotential; p != nil && *p {
		path := field.NewPath("deleteOptions", "ignoreStoreReadErrorWithClusterBreakingPotential")
		return nil, apierrors.NewInvalid(policy.Kind("Eviction"), eviction.Name, field.ErrorList{
			field.Invalid(path, true, "can not be set for pod eviction, try after removing the option"),
		})
	}
	// The delete would refuse these as well, but only after the Pod had been marked. A Pod that runs on with the mark
	// of a disruption would have its next real failure ignored.
	if errs := metav1validation.ValidateDeleteOptions(out); len(errs) > 0 {
		return nil, apierrors.NewInvalid(schema.GroupKind{Group: metav1.GroupName, Kind: "DeleteOptions"}, "", errs)
	}
	switch {
	case len(out.DryRun) == 0:
		out.DryRun = options.DryRun
	case len(options.DryRun) != 0 && !slices.Equal(out.DryRun, options.DryRun):
		return nil, apierrors.NewBadRequest(fmt.Sprintf("Non-matching dry-run options in request and content: %v and %v", options.DryRun, out.DryRun))
	}
	return out, nil
}

// markDisrupted sets the condition DisruptionTarget of a Pod that meets the preconditions. A precondition on the
// resource version moves on to the version that this write makes, or the delete that follows would never meet it.
func (r *EvictionREST) markDisrupted(ctx context.Context, name string, options *metav1.DeleteOptions) error {
	mark := func(_ context.Context, _, stored runtime.Object) (runtime.Object, error) {
		pod := stored.(*core.Pod).DeepCopy()
		if err := checkPreconditions(pod, options.Preconditions); err != nil {
			return nil, err
		}
		podutil.UpdatePodCondition(&pod.Status, &core.PodCondition{
			Type:    core.DisruptionTarget,
			Status:  core.ConditionTrue,
			Reason:  evictionReason,
			Message: evictionMessage,
		})
		return pod, nil
	}
	// The update starts from what is stored, and starts again when that changes: it conflicts with nothing.
	updated, _, err := r.pods.Update(ctx, name, rest.DefaultUpdatedObjectInfo(nil, mark),
		rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
	if err != nil {
		return err
	}
	if p := options.Preconditions; p != nil && p.ResourceVersion != nil {
		p.ResourceVersion = new(updated.(*core.Pod).ResourceVersion)
	}
	return nil
}

// checkPreconditions returns a conflict where pod isn't the one, or not as, that the preconditions name.
func checkPreconditions(pod *core.Pod, p *metav1.Preconditions) error {
	if p == nil {
		return nil
	}
	if p.UID != nil && *p.UID != "" && *p.UID != pod.UID {
		return apierrors.NewConflict(core.Resource("Pod"), pod.Name,
			fmt.Errorf("the UID in the precondition (%s) does not match the UID in record (%s). The object might have been deleted and then recreated", *p.UID, pod.UID))
	}
	if p.ResourceVersion != nil && *p.ResourceVersion != "" && *p.ResourceVersion != pod.ResourceVersion {
		return apierrors.NewConflict(core.Resource("Pod"), pod.Name,
			fmt.Errorf("the ResourceVersion in the precondition (%s) does not match the ResourceVersion in record (%s). The object might have been modified", *p.ResourceVersion, pod.ResourceVersion))
	}
	return nil
}

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
	"errors"
	"fmt"
	"maps"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage"
	storageerrors "k8s.io/apiserver/pkg/storage/errors"
	"k8s.io/apiserver/pkg/util/dryrun"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	podutil "k8s.io/kubernetes/pkg/api/pod"
	"k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/pkg/apis/core/validation"
	"k8s.io/kubernetes/pkg/features"
)

var (
	_ rest.NamedCreater                   = &BindingREST{}
	_ rest.SubresourceObjectMetaPreserver = &BindingREST{}
)

// BindingREST serves pods/binding, by which a scheduler gives a Pod to a node, once.
type BindingREST struct {
	store *genericregistry.Store
}

// New returns an empty binding.
func (r *BindingREST) New() runtime.Object { return &core.Binding{} }

// Destroy does nothing: the store belongs to the kind's REST.
func (r *BindingREST) Destroy() {}

// PreserveRequestObjectMetaSystemFieldsOnSubresourceCreate keeps the UID and the resource version of a binding as they
// were sent: they are preconditions on the Pod.
func (r *BindingREST) PreserveRequestObjectMetaSystemFieldsOnSubresourceCreate() bool { return true }

// Create binds the Pod called name to the binding's target. It answers 409 Conflict to a Pod that is bound already, is
// being deleted, still has scheduling gates, or isn't the one that the binding's UID and resource version name; and
// 422 Invalid to a target that is no node. (Kubernetes answers 500 to the latter, which blames the wrong side.)
func (r *BindingREST) Create(ctx context.Context, name string, obj runtime.Object, validate rest.ValidateObjectFunc, options *metav1.CreateOptions) (runtime.Object, error) {
	binding, ok := obj.(*core.Binding)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("not a Binding object: %T", obj))
	}
	if name != binding.Name {
		return nil, apierrors.NewBadRequest("name in URL does not match name in Binding object")
	}
	if errs := validation.ValidatePodBinding(binding); len(errs) != 0 {
		return nil, apierrors.NewInvalid(core.Kind("Binding"), name, errs)
	}
	if validate != nil {
		if err := validate(ctx, binding.DeepCopyObject()); err != nil {
			return nil, err
		}
	}
	if err := r.assign(ctx, binding, dryrun.IsDryRun(options.DryRun)); err != nil {
		return nil, bindingError(err, name)
	}
	return &metav1.Status{Status: metav1.StatusSuccess}, nil
}

// assign writes the binding into its Pod, past the Pod's strategy, which lets nobody else set spec.nodeName.
func (r *BindingREST) assign(ctx context.Context, binding *core.Binding, dryRun bool) error {
	key, err := r.store.KeyFunc(ctx, binding.Name)
	if err != nil {
		return err
	}
	bind := func(existing runtime.Object) (runtime.Object, error) {
		pod, ok := existing.(*core.Pod)
		if !ok {
			return nil, fmt.Errorf("the store of Pods holds a %T", existing)
		}
		if err := bindable(pod); err != nil {
			return nil, err
		}
		bindPod(pod, binding)
		return pod, nil
	}
	return r.store.Storage.GuaranteedUpdate(ctx, key, &core.Pod{}, false, bindingPreconditions(binding), storage.SimpleUpdate(bind), dryRun, nil)
}

// bindingPreconditions returns what the binding asks of its Pod, or nil where it asks nothing.
func bindingPreconditions(binding *core.Binding) *storage.Preconditions {
	if binding.UID == "" && binding.ResourceVersion == "" {
		return nil
	}
	p := &storage.Preconditions{}
	if binding.UID != "" {
		p.UID = &binding.UID
	}
	if binding.ResourceVersion != "" {
		p.ResourceVersion = &binding.ResourceVersion
	}
	return p
}

// bindable returns why pod can't be bound, or nil.
func bindable(pod *core.Pod) error {
	switch {
	case pod.DeletionTimestamp != nil:
		return fmt.Errorf("pod %s is being deleted, cannot be assigned to a host", pod.Name)
	case pod.Spec.NodeName != "":
		return fmt.Errorf("pod %v is already assigned to node %q", pod.Name, pod.Spec.NodeName)
	case len(pod.Spec.SchedulingGates) != 0:
		return fmt.Errorf("pod %v has non-empty .spec.schedulingGates", pod.Name)
	}
	return nil
}

// bindPod sets the node, and with it the condition PodScheduled and the binding's annotations and labels.
func bindPod(pod *core.Pod, binding *core.Binding) {
	pod.Spec.NodeName = binding.Target.Name
	if utilfeature.DefaultFeatureGate.Enabled(features.ClearingNominatedNodeNameAfterBinding) {
		pod.Status.NominatedNodeName = ""
	}
	if pod.Annotations == nil {
		pod.Annotations = map[string]string{}
	}
	maps.Copy(pod.Annotations, binding.Annotations)
	// What the strategy drops from annotations has no way in here either.
	podutil.DropInitContainerAnnotations(pod.Annotations)
	if len(binding.Labels) > 0 && utilfeature.DefaultFeatureGate.Enabled(features.PodTopologyLabelsAdmission) {
		if pod.Labels == nil {
			pod.Labels = map[string]string{}
		}
		maps.Copy(pod.Labels, binding.Labels)
	}
	podutil.UpdatePodCondition(&pod.Status, &core.PodCondition{Type: core.PodScheduled, Status: core.ConditionTrue})
}

// bindingError turns an error of the store into one that the API can answer with; a refusal of bindable is a conflict.
func bindingError(err error, name string) error {
	err = storageerrors.InterpretGetError(err, core.Resource("pods"), name)
	err = storageerrors.InterpretUpdateError(err, core.Resource("pods"), name)
	if status := apierrors.APIStatus(nil); errors.As(err, &status) {
		return err
	}
	return apierrors.NewConflict(core.Resource("pods/binding"), name, err)
}

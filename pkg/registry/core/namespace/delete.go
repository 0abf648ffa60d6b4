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

package namespace

import (
	"context"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage"
	storageerrors "k8s.io/apiserver/pkg/storage/errors"
	"k8s.io/apiserver/pkg/util/dryrun"
	"k8s.io/kubernetes/pkg/apis/core"
)

// Delete moves a namespace towards its end, in steps, as upstream does:
//
//  1. The first delete only marks it: deletionTimestamp, phase Terminating, and the finalizers that the propagation
//     policy asks for. Whoever watches empties it then, and takes its name off spec.finalizers through /finalize.
//  2. While spec.finalizers holds anything, further deletes change nothing and answer with the namespace.
//  3. With spec.finalizers empty, a delete, or the update that emptied it, removes the namespace.
//
// The bool is true once the namespace is gone. Unmet preconditions answer 409 Conflict.
func (r *REST) Delete(ctx context.Context, name string, validate rest.ValidateObjectFunc, options *metav1.DeleteOptions) (runtime.Object, bool, error) {
	obj, err := r.store.Get(ctx, name, &metav1.GetOptions{})
	if err != nil {
		return nil, false, err
	}
	ns := obj.(*core.Namespace)
	if options == nil {
		options = metav1.NewDeleteOptions(0)
	}
	if err := pinToUID(options, ns); err != nil {
		return nil, false, err
	}
	if ns.DeletionTimestamp.IsZero() {
		marked, err := r.markTerminating(ctx, name, validate, options)
		if err != nil {
			return nil, false, err
		}
		return marked, false, nil
	}
	if len(ns.Spec.Finalizers) != 0 {
		return ns, false, nil
	}
	return r.store.Delete(ctx, name, validate, options)
}

// pinToUID checks the preconditions against ns and makes its UID one of them, so that a namespace of the same name that
// is created meanwhile survives.
func pinToUID(options *metav1.DeleteOptions, ns *core.Namespace) error {
	if options.Preconditions == nil {
		options.Preconditions = &metav1.Preconditions{}
	}
	p := options.Preconditions
	if p.UID == nil {
		p.UID = new(ns.UID)
	} else if *p.UID != ns.UID {
		return preconditionFailed(ns.Name, "UID", string(*p.UID), string(ns.UID))
	}
	if p.ResourceVersion != nil && *p.ResourceVersion != ns.ResourceVersion {
		return preconditionFailed(ns.Name, "ResourceVersion", *p.ResourceVersion, ns.ResourceVersion)
	}
	return nil
}

func preconditionFailed(name, field, want, have string) error {
	return apierrors.NewConflict(core.Resource("namespaces"), name,
		//lint:ignore ST1005 the message is upstream's
		fmt.Errorf("Precondition failed: %[1]s in precondition: %[2]s, %[1]s in object meta: %[3]s", field, want, have))
}

// markTerminating starts the deletion in the store and returns the namespace as it is then.
func (r *REST) markTerminating(ctx context.Context, name string, validate rest.ValidateObjectFunc, options *metav1.DeleteOptions) (runtime.Object, error) {
	key, err := r.store.KeyFunc(ctx, name)
	if err != nil {
		return nil, err
	}
	mark := func(existing runtime.Object) (runtime.Object, error) {
		ns, ok := existing.(*core.Namespace)
		if !ok {
			return nil, fmt.Errorf("the store of namespaces holds a %T", existing)
		}
		if validate != nil {
			if err := validate(ctx, ns); err != nil {
				return nil, err
			}
		}
		if ns.DeletionTimestamp.IsZero() {
			ns.DeletionTimestamp = new(metav1.Now())
		}
		ns.Status.Phase = core.NamespaceTerminating
		ns.Finalizers = propagationFinalizers(ns.Finalizers, options)
		return ns, nil
	}
	out := r.store.NewFunc()
	preconditions := &storage.Preconditions{UID: options.Preconditions.UID, ResourceVersion: options.Preconditions.ResourceVersion}
	err = r.store.Storage.GuaranteedUpdate(ctx, key, out, false, preconditions, storage.SimpleUpdate(mark), dryrun.IsDryRun(options.DryRun), nil)
	if err != nil {
		return nil, deleteError(err, name)
	}
	return out, nil
}

// deleteError turns an error of the store into one that the API can answer with.
func deleteError(err error, name string) error {
	err = storageerrors.InterpretGetError(err, core.Resource("namespaces"), name)
	err = storageerrors.InterpretUpdateError(err, core.Resource("namespaces"), name)
	if status := apierrors.APIStatus(nil); errors.As(err, &status) {
		return err
	}
	return apierrors.NewInternalError(err)
}

// propagationFinalizers returns the finalizers with orphan and foregroundDeletion there or not, as the options want.
// Options that say nothing of propagation leave them as they are.
func propagationFinalizers(finalizers []string, options *metav1.DeleteOptions) []string {
	var orphan, foreground bool
	switch {
	case options.OrphanDependents != nil: //lint:ignore SA1019 old clients still send it
		orphan = *options.OrphanDependents //lint:ignore SA1019 as above
		foreground = !orphan
	case options.PropagationPolicy != nil:
		orphan = *options.PropagationPolicy == metav1.DeletePropagationOrphan
		foreground = *options.PropagationPolicy == metav1.DeletePropagationForeground
	default:
		return finalizers
	}
	finalizers = setFinalizer(finalizers, metav1.FinalizerOrphanDependents, orphan)
	return setFinalizer(finalizers, metav1.FinalizerDeleteDependents, foreground)
}

// setFinalizer returns finalizers with name among them, or not. It leaves the order of the others and the argument alone.
func setFinalizer(finalizers []string, name string, wanted bool) []string {
	has := slices.Contains(finalizers, name)
	switch {
	case wanted && !has:
		return append(slices.Clone(finalizers), name)
	case !wanted && has:
		return slices.DeleteFunc(slices.Clone(finalizers), func(f string) bool { return f == name })
	}
	return finalizers
}

// endsWithUpdate says whether an update leaves a namespace that is being deleted with nothing to wait for: neither
// finalizers in metadata, as for any object, nor in spec.
func endsWithUpdate(ctx context.Context, key string, obj, existing runtime.Object) bool {
	ns, ok := obj.(*core.Namespace)
	return ok && len(ns.Spec.Finalizers) == 0 && genericregistry.ShouldDeleteDuringUpdate(ctx, key, obj, existing)
}

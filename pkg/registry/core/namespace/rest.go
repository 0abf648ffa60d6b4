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

	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/jobserver-dev/jobserver/pkg/registry/core/corestore"
)

var (
	_ rest.Getter                 = &REST{}
	_ rest.Lister                 = &REST{}
	_ rest.CreaterUpdater         = &REST{}
	_ rest.Patcher                = &REST{}
	_ rest.GracefulDeleter        = &REST{}
	_ rest.Watcher                = &REST{}
	_ rest.Scoper                 = &REST{}
	_ rest.ShortNamesProvider     = &REST{}
	_ rest.SingularNameProvider   = &REST{}
	_ rest.StorageVersionProvider = &REST{}
	_ rest.ResetFieldsStrategy    = &REST{}
)

// REST serves all verbs of namespaces but deletecollection, which Kubernetes hasn't either: a store's own would end
// namespaces at once, with their content left behind. For that reason the store isn't embedded: each verb is named here.
type REST struct {
	store *genericregistry.Store
}

// New returns an empty namespace.
func (r *REST) New() runtime.Object { return r.store.New() }

// NewList returns an empty list of namespaces.
func (r *REST) NewList() runtime.Object { return r.store.NewList() }

// Destroy releases the store; the subresources use the same one.
func (r *REST) Destroy() { r.store.Destroy() }

// NamespaceScoped is false: a namespace is in none.
func (r *REST) NamespaceScoped() bool { return r.store.NamespaceScoped() }

// GetSingularName returns namespace.
func (r *REST) GetSingularName() string { return r.store.GetSingularName() }

// ShortNames returns ns.
func (r *REST) ShortNames() []string { return []string{"ns"} }

// StorageVersion returns the version that namespaces are stored in.
func (r *REST) StorageVersion() runtime.GroupVersioner { return r.store.StorageVersion() }

// GetResetFields returns the fields that create and update leave alone.
func (r *REST) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return r.store.GetResetFields()
}

// Get returns the namespace of that name.
func (r *REST) Get(ctx context.Context, name string, options *metav1.GetOptions) (runtime.Object, error) {
	return r.store.Get(ctx, name, options)
}

// List returns the namespaces that the options select.
func (r *REST) List(ctx context.Context, options *metainternalversion.ListOptions) (runtime.Object, error) {
	return r.store.List(ctx, options)
}

// Watch sends the changes of the namespaces that the options select.
func (r *REST) Watch(ctx context.Context, options *metainternalversion.ListOptions) (watch.Interface, error) {
	return corestore.Watch(ctx, r.store, options)
}

// Create stores a new namespace, Active.
func (r *REST) Create(ctx context.Context, obj runtime.Object, validate rest.ValidateObjectFunc, options *metav1.CreateOptions) (runtime.Object, error) {
	return r.store.Create(ctx, obj, validate, options)
}

// Update changes a namespace but for its finalizers in spec and its status.
func (r *REST) Update(ctx context.Context, name string, objInfo rest.UpdatedObjectInfo,
	createValidation rest.ValidateObjectFunc, updateValidation rest.ValidateObjectUpdateFunc,
	forceAllowCreate bool, options *metav1.UpdateOptions) (runtime.Object, bool, error) {
	return r.store.Update(ctx, name, objInfo, createValidation, updateValidation, forceAllowCreate, options)
}

// ConvertToTable shows namespaces in columns.
func (r *REST) ConvertToTable(ctx context.Context, obj, options runtime.Object) (*metav1.Table, error) {
	return r.store.ConvertToTable(ctx, obj, options)
}

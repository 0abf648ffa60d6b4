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

package corestore

import (
	"context"

	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	storeerr "k8s.io/apiserver/pkg/storage/errors"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

var (
	_ rest.StandardStorage     = &REST{}
	_ rest.ShortNamesProvider  = &REST{}
	_ rest.CategoriesProvider  = &REST{}
	_ rest.Updater             = &UpdateREST{}
	_ rest.ResetFieldsStrategy = &UpdateREST{}
	_ rest.Patcher             = &StatusREST{}
	_ rest.TableConvertor      = &StatusREST{}
)

// REST serves all verbs of a kind.
type REST struct {
	*genericregistry.Store
	shortNames []string
	categories []string
}

// NewREST serves store under its names, the short ones, and as a member of the categories. Both may be nil.
func NewREST(store *genericregistry.Store, shortNames, categories []string) *REST {
	return &REST{Store: store, shortNames: shortNames, categories: categories}
}

// ShortNames returns the abbreviations that clients may use for the resource.
func (r *REST) ShortNames() []string { return r.shortNames }

// Categories returns the groups of resources, such as all, that the resource is listed with.
func (r *REST) Categories() []string { return r.categories }

// Watch watches the objects that options select.
func (r *REST) Watch(ctx context.Context, options *internalversion.ListOptions) (watch.Interface, error) {
	return Watch(ctx, r.Store, options)
}

// Watch watches the objects in store that options select. A resourceVersion that is no number is the client's mistake; the store has no name for it,
// and the answer would be an internal error.
func Watch(ctx context.Context, store *genericregistry.Store, options *internalversion.ListOptions) (watch.Interface, error) {
	watcher, err := store.Watch(ctx, options)
	if err != nil {
		return nil, storeerr.InterpretWatchError(err, store.DefaultQualifiedResource, "")
	}
	return watcher, nil
}

// UpdateREST serves a subresource that can only be put.
type UpdateREST struct {
	store *genericregistry.Store
}

// NewUpdateREST serves the updates of a store made by WithUpdate.
func NewUpdateREST(store *genericregistry.Store) *UpdateREST { return &UpdateREST{store: store} }

// New returns an empty object of the kind.
func (r *UpdateREST) New() runtime.Object { return r.store.New() }

// Destroy does nothing: the store belongs to the kind's REST.
func (r *UpdateREST) Destroy() {}

// Update changes the part of the object that the subresource stands for. An object that doesn't exist is never
// created, whatever the caller allows.
func (r *UpdateREST) Update(ctx context.Context, name string, objInfo rest.UpdatedObjectInfo,
	createValidation rest.ValidateObjectFunc, updateValidation rest.ValidateObjectUpdateFunc,
	_ bool, options *metav1.UpdateOptions) (runtime.Object, bool, error) {
	return r.store.Update(ctx, name, objInfo, createValidation, updateValidation, false, options)
}

// GetResetFields returns the fields that an update through the subresource leaves alone.
func (r *UpdateREST) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return r.store.GetResetFields()
}

// StatusREST serves a subresource that can be read, put and patched: /status, and others that stand for a part of the object.
type StatusREST struct {
	UpdateREST
}

// NewStatusREST serves a store made by WithUpdate.
func NewStatusREST(store *genericregistry.Store) *StatusREST {
	return &StatusREST{UpdateREST{store: store}}
}

// Get returns the whole object.
func (r *StatusREST) Get(ctx context.Context, name string, options *metav1.GetOptions) (runtime.Object, error) {
	return r.store.Get(ctx, name, options)
}

// ConvertToTable shows the whole object as the kind does.
func (r *StatusREST) ConvertToTable(ctx context.Context, obj, options runtime.Object) (*metav1.Table, error) {
	return r.store.ConvertToTable(ctx, obj, options)
}

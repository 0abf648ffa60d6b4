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

// Package storage keeps Jobs in etcd and serves them as REST resources of both groups.
package storage

import (
	"context"

	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/registry/generic"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	storeerr "k8s.io/apiserver/pkg/storage/errors"
	"k8s.io/apiserver/pkg/warning"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	"github.com/jobserver-dev/jobserver/pkg/registry/batch/job"
)

// Jobs is the one store of Jobs: one etcd prefix and one watch cache, whichever group they are served in.
type Jobs struct {
	store *genericregistry.Store
}

// NewJobs opens the store with the storage codec and cache that optsGetter gives for jobs.batch.jobserver.dev.
func NewJobs(optsGetter generic.RESTOptionsGetter) (*Jobs, error) {
	strategy := job.NewStrategy(job.OurGroup())
	store := &genericregistry.Store{
		NewFunc:                   func() runtime.Object { return &batch.Job{} },
		NewListFunc:               func() runtime.Object { return &batch.JobList{} },
		PredicateFunc:             job.MatchJob,
		DefaultQualifiedResource:  batch.Resource("jobs"),
		SingularQualifiedResource: batch.Resource("job"),

		CreateStrategy:      strategy,
		UpdateStrategy:      strategy,
		DeleteStrategy:      strategy,
		ResetFieldsStrategy: strategy,

		TableConvertor: newTableConvertor(),
	}
	if err := store.CompleteWithOptions(&generic.StoreOptions{RESTOptions: optsGetter, AttrFunc: job.GetAttrs}); err != nil {
		return nil, err
	}
	return &Jobs{store: store}, nil
}

// Names are what a group calls its Jobs beyond the plural.
type Names struct {
	// ShortNames are abbreviations for kubectl.
	ShortNames []string
	// Categories are the groups of resources that a request for many kinds, such as kubectl get all, lists.
	Categories []string
}

// Serve returns the REST resources of one group: jobs and jobs/status. The store is shared: only the one group with owner set closes it.
func (j *Jobs) Serve(group job.Group, names Names, owner bool) map[string]rest.Storage {
	resource := schema.GroupResource{Group: group.Version.Group, Resource: "jobs"}
	store := *j.store
	strategy := job.NewStrategy(group)
	store.DefaultQualifiedResource = resource
	store.SingularQualifiedResource = schema.GroupResource{Group: group.Version.Group, Resource: "job"}
	store.CreateStrategy = strategy
	store.UpdateStrategy = strategy
	store.DeleteStrategy = strategy
	store.ResetFieldsStrategy = strategy
	if !owner {
		store.DestroyFunc = func() {}
	}

	statusStore := store
	statusStrategy := job.NewStatusStrategy(group)
	statusStore.UpdateStrategy = statusStrategy
	statusStore.ResetFieldsStrategy = statusStrategy
	return map[string]rest.Storage{
		"jobs":        &REST{Store: &store, group: group, names: names},
		"jobs/status": &StatusREST{store: &statusStore},
	}
}

// REST is the jobs resource of one group.
type REST struct {
	*genericregistry.Store
	group job.Group
	names Names
}

var (
	_ rest.StandardStorage      = &REST{}
	_ rest.ShortNamesProvider   = &REST{}
	_ rest.CategoriesProvider   = &REST{}
	_ rest.SingularNameProvider = &REST{}
	_ rest.TableConvertor       = &REST{}
	_ rest.ResetFieldsStrategy  = &StatusREST{}
	_ rest.Patcher              = &StatusREST{}
	_ rest.Storage              = &StatusREST{}
)

// orphanWarning is upstream's, to the letter: clients show it and scripts look for it.
const orphanWarning = "child pods are preserved by default when jobs are deleted; " +
	"set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning"

// ShortNames returns the group's abbreviations.
func (r *REST) ShortNames() []string {
	return r.names.ShortNames
}

// Categories returns the groups of resources that Jobs of this group belong to.
func (r *REST) Categories() []string {
	return r.names.Categories
}

// Create creates a Job.
func (r *REST) Create(ctx context.Context, obj runtime.Object, validate rest.ValidateObjectFunc, options *metav1.CreateOptions) (runtime.Object, error) {
	return createJob(ctx, r.Store, obj, validate, options)
}

// Update changes a Job, or creates one by an apply.
func (r *REST) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, validateCreate rest.ValidateObjectFunc, validateUpdate rest.ValidateObjectUpdateFunc, forceCreate bool, options *metav1.UpdateOptions) (runtime.Object, bool, error) {
	return r.Store.Update(ctx, name, changedObject{info}, validateCreate, validateUpdate, forceCreate, options)
}

// Delete deletes a Job, with a warning where its Pods stay only because the request didn't say.
func (r *REST) Delete(ctx context.Context, name string, validate rest.ValidateObjectFunc, options *metav1.DeleteOptions) (runtime.Object, bool, error) {
	r.warnOfOrphans(ctx, options)
	return r.Store.Delete(ctx, name, validate, options)
}

// DeleteCollection deletes the Jobs that listOptions select, with the same warning.
func (r *REST) DeleteCollection(ctx context.Context, validate rest.ValidateObjectFunc, options *metav1.DeleteOptions, listOptions *internalversion.ListOptions) (runtime.Object, error) {
	r.warnOfOrphans(ctx, options)
	return r.Store.DeleteCollection(ctx, validate, options, listOptions)
}

// Watch watches the Jobs that options select. A resourceVersion that is no number is the client's mistake; the store has no name for it, and the
// answer would be an internal error.
func (r *REST) Watch(ctx context.Context, options *internalversion.ListOptions) (watch.Interface, error) {
	watcher, err := r.Store.Watch(ctx, options)
	if err != nil {
		return nil, storeerr.InterpretWatchError(err, r.DefaultQualifiedResource, "")
	}
	return watcher, nil
}

func (r *REST) warnOfOrphans(ctx context.Context, options *metav1.DeleteOptions) {
	if r.group.GarbageCollection != rest.OrphanDependents || options == nil || options.PropagationPolicy != nil {
		return
	}
	//lint:ignore SA1019 clients still send the deprecated field
	if options.OrphanDependents == nil {
		warning.AddWarning(ctx, "", orphanWarning)
	}
}

// StatusREST is the jobs/status resource of one group: get, update and patch.
type StatusREST struct {
	store *genericregistry.Store
}

// New returns an empty Job.
func (r *StatusREST) New() runtime.Object {
	return &batch.Job{}
}

// Destroy does nothing: the store belongs to the main resource.
func (r *StatusREST) Destroy() {}

// Get returns the whole Job; patches start from it.
func (r *StatusREST) Get(ctx context.Context, name string, options *metav1.GetOptions) (runtime.Object, error) {
	return r.store.Get(ctx, name, options)
}

// Update changes the status of a Job that exists; it never creates one.
func (r *StatusREST) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, validateCreate rest.ValidateObjectFunc, validateUpdate rest.ValidateObjectUpdateFunc, _ bool, options *metav1.UpdateOptions) (runtime.Object, bool, error) {
	return r.store.Update(ctx, name, changedObject{info}, validateCreate, validateUpdate, false, options)
}

// GetResetFields names the fields that a write to the status can't set.
func (r *StatusREST) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return r.store.GetResetFields()
}

// ConvertToTable prints the Job in the columns of the main resource.
func (r *StatusREST) ConvertToTable(ctx context.Context, object, tableOptions runtime.Object) (*metav1.Table, error) {
	return r.store.ConvertToTable(ctx, object, tableOptions)
}

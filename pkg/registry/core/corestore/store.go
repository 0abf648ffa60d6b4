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

// Package corestore builds the stores of the core kinds, so that a kind's own package says only what is particular to it.
package corestore

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/generic"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/client-go/tools/cache"
)

// Strategy decides what may be created, changed and deleted. Each of upstream's core strategies is one.
// Where it implements rest.ResetFieldsStrategy, rest.RESTGracefulDeleteStrategy or rest.GarbageCollectionDeleteStrategy,
// the store follows these as well.
type Strategy interface {
	rest.RESTCreateStrategy
	rest.RESTUpdateStrategy
	rest.RESTDeleteStrategy
}

// Kind describes a kind to New. Fields without the word optional must be set.
type Kind struct {
	// Resource and Singular are the names of the kind in the API, such as pods and pod.
	Resource, Singular string
	// New and NewList return an empty object and an empty list, of the internal types.
	New, NewList func() runtime.Object
	// Strategy holds the rules of the kind.
	Strategy Strategy
	// Table shows objects and lists in columns.
	Table rest.TableConvertor

	// Group is the API group. Optional: empty means core.
	Group string
	// Attrs returns the labels and the selectable fields of an object, Predicate turns a label and a field selector into a filter. Optional, but for both
	// together: nil means that name and namespace are the selectable fields.
	Attrs     storage.AttrFunc
	Predicate func(labels.Selector, fields.Selector) storage.SelectionPredicate
	// TTL is how long an object lives after its last write. Optional: zero means until it is deleted.
	TTL time.Duration
	// ReturnDeletedObject makes a delete answer with the deleted object instead of a Status. Optional.
	ReturnDeletedObject bool
	// Trigger and Indexers index the watch cache by a field. Optional.
	Trigger  storage.IndexerFuncs
	Indexers *cache.Indexers
	// DeleteDuringUpdate says whether an update may end an object that is being deleted. Optional: nil means that it
	// does once finalizers and grace period are gone.
	DeleteDuringUpdate func(ctx context.Context, key string, obj, existing runtime.Object) bool
}

// New returns the store of a kind, kept where getter says.
func New(getter generic.RESTOptionsGetter, kind Kind) (*genericregistry.Store, error) {
	store := &genericregistry.Store{
		NewFunc:                   kind.New,
		NewListFunc:               kind.NewList,
		PredicateFunc:             kind.Predicate,
		DefaultQualifiedResource:  schema.GroupResource{Group: kind.Group, Resource: kind.Resource},
		SingularQualifiedResource: schema.GroupResource{Group: kind.Group, Resource: kind.Singular},
		CreateStrategy:            kind.Strategy,
		UpdateStrategy:            kind.Strategy,
		DeleteStrategy:            kind.Strategy,
		ResetFieldsStrategy:       resetFields(kind.Strategy),
		ReturnDeletedObject:       kind.ReturnDeletedObject,
		ShouldDeleteDuringUpdate:  kind.DeleteDuringUpdate,
		TableConvertor:            kind.Table,
	}
	if kind.TTL > 0 {
		seconds := uint64(kind.TTL / time.Second)
		store.TTLFunc = func(runtime.Object, uint64, bool) (uint64, error) { return seconds, nil }
	}
	options := &generic.StoreOptions{
		RESTOptions: getter,
		AttrFunc:    kind.Attrs,
		TriggerFunc: kind.Trigger,
		Indexers:    kind.Indexers,
	}
	if err := store.CompleteWithOptions(options); err != nil {
		return nil, fmt.Errorf("store of %s: %w", kind.Resource, err)
	}
	return store, nil
}

// WithUpdate returns a store of the same objects, in the same cache, whose updates follow other rules: those of a
// subresource. It must never be destroyed; the store that it came from is.
func WithUpdate(store *genericregistry.Store, strategy rest.RESTUpdateStrategy) *genericregistry.Store {
	shared := *store
	shared.UpdateStrategy = strategy
	shared.ResetFieldsStrategy = resetFields(strategy)
	return &shared
}

// resetFields returns the strategy as the one that names the fields it resets, or nil where it resets none.
func resetFields(strategy any) rest.ResetFieldsStrategy {
	s, _ := strategy.(rest.ResetFieldsStrategy)
	return s
}

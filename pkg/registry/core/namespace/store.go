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

// Package namespace serves namespaces: their life from Active through Terminating to the end that /finalize allows.
package namespace

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/kubernetes/pkg/apis/core"
	upstream "k8s.io/kubernetes/pkg/registry/core/namespace"

	"github.com/jobserver-dev/jobserver/pkg/registry/core/corestore"
)

// Storage is what is served of namespaces.
type Storage struct {
	// Namespace serves the kind, at /namespaces.
	Namespace *REST
	// Status serves /namespaces/NAME/status.
	Status *corestore.StatusREST
	// Finalize serves /namespaces/NAME/finalize, the one way to change spec.finalizers.
	Finalize *corestore.UpdateREST
}

// NewStorage returns the storage of namespaces, all kept in one store. Upstream's strategy gives each new namespace the
// finalizer kubernetes and the label kubernetes.io/metadata.name.
func NewStorage(getter generic.RESTOptionsGetter) (Storage, error) {
	store, err := corestore.New(getter, corestore.Kind{
		Resource:            "namespaces",
		Singular:            "namespace",
		New:                 func() runtime.Object { return &core.Namespace{} },
		NewList:             func() runtime.Object { return &core.NamespaceList{} },
		Strategy:            upstream.Strategy,
		Attrs:               upstream.GetAttrs,
		Predicate:           upstream.MatchNamespace,
		Table:               newTable(),
		ReturnDeletedObject: true,
		DeleteDuringUpdate:  endsWithUpdate,
	})
	if err != nil {
		return Storage{}, err
	}
	return Storage{
		Namespace: &REST{store: store},
		Status:    corestore.NewStatusREST(corestore.WithUpdate(store, upstream.StatusStrategy)),
		Finalize:  corestore.NewUpdateREST(corestore.WithUpdate(store, upstream.FinalizeStrategy)),
	}, nil
}

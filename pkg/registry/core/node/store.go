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

// Package node serves nodes and their status.
package node

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/kubernetes/pkg/apis/core"
	upstream "k8s.io/kubernetes/pkg/registry/core/node"

	"github.com/jobserver-dev/jobserver/pkg/registry/core/corestore"
)

// Storage is what is served of nodes.
type Storage struct {
	// Node serves the kind, at /nodes.
	Node *corestore.REST
	// Status serves /nodes/NAME/status.
	Status *corestore.StatusREST
}

// NewStorage returns the storage of nodes, all kept in one store.
func NewStorage(getter generic.RESTOptionsGetter) (Storage, error) {
	store, err := corestore.New(getter, corestore.Kind{
		Resource:  "nodes",
		Singular:  "node",
		New:       func() runtime.Object { return &core.Node{} },
		NewList:   func() runtime.Object { return &core.NodeList{} },
		Strategy:  upstream.Strategy,
		Attrs:     upstream.GetAttrs,
		Predicate: upstream.MatchNode,
		Table:     newTable(),
	})
	if err != nil {
		return Storage{}, err
	}
	return Storage{
		Node:   corestore.NewREST(store, []string{"no"}, nil),
		Status: corestore.NewStatusREST(corestore.WithUpdate(store, upstream.StatusStrategy)),
	}, nil
}

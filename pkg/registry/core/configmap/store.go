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

// Package configmap serves configMaps.
package configmap

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/kubernetes/pkg/apis/core"
	upstream "k8s.io/kubernetes/pkg/registry/core/configmap"

	"github.com/jobserver-dev/jobserver/pkg/registry/core/corestore"
)

// NewREST returns the storage of configMaps. Immutable ones refuse changes of their data, by upstream's strategy.
func NewREST(getter generic.RESTOptionsGetter) (*corestore.REST, error) {
	store, err := corestore.New(getter, corestore.Kind{
		Resource:  "configmaps",
		Singular:  "configmap",
		New:       func() runtime.Object { return &core.ConfigMap{} },
		NewList:   func() runtime.Object { return &core.ConfigMapList{} },
		Strategy:  upstream.Strategy,
		Attrs:     upstream.GetAttrs,
		Predicate: upstream.Matcher,
		Table:     newTable(),
	})
	if err != nil {
		return nil, err
	}
	return corestore.NewREST(store, []string{"cm"}, nil), nil
}

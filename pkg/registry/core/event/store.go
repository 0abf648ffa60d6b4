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

// Package event serves core/v1's events.
package event

import (
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/kubernetes/pkg/apis/core"
	upstream "k8s.io/kubernetes/pkg/registry/core/event"

	"github.com/jobserver-dev/jobserver/pkg/registry/core/corestore"
)

// NewREST returns the storage of events. An event vanishes ttl, in whole seconds, after its last write.
func NewREST(getter generic.RESTOptionsGetter, ttl time.Duration) (*corestore.REST, error) {
	store, err := corestore.New(getter, corestore.Kind{
		Resource:  "events",
		Singular:  "event",
		New:       func() runtime.Object { return &core.Event{} },
		NewList:   func() runtime.Object { return &core.EventList{} },
		Strategy:  upstream.Strategy,
		Attrs:     upstream.GetAttrs,
		Predicate: upstream.Matcher,
		Table:     newTable(),
		TTL:       ttl,
	})
	if err != nil {
		return nil, err
	}
	return corestore.NewREST(store, []string{"ev"}, nil), nil
}

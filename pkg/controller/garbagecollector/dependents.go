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

package garbagecollector

import (
	"context"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/pager"
)

// ownedBy returns the resources that may hold dependents of the owner.
func (c *Controller) ownedBy(owner *node) []*Resource {
	var resources []*Resource
	for _, m := range c.monitors {
		if m.resource.Namespaced || !owner.resource.Namespaced {
			resources = append(resources, m.resource)
		}
	}
	return resources
}

// allDependents returns the objects of the resource that name the owner, as of the owner's deletion or later.
//
// Upstream trusts its graph here. But a dependent that was made just before its owner's deletion may be shown just after:
// it would be deleted instead of orphaned, or outlive an owner that was to wait for it. So where the graph may
// lag, the server is asked.
func (c *Controller) allDependents(ctx context.Context, owner *node, resource *Resource) ([]*node, error) {
	if !c.graph.lags(resource, owner) {
		return c.graph.dependentsIn(resource, owner.uid), nil
	}
	client := c.client(resource, owner.namespace)
	list := pager.New(pager.SimplePageFunc(func(options metav1.ListOptions) (runtime.Object, error) {
		return client.List(ctx, options)
	}))
	var dependents []*node
	err := list.EachListItem(ctx, metav1.ListOptions{}, func(item runtime.Object) error {
		n := newNode(resource, item.(*metav1.PartialObjectMetadata))
		if slices.ContainsFunc(n.owners, func(ref metav1.OwnerReference) bool { return ref.UID == owner.uid }) {
			dependents = append(dependents, n)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list %s that may be dependents: %w", resource.Resource, err)
	}
	return dependents, nil
}

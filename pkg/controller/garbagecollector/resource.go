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
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Resource is a kind of object that may own others or be owned.
//
// Its API must serve get, list, watch, patch (JSON merge and strategic merge) and delete, as every built-in kind's does. All
// resources must be kept in one etcd: their resource versions are compared.
type Resource struct {
	// GroupVersionResource is where the objects are read, patched and deleted.
	schema.GroupVersionResource
	// Kind is the kind that owner references name, with the group and version above.
	Kind string
	// Namespaced is false for cluster-scoped objects.
	Namespaced bool
	// Aliases are other names for the same objects, with the same UIDs: what an owner reference may say as well.
	// The objects of an alias must not be given as a Resource of their own.
	Aliases []schema.GroupVersionKind
	// OwnerOnly keeps the objects from being watched and collected; they may still be owners. Upstream treats events so.
	OwnerOnly bool
}

// errUnknownKind says that an owner reference names a kind that is not among the resources. The kind may come with a
// later version, so whoever has such an owner is left alone, and looked at again now and then.
var errUnknownKind = errors.New("unknown kind of owner")

// kinds finds the Resource of an owner reference.
type kinds map[schema.GroupVersionKind]*Resource

// newKinds checks the resources and indexes them by all their names.
func newKinds(resources []Resource) (kinds, error) {
	if len(resources) == 0 {
		return nil, errors.New("at least one is required")
	}
	byKind := kinds{}
	seen := map[schema.GroupVersionResource]bool{}
	for i := range resources {
		r := &resources[i]
		if r.Version == "" || r.Resource == "" || r.Kind == "" {
			return nil, fmt.Errorf("resource %d (%v): version, resource and kind are required", i, r.GroupVersionResource)
		}
		if seen[r.GroupVersionResource] {
			return nil, fmt.Errorf("resource %d: %v is given twice", i, r.GroupVersionResource)
		}
		seen[r.GroupVersionResource] = true
		for _, gvk := range append([]schema.GroupVersionKind{r.GroupVersion().WithKind(r.Kind)}, r.Aliases...) {
			if other, taken := byKind[gvk]; taken {
				return nil, fmt.Errorf("resource %d: kind %v is already that of %v", i, gvk, other.GroupVersionResource)
			}
			byKind[gvk] = r
		}
	}
	return byKind, nil
}

// of returns the Resource of the object that the reference names, or nil if there is none.
func (k kinds) of(ref metav1.OwnerReference) *Resource {
	return k[schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind)]
}

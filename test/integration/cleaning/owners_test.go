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

package cleaning

import (
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// family is an owner with a dependent of each kind. Each dependent is held by a finalizer of the test.
type family struct {
	t          *testing.T
	kind       kind
	owner      *unstructured.Unstructured
	dependents map[string]*unstructured.Unstructured
}

func newFamily(t *testing.T, of kind) *family {
	t.Helper()
	namespace := server.Namespace(t)
	f := &family{t: t, kind: of, dependents: map[string]*unstructured.Unstructured{}}
	// A cluster-scoped owner has a name of its own.
	f.owner = of.create(t, namespace, "owner-"+namespace, func(*unstructured.Unstructured) {})
	for _, k := range dependents() {
		name := "of-" + strings.ReplaceAll(k.String(), ".", "-")
		f.dependents[k.String()] = k.create(t, namespace, name, func(object *unstructured.Unstructured) {
			object.SetFinalizers([]string{holder})
			object.SetOwnerReferences([]metav1.OwnerReference{{
				APIVersion: of.resource.GroupVersion().String(), Kind: of.kind, Name: f.owner.GetName(), UID: f.owner.GetUID(),
				BlockOwnerDeletion: new(true),
			}})
		})
	}
	return f
}

func (f *family) delete(policy metav1.DeletionPropagation) {
	f.t.Helper()
	err := f.kind.in(f.owner.GetNamespace()).Delete(f.t.Context(), f.owner.GetName(), metav1.DeleteOptions{PropagationPolicy: &policy})
	if err != nil {
		f.t.Fatalf("delete %s %s: %v", f.kind, f.owner.GetName(), err)
	}
}

// eachOwner runs a test for each kind of owner.
func eachOwner(t *testing.T, test func(*testing.T, *family)) {
	for _, of := range owners() {
		t.Run(of.String(), func(t *testing.T) {
			t.Parallel()
			test(t, newFamily(t, of))
		})
	}
}

// TestBackground: the owner goes, then its dependents.
func TestBackground(t *testing.T) {
	t.Parallel()
	eachOwner(t, func(t *testing.T, f *family) {
		f.delete(metav1.DeletePropagationBackground)
		f.kind.wait(t, "is gone", f.owner, isGone)
		for _, k := range dependents() {
			k.wait(t, "is being deleted", f.dependents[k.String()], isGoing)
			k.letGo(t, f.dependents[k.String()])
			k.wait(t, "is gone", f.dependents[k.String()], isGone)
		}
	})
}

// TestForeground: the owner goes after its dependents.
func TestForeground(t *testing.T) {
	t.Parallel()
	eachOwner(t, func(t *testing.T, f *family) {
		f.delete(metav1.DeletePropagationForeground)
		all := dependents()
		for _, k := range all {
			k.wait(t, "is being deleted", f.dependents[k.String()], isGoing)
		}
		for i, k := range all {
			f.kind.wait(t, "waits", f.owner, func(owner *unstructured.Unstructured) bool {
				return isGoing(owner) && slices.Contains(owner.GetFinalizers(), metav1.FinalizerDeleteDependents)
			})
			k.letGo(t, f.dependents[k.String()])
			k.wait(t, "is gone", f.dependents[k.String()], isGone)
			if i == len(all)-1 {
				f.kind.wait(t, "is gone", f.owner, isGone)
			}
		}
	})
}

// TestOrphan: the owner goes, its dependents stay and belong to nobody.
func TestOrphan(t *testing.T) {
	t.Parallel()
	eachOwner(t, func(t *testing.T, f *family) {
		f.delete(metav1.DeletePropagationOrphan)
		f.kind.wait(t, "is gone", f.owner, isGone)
		for _, k := range dependents() {
			k.wait(t, "is free", f.dependents[k.String()], func(object *unstructured.Unstructured) bool {
				return object != nil && len(object.GetOwnerReferences()) == 0 && object.GetDeletionTimestamp() == nil
			})
		}
	})
}

// TestOwnerThatNeverWas: an object whose owner doesn't exist is collected, whichever group the owner's kind is said to be of.
func TestOwnerThatNeverWas(t *testing.T) {
	t.Parallel()
	namespace := server.Namespace(t)
	for _, of := range owners() {
		for _, k := range dependents() {
			name := strings.ReplaceAll(k.String()+"-of-"+of.String(), ".", "-")
			object := k.create(t, namespace, name, func(object *unstructured.Unstructured) {
				object.SetOwnerReferences([]metav1.OwnerReference{{
					APIVersion: of.resource.GroupVersion().String(), Kind: of.kind, Name: "never", UID: "11111111-2222-3333-4444-555555555555",
				}})
			})
			k.wait(t, "is gone", object, isGone)
		}
	}
}

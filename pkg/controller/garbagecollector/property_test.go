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
	"fmt"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"
)

// TestRandomDeletions deletes objects of random ownership, loops included, in random ways and with watches that lag
// behind. The collector must not delete an object that has a live owner, and must leave nothing behind that waits for ever
// or whose owners are all gone.
func TestRandomDeletions(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		h := newHarness(t)
		objects := drawObjects(t)
		byUser := false
		h.beforeDelete = func(o *object, _ metav1.DeleteOptions) error {
			if owner := liveOwner(h.server, objects, o); owner != "" && !byUser {
				t.Fatalf("collecting %s, whose owner %s lives", o.Name, owner)
			}
			return nil
		}
		h.addAll(objects...)
		h.settle()
		for range rapid.IntRange(1, 6).Draw(t, "deletions") {
			o := rapid.SampledFrom(objects).Draw(t, "object")
			if h.find(o) == nil {
				continue
			}
			if rapid.Bool().Draw(t, "watches lag") {
				h.hold()
			}
			byUser = true
			h.delete(o, rapid.SampledFrom([]metav1.DeletionPropagation{background, foreground, orphaned}).Draw(t, "policy"))
			byUser = false
			if rapid.Bool().Draw(t, "work goes on") {
				h.settle()
			}
			h.release()
		}
		h.settle()
		for range 20 {
			if !retrying(h, objects) {
				break
			}
			h.retry()
		}
		assertCollected(t, h.server, objects)
	})
}

func drawObjects(t *rapid.T) []*object {
	n := rapid.IntRange(1, 6).Draw(t, "objects")
	objects := make([]*object, n)
	for i := range objects {
		objects[i] = configMap(fmt.Sprintf("o%d", i))
		for _, owner := range rapid.SliceOfNDistinct(rapid.IntRange(0, n-1), 0, min(n, 3), rapid.ID[int]).Draw(t, "owners") {
			var options []func(*metav1.OwnerReference)
			if rapid.Bool().Draw(t, "blocking") {
				options = append(options, blocking)
			}
			ownedBy(fmt.Sprintf("v1 ConfigMap o%d", owner), options...)(objects[i])
		}
	}
	return objects
}

// liveOwner returns the name of an owner of o that exists and does not wait for its dependents, or "".
func liveOwner(s *server, objects []*object, o *object) string {
	for _, ref := range o.OwnerReferences {
		i := slices.IndexFunc(objects, func(candidate *object) bool { return candidate.UID == ref.UID })
		owner := s.find(objects[i])
		if owner != nil && (owner.DeletionTimestamp == nil || !slices.Contains(owner.Finalizers, metav1.FinalizerDeleteDependents)) {
			return owner.Name
		}
	}
	return ""
}

func retrying(h *harness, objects []*object) bool {
	return slices.ContainsFunc(objects, func(o *object) bool { return h.find(o) != nil && h.retries(o) > 0 })
}

func assertCollected(t *rapid.T, s *server, objects []*object) {
	for _, o := range objects {
		live := s.find(o)
		switch {
		case live == nil:
		case live.DeletionTimestamp != nil:
			t.Errorf("%s waits for ever, with finalizers %v", o.Name, live.Finalizers)
		case len(live.OwnerReferences) > 0 && liveOwner(s, objects, live) == "":
			t.Errorf("%s is left although all its owners are gone", o.Name)
		}
	}
}

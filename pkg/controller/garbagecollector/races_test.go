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
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clienttesting "k8s.io/client-go/testing"
)

// TestStaleGraph shows the graph something other than what is so. The live objects count.
func TestStaleGraph(t *testing.T) {
	t.Parallel()
	owned := ownedBy("batch/v1 Job a")

	t.Run("the owner only seems gone", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		h.addAll(job("a"), pod("p", owned))
		h.c.apply(h.c.graph.remove(&node{uid: "a"}))
		h.settle()
		if diff := cmp.Diff([]string{"a", "p"}, h.all()); diff != "" {
			t.Errorf("objects (-want +got):\n%s", diff)
		}
		if h.retries(pod("p")) == 0 {
			t.Error("the Pod's owner is unknown and nobody will look at the Pod again")
		}
		h.update(job("a"), func(*object) {})
		h.retry()
		if h.retries(pod("p")) != 0 {
			t.Error("still retried, although the owner is known")
		}
	})
	t.Run("the Pod has lost its owner reference meanwhile", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		h.addAll(job("a"), pod("p", owned))
		h.hold()
		h.update(pod("p"), func(o *object) { o.OwnerReferences = nil })
		h.holding = false
		h.delete(job("a"), background)
		h.settle()
		if diff := cmp.Diff([]string{"p"}, h.all()); diff != "" {
			t.Errorf("objects (-want +got):\n%s", diff)
		}
	})
	t.Run("another Pod has the name meanwhile", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		h.addAll(job("a"), pod("p", owned))
		h.hold()
		h.drop(pod("p"))
		h.add(pod("p", withUID("new")))
		h.holding = false
		h.delete(job("a"), background)
		h.settle()
		if diff := cmp.Diff([]string{"p"}, h.all()); diff != "" {
			t.Errorf("objects (-want +got):\n%s", diff)
		}
	})
	t.Run("another Job has the name of one that waits", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		h.addAll(job("a"))
		h.delete(job("a"), foreground)
		h.hold()
		h.drop(job("a"))
		h.add(job("a", withUID("new"), withFinalizer(metav1.FinalizerDeleteDependents)))
		h.settle()
		if live := h.find(job("a")); live == nil || len(live.Finalizers) != 1 {
			t.Errorf("got %v, want the new Job with its finalizer", live)
		}
	})
}

// TestDeleteRaces changes an object between the look at it and its deletion.
func TestDeleteRaces(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		change func(*object)
		want   []string
	}{
		"its status":  {change: func(o *object) { o.Labels = map[string]string{"touched": "yes"} }, want: []string{"b"}},
		"a new owner": {change: func(o *object) { ownedBy("batch/v1 Job b")(o) }, want: []string{"b", "p"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t)
			h.addAll(job("a"), job("b"), pod("p", ownedBy("batch/v1 Job a")))
			changed := false
			h.beforeDelete = func(o *object, options metav1.DeleteOptions) error {
				if options.Preconditions.UID == nil || *options.Preconditions.UID != o.UID {
					t.Errorf("preconditions %v, want UID %s", options.Preconditions, o.UID)
				}
				if !changed && options.Preconditions.ResourceVersion == nil {
					t.Error("the first delete has no resource version")
				}
				if !changed {
					changed = true
					h.update(o, tc.change)
				}
				return nil
			}
			h.drop(job("a"))
			h.settle()
			if name == "a new owner" {
				h.retry()
			}
			if diff := cmp.Diff(tc.want, h.all()); diff != "" {
				t.Errorf("objects (-want +got):\n%s", diff)
			}
			if !changed {
				t.Error("the Pod was never deleted")
			}
		})
	}
}

// TestErrors fails each call once. Nothing is deleted that should not be, and the retry succeeds.
func TestErrors(t *testing.T) {
	t.Parallel()
	broken := apierrors.NewInternalError(errors.New("broken"))
	conflict := apierrors.NewConflict(schema.GroupResource{Resource: "any"}, "any", errors.New("changed"))
	cases := map[string]struct {
		verb, resource string
		err            error
		policy         metav1.DeletionPropagation
		conflictsOnly  bool
	}{
		"get of the owner":            {verb: "get", resource: "jobs", err: broken, policy: background},
		"get of the dependent":        {verb: "get", resource: "pods", err: broken, policy: background},
		"delete":                      {verb: "delete", resource: "pods", err: broken, policy: background},
		"removal of a finalizer":      {verb: "patch", resource: "jobs", err: broken, policy: foreground},
		"list of dependents":          {verb: "list", resource: "pods", err: broken, policy: orphaned},
		"orphaning":                   {verb: "patch", resource: "pods", err: broken, policy: orphaned},
		"finalizer with a conflict":   {verb: "patch", resource: "jobs", err: conflict, policy: orphaned, conflictsOnly: true},
		"orphaning with a conflict":   {verb: "patch", resource: "pods", err: conflict, policy: orphaned},
		"foreground with a conflict":  {verb: "patch", resource: "jobs", err: conflict, policy: foreground, conflictsOnly: true},
		"get of the owner, at finish": {verb: "get", resource: "jobs", err: broken, policy: orphaned},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t)
			h.addAll(job("a"), pod("p", ownedBy("batch/v1 Job a", blocking)))
			h.settle()
			failures := 0
			h.PrependReactor(tc.verb, tc.resource, func(clienttesting.Action) (bool, runtime.Object, error) {
				if failures > 0 {
					return false, nil, nil
				}
				failures++
				return true, nil, tc.err
			})
			h.delete(job("a"), tc.policy)
			h.settle()
			if !tc.conflictsOnly {
				h.retry()
			}
			want := []string{}
			if tc.policy == orphaned {
				want = []string{"p"}
			}
			if diff := cmp.Diff(want, h.all()); diff != "" {
				t.Errorf("objects (-want +got):\n%s", diff)
			}
			if failures != 1 {
				t.Errorf("%d calls failed, want 1: the case proves nothing", failures)
			}
		})
	}
}

// TestCallsOfLargeOwner counts what it costs to collect the Pods of one Job.
func TestCallsOfLargeOwner(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.add(job("a"))
	for _, name := range strings.Fields("p1 p2 p3 p4 p5") {
		h.add(pod(name, ownedBy("batch/v1 Job a", blocking)))
	}
	h.settle()
	if calls := h.Actions(); len(calls) != 0 {
		t.Errorf("%d calls for objects whose owner is well, want none", len(calls))
	}
	h.delete(job("a"), background)
	h.settle()
	calls := map[string]int{}
	for _, action := range h.Actions() {
		calls[action.GetVerb()+" "+action.GetResource().Resource]++
	}
	want := map[string]int{"get pods": 5, "get jobs": 1, "delete pods": 5}
	if diff := cmp.Diff(want, calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

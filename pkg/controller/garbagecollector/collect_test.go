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

const (
	background = metav1.DeletePropagationBackground
	foreground = metav1.DeletePropagationForeground
	orphaned   = metav1.DeletePropagationOrphan

	tracking = "batch.kubernetes.io/job-tracking"
)

// TestDeletion deletes objects in all ways and looks at what is left once nothing is to be done any more.
func TestDeletion(t *testing.T) {
	t.Parallel()
	const jobA, jobB = "batch/v1 Job a", "batch.jobserver.dev/v1 Job b"
	cases := map[string]struct {
		objects []*object
		act     func(*harness)
		want    []string
	}{
		"background: dependents go, under either name of the owner's kind": {
			objects: []*object{job("a"), job("b"), job("c"), pod("a1", ownedBy(jobA)), pod("a2", ownedBy("batch.jobserver.dev/v1 Job a")), pod("b1", ownedBy(jobB)), pod("free")},
			act:     func(h *harness) { h.delete(job("a"), background) },
			want:    []string{"b", "b1", "c", "free"},
		},
		"background: dependents of dependents go": {
			objects: []*object{job("a"), pod("p", ownedBy(jobA)), configMap("c", ownedBy("v1 Pod p"))},
			act:     func(h *harness) { h.delete(job("a"), background) },
			want:    []string{},
		},
		"background: a dependent with a finalizer waits for it": {
			objects: []*object{job("a"), pod("p", ownedBy(jobA), withFinalizer(tracking))},
			act:     func(h *harness) { h.delete(job("a"), background) },
			want:    []string{"p†"},
		},
		"background: a dependent with another owner stays": {
			objects: []*object{job("a"), job("b"), pod("p", ownedBy(jobA), ownedBy(jobB))},
			act:     func(h *harness) { h.delete(job("a"), background) },
			want:    []string{"b", "p"},
		},
		"background: a cluster-scoped owner": {
			objects: []*object{k8sNode("n"), pod("p", ownedBy("v1 Node n")), pod("q", in("other"), ownedBy("v1 Node n"))},
			act:     func(h *harness) { h.delete(k8sNode("n"), background) },
			want:    []string{},
		},
		"background: owners of each other": {
			objects: []*object{configMap("x", ownedBy("v1 ConfigMap y")), configMap("y", ownedBy("v1 ConfigMap x"))},
			act:     func(h *harness) { h.delete(configMap("x"), background) },
			want:    []string{},
		},
		"foreground: the owner goes after its dependents": {
			objects: []*object{job("a"), pod("p", ownedBy(jobA, blocking)), pod("q", ownedBy(jobA))},
			act:     func(h *harness) { h.delete(job("a"), foreground) },
			want:    []string{},
		},
		"foreground: the owner waits for a dependent with a finalizer": {
			objects: []*object{job("a"), pod("p", ownedBy(jobA, blocking), withFinalizer(tracking)), pod("q", ownedBy(jobA, blocking))},
			act:     func(h *harness) { h.delete(job("a"), foreground) },
			want:    []string{"a†", "p†"},
		},
		"foreground: and goes with it": {
			objects: []*object{job("a"), pod("p", ownedBy(jobA, blocking), withFinalizer(tracking))},
			act: func(h *harness) {
				h.delete(job("a"), foreground)
				h.settle()
				h.update(pod("p"), func(o *object) { o.Finalizers = nil })
			},
			want: []string{},
		},
		"foreground: the owner does not wait for a dependent that doesn't block": {
			objects: []*object{job("a"), pod("p", ownedBy(jobA), withFinalizer(tracking))},
			act:     func(h *harness) { h.delete(job("a"), foreground) },
			want:    []string{"p†"},
		},
		"foreground: the owner goes when the last dependent stops blocking": {
			objects: []*object{job("a"), pod("p", ownedBy(jobA, blocking), withFinalizer(tracking))},
			act: func(h *harness) {
				h.delete(job("a"), foreground)
				h.settle()
				h.update(pod("p"), func(o *object) { o.OwnerReferences[0].BlockOwnerDeletion = new(false) })
			},
			want: []string{"p†"},
		},
		"foreground: the owner waits for dependents of dependents": {
			objects: []*object{job("a"), pod("p", ownedBy(jobA, blocking)), configMap("c", ownedBy("v1 Pod p", blocking), withFinalizer("x"))},
			act:     func(h *harness) { h.delete(job("a"), foreground) },
			want:    []string{"a†", "c†", "p†"},
		},
		"foreground: a dependent with another owner stays": {
			objects: []*object{job("a"), job("b"), pod("p", ownedBy(jobA, blocking), ownedBy(jobB, blocking))},
			act:     func(h *harness) { h.delete(job("a"), foreground) },
			want:    []string{"b", "p"},
		},
		"foreground: a dependent that comes late": {
			objects: []*object{job("a"), pod("p", ownedBy(jobA, blocking), withFinalizer(tracking))},
			act: func(h *harness) {
				h.delete(job("a"), foreground)
				h.settle()
				h.add(pod("q", ownedBy(jobA, blocking)))
			},
			want: []string{"a†", "p†"},
		},
		"foreground: a dependent stays whose owner waits no more, for another finalizer": {
			objects: []*object{job("a", withFinalizer("x"))},
			act: func(h *harness) {
				h.delete(job("a"), foreground)
				h.settle()
				h.add(pod("p", ownedBy(jobA, blocking)))
			},
			want: []string{"a†", "p"},
		},
		"foreground: two owners of each other": {
			objects: []*object{configMap("x", ownedBy("v1 ConfigMap y", blocking)), configMap("y", ownedBy("v1 ConfigMap x", blocking))},
			act:     func(h *harness) { h.delete(configMap("x"), foreground) },
			want:    []string{},
		},
		"foreground: two owners of each other, both deleted at once": {
			objects: []*object{configMap("x", ownedBy("v1 ConfigMap y", blocking)), configMap("y", ownedBy("v1 ConfigMap x", blocking))},
			act: func(h *harness) {
				h.delete(configMap("x"), foreground)
				h.delete(configMap("y"), foreground)
			},
			want: []string{},
		},
		"foreground: a ring of three": {
			objects: []*object{
				configMap("x", ownedBy("v1 ConfigMap z", blocking)), configMap("y", ownedBy("v1 ConfigMap x", blocking)), configMap("z", ownedBy("v1 ConfigMap y", blocking)),
			},
			act:  func(h *harness) { h.delete(configMap("x"), foreground) },
			want: []string{},
		},
		"foreground: its own owner": {
			objects: []*object{configMap("x", ownedBy("v1 ConfigMap x", blocking))},
			act:     func(h *harness) { h.delete(configMap("x"), foreground) },
			want:    []string{},
		},
		"foreground: a dependent in another namespace is none": {
			objects: []*object{job("a"), pod("p", in("other"), ownedBy(jobA, blocking), withFinalizer("x"))},
			act:     func(h *harness) { h.delete(job("a"), foreground) },
			want:    []string{"p†"},
		},
		"orphan: dependents stay": {
			objects: []*object{job("a"), pod("p", ownedBy(jobA, blocking)), pod("q", ownedBy("batch.jobserver.dev/v1 Job a")), configMap("c", ownedBy(jobA))},
			act:     func(h *harness) { h.delete(job("a"), orphaned) },
			want:    []string{"c", "p", "q"},
		},
		"orphan: a dependent that the watch shows late stays": {
			objects: []*object{job("a")},
			act: func(h *harness) {
				h.hold()
				h.add(pod("p", ownedBy(jobA)))
				h.holding = false
				h.delete(job("a"), orphaned)
				h.settle()
				h.release()
			},
			want: []string{"p"},
		},
		"orphan: dependents of a cluster-scoped owner, in all namespaces": {
			objects: []*object{k8sNode("n"), pod("p", ownedBy("v1 Node n")), pod("q", in("other"), ownedBy("v1 Node n")), k8sNode("m", ownedBy("v1 Node n"))},
			act:     func(h *harness) { h.delete(k8sNode("n"), orphaned) },
			want:    []string{"m", "p", "q"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t)
			h.addAll(tc.objects...)
			h.settle()
			tc.act(h)
			h.settle()
			if diff := cmp.Diff(tc.want, h.all()); diff != "" {
				t.Errorf("objects left (-want +got):\n%s", diff)
			}
		})
	}
}

// TestReferences starts on objects whose owner references are odd, and looks at what is left.
func TestReferences(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		objects []*object
		want    []string
		// wantRefs is what is left of the owner references of an object of the name "p".
		wantRefs []string
		// retried: the object "p" will be looked at again.
		retried bool
		events  []string
	}{
		"an owner that never was":                     {objects: []*object{pod("p", ownedBy("batch/v1 Job a"))}, want: []string{}},
		"an owner whose name another has now":         {objects: []*object{job("a", withUID("new")), pod("p", ownedBy("batch/v1 Job a"))}, want: []string{"a"}},
		"an owner of another name":                    {objects: []*object{job("a"), pod("p", ownedBy("batch/v1 Job b", refUID("a")))}, want: []string{"a"}},
		"an owner of another name, seen later":        {objects: []*object{pod("p", ownedBy("batch/v1 Job b", refUID("a"))), job("a")}, want: []string{"a"}},
		"an owner of another kind":                    {objects: []*object{job("a"), pod("p", ownedBy("v1 ConfigMap a"))}, want: []string{"a"}},
		"an owner that is there, and one that is not": {objects: []*object{job("a"), pod("p", ownedBy("batch/v1 Job a"), ownedBy("batch/v1 Job b"))}, want: []string{"a", "p"}, wantRefs: []string{"a"}},
		"a right and a wrong reference with one UID":  {objects: []*object{job("a"), pod("p", ownedBy("batch/v1 Job a"), ownedBy("batch/v1 Job b", refUID("a")))}, want: []string{"a", "p"}, wantRefs: []string{"a", "a"}},
		"an unknown kind":                             {objects: []*object{pod("p", ownedBy("example.com/v1 Thing a"))}, want: []string{"p"}, wantRefs: []string{"a"}, retried: true},
		"an unknown version":                          {objects: []*object{job("a"), pod("p", ownedBy("batch/v1beta1 Job a"))}, want: []string{"a", "p"}, wantRefs: []string{"a"}, retried: true},
		"an unknown kind, and an owner that is gone":  {objects: []*object{pod("p", ownedBy("batch/v1 Job b"), ownedBy("example.com/v1 Thing a"))}, want: []string{"p"}, wantRefs: []string{"b", "a"}, retried: true},
		"a cluster-scoped object of a namespaced owner": {objects: []*object{job("a"), k8sNode("p", ownedBy("batch/v1 Job a"))}, want: []string{"a", "p"}, wantRefs: []string{"a"},
			events: []string{`Warning OwnerRefInvalidNamespace ownerRef [batch/v1/Job, namespace: , name: a, uid: a] does not exist in namespace ""`}},
		"an owner in another namespace": {objects: []*object{job("a"), pod("p", in("other"), ownedBy("batch/v1 Job a"))}, want: []string{"a"},
			events: []string{`Warning OwnerRefInvalidNamespace ownerRef [batch/v1/Job, namespace: other, name: a, uid: a] does not exist in namespace "other"`}},
		"an owner in another namespace, seen later": {objects: []*object{pod("p", in("other"), ownedBy("batch/v1 Job a")), job("a")}, want: []string{"a"},
			events: []string{`Warning OwnerRefInvalidNamespace ownerRef [batch/v1/Job, namespace: other, name: a, uid: a] does not exist in namespace "other"`}},
		"an owner that is not watched":              {objects: []*object{event("e"), pod("p", ownedBy("v1 Event e"))}, want: []string{"e", "p"}, wantRefs: []string{"e"}, retried: true},
		"an owner that is not watched, and is gone": {objects: []*object{pod("p", ownedBy("v1 Event e"))}, want: []string{}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t)
			h.addAll(tc.objects...)
			h.settle()
			if diff := cmp.Diff(tc.want, h.all()); diff != "" {
				t.Errorf("objects left (-want +got):\n%s", diff)
			}
			for _, o := range tc.objects {
				if o.Name != "p" {
					continue
				}
				var refs []string
				if live := h.find(o); live != nil {
					for _, ref := range live.OwnerReferences {
						refs = append(refs, string(ref.UID))
					}
				}
				if diff := cmp.Diff(tc.wantRefs, refs); diff != "" {
					t.Errorf("owner references (-want +got):\n%s", diff)
				}
				if got := h.retries(o) > 0; got != tc.retried {
					t.Errorf("retried: %t, want %t", got, tc.retried)
				}
			}
			close(h.events.Events)
			var events []string
			for e := range h.events.Events {
				events = append(events, e)
			}
			if diff := cmp.Diff(tc.events, events); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

// TestStaleGraph shows the graph something other than what is so. The live objects count.
func TestStaleGraph(t *testing.T) {
	t.Parallel()
	owned := ownedBy("batch/v1 Job a")

	t.Run("the owner only seems gone", func(t *testing.T) {
		t.Parallel()
		h := newHarness(t)
		h.addAll(job("a"), pod("p", owned))
		h.c.apply(h.c.graph.remove("a"))
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

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
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	background = metav1.DeletePropagationBackground
	foreground = metav1.DeletePropagationForeground
	orphaned   = metav1.DeletePropagationOrphan

	tracking = "batch.kubernetes.io/job-tracking"
)

// Two Jobs, as owner references name them: each through one of the groups.
const jobA, jobB = "batch/v1 Job a", "batch.jobserver.dev/v1 Job b"

// deletion is what is done to objects, and what is left once nothing is to be done any more; of what is being deleted, with a dagger.
type deletion struct {
	objects []*object
	act     func(*harness)
	want    []string
}

// backgroundDeletions remove the owner first.
func backgroundDeletions() map[string]deletion {
	return map[string]deletion{
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
	}
}

// foregroundDeletions keep the owner until those that block are gone.
func foregroundDeletions() map[string]deletion {
	return map[string]deletion{
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
		"foreground: the owner waits for a dependent that the watch shows late": {
			objects: []*object{job("a")},
			act: func(h *harness) {
				h.hold()
				h.add(pod("p", ownedBy(jobA, blocking), withFinalizer(tracking)))
				h.holding = false
				h.delete(job("a"), foreground)
				h.settle()
				h.release()
			},
			want: []string{"a†", "p†"},
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
	}
}

// orphaningDeletions leave the dependents.
func orphaningDeletions() map[string]deletion {
	return map[string]deletion{
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
}

func TestDeletion(t *testing.T) {
	t.Parallel()
	all := backgroundDeletions()
	maps.Copy(all, foregroundDeletions())
	maps.Copy(all, orphaningDeletions())
	for name, tc := range all {
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

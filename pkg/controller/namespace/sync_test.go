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

package namespace

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	clocktesting "k8s.io/utils/clock/testing"
)

// everything is what is deleted in a namespace, in this order.
var everything = []string{"jobs", "pods", "configmaps"}

// look is one look at a namespace, a second after its deletion.
type look struct {
	// cached is what the informer shows; the live namespace, if nil.
	cached, live *corev1.Namespace
	content      map[schema.GroupVersionResource][]item
	pods         []*corev1.Pod
	fail         func(call string) error
	prepare      func(*fake.Clientset)

	wantDeleted []string
	wantWait    time.Duration
	wantErr     string
	// wantFinalizers is nil if the namespace is gone.
	wantFinalizers []corev1.FinalizerName
	// wantTrue are the conditions that are true, with their messages.
	wantTrue map[corev1.NamespaceConditionType]string
}

// finalizations are about the namespace alone.
func finalizations() map[string]look {
	return map[string]look{
		"empty": {live: namespace("ns"), wantDeleted: everything},
		"not being deleted": {
			cached: namespace("ns"), live: namespace("ns", alive),
			wantFinalizers: []corev1.FinalizerName{"kubernetes"},
		},
		"gone":                  {cached: namespace("ns")},
		"finalized by us":       {live: namespace("ns", finalizers("other")), wantFinalizers: []corev1.FinalizerName{"other"}},
		"finalized":             {live: namespace("ns", finalizers()), wantFinalizers: []corev1.FinalizerName{}},
		"with other finalizers": {live: namespace("ns", finalizers("z", "kubernetes", "a")), wantDeleted: everything, wantFinalizers: []corev1.FinalizerName{"z", "a"}},
	}
}

// contents are about what is in it.
func contents() map[string]look {
	return map[string]look{
		"with content": {
			live: namespace("ns"), wantDeleted: everything,
			content: map[schema.GroupVersionResource][]item{jobs: {{namespace: "ns", name: "j"}}, pods: {{namespace: "ns", name: "p"}}, configMaps: {{namespace: "ns", name: "c"}}},
		},
		"content elsewhere stays": {
			live: namespace("ns"), wantDeleted: everything,
			content: map[schema.GroupVersionResource][]item{pods: {{namespace: "other", name: "p", graceful: true}}},
		},
		"Pods that end gracefully keep what comes after them": {
			live: namespace("ns"), wantDeleted: []string{"jobs", "pods"}, wantWait: 30 * time.Second,
			content:        map[schema.GroupVersionResource][]item{pods: {{namespace: "ns", name: "p", graceful: true}}, configMaps: {{namespace: "ns", name: "c"}}},
			pods:           []*corev1.Pod{runningPod("p", 30), runningPod("q", 10)},
			wantFinalizers: []corev1.FinalizerName{"kubernetes"},
			wantTrue:       map[corev1.NamespaceConditionType]string{"NamespaceContentRemaining": "Some resources are remaining: pods. has 1 resource instances"},
		},
		"Pods that were deleted late, as the namespace waited first": {
			live: namespace("ns"), wantDeleted: []string{"jobs", "pods"}, wantWait: 6 * time.Second,
			content: map[schema.GroupVersionResource][]item{pods: {{namespace: "ns", name: "p", graceful: true}}},
			pods: []*corev1.Pod{runningPod("p", 1, func(pod *corev1.Pod) {
				pod.DeletionTimestamp = new(metav1.NewTime(deletedAt.Add(2 * time.Second)))
			})},
			wantFinalizers: []corev1.FinalizerName{"kubernetes"},
			wantTrue:       map[corev1.NamespaceConditionType]string{"NamespaceContentRemaining": "Some resources are remaining: pods. has 1 resource instances"},
		},
		"Pods that should have ended long ago": {
			live: namespace("ns"), wantDeleted: []string{"jobs", "pods"}, wantErr: "unexpected items still remain in namespace: ns for gvr: /v1, Resource=pods",
			content:        map[schema.GroupVersionResource][]item{pods: {{namespace: "ns", name: "p", graceful: true}}},
			pods:           []*corev1.Pod{runningPod("p", 1)},
			wantFinalizers: []corev1.FinalizerName{"kubernetes"},
			wantTrue: map[corev1.NamespaceConditionType]string{
				"NamespaceContentRemaining":       "Some resources are remaining: pods. has 1 resource instances",
				"NamespaceDeletionContentFailure": "Failed to delete all resource types, 1 remaining: unexpected items still remain in namespace: ns for gvr: /v1, Resource=pods",
			},
		},
		"a Pod that waits for the Job controller": {
			live: namespace("ns"), wantDeleted: []string{"jobs", "pods"}, wantWait: 15 * time.Second,
			content:        map[schema.GroupVersionResource][]item{pods: {{namespace: "ns", name: "p", finalizers: []string{"batch.kubernetes.io/job-tracking"}}}},
			wantFinalizers: []corev1.FinalizerName{"kubernetes"},
			wantTrue: map[corev1.NamespaceConditionType]string{
				"NamespaceContentRemaining":    "Some resources are remaining: pods. has 1 resource instances",
				"NamespaceFinalizersRemaining": "Some content in the namespace has finalizers remaining: batch.kubernetes.io/job-tracking in 1 resource instances",
			},
		},
		"a Job with a finalizer keeps nothing but the namespace": {
			live: namespace("ns"), wantDeleted: everything, wantWait: 15 * time.Second,
			content:        map[schema.GroupVersionResource][]item{jobs: {{namespace: "ns", name: "j", finalizers: []string{"x"}}}, pods: {{namespace: "ns", name: "p"}}},
			wantFinalizers: []corev1.FinalizerName{"kubernetes"},
			wantTrue: map[corev1.NamespaceConditionType]string{
				"NamespaceContentRemaining":    "Some resources are remaining: jobs.batch has 1 resource instances",
				"NamespaceFinalizersRemaining": "Some content in the namespace has finalizers remaining: x in 1 resource instances",
			},
		},
	}
}

// failures are requests that fail.
func failures() map[string]look {
	return map[string]look{
		"Jobs can't be deleted: the rest is": {
			live: namespace("ns"), wantDeleted: everything, wantErr: "delete jobs.batch: Internal error occurred: broken",
			fail:           failOn("deletecollection jobs ns"),
			wantFinalizers: []corev1.FinalizerName{"kubernetes"},
			wantTrue:       map[corev1.NamespaceConditionType]string{"NamespaceDeletionContentFailure": "Failed to delete all resource types, 1 remaining: delete jobs.batch: Internal error occurred: broken"},
		},
		"Pods can't be deleted: what they may need stays": {
			live: namespace("ns"), wantDeleted: []string{"jobs", "pods"}, wantErr: "delete pods: Internal error occurred: broken",
			fail:           failOn("deletecollection pods ns"),
			wantFinalizers: []corev1.FinalizerName{"kubernetes"},
			wantTrue:       map[corev1.NamespaceConditionType]string{"NamespaceDeletionContentFailure": "Failed to delete all resource types, 1 remaining: delete pods: Internal error occurred: broken"},
		},
		"nobody knows whether Pods are left": {
			live: namespace("ns"), wantDeleted: []string{"jobs", "pods"}, wantErr: "list pods: Internal error occurred: broken",
			fail:           failOn("list pods ns"),
			wantFinalizers: []corev1.FinalizerName{"kubernetes"},
			wantTrue:       map[corev1.NamespaceConditionType]string{"NamespaceDeletionContentFailure": "Failed to delete all resource types, 1 remaining: list pods: Internal error occurred: broken"},
		},
		"conflicts of every write": {
			live: namespace("ns"), wantDeleted: everything,
			prepare: func(client *fake.Clientset) {
				refuse(client, "update", "status", 2, conflict)
				refuse(client, "create", "finalize", 2, conflict)
			},
		},
		"the phase can't be written": {
			live: namespace("ns"), wantErr: "update status: Internal error occurred: broken", wantFinalizers: []corev1.FinalizerName{"kubernetes"},
			prepare: func(client *fake.Clientset) { refuse(client, "update", "status", 1, broken) },
		},
		"the conditions can't be written": {
			live: namespace("ns", func(ns *corev1.Namespace) { ns.Status.Phase = corev1.NamespaceTerminating }), wantDeleted: everything,
			prepare: func(client *fake.Clientset) { refuse(client, "update", "status", 1, broken) },
		},
		"finalizing fails": {
			live: namespace("ns"), wantDeleted: everything, wantErr: "finalize: Internal error occurred: broken", wantFinalizers: []corev1.FinalizerName{"kubernetes"},
			prepare: func(client *fake.Clientset) { refuse(client, "create", "finalize", 1, broken) },
		},
		"someone else finalized": {
			live: namespace("ns"), wantDeleted: everything, wantFinalizers: []corev1.FinalizerName{"kubernetes"},
			prepare: func(client *fake.Clientset) {
				refuse(client, "create", "finalize", 1, apierrors.NewNotFound(corev1.Resource("namespaces"), "ns"))
			},
		},
	}
}

func TestSync(t *testing.T) {
	t.Parallel()
	all := finalizations()
	maps.Copy(all, contents())
	maps.Copy(all, failures())
	for name, tc := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.run(t)
		})
	}
}

func (tc look) run(t *testing.T) {
	client := newCore()
	for _, pod := range tc.pods {
		add(t, client, pod)
	}
	if tc.live != nil {
		add(t, client, tc.live)
	}
	if tc.prepare != nil {
		tc.prepare(client)
	}
	objects := &content{items: tc.content, fail: tc.fail}
	if objects.items == nil {
		objects.items = map[schema.GroupVersionResource][]item{}
	}
	informer := informers.NewSharedInformerFactory(client, 0).Core().V1().Namespaces()
	cached := tc.cached
	if cached == nil {
		cached = tc.live
	}
	if err := informer.Informer().GetStore().Add(cached); err != nil {
		t.Fatal(err)
	}
	c := newController(t, client, objects, informer, clocktesting.NewFakeClock(deletedAt.Add(time.Second)))

	got, err := c.sync(t.Context(), "ns")

	if tc.wantErr == "" && err != nil || tc.wantErr != "" && (err == nil || !strings.Contains(err.Error(), tc.wantErr)) {
		t.Errorf("error %v, want %q", err, tc.wantErr)
	}
	if got != tc.wantWait {
		t.Errorf("wait of %v, want %v", got, tc.wantWait)
	}
	if diff := cmp.Diff(tc.wantDeleted, objects.deleted()); diff != "" {
		t.Errorf("deleted resources (-want +got):\n%s", diff)
	}
	tc.check(t, find(client, "ns"))
}

// check compares the namespace as it is then, nil where it is gone.
func (tc look) check(t *testing.T, live *corev1.Namespace) {
	t.Helper()
	if live == nil {
		if tc.wantFinalizers != nil {
			t.Errorf("the namespace is gone, want it with finalizers %v", tc.wantFinalizers)
		}
		return
	}
	if diff := cmp.Diff(tc.wantFinalizers, live.Spec.Finalizers, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("finalizers (-want +got):\n%s", diff)
	}
	isTrue := map[corev1.NamespaceConditionType]string{}
	for _, condition := range live.Status.Conditions {
		if condition.Status == corev1.ConditionTrue {
			isTrue[condition.Type] = condition.Message
		}
	}
	if tc.wantTrue == nil {
		tc.wantTrue = map[corev1.NamespaceConditionType]string{}
	}
	if diff := cmp.Diff(tc.wantTrue, isTrue); diff != "" {
		t.Errorf("true conditions (-want +got):\n%s", diff)
	}
	if len(tc.wantDeleted) > 0 && live.Status.Phase != corev1.NamespaceTerminating {
		t.Errorf("phase %s, want Terminating", live.Status.Phase)
	}
}

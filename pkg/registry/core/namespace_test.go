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

package core_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func (s testServer) createNamespace(t *testing.T, ns *corev1.Namespace) *corev1.Namespace {
	t.Helper()
	created, err := s.Namespaces().Create(t.Context(), ns, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return created
}

func newNamespace(name string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

func TestNamespaceCreate(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	got := s.createNamespace(t, newNamespace("a"))
	if diff := cmp.Diff(map[string]string{"kubernetes.io/metadata.name": "a"}, got.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if got.Status.Phase != corev1.NamespaceActive || !cmp.Equal(got.Spec.Finalizers, []corev1.FinalizerName{"kubernetes"}) {
		t.Errorf("phase %s, finalizers %v", got.Status.Phase, got.Spec.Finalizers)
	}

	generated := s.createNamespace(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "gen-"}})
	if generated.Labels["kubernetes.io/metadata.name"] != generated.Name {
		t.Errorf("labels %v of the generated name %s", generated.Labels, generated.Name)
	}
	_, err := s.Namespaces().Create(t.Context(), newNamespace("A_b"), metav1.CreateOptions{})
	wantError(t, err, apierrors.IsInvalid, "metadata.name: Invalid value")
}

// TestNamespaceLife follows a namespace through its deletion, as its controller does.
func TestNamespaceLife(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.createNamespace(t, newNamespace("a"))

	// The first delete marks it, further ones change nothing.
	for range 2 {
		if err := s.Namespaces().Delete(t.Context(), "a", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		ns, err := s.Namespaces().Get(t.Context(), "a", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if ns.Status.Phase != corev1.NamespaceTerminating || ns.DeletionTimestamp == nil || len(ns.Finalizers) != 0 {
			t.Errorf("after delete: phase %s, deletionTimestamp %v, finalizers %v", ns.Status.Phase, ns.DeletionTimestamp, ns.Finalizers)
		}
	}

	// A plain update can't end it.
	ns, err := s.Namespaces().Get(t.Context(), "a", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ns.Spec.Finalizers = nil
	ns.Status.Phase = corev1.NamespaceActive
	ns, err = s.Namespaces().Update(t.Context(), ns, metav1.UpdateOptions{})
	if err != nil || len(ns.Spec.Finalizers) != 1 || ns.Status.Phase != corev1.NamespaceTerminating {
		t.Fatalf("after update: %+v, %v", ns, err)
	}

	// The status may say what is left.
	ns.Status.Conditions = []corev1.NamespaceCondition{{Type: corev1.NamespaceContentRemaining, Status: corev1.ConditionTrue}}
	ns.Spec.Finalizers = nil
	ns, err = s.Namespaces().UpdateStatus(t.Context(), ns, metav1.UpdateOptions{})
	if err != nil || len(ns.Status.Conditions) != 1 || len(ns.Spec.Finalizers) != 1 {
		t.Fatalf("after status update: %+v, %v", ns, err)
	}

	// Finalizing it ends it at once.
	ns.Spec.Finalizers = nil
	if _, err := s.Namespaces().Finalize(t.Context(), ns, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Namespaces().Get(t.Context(), "a", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("still there: %v", err)
	}
}

func TestNamespaceHeldByMetadataFinalizer(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.createNamespace(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "a", Finalizers: []string{"example.com/x"}}})
	if err := s.Namespaces().Delete(t.Context(), "a", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	ns, err := s.Namespaces().Get(t.Context(), "a", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ns.Spec.Finalizers = nil
	if _, err := s.Namespaces().Finalize(t.Context(), ns, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Namespaces().Get(t.Context(), "a", metav1.GetOptions{}); err != nil {
		t.Fatalf("gone with a finalizer left: %v", err)
	}
	if _, err := s.Namespaces().Patch(t.Context(), "a", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Namespaces().Get(t.Context(), "a", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("still there: %v", err)
	}
}

func TestNamespaceFinalizedBeforeDeletion(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	ns := s.createNamespace(t, newNamespace("a"))
	ns.Spec.Finalizers = nil
	if _, err := s.Namespaces().Finalize(t.Context(), ns, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	// It takes two deletes, as upstream: the first marks, the second finds nothing to wait for.
	for range 2 {
		if err := s.Namespaces().Delete(t.Context(), "a", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Namespaces().Get(t.Context(), "a", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("still there: %v", err)
	}
}

func TestNamespaceDeletePropagation(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for policy, want := range map[metav1.DeletionPropagation][]string{
		metav1.DeletePropagationOrphan:     {"orphan"},
		metav1.DeletePropagationForeground: {"foregroundDeletion"},
		metav1.DeletePropagationBackground: nil,
	} {
		ns := s.createNamespace(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "a-"}})
		if err := s.Namespaces().Delete(t.Context(), ns.Name, metav1.DeleteOptions{PropagationPolicy: &policy}); err != nil {
			t.Fatal(err)
		}
		got, err := s.Namespaces().Get(t.Context(), ns.Name, metav1.GetOptions{})
		if err != nil || !cmp.Equal(got.Finalizers, want) {
			t.Errorf("%s: finalizers %v, %v; want %v", policy, got.Finalizers, err, want)
		}
	}
}

func TestNamespaceDeleteRefuses(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	ns := s.createNamespace(t, newNamespace("a"))
	for name, tc := range map[string]struct {
		ns      string
		options metav1.DeleteOptions
		is      func(error) bool
		want    string
	}{
		"none":                  {"none", metav1.DeleteOptions{}, apierrors.IsNotFound, `namespaces "none" not found`},
		"other UID":             {"a", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: new(types.UID("other"))}}, apierrors.IsConflict, "Precondition failed: UID in precondition: other, UID in object meta: " + string(ns.UID)},
		"other resourceVersion": {"a", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{ResourceVersion: new("1")}}, apierrors.IsConflict, "Precondition failed: ResourceVersion in precondition: 1, ResourceVersion in object meta: " + ns.ResourceVersion},
	} {
		t.Log(name)
		wantError(t, s.Namespaces().Delete(t.Context(), tc.ns, tc.options), tc.is, tc.want)
	}
	if err := s.Namespaces().Delete(t.Context(), "a", metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}}); err != nil {
		t.Error(err)
	}
	err := s.RESTClient().Delete().Resource("namespaces").Do(t.Context()).Error()
	wantError(t, err, apierrors.IsMethodNotSupported, "")
	got, err := s.Namespaces().Get(t.Context(), "a", metav1.GetOptions{})
	if err != nil || got.DeletionTimestamp != nil || got.Status.Phase != corev1.NamespaceActive {
		t.Errorf("namespace after refusals and a dry run: %+v, %v", got, err)
	}
}

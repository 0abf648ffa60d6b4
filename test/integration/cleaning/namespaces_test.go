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
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/jobserver-dev/jobserver/test/framework"
)

// TestNamespaceIsEmptied: a deleted namespace stays, and says why, until nothing is left in it; then it goes.
func TestNamespaceIsEmptied(t *testing.T) {
	t.Parallel()
	namespaces := server.Kube.CoreV1().Namespaces()
	namespace, err := namespaces.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "goes-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	made := map[string]*unstructured.Unstructured{}
	for _, k := range append(dependents(), core("events", "Event", true, map[string]any{"involvedObject": map[string]any{"namespace": namespace.Name}})) {
		made[k.String()] = k.create(t, namespace.Name, "in-"+strings.ReplaceAll(k.String(), ".", "-"), func(object *unstructured.Unstructured) {
			if k.kind == "ConfigMap" {
				object.SetFinalizers([]string{holder})
			}
		})
	}
	if err := namespaces.Delete(t.Context(), namespace.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}

	// All but the one that is held are gone, and the namespace names it.
	framework.Eventually(t, "the namespace says what is left", func(ctx context.Context) error {
		found, err := namespaces.Get(ctx, namespace.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		var texts []string
		for _, c := range found.Status.Conditions {
			if c.Status == corev1.ConditionTrue {
				texts = append(texts, c.Message)
			}
		}
		left := "Some resources are remaining: configmaps. has 1 resource instances"
		held := "Some content in the namespace has finalizers remaining: " + holder + " in 1 resource instances"
		if found.Status.Phase != corev1.NamespaceTerminating || !slices.Contains(texts, left) || !slices.Contains(texts, held) {
			return fmt.Errorf("phase %s, %q", found.Status.Phase, texts)
		}
		return nil
	})
	for _, k := range dependents() {
		if k.kind != "ConfigMap" {
			k.wait(t, "is gone", made[k.String()], isGone)
		}
	}
	// Nothing new comes in.
	_, err = server.Kube.CoreV1().Secrets(namespace.Name).Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "late"}}, metav1.CreateOptions{})
	if !apierrors.IsForbidden(err) || !apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		t.Errorf("creating a secret in it: %v", err)
	}

	held := core("configmaps", "ConfigMap", true, nil)
	held.letGo(t, made[held.String()])
	framework.Eventually(t, "the namespace is gone", func(ctx context.Context) error {
		_, err := namespaces.Get(ctx, namespace.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return errors.Join(errors.New("it is there"), err)
	})
}

// TestOtherNamespacesStay: what is in other namespaces stays.
func TestOtherNamespacesStay(t *testing.T) {
	t.Parallel()
	stays := server.Namespace(t)
	k := core("configmaps", "ConfigMap", true, map[string]any{})
	object := k.create(t, stays, "stays", func(*unstructured.Unstructured) {})
	namespaces := server.Kube.CoreV1().Namespaces()
	goes := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: stays + "-and-more"}}
	if _, err := namespaces.Create(t.Context(), goes, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	other := k.create(t, goes.Name, "goes", func(*unstructured.Unstructured) {})
	if err := namespaces.Delete(t.Context(), goes.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	k.wait(t, "is gone", other, isGone)
	if found, err := k.get(t.Context(), object); err != nil || !(found != nil && found.GetDeletionTimestamp() == nil) {
		t.Errorf("the object of the other namespace: %v, error %v", found, err)
	}
}

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

// Package cleaning tests, against a whole server, the controllers that a cluster would have and a machine alone needs too: garbage collection by
// owner references, the deletion of namespaces, and Pods that nobody else ends.
package cleaning

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/jobserver-dev/jobserver/test/framework"
)

// server is shared by all tests of the package but those of lost Pods.
var server *framework.Server

func TestMain(m *testing.M) {
	options := framework.Options{Controllers: []string{"*", "-node-agent", "-podgc"}}
	os.Exit(framework.Main(m, options, func(s *framework.Server) { server = s }))
}

// holder is a finalizer of the tests: who has it doesn't go.
const holder = "example.com/held"

// kind is a kind of objects that the server serves.
type kind struct {
	resource   schema.GroupVersionResource
	kind       string
	namespaced bool
	// content is what the smallest object has beside its metadata.
	content map[string]any
}

func core(resource, name string, namespaced bool, content map[string]any) kind {
	return kind{schema.GroupVersionResource{Version: "v1", Resource: resource}, name, namespaced, content}
}

func jobs(group string) kind {
	return kind{schema.GroupVersionResource{Group: group, Version: "v1", Resource: "jobs"}, "Job", true, map[string]any{
		"spec": map[string]any{"suspend": true, "template": map[string]any{"spec": podSpec()}},
	}}
}

func podSpec() map[string]any {
	return map[string]any{
		"restartPolicy": "Never",
		"containers":    []any{map[string]any{"name": "main", "image": "busybox", "command": []any{"true"}}},
	}
}

// dependents are all kinds that may have an owner; owners are all that may be one.
func dependents() []kind {
	return []kind{
		jobs("batch"), jobs("batch.jobserver.dev"),
		core("pods", "Pod", true, map[string]any{"spec": podSpec()}),
		core("configmaps", "ConfigMap", true, map[string]any{}),
		core("secrets", "Secret", true, map[string]any{}),
	}
}

func owners() []kind {
	return append(dependents(),
		core("namespaces", "Namespace", false, map[string]any{}),
		core("nodes", "Node", false, map[string]any{}))
}

func (k kind) String() string { return k.resource.GroupResource().String() }

// in is the client of the kind; the namespace counts only where the kind has one.
func (k kind) in(namespace string) dynamic.ResourceInterface {
	if !k.namespaced {
		return server.Dynamic.Resource(k.resource)
	}
	return server.Dynamic.Resource(k.resource).Namespace(namespace)
}

// create makes an object of the kind.
func (k kind) create(t *testing.T, namespace, name string, change func(*unstructured.Unstructured)) *unstructured.Unstructured {
	t.Helper()
	object := (&unstructured.Unstructured{Object: k.content}).DeepCopy()
	object.SetAPIVersion(k.resource.GroupVersion().String())
	object.SetKind(k.kind)
	object.SetName(name)
	change(object)
	created, err := k.in(namespace).Create(t.Context(), object, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("create %s %s: %v", k, name, err)
	}
	return created
}

// get reads an object; nil where it is gone, or another has its name.
func (k kind) get(ctx context.Context, object *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	found, err := k.in(object.GetNamespace()).Get(ctx, object.GetName(), metav1.GetOptions{})
	if apierrors.IsNotFound(err) || err == nil && found.GetUID() != object.GetUID() {
		return nil, nil
	}
	return found, err
}

// letGo takes the test's finalizer off an object.
func (k kind) letGo(t *testing.T, object *unstructured.Unstructured) {
	t.Helper()
	found, err := k.get(t.Context(), object)
	if err != nil || found == nil {
		t.Fatalf("get %s %s: %v, error %v", k, object.GetName(), found, err)
	}
	at := slices.Index(found.GetFinalizers(), holder)
	patch := fmt.Appendf(nil, `[{"op":"test","path":"/metadata/finalizers/%d","value":%q},{"op":"remove","path":"/metadata/finalizers/%[1]d"}]`, at, holder)
	if _, err := k.in(object.GetNamespace()).Patch(t.Context(), object.GetName(), types.JSONPatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatalf("let go of %s %s: %v", k, object.GetName(), err)
	}
}

// wait waits until check accepts an object, which is nil once it is gone.
func (k kind) wait(t *testing.T, what string, object *unstructured.Unstructured, check func(*unstructured.Unstructured) bool) {
	t.Helper()
	framework.Eventually(t, fmt.Sprintf("%s %s %s", k, object.GetName(), what), func(ctx context.Context) error {
		found, err := k.get(ctx, object)
		if err != nil {
			return err
		}
		if check(found) {
			return nil
		}
		if found == nil {
			return fmt.Errorf("it is gone")
		}
		return fmt.Errorf("it has owners %v, finalizers %v, deleted %v", found.GetOwnerReferences(), found.GetFinalizers(), found.GetDeletionTimestamp())
	})
}

func isGone(object *unstructured.Unstructured) bool { return object == nil }

func isGoing(object *unstructured.Unstructured) bool {
	return object != nil && object.GetDeletionTimestamp() != nil
}

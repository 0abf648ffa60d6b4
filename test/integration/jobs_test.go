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

package integration

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

// The two groups that serve the one store of Jobs.
var (
	kubeJobs = schema.GroupVersionResource{Group: "batch", Version: "v1", Resource: "jobs"}
	ourJobs  = schema.GroupVersionResource{Group: "batch.jobserver.dev", Version: "v1", Resource: "jobs"}
)

// forEachGroup runs a test once through each group.
func forEachGroup(t *testing.T, test func(t *testing.T, resource schema.GroupVersionResource)) {
	for _, resource := range []schema.GroupVersionResource{kubeJobs, ourJobs} {
		t.Run(resource.Group, func(t *testing.T) {
			t.Parallel()
			test(t, resource)
		})
	}
}

// object is a part of a Job in JSON.
type object = map[string]any

// newJob returns the smallest Job of a group, with further fields of the spec.
func newJob(resource schema.GroupVersionResource, name string, spec object) *unstructured.Unstructured {
	all := object{"template": podTemplate()}
	maps.Copy(all, spec)
	return &unstructured.Unstructured{Object: object{
		"apiVersion": resource.GroupVersion().String(), "kind": "Job",
		"metadata": object{"name": name},
		"spec":     all,
	}}
}

func podTemplate() object {
	return object{"spec": object{
		"restartPolicy": "Never",
		"containers":    []any{object{"name": "main", "image": "busybox", "command": []any{"true"}}},
	}}
}

func jobsIn(resource schema.GroupVersionResource, namespace string) dynamic.ResourceInterface {
	return server.Dynamic.Resource(resource).Namespace(namespace)
}

func create(t *testing.T, namespace string, job *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	created, err := jobsIn(resourceOf(job), namespace).Create(t.Context(), job, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return created
}

func get(t *testing.T, resource schema.GroupVersionResource, namespace, name string) *unstructured.Unstructured {
	t.Helper()
	job, err := jobsIn(resource, namespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return job
}

func resourceOf(job *unstructured.Unstructured) schema.GroupVersionResource {
	return job.GroupVersionKind().GroupVersion().WithResource("jobs")
}

// field returns what is at a path of the Job, nil where nothing is.
func field(job *unstructured.Unstructured, path ...string) any {
	value, _, err := unstructured.NestedFieldNoCopy(job.Object, path...)
	if err != nil {
		return err
	}
	return value
}

func set(t *testing.T, job *unstructured.Unstructured, value any, path ...string) {
	t.Helper()
	if err := unstructured.SetNestedField(job.Object, value, path...); err != nil {
		t.Fatal(err)
	}
}

// typedTemplate is podTemplate for typed clients.
func typedTemplate() corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{Spec: corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever,
		Containers:    []corev1.Container{{Name: "main", Image: "busybox", Command: []string{"true"}}},
	}}
}

// withoutPolicies returns a Job of our group as batch/v1 should show it.
func withoutPolicies(t *testing.T, job *unstructured.Unstructured) object {
	t.Helper()
	job = job.DeepCopy()
	for _, name := range []string{"disruptionPolicy", "suspendPolicy", "workQueuePolicy"} {
		unstructured.RemoveNestedField(job.Object, "spec", name)
	}
	job.SetAPIVersion(kubeJobs.GroupVersion().String())
	return job.Object
}

func diffObjects(want, got object) string {
	return cmp.Diff(want, got)
}

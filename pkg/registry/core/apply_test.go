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
	"encoding/json"
	"io"
	"net/http"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestServerSideApply(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	apply := func(manager, body string, subresources ...string) (*corev1.Pod, error) {
		return s.Pods("default").Patch(t.Context(), "a", types.ApplyPatchType, []byte(body), metav1.PatchOptions{FieldManager: manager}, subresources...)
	}
	const head = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","namespace":"default"`
	const spec = `"spec":{"restartPolicy":"Never","containers":[{"name":"main","image":"busybox"}]}`

	// The status in an apply of the Pod, and the spec in one of the status, are dropped and not owned.
	pod, err := apply("user", head+`,"labels":{"by":"user"}},`+spec+`,"status":{"message":"mine"}}`)
	if err != nil || pod.Status.Message != "" || pod.Labels["by"] != "user" {
		t.Fatalf("applied: %+v, %v", pod, err)
	}
	pod, err = apply("kubelet", head+`},"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}`, "status")
	if err != nil || pod.Status.Phase != corev1.PodRunning || len(pod.Status.Conditions) != 1 {
		t.Fatalf("applied status: %+v, %v", pod, err)
	}
	for _, entry := range pod.ManagedFields {
		var owned map[string]any
		if err := json.Unmarshal(entry.FieldsV1.GetRawBytes(), &owned); err != nil {
			t.Fatal(err)
		}
		_, ownsSpec := owned["f:spec"]
		_, ownsStatus := owned["f:status"]
		if ownsSpec != (entry.Manager == "user") || ownsStatus != (entry.Manager == "kubelet") {
			t.Errorf("manager %s of %q owns %v", entry.Manager, entry.Subresource, owned)
		}
	}

	_, err = apply("other", head+`,"labels":{"by":"other"}},`+spec+`}`)
	wantError(t, err, apierrors.IsConflict, `conflict with "user": .metadata.labels.by`)
	// What a manager no longer applies goes.
	pod, err = apply("user", head+`},`+spec+`}`)
	if err != nil || pod.Labels["by"] != "" || pod.Status.Phase != corev1.PodRunning {
		t.Errorf("applied without the label: %+v, %v", pod, err)
	}
}

func TestOpenAPICoversEvictionAndLog(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	response := s.get(t.Context(), t, "/openapi/v3/api/v1", http.Header{"Accept": {"application/json"}})
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("status %d, %v", response.StatusCode, err)
	}
	var document struct {
		Paths map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(body, &document); err != nil {
		t.Fatal(err)
	}
	const pod = "/api/v1/namespaces/{namespace}/pods/{name}"
	for _, path := range []string{pod, pod + "/log", pod + "/eviction", pod + "/binding", pod + "/status", "/api/v1/namespaces/{name}/finalize"} {
		if document.Paths[path] == nil {
			t.Errorf("no path %s", path)
		}
	}
}

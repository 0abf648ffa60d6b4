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

package aggregated

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// webhook is an admission webhook that a test serves.
type webhook struct {
	server *httptest.Server
	answer func(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse

	mu    sync.Mutex
	calls []call
}

// call is a request that a webhook got.
type call struct {
	at      time.Time
	request *admissionv1.AdmissionRequest
}

// serveWebhook serves a webhook over TLS until the test ends.
func serveWebhook(t *testing.T, answer func(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse) *webhook {
	t.Helper()
	w := &webhook{answer: answer}
	w.server = httptest.NewTLSServer(http.HandlerFunc(w.serve))
	t.Cleanup(func() {
		// The API servers keep their connections.
		w.server.CloseClientConnections()
		w.server.Close()
	})
	return w
}

func (w *webhook) serve(writer http.ResponseWriter, request *http.Request) {
	var review admissionv1.AdmissionReview
	if err := json.NewDecoder(request.Body).Decode(&review); err != nil || review.Request == nil {
		http.Error(writer, "not a review", http.StatusBadRequest)
		return
	}
	w.mu.Lock()
	w.calls = append(w.calls, call{at: time.Now(), request: review.Request})
	w.mu.Unlock()
	response := w.answer(review.Request)
	response.UID = review.Request.UID
	writer.Header().Set("Content-Type", "application/json")
	// A caller that is gone needs no answer.
	_ = json.NewEncoder(writer).Encode(admissionv1.AdmissionReview{TypeMeta: review.TypeMeta, Response: response})
}

// got are the requests so far.
func (w *webhook) got() []call {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]call(nil), w.calls...)
}

// configuration is the manifest that has the API servers call the webhook for what is created in one namespace.
func (w *webhook) configuration(kind, name, namespace, group, resource string) string {
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.server.Certificate().Raw})
	return fmt.Sprintf(`apiVersion: admissionregistration.k8s.io/v1
kind: %s
metadata: {name: %s}
webhooks:
- name: %s.example.com
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Fail
  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %s}}
  rules:
  - {apiGroups: [%q], apiVersions: ["*"], resources: [%s], operations: [CREATE]}
  clientConfig:
    url: %s
    caBundle: %s
`, kind, name, name, namespace, group, resource, w.server.URL, base64.StdEncoding.EncodeToString(authority))
}

func allow(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
	return &admissionv1.AdmissionResponse{Allowed: true}
}

// deny refuses everything with a message.
func deny(message string) func(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
	return func(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
		return &admissionv1.AdmissionResponse{Result: &metav1.Status{Message: message}}
	}
}

// patch changes everything by a JSON patch.
func patch(operations string) func(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
	kind := admissionv1.PatchTypeJSONPatch
	return func(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
		return &admissionv1.AdmissionResponse{Allowed: true, PatchType: &kind, Patch: []byte(operations)}
	}
}

// configure applies the manifest of objects that belong to no namespace, and deletes them when the test ends.
func (in *installation) configure(t *testing.T, manifest string) {
	t.Helper()
	in.admin.apply(t, manifest)
	t.Cleanup(func() {
		if _, err := in.admin.try(manifest, "delete", "--ignore-not-found", "--wait=false", "-f", "-"); err != nil {
			t.Log(err)
		}
	})
}

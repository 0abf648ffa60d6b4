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
	"encoding/json"
	"net/http"
	"net/url"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/jobserver-dev/jobserver/test/framework"
)

// jobsPath returns the path of the Jobs of a namespace, or of what is under them, with a query of alternating keys and values.
func jobsPath(resource schema.GroupVersionResource, namespace, under string, query ...string) string {
	path := "/apis/" + resource.Group + "/" + resource.Version + "/namespaces/" + namespace + "/jobs" + under
	if len(query) == 0 {
		return path
	}
	values := url.Values{}
	for i := 0; i < len(query); i += 2 {
		values.Add(query[i], query[i+1])
	}
	return path + "?" + values.Encode()
}

// send sends a body, which is encoded as JSON unless it is raw, as Content-Type contentType.
func send(t *testing.T, method, path, contentType string, body any) framework.Response {
	t.Helper()
	var raw []byte
	switch body := body.(type) {
	case nil:
	case []byte:
		raw = body
	case string:
		raw = []byte(body)
	default:
		raw = []byte(encode(t, body))
	}
	return server.Do(t, framework.Request{Method: method, Path: path, Header: map[string]string{"Content-Type": contentType}, Body: raw})
}

// encode returns value in JSON.
func encode(t *testing.T, value any) string {
	t.Helper()
	encoded, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(encoded)
}

// fetch gets a path as the media type accept.
func fetch(t *testing.T, path, accept string) framework.Response {
	t.Helper()
	return server.Do(t, framework.Request{Method: http.MethodGet, Path: path, Header: map[string]string{"Accept": accept}})
}

// decode reads an answer that must have the code want.
func decode[T any](t *testing.T, response framework.Response, want int) T {
	t.Helper()
	var into T
	if response.Code != want {
		t.Fatalf("answer %d, want %d: %s", response.Code, want, response.Body)
	}
	if err := json.Unmarshal(response.Body, &into); err != nil {
		t.Fatalf("%v in %s", err, response.Body)
	}
	return into
}

// statusOf reads an answer that must be a Status.
func statusOf(t *testing.T, response framework.Response) metav1.Status {
	t.Helper()
	var status metav1.Status
	if err := json.Unmarshal(response.Body, &status); err != nil || status.Kind != "Status" {
		t.Fatalf("answer %d is no Status: %.300s", response.Code, response.Body)
	}
	return status
}

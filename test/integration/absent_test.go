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
	"net/http"
	"testing"
)

// TestWhatIsNotThere asks for paths that the server doesn't have. The answers are kube-apiserver's.
func TestWhatIsNotThere(t *testing.T) {
	t.Parallel()
	const text, none = "text/plain; charset=utf-8", ""
	for path, want := range map[string]struct{ contentType, body string }{
		"/nope":                     {text, "404 page not found\n"},
		"/apis/nope":                {text, "404 page not found\n"},
		"/apis/nope/v1/things":      {text, "404 page not found\n"},
		"/readyz/nope":              {text, "404 page not found\n"},
		"/openapi/v3/apis/nope":     {none, ""},
		"/openapi/v3/apis/batch/v2": {none, ""},
	} {
		answer := fetch(t, path, "application/json")
		if got := answer.Header.Get("Content-Type"); answer.Code != http.StatusNotFound || got != want.contentType {
			t.Errorf("%s: %d, %q, want 404, %q", path, answer.Code, got, want.contentType)
		}
		if string(answer.Body) != want.body {
			t.Errorf("%s: %q, want %q", path, answer.Body, want.body)
		}
	}
	for _, path := range []string{"/openapi/v3/apis/batch/v1", "/openapi/v3", "/apis/batch/v1"} {
		if answer := fetch(t, path, "application/json"); answer.Code != http.StatusOK || len(answer.Body) == 0 {
			t.Errorf("%s: %d, %d bytes, want 200 and a description", path, answer.Code, len(answer.Body))
		}
	}
}

// TestNoCustomResources has the answer by which kubectl tells that a kind doesn't exist from one that it may not look up.
func TestNoCustomResources(t *testing.T) {
	t.Parallel()
	const path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
	type definitions struct {
		Kind  string
		Items []any
	}
	list := decode[definitions](t, fetch(t, path, "application/json"), http.StatusOK)
	if list.Kind != "CustomResourceDefinitionList" || len(list.Items) != 0 {
		t.Errorf("%s: %+v, want an empty list", path, list)
	}
	if answer := send(t, http.MethodPost, path, "application/json", "{}"); answer.Code != http.StatusNotFound {
		t.Errorf("POST %s: %d, want 404", path, answer.Code)
	}
}

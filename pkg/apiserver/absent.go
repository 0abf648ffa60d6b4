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

package apiserver

import (
	"io"
	"net/http"
	"strings"

	genericapiserver "k8s.io/apiserver/pkg/server"
)

// This file answers those who ask for what isn't there, as kube-apiserver does.

// installAbsent makes server say that a path is not found and no more: k8s.io/apiserver would add a list of all paths, in JSON that is no Status.
func installAbsent(server *genericapiserver.GenericAPIServer) {
	server.Handler.NonGoRestfulMux.NotFoundHandler(http.HandlerFunc(http.NotFound))
}

// customResources is where kubectl asks whether a kind that the server doesn't have may be a custom one: if it gets no answer, it says that instead of that
// there is no such kind.
const customResources = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

// installNoCustomResources answers that there are none. The group is in no discovery document, for it has nothing else.
func installNoCustomResources(server *genericapiserver.GenericAPIServer) {
	server.Handler.NonGoRestfulMux.UnlistedHandleFunc(customResources, func(w http.ResponseWriter, request *http.Request) {
		if request.Method != http.MethodGet || request.URL.Query().Has("watch") {
			http.NotFound(w, request)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		// A client that is gone needs no answer.
		_, _ = io.WriteString(w, `{"kind":"CustomResourceDefinitionList","apiVersion":"apiextensions.k8s.io/v1","metadata":{"resourceVersion":"1"},"items":[]}`+"\n")
	})
}

// describedGroups is where each group is described in OpenAPI v3.
const describedGroups = "/openapi/v3/"

// notFoundIfSilent gives the descriptions of groups that aren't there the code 404: the handler of kube-openapi says nothing then, which is 200.
func notFoundIfSilent(api http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if !strings.HasPrefix(request.URL.Path, describedGroups) {
			api.ServeHTTP(w, request)
			return
		}
		answer := &heardWriter{ResponseWriter: w}
		api.ServeHTTP(answer, request)
		if !answer.spoken {
			w.Header().Del("Vary")
			w.WriteHeader(http.StatusNotFound)
		}
	})
}

// heardWriter notes whether anything is written to it.
type heardWriter struct {
	http.ResponseWriter
	spoken bool
}

// WriteHeader implements http.ResponseWriter.
func (w *heardWriter) WriteHeader(code int) {
	w.spoken = true
	w.ResponseWriter.WriteHeader(code)
}

// Write implements http.ResponseWriter.
func (w *heardWriter) Write(body []byte) (int, error) {
	w.spoken = true
	return w.ResponseWriter.Write(body)
}

// Unwrap lets an http.ResponseController reach the writer below.
func (w *heardWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

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

package controllers

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	restclient "k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// unsteadyAPI refuses to stream the first state to a watch, as an API server does whose etcd is not there for a moment, and answers lists.
type unsteadyAPI struct {
	mu    sync.Mutex
	lists map[string][]string
}

// ServeHTTP implements http.Handler.
func (a *unsteadyAPI) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	query := request.URL.Query()
	if query.Get("watch") != "" {
		http.Error(w, "not now", http.StatusServiceUnavailable)
		return
	}
	a.mu.Lock()
	a.lists[request.URL.Path] = append(a.lists[request.URL.Path], query.Get("resourceVersion")+query.Get("labelSelector"))
	a.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	kind := map[string]string{
		"/api/v1/pods":                      `"apiVersion":"v1","kind":"PodList"`,
		"/apis/batch.jobserver.dev/v1/jobs": `"apiVersion":"batch.jobserver.dev/v1","kind":"JobList"`,
	}[request.URL.Path]
	_, _ = w.Write([]byte(`{` + kind + `,"metadata":{"resourceVersion":"5"},"items":[]}`))
}

func (a *unsteadyAPI) firstList(path string) (string, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.lists[path]) == 0 {
		return "", false
	}
	return a.lists[path][0], true
}

// TestCachesBeginWithAllThatWasWritten makes the caches list, which is what a client falls back to. With the version 0, which clients ask for by themselves,
// an API server may answer from a cache that lacks what the leader before has written.
func TestCachesBeginWithAllThatWasWritten(t *testing.T) {
	t.Parallel()
	api := &unsteadyAPI{lists: map[string][]string{}}
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	b, err := newBuilder(Config{
		JobClient:  func(string) *restclient.Config { return &restclient.Config{Host: server.URL} },
		SelectHost: func(options *metav1.ListOptions) { options.LabelSelector = "ours" },
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	jobs, pods := b.jobs.Batch().V1().Jobs().Informer(), b.core.Core().V1().Pods().Informer()
	b.startCaches(t.Context())
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if !cache.WaitForCacheSync(ctx.Done(), jobs.HasSynced, pods.HasSynced) {
		t.Fatal("the caches have not synced")
	}
	for path, want := range map[string]string{"/apis/batch.jobserver.dev/v1/jobs": "", "/api/v1/pods": "ours"} {
		if got, listed := api.firstList(path); !listed || got != want {
			t.Errorf("first list of %s: %t, with version and selector %q, want %q", path, listed, got, want)
		}
	}
}

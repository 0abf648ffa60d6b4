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

package kubelet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// fakeHost has one Pod with the containers main and init.
type fakeHost struct {
	options *corev1.PodLogOptions // of the last request for a log
	log     io.Reader
	err     error
	ready   error
	// run is what Exec, with a command, and Attach do.
	run func(ctx context.Context, command []string, streams Streams) error
}

var onlyPod = &corev1.Pod{
	ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "pod", UID: "uid"},
	Spec:       corev1.PodSpec{InitContainers: []corev1.Container{{Name: "init"}}, Containers: []corev1.Container{{Name: "main"}}},
}

func (h *fakeHost) Ready() error        { return h.ready }
func (h *fakeHost) Pods() []*corev1.Pod { return []*corev1.Pod{onlyPod} }
func (h *fakeHost) Pod(namespace, name string) *corev1.Pod {
	if namespace == onlyPod.Namespace && name == onlyPod.Name {
		return onlyPod
	}
	return nil
}

func (h *fakeHost) OpenLog(_ context.Context, _ *corev1.Pod, container string, options *corev1.PodLogOptions) (io.ReadCloser, error) {
	h.options = options
	if h.err != nil {
		return nil, h.err
	}
	if h.log == nil {
		h.log = strings.NewReader("log of " + container + "\n")
	}
	return io.NopCloser(h.log), nil
}

func (h *fakeHost) Running(*corev1.Pod, string) error { return h.err }
func (h *fakeHost) Exec(ctx context.Context, _ *corev1.Pod, _ string, command []string, streams Streams) error {
	return h.run(ctx, command, streams)
}
func (h *fakeHost) Attach(ctx context.Context, _ *corev1.Pod, _ string, streams Streams) error {
	return h.run(ctx, nil, streams)
}
func (h *fakeHost) PortForward(_ context.Context, _ *corev1.Pod, port int32, stream io.ReadWriteCloser) error {
	_, err := fmt.Fprintf(stream, "port %d", port)
	return err
}

// get returns the code and the body of the answer to a GET.
func get(handler http.Handler, path string) (int, string) {
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, path, nil))
	return recorder.Code, recorder.Body.String()
}

func TestContainerLogs(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		path     string
		err      error
		wantCode int
		wantBody string // or a part of it
	}{
		"container":        {path: "/containerLogs/ns/pod/main", wantCode: 200, wantBody: "log of main\n"},
		"init container":   {path: "/containerLogs/ns/pod/init", wantCode: 200, wantBody: "log of init\n"},
		"other container":  {path: "/containerLogs/ns/pod/other", wantCode: 404, wantBody: `container "other" not found in pod "pod"`},
		"other pod":        {path: "/containerLogs/ns/other/main", wantCode: 404, wantBody: `pod "other" does not exist`},
		"other namespace":  {path: "/containerLogs/other/pod/main", wantCode: 404, wantBody: `pod "pod" does not exist`},
		"no container":     {path: "/containerLogs/ns/pod", wantCode: 404},
		"bad bool":         {path: "/containerLogs/ns/pod/main?follow=x", wantCode: 422, wantBody: `follow: "x"`},
		"bad number":       {path: "/containerLogs/ns/pod/main?tailLines=-1", wantCode: 422, wantBody: `tailLines: "-1"`},
		"bad limit":        {path: "/containerLogs/ns/pod/main?limitBytes=0", wantCode: 422, wantBody: `limitBytes: "0"`},
		"bad time":         {path: "/containerLogs/ns/pod/main?sinceTime=noon", wantCode: 422, wantBody: `sinceTime: "noon"`},
		"bad stream":       {path: "/containerLogs/ns/pod/main?stream=Stdlog", wantCode: 422, wantBody: `stream: "Stdlog"`},
		"both sinces":      {path: "/containerLogs/ns/pod/main?sinceSeconds=1&sinceTime=2026-01-02T03:04:05Z", wantCode: 422, wantBody: "sinceSeconds and sinceTime"},
		"tail of a stream": {path: "/containerLogs/ns/pod/main?tailLines=1&stream=Stderr", wantCode: 422, wantBody: "tailLines and a stream"},
		"not started yet": {
			path: "/containerLogs/ns/pod/main", err: apierrors.NewBadRequest("container is waiting to start: ContainerCreating"), wantCode: 400,
			wantBody: "container is waiting to start: ContainerCreating",
		},
		"wrapped": {
			path: "/containerLogs/ns/pod/main", err: fmt.Errorf("open: %w", apierrors.NewBadRequest("no")), wantCode: 400, wantBody: "open: no",
		},
		"unknown error": {path: "/containerLogs/ns/pod/main", err: errors.New("disk on fire"), wantCode: 500, wantBody: "disk on fire"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, body := get(NewHandler(&fakeHost{err: test.err}), test.path)
			if code != test.wantCode || !strings.Contains(body, test.wantBody) {
				t.Errorf("got %d, %q, want %d, %q", code, body, test.wantCode, test.wantBody)
			}
		})
	}
}

func TestContainerLogsOptions(t *testing.T) {
	t.Parallel()
	sinceTime := metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	tests := map[string]struct {
		query string
		want  corev1.PodLogOptions
	}{
		"none":     {},
		"switches": {"follow=true&previous=1&timestamps=true", corev1.PodLogOptions{Follow: true, Previous: true, Timestamps: true}},
		"numbers": {
			"tailLines=0&limitBytes=2&sinceSeconds=3",
			corev1.PodLogOptions{TailLines: new(int64(0)), LimitBytes: new(int64(2)), SinceSeconds: new(int64(3))},
		},
		"time":          {"sinceTime=2026-01-02T03:04:05Z", corev1.PodLogOptions{SinceTime: &sinceTime}},
		"stream":        {"stream=Stderr", corev1.PodLogOptions{Stream: new("Stderr")}},
		"all streams":   {"stream=All&tailLines=1", corev1.PodLogOptions{Stream: new("All"), TailLines: new(int64(1))}},
		"old name":      {"tail=5", corev1.PodLogOptions{TailLines: new(int64(5))}},
		"old name, all": {"tail=all", corev1.PodLogOptions{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host := &fakeHost{}
			if code, body := get(NewHandler(host), "/containerLogs/ns/pod/main?"+test.query); code != 200 {
				t.Fatalf("got %d, %q", code, body)
			}
			if diff := cmp.Diff(&test.want, host.options); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// brokenLog fails after its first line.
type brokenLog struct{ lines int }

func (l *brokenLog) Read(data []byte) (int, error) {
	if l.lines++; l.lines > 1 {
		return 0, errors.New("disk on fire")
	}
	return copy(data, "first line\n"), nil
}

// A client must be able to tell a log that ends from one that could not be read on.
func TestContainerLogsCutOff(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(NewHandler(&fakeHost{log: &brokenLog{}}))
	defer server.Close()
	response, err := http.Get(server.URL + "/containerLogs/ns/pod/main")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil || string(body) != "first line\n" {
		t.Errorf("got %q, error %v, want the first line and an error", body, err)
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	host := &fakeHost{}
	if code, body := get(NewHandler(host), "/healthz"); code != 200 || body != "ok" {
		t.Errorf("a node that works: got %d, %q", code, body)
	}
	host.ready = errors.New("not registered")
	if code, _ := get(NewHandler(host), "/healthz"); code != 500 {
		t.Errorf("a node that doesn't: got %d", code)
	}
	if code, _ := get(NewHandler(host), "/healthz/ping"); code != 200 {
		t.Errorf("its process lives: got %d", code)
	}
}

func TestPods(t *testing.T) {
	t.Parallel()
	code, body := get(NewHandler(&fakeHost{}), "/pods")
	if code != 200 || !strings.Contains(body, `"kind":"PodList"`) || !strings.Contains(body, `"name":"pod"`) {
		t.Errorf("got %d, %q", code, body)
	}
}

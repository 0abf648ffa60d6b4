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
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jobserver-dev/jobserver/pkg/registry/core"
)

// logSource is a core.LogSource that answers with open and remembers what it was asked for.
type logSource struct {
	open func(ctx context.Context) (io.ReadCloser, error)

	pod       *corev1.Pod
	container string
	opts      *corev1.PodLogOptions
}

func (l *logSource) OpenLog(ctx context.Context, pod *corev1.Pod, container string, opts *corev1.PodLogOptions) (io.ReadCloser, error) {
	l.pod, l.container, l.opts = pod, container, opts
	return l.open(ctx)
}

func withLogs(source core.LogSource) func(*core.Config) {
	return func(c *core.Config) { c.PodLogs = source }
}

// readLog returns a log, or the error, as kubectl logs does.
func (s testServer) readLog(t *testing.T, pod string, opts *corev1.PodLogOptions) (string, error) {
	t.Helper()
	stream, err := s.Pods("default").GetLogs(pod, opts).Stream(t.Context())
	if err != nil {
		return "", err
	}
	defer func() { _ = stream.Close() }()
	body, err := io.ReadAll(stream)
	return string(body), err
}

func text(s string) func(context.Context) (io.ReadCloser, error) {
	return func(context.Context) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(s)), nil }
}

func TestLogStreamsWithOptions(t *testing.T) {
	t.Parallel()
	source := &logSource{open: text("hello\n")}
	s := newServer(t, withLogs(source))
	s.createPod(t, newPod("a", onNode), "")

	response := s.get(t.Context(), t, "/api/v1/namespaces/default/pods/a/log?previous=true&tailLines=3&sinceSeconds=7&timestamps=true&limitBytes=9", nil)
	body, err := io.ReadAll(response.Body)
	if err != nil || string(body) != "hello\n" || response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "text/plain" {
		t.Errorf("answer %d %q %q, %v", response.StatusCode, response.Header.Get("Content-Type"), body, err)
	}
	want := &corev1.PodLogOptions{
		Previous: true, TailLines: new(int64(3)), SinceSeconds: new(int64(7)), Timestamps: true, LimitBytes: new(int64(9)),
	}
	if diff := cmp.Diff(want, source.opts); diff != "" {
		t.Errorf("options (-want +got):\n%s", diff)
	}
	if source.container != "main" || source.pod.Name != "a" || source.pod.Spec.NodeName != "node-1" {
		t.Errorf("log of container %q of Pod %q on %q", source.container, source.pod.Name, source.pod.Spec.NodeName)
	}
}

func TestLogResolvesTheContainer(t *testing.T) {
	t.Parallel()
	source := &logSource{open: text("")}
	s := newServer(t, withLogs(source))
	s.createPod(t, newPod("two", onNode, func(p *corev1.Pod) {
		p.Annotations = map[string]string{"kubectl.kubernetes.io/default-container": "main"}
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "side", Image: "busybox"})
		p.Spec.InitContainers = []corev1.Container{{Name: "init", Image: "busybox"}}
	}), "")

	for _, name := range []string{"main", "side", "init"} {
		if _, err := s.readLog(t, "two", &corev1.PodLogOptions{Container: name}); err != nil || source.container != name {
			t.Errorf("log of %s: %v, opened %s", name, err, source.container)
		}
	}
	_, err := s.readLog(t, "two", &corev1.PodLogOptions{})
	wantError(t, err, apierrors.IsBadRequest, "a container name must be specified for pod two, choose one of: [init main side]")
	_, err = s.readLog(t, "two", &corev1.PodLogOptions{Container: "x"})
	wantError(t, err, apierrors.IsBadRequest, "container x is not valid for pod two")
	_, err = s.readLog(t, "none", &corev1.PodLogOptions{})
	wantError(t, err, apierrors.IsNotFound, `pods "none" not found`)
}

func TestLogRefusesOptions(t *testing.T) {
	t.Parallel()
	s := newServer(t, withLogs(&logSource{open: text("")}))
	s.createPod(t, newPod("a", onNode), "")
	now := metav1.Now()
	for name, tc := range map[string]struct {
		opts corev1.PodLogOptions
		want string
	}{
		"tailLines":    {corev1.PodLogOptions{TailLines: new(int64(-1))}, "tailLines: Invalid value: -1"},
		"limitBytes":   {corev1.PodLogOptions{LimitBytes: new(int64(0))}, "limitBytes: Invalid value: 0"},
		"sinceSeconds": {corev1.PodLogOptions{SinceSeconds: new(int64(0))}, "sinceSeconds: Invalid value: 0"},
		"since twice":  {corev1.PodLogOptions{SinceSeconds: new(int64(1)), SinceTime: &now}, "at most one of `sinceTime` or `sinceSeconds` may be specified"},
		// Needs the feature gate PodLogsQuerySplitStreams, which is off by default.
		"stream": {corev1.PodLogOptions{Stream: new(corev1.LogStreamStdout)}, "stream: Forbidden: may not be specified"},
	} {
		_, err := s.readLog(t, "a", &tc.opts)
		t.Log(name)
		wantError(t, err, apierrors.IsInvalid, tc.want)
	}
}

func TestLogErrors(t *testing.T) {
	t.Parallel()
	source := &logSource{}
	s := newServer(t, withLogs(source))
	s.createPod(t, newPod("a", onNode), "")
	read := func() error {
		_, err := s.readLog(t, "a", &corev1.PodLogOptions{})
		return err
	}
	fail := func(err error) func(context.Context) (io.ReadCloser, error) {
		return func(context.Context) (io.ReadCloser, error) { return nil, err }
	}

	source.open = fail(fmt.Errorf("log: %w", apierrors.NewBadRequest(`container "main" in pod "a" is waiting to start: ContainerCreating`)))
	wantError(t, read(), apierrors.IsBadRequest, `container "main" in pod "a" is waiting to start: ContainerCreating`)
	source.open = fail(errors.New("disk on fire"))
	wantError(t, read(), apierrors.IsInternalError, "disk on fire")
}

func TestLogWithoutSourceOrNode(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.createPod(t, newPod("bound", onNode), "")
	s.createPod(t, newPod("free"), "")

	_, err := s.readLog(t, "bound", &corev1.PodLogOptions{})
	wantError(t, err, apierrors.IsServiceUnavailable, "runs no node agent")
	if response := s.get(t.Context(), t, "/api/v1/namespaces/default/pods/free/log", nil); response.StatusCode != http.StatusNoContent {
		t.Errorf("log of a Pod without a node answers %d, want 204", response.StatusCode)
	}
}

// pipeLog is a log that a container is still writing; closed is closed with the reader.
type pipeLog struct {
	*io.PipeReader
	closed chan struct{}
}

func (l pipeLog) Close() error {
	close(l.closed) // panics if closed twice
	return l.PipeReader.Close()
}

func TestFollowFlushesAndEndsWithTheRequest(t *testing.T) {
	t.Parallel()
	reader, writer := io.Pipe()
	log := pipeLog{PipeReader: reader, closed: make(chan struct{})}
	s := newServer(t, withLogs(&logSource{open: func(context.Context) (io.ReadCloser, error) { return log, nil }}))
	s.createPod(t, newPod("a", onNode), "")

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	response := s.get(ctx, t, "/api/v1/namespaces/default/pods/a/log?follow=true", nil)
	// The line must arrive although the log goes on.
	if _, err := io.WriteString(writer, "line\n"); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 5)
	if _, err := io.ReadFull(response.Body, line); err != nil || string(line) != "line\n" {
		t.Fatalf("read %q, %v", line, err)
	}
	// The client leaves while the server waits for the container to write.
	cancel()
	select {
	case <-log.closed:
	case <-time.After(30 * time.Second):
		t.Fatal("the log stayed open after its client had left")
	}
}

func TestFollowEndsWithTheLog(t *testing.T) {
	t.Parallel()
	reader, writer := io.Pipe()
	log := pipeLog{PipeReader: reader, closed: make(chan struct{})}
	s := newServer(t, withLogs(&logSource{open: func(context.Context) (io.ReadCloser, error) { return log, nil }}))
	s.createPod(t, newPod("a", onNode), "")

	go func() {
		_, _ = io.WriteString(writer, "last\n")
		_ = writer.Close()
	}()
	body, err := s.readLog(t, "a", &corev1.PodLogOptions{Follow: true})
	if err != nil || body != "last\n" {
		t.Errorf("read %q, %v", body, err)
	}
	<-log.closed
}

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
	"io"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/cri-streaming/pkg/streaming/portforward"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"

	"github.com/jobserver-dev/jobserver/pkg/clientgone"
)

// Streams are what a client sends and gets. A nil one is not wanted. Stdin ends when the client closes it.
type Streams struct {
	Stdin          io.Reader
	Stdout, Stderr io.WriteCloser
	// TTY is for a terminal in the place of three streams; Stderr is nil then.
	TTY bool
	// Resize tells the size of the client's terminal, at first and whenever it changes.
	Resize <-chan remotecommand.TerminalSize
}

// exec runs a command in a container for a client.
func (s *server) exec(w http.ResponseWriter, request *http.Request) {
	target, options := s.streamTarget(w, request)
	if target == nil {
		return
	}
	command := request.URL.Query()["command"]
	if len(command) == 0 {
		http.Error(w, "you must specify the command, as one or more query parameters", http.StatusBadRequest)
		return
	}
	serve := func(w http.ResponseWriter, request *http.Request) {
		remotecommand.ServeExec(w, request, target, target.pod.Name, string(target.pod.UID), target.container, command, options,
			streamIdleTimeout, streamCreationTimeout, remotecommand.SupportedStreamingProtocols)
	}
	clientgone.Handler(http.HandlerFunc(serve)).ServeHTTP(w, request)
}

// attach connects a client with the streams of a container.
func (s *server) attach(w http.ResponseWriter, request *http.Request) {
	target, options := s.streamTarget(w, request)
	if target == nil {
		return
	}
	serve := func(w http.ResponseWriter, request *http.Request) {
		remotecommand.ServeAttach(w, request, target, target.pod.Name, string(target.pod.UID), target.container, options,
			streamIdleTimeout, streamCreationTimeout, remotecommand.SupportedStreamingProtocols)
	}
	clientgone.Handler(http.HandlerFunc(serve)).ServeHTTP(w, request)
}

// portForward connects a client with ports of a Pod.
func (s *server) portForward(w http.ResponseWriter, request *http.Request) {
	pod := s.pod(w, request)
	if pod == nil {
		return
	}
	options, err := portforward.NewV4Options(request)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := s.host.Running(pod, ""); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	target := &streamTarget{host: s.host, pod: pod}
	serve := func(w http.ResponseWriter, request *http.Request) {
		portforward.ServePortForward(w, request, target, pod.Name, string(pod.UID), options,
			streamIdleTimeout, streamCreationTimeout, portforward.SupportedProtocols)
	}
	clientgone.Handler(http.HandlerFunc(serve)).ServeHTTP(w, request)
}

// streamTarget finds the container that a request wants streams of, and which. Where it can't have them it answers and returns nil: no
// connection has been taken over by then, so that the client sees why.
func (s *server) streamTarget(w http.ResponseWriter, request *http.Request) (*streamTarget, *remotecommand.Options) {
	options, err := remotecommand.NewOptions(request)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return nil, nil
	}
	pod := s.pod(w, request)
	if pod == nil {
		return nil, nil
	}
	container := request.PathValue("container")
	if err := s.host.Running(pod, container); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return nil, nil
	}
	return &streamTarget{host: s.host, pod: pod, container: container}, options
}

// streamTarget is a container, or for ports a whole Pod, as the library that serves streams wants to see it.
type streamTarget struct {
	host      Host
	pod       *corev1.Pod
	container string
}

var (
	_ remotecommand.Executor    = &streamTarget{}
	_ remotecommand.Attacher    = &streamTarget{}
	_ portforward.PortForwarder = &streamTarget{}
)

// ExecInContainer implements remotecommand.Executor.
func (t *streamTarget) ExecInContainer(ctx context.Context, _, _, container string, command []string, in io.Reader, out, err io.WriteCloser, tty bool, resize <-chan remotecommand.TerminalSize, _ time.Duration) error {
	return t.host.Exec(ctx, t.pod, container, command, streams(in, out, err, tty, resize))
}

// AttachContainer implements remotecommand.Attacher.
func (t *streamTarget) AttachContainer(ctx context.Context, _, _, container string, in io.Reader, out, err io.WriteCloser, tty bool, resize <-chan remotecommand.TerminalSize) error {
	return t.host.Attach(ctx, t.pod, container, streams(in, out, err, tty, resize))
}

// PortForward implements portforward.PortForwarder.
func (t *streamTarget) PortForward(ctx context.Context, _, _ string, port int32, stream io.ReadWriteCloser) error {
	return t.host.PortForward(ctx, t.pod, port, stream)
}

func streams(in io.Reader, out, err io.WriteCloser, tty bool, resize <-chan remotecommand.TerminalSize) Streams {
	s := Streams{Stdin: in, Stdout: out, Stderr: err, TTY: tty, Resize: resize}
	if tty {
		s.Stderr = nil
	}
	return s
}

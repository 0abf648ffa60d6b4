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
	"fmt"
	"io"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/klog/v2"
)

// Host is the node that the API shows. The node agent implements it.
type Host interface {
	// Ready returns nil once the node does its work, else why it doesn't.
	Ready() error
	// Pods lists the Pods of this node, in no order. They must not be changed.
	Pods() []*corev1.Pod
	// Pod returns the Pod of that name on this node, or nil. It must not be changed.
	Pod(namespace, name string) *corev1.Pod
	// OpenLog returns what a container printed. With Follow the reader ends with the container; the end of ctx ends it
	// too. The caller closes it. Errors are those of the API.
	OpenLog(ctx context.Context, pod *corev1.Pod, container string, opts *corev1.PodLogOptions) (io.ReadCloser, error)
	// Running returns nil where the container runs, else why nothing can be connected with it. An empty name means any.
	Running(pod *corev1.Pod, container string) error
	// Exec runs a command in a container and returns when it has ended; a non-zero exit code is an exec.ExitError of k8s.io/utils.
	// The end of ctx ends the command.
	Exec(ctx context.Context, pod *corev1.Pod, container string, command []string, streams Streams) error
	// Attach connects the streams with those of the container, from now on, until it or ctx ends.
	Attach(ctx context.Context, pod *corev1.Pod, container string, streams Streams) error
	// PortForward connects stream with a port of the Pod until either side ends, or ctx does.
	PortForward(ctx context.Context, pod *corev1.Pod, port int32, stream io.ReadWriteCloser) error
}

// NewHandler returns the API of host, without authentication: see Auth.
func NewHandler(host Host) http.Handler {
	server := &server{host: host}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", server.containerLogs)
	for prefix, handler := range map[string]http.HandlerFunc{"/exec": server.exec, "/attach": server.attach} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			mux.HandleFunc(method+" "+prefix+"/{namespace}/{pod}/{container}", handler)
			mux.HandleFunc(method+" "+prefix+"/{namespace}/{pod}/{uid}/{container}", handler)
		}
	}
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		mux.HandleFunc(method+" /portForward/{namespace}/{pod}", server.portForward)
		mux.HandleFunc(method+" /portForward/{namespace}/{pod}/{uid}", server.portForward)
	}
	mux.HandleFunc("GET /pods", server.pods)
	mux.HandleFunc("GET /pods/", server.pods)
	mux.Handle("GET /metrics", legacyregistry.Handler())
	healthz.InstallHandler(mux, healthz.PingHealthz, healthz.NamedCheck("syncloop", func(*http.Request) error { return host.Ready() }))
	return mux
}

// server answers requests about host.
type server struct{ host Host }

// pods answers with a list of the node's Pods, in JSON.
func (s *server) pods(w http.ResponseWriter, request *http.Request) {
	list := &corev1.PodList{}
	for _, pod := range s.host.Pods() {
		list.Items = append(list.Items, *pod)
	}
	data, err := runtime.Encode(scheme.Codecs.LegacyCodec(corev1.SchemeGroupVersion), list)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if _, err := w.Write(data); err != nil {
		klog.FromContext(request.Context()).V(2).Info("Failed to send the list of Pods", "reason", err.Error())
	}
}

// pod finds the Pod that the path names. Where there is none it answers and returns nil.
func (s *server) pod(w http.ResponseWriter, request *http.Request) *corev1.Pod {
	pod := s.host.Pod(request.PathValue("namespace"), request.PathValue("pod"))
	if pod == nil {
		http.Error(w, fmt.Sprintf("pod %q does not exist", request.PathValue("pod")), http.StatusNotFound)
		return nil
	}
	if uid := request.PathValue("uid"); uid != "" && uid != string(pod.UID) {
		http.Error(w, fmt.Sprintf("pod %q does not have the UID %q", pod.Name, uid), http.StatusNotFound)
		return nil
	}
	return pod
}

// Time limits of connections: a kubelet's own.
const (
	streamIdleTimeout     = 4 * time.Hour
	streamCreationTimeout = 30 * time.Second
)

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

package pod

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/proxy"
	"k8s.io/apiserver/pkg/registry/rest"
	translator "k8s.io/apiserver/pkg/util/proxy"
	"k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/pkg/kubelet/client"
	upstream "k8s.io/kubernetes/pkg/registry/core/pod"
	"k8s.io/streaming/pkg/httpstream/wsstream"

	"github.com/jobserver-dev/jobserver/pkg/clientgone"
)

var _ rest.Connecter = &ConnectREST{}

// ConnectREST serves a subresource that connects a client with a Pod: exec, attach or portforward. It passes on what client and kubelet say.
// Kubelets speak SPDY. What newer clients speak, version 5 of the protocol over WebSockets and SPDY through WebSockets, is translated, as
// kube-apiserver does.
type ConnectREST struct {
	kubelets client.ConnectionInfoGetter
	options  func() runtime.Object
	// locate finds the kubelet's endpoint for options.
	locate func(ctx context.Context, name string, options runtime.Object) (*url.URL, *client.ConnectionInfo, error)
	// translate wraps the handler that passes things on as they are.
	translate func(handler http.Handler, location *url.URL, transport http.RoundTripper, options runtime.Object) http.Handler
}

// newExecREST serves pods/exec.
func newExecREST(pods upstream.ResourceGetter, kubelets client.ConnectionInfoGetter) *ConnectREST {
	return newConnectREST(pods, kubelets, upstream.ExecLocation,
		func() *core.PodExecOptions { return &core.PodExecOptions{} },
		func(handler http.Handler, location *url.URL, transport http.RoundTripper, options *core.PodExecOptions) http.Handler {
			streams := translator.Options{Stdin: options.Stdin, Stdout: options.Stdout, Stderr: options.Stderr, Tty: options.TTY}
			return translateStreams(handler, location, transport, streams)
		})
}

// newAttachREST serves pods/attach.
func newAttachREST(pods upstream.ResourceGetter, kubelets client.ConnectionInfoGetter) *ConnectREST {
	return newConnectREST(pods, kubelets, upstream.AttachLocation,
		func() *core.PodAttachOptions { return &core.PodAttachOptions{} },
		func(handler http.Handler, location *url.URL, transport http.RoundTripper, options *core.PodAttachOptions) http.Handler {
			streams := translator.Options{Stdin: options.Stdin, Stdout: options.Stdout, Stderr: options.Stderr, Tty: options.TTY}
			return translateStreams(handler, location, transport, streams)
		})
}

// newPortForwardREST serves pods/portforward.
func newPortForwardREST(pods upstream.ResourceGetter, kubelets client.ConnectionInfoGetter) *ConnectREST {
	return newConnectREST(pods, kubelets, upstream.PortForwardLocation,
		func() *core.PodPortForwardOptions { return &core.PodPortForwardOptions{} },
		func(handler http.Handler, _ *url.URL, _ http.RoundTripper, _ *core.PodPortForwardOptions) http.Handler {
			return translator.NewTranslatingHandler(handler, translator.NewTunnelingHandler(handler), wsstream.IsWebSocketRequestWithTunnelingProtocol)
		})
}

// newConnectREST serves a subresource whose options are of a type of their own.
func newConnectREST[Options runtime.Object](
	pods upstream.ResourceGetter, kubelets client.ConnectionInfoGetter,
	locate func(context.Context, upstream.ResourceGetter, client.ConnectionInfoGetter, string, Options) (*url.URL, *client.ConnectionInfo, error),
	newOptions func() Options,
	translate func(handler http.Handler, location *url.URL, transport http.RoundTripper, options Options) http.Handler,
) *ConnectREST {
	return &ConnectREST{
		kubelets: kubelets,
		options:  func() runtime.Object { return newOptions() },
		locate: func(ctx context.Context, name string, options runtime.Object) (*url.URL, *client.ConnectionInfo, error) {
			own, ok := options.(Options)
			if !ok {
				return nil, nil, fmt.Errorf("options of type %T do not belong to this subresource", options)
			}
			return locate(ctx, pods, kubelets, name, own)
		},
		translate: func(handler http.Handler, location *url.URL, transport http.RoundTripper, options runtime.Object) http.Handler {
			return translate(handler, location, transport, options.(Options)) // locate saw to it
		},
	}
}

// translateStreams has requests for version 5 of the protocol translated.
func translateStreams(handler http.Handler, location *url.URL, transport http.RoundTripper, options translator.Options) http.Handler {
	translating := translator.NewStreamTranslatorHandler(location, transport, 0, options)
	return translator.NewTranslatingHandler(handler, clientgone.Handler(translating), wsstream.IsWebSocketRequestWithStreamCloseProtocol)
}

// New returns empty options: a connection has no kind of its own.
func (r *ConnectREST) New() runtime.Object { return r.options() }

// Destroy does nothing: the store belongs to the kind's REST.
func (r *ConnectREST) Destroy() {}

// NewConnectOptions returns empty options, to be filled from the query. The path below means nothing.
func (r *ConnectREST) NewConnectOptions() (runtime.Object, bool, string) {
	return r.options(), false, ""
}

// ConnectMethods are POST, and GET for WebSockets.
func (r *ConnectREST) ConnectMethods() []string { return []string{http.MethodGet, http.MethodPost} }

// Connect returns what connects the client. A server that runs no node agent and reaches no kubelets answers 503.
func (r *ConnectREST) Connect(ctx context.Context, name string, options runtime.Object, responder rest.Responder) (http.Handler, error) {
	if r.kubelets == nil {
		return nil, apierrors.NewServiceUnavailable("this server runs no node agent, so it can't connect to containers")
	}
	location, info, err := r.locate(ctx, name, options)
	if err != nil {
		return nil, err
	}
	handler := proxy.NewUpgradeAwareHandler(location, info.Transport, false, true, proxy.NewErrorResponder(responder))
	return r.translate(handler, location, info.Transport, options), nil
}

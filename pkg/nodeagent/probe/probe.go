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

// Package probe asks a container's network endpoints how they are, and calls its HTTP hooks, in the very way of a kubelet: the requests, the
// time-outs and the words of the answers are those of k8s.io/kubernetes/pkg/probe.
package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	upstream "k8s.io/kubernetes/pkg/probe"
	grpcprobe "k8s.io/kubernetes/pkg/probe/grpc"
	httpprobe "k8s.io/kubernetes/pkg/probe/http"
	tcpprobe "k8s.io/kubernetes/pkg/probe/tcp"
)

// Result is what one probe found.
type Result string

// Results, by the names that events carry.
const (
	Success Result = "success"
	// Warning is a success with something to be said about it: a redirect to another host.
	Warning Result = "warning"
	Failure Result = "failure"
	Unknown Result = "unknown"
)

// Prober probes over the network. The zero value is not usable; see New.
type Prober struct {
	http  httpprobe.Prober
	tcp   tcpprobe.Prober
	grpc  grpcprobe.Prober
	hooks *http.Client
}

// New returns a Prober.
func New() *Prober {
	return &Prober{
		http: httpprobe.New(false),
		tcp:  tcpprobe.New(),
		grpc: grpcprobe.New(),
		// Certificates are not verified: a container makes its own. The client has no credentials to lose.
		hooks: &http.Client{
			Transport:     &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true},
			CheckRedirect: httpprobe.RedirectChecker(false),
		},
	}
}

// Probe asks once. handler is an httpGet, tcpSocket or grpc handler; ports may be named in the container's list. host is where it is asked where the
// handler doesn't say. The output goes with the Result into an event. The error says that nothing could be found out.
func (p *Prober) Probe(handler *corev1.ProbeHandler, container *corev1.Container, host string, timeout time.Duration) (Result, string, error) {
	result, output, err := p.probe(handler, container, host, timeout)
	return Result(result), output, err
}

func (p *Prober) probe(handler *corev1.ProbeHandler, container *corev1.Container, host string, timeout time.Duration) (upstream.Result, string, error) {
	switch {
	case handler.HTTPGet != nil:
		request, err := httpprobe.NewRequestForHTTPGetAction(handler.HTTPGet, container, host, "probe")
		if err != nil {
			return upstream.Unknown, "", err
		}
		if protocol := handler.HTTPGet.Protocol; protocol != nil && *protocol == corev1.HTTPProtocolHTTP2 {
			return p.http.ProbeH2C(request, timeout)
		}
		return p.http.Probe(request, timeout)
	case handler.TCPSocket != nil:
		port, err := upstream.ResolveContainerPort(handler.TCPSocket.Port, container)
		if err != nil {
			return upstream.Unknown, "", err
		}
		if handler.TCPSocket.Host != "" {
			host = handler.TCPSocket.Host
		}
		return p.tcp.Probe(host, port, timeout)
	case handler.GRPC != nil:
		service := ""
		if handler.GRPC.Service != nil {
			service = *handler.GRPC.Service
		}
		withTLS := handler.GRPC.Mode != nil && *handler.GRPC.Mode == corev1.GRPCProbeModeTLS
		return p.grpc.Probe(host, service, int(handler.GRPC.Port), timeout, grpcprobe.ProbeOptions{UseTLS: withTLS})
	}
	return upstream.Unknown, "", errors.New("missing probe handler")
}

// Call makes the request of a lifecycle hook. Any answer will do, as with a kubelet, which also asks again without TLS where the server turns out to have none.
func (p *Prober) Call(ctx context.Context, action *corev1.HTTPGetAction, container *corev1.Container, host string) error {
	request, err := httpprobe.NewRequestForHTTPGetAction(action, container, host, "lifecycle")
	if err != nil {
		return err
	}
	request = request.WithContext(ctx)
	err = p.call(request)
	var failed *url.Error
	if errors.As(err, &failed) && strings.Contains(failed.Err.Error(), "server gave HTTP response to HTTPS client") {
		request = request.Clone(ctx)
		request.URL.Scheme = "http"
		request.Header.Del("Authorization")
		err = p.call(request)
	}
	return err
}

func (p *Prober) call(request *http.Request) error {
	response, err := p.hooks.Do(request)
	if err != nil {
		return fmt.Errorf("call hook: %w", err)
	}
	return response.Body.Close()
}

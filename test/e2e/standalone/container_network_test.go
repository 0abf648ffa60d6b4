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

package standalone

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// page is a server on the machine's loopback, which is what a server in a container is.
type page struct {
	*httptest.Server
	mu   sync.Mutex
	code int
	seen map[string]int
}

func newPage(t *testing.T, code int) *page {
	t.Helper()
	p := &page{code: code, seen: map[string]int{}}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.seen[request.URL.Path+" "+request.Header.Get("X-Said")]++
		w.WriteHeader(p.code)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *page) port() int { return p.Listener.Addr().(*net.TCPAddr).Port }

func (p *page) answer(code int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.code = code
}

func (p *page) times(request string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen[request]
}

// TestNetworkProbes: HTTP and TCP probes reach the container's ports, by name too.
func TestNetworkProbes(t *testing.T) {
	t.Parallel()
	c, p := newClient(t, shared), newPage(t, http.StatusServiceUnavailable)
	c.runPod(t, "http", "sleep 300", fmt.Sprintf("    ports: [{name: web, containerPort: %d}]", p.port()),
		"    readinessProbe: {httpGet: {path: /ready, port: web, httpHeaders: [{name: X-Said, value: probe}]}, periodSeconds: 1, timeoutSeconds: 30, failureThreshold: 1}")
	c.waitEvent(t, "http", "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")
	if got := c.run(t, "get", "pod", "http", "-o", `jsonpath={.status.conditions[?(@.type=="Ready")].status}`); got != "False" {
		t.Errorf("ready: %s", got)
	}
	p.answer(http.StatusOK)
	c.run(t, "wait", "--for=condition=Ready", "--timeout=60s", "pod/http")
	if p.times("/ready probe") < 2 {
		t.Errorf("the server saw %v", p.seen)
	}

	port, listen := boundPort(t)
	c.runPod(t, "tcp", "sleep 300", fmt.Sprintf("    readinessProbe: {tcpSocket: {port: %d}, periodSeconds: 1, timeoutSeconds: 30, failureThreshold: 1}", port))
	c.waitEvent(t, "tcp", "Unhealthy", "connect: connection refused")
	listen()
	c.run(t, "wait", "--for=condition=Ready", "--timeout=60s", "pod/tcp")
}

// boundPort is a port of the loopback that refuses connections until listen is called, and that nobody else can take meanwhile.
func boundPort(t *testing.T) (port int, listen func()) {
	t.Helper()
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(socket) })
	if err := syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	address, err := syscall.Getsockname(socket)
	if err != nil {
		t.Fatal(err)
	}
	return address.(*syscall.SockaddrInet4).Port, func() {
		// Connections wait to be accepted; a probe wants no more.
		if err := syscall.Listen(socket, syscall.SOMAXCONN); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNetworkHooks: hooks by HTTP, and the time that a preStop hook takes.
func TestNetworkHooks(t *testing.T) {
	t.Parallel()
	c, p := newClient(t, shared), newPage(t, http.StatusOK)
	get := func(path string) string {
		return fmt.Sprintf("{httpGet: {host: 127.0.0.1, path: /%s, port: %d}}", path, p.port())
	}
	c.runPod(t, "p", "sleep 300", "    lifecycle: {postStart: "+get("started")+", preStop: "+get("stopping")+"}")
	eventually(t, time.Minute, func() string {
		if p.times("/started ") == 1 {
			return ""
		}
		return "nobody has asked for /started"
	})
	c.run(t, "delete", "pod", "p", "--timeout=60s")
	if p.times("/started ") != 1 || p.times("/stopping ") != 1 {
		t.Errorf("the server saw %v", p.seen)
	}
	manifest := podManifest("slow", "sleep 300", "    lifecycle: {preStop: {sleep: {seconds: 3}}}")
	c.apply(t, strings.Replace(manifest, "terminationGracePeriodSeconds: 2", "terminationGracePeriodSeconds: 60", 1))
	c.waitPhase(t, "slow", "Running")
	started := time.Now()
	c.run(t, "delete", "pod", "slow", "--timeout=60s")
	if took := time.Since(started); took < 3*time.Second {
		t.Errorf("a container whose hook takes 3s was gone after %s", took)
	}
}

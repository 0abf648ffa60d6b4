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

// Package farewell lets the clients of an HTTP/2 server go before the server closes, so that no request is lost.
//
// A server that closes says GOAWAY with the number of the last request that it has read, and answers nothing that came after it. A cluster's API server has then sent
// others, on the one connection over which it sends the requests of all users, and cannot send again what has a body: these users get an error. So a
// server has to say beforehand that it will go, while it still answers everything (RFC 9113, section 6.8). net/http doesn't; it has to be said
// between its frames.
package farewell

//lint:file-ignore SA1019 net/http has HTTP/2 too, but not over a connection of the caller's, which is what there is to say something on.

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
)

const (
	// pollPeriod is how often the connections that are left are looked at.
	pollPeriod = 10 * time.Millisecond

	// quietPolls is how often there must be no new request on any of them before they count as left, and maxPolls how often they are looked at.
	// Counted, not timed: on a machine that has no time for this process, requests wait to be read while time passes.
	quietPolls, maxPolls = 100, 300

	// writeTimeout bounds a farewell to a client that reads nothing.
	writeTimeout = time.Second

	// uploadBuffer and idleTimeout are those of k8s.io/apiserver.
	uploadBuffer = 256 << 10
	idleTimeout  = 90 * time.Second
)

// Farewell serves HTTP/2 in place of a server that it was introduced to. Make it with New.
type Farewell struct {
	http2 *http2.Server
	// closing is nobody's server: its Shutdown ends the connections of http2, in good order.
	closing *http.Server

	introduced chan struct{}
	once       sync.Once
	requests   atomic.Int64 // on connections that were there before the farewell

	mu    sync.Mutex
	conns map[*conn]struct{}
	going bool
}

// New returns a Farewell for a server with as many streams on one connection.
func New(streams int) (*Farewell, error) {
	f := &Farewell{
		http2: &http2.Server{
			IdleTimeout: idleTimeout, MaxConcurrentStreams: uint32(streams), MaxUploadBufferPerStream: uploadBuffer, MaxReadFrameSize: uploadBuffer,
			MaxUploadBufferPerConnection: uploadBuffer * int32(streams),
		},
		closing:    &http.Server{},
		introduced: make(chan struct{}),
		conns:      map[*conn]struct{}{},
	}
	if err := http2.ConfigureServer(f.closing, f.http2); err != nil {
		return nil, fmt.Errorf("configure HTTP/2: %w", err)
	}
	return f, nil
}

// Listen returns a listener for the server, which must have Filter around its handler: the first connection is our own, so that the server is known before it gets any other.
func (f *Farewell) Listen(listener net.Listener) net.Listener {
	return &introduction{Listener: listener, farewell: f}
}

// Filter finds the server in its first request.
func (f *Farewell) Filter(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		f.once.Do(func() {
			defer close(f.introduced)
			server, ok := request.Context().Value(http.ServerContextKey).(*http.Server)
			if !ok || server.TLSNextProto[http2.NextProtoTLS] == nil {
				return // it does not speak HTTP/2
			}
			server.TLSNextProto[http2.NextProtoTLS] = f.serve
			server.RegisterOnShutdown(f.close)
		})
		next.ServeHTTP(w, request)
	})
}

// serve is what http.Server calls for a connection that speaks HTTP/2. It returns when the connection ends.
func (f *Farewell) serve(server *http.Server, tlsConn *tls.Conn, handler http.Handler) {
	c := &conn{Conn: tlsConn}
	late := f.add(c)
	defer f.remove(c)
	counted := http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if !late {
			f.requests.Add(1)
		}
		handler.ServeHTTP(w, request)
	})
	var ctx context.Context
	if based, ok := handler.(interface{ BaseContext() context.Context }); ok {
		ctx = based.BaseContext()
	}
	f.http2.ServeConn(c, &http2.ServeConnOpts{Context: ctx, Handler: counted, BaseConfig: server})
}

// add tells whether the connection came after the farewell.
func (f *Farewell) add(c *conn) (late bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.conns[c] = struct{}{}
	c.going = f.going
	return f.going
}

func (f *Farewell) remove(c *conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.conns, c)
}

func (f *Farewell) left() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.conns)
}

// close ends all connections once their requests have been answered.
func (f *Farewell) close() {
	_ = f.closing.Shutdown(context.Background()) // it has no listeners, and does not wait
}

// Say tells all clients to go, those that come later too, and returns when they have gone, or when none has begun a request for a second (see quietPolls) on a connection that
// it was told to leave: by then all have read it, and what is still there are requests without an end, watches say. It takes three such seconds at most.
func (f *Farewell) Say() {
	f.mu.Lock()
	f.going = true
	for c := range f.conns {
		go c.goAway()
	}
	f.mu.Unlock()
	last, quiet := f.requests.Load(), 0
	for range maxPolls {
		if f.left() == 0 || quiet == quietPolls {
			return
		}
		time.Sleep(pollPeriod)
		quiet++
		if now := f.requests.Load(); now != last {
			last, quiet = now, 0
		}
	}
}

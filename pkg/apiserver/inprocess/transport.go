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

// Package inprocess has clients reach the API server of their own process without a connection: the request is handed to the server's handlers,
// and the answer is handed back. What it saves is encryption, framing and system calls at both ends.
package inprocess

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"sync"
	"syscall"

	"k8s.io/klog/v2"
)

// peer is who the server thinks sends the requests: this process, from no port.
const peer = "127.0.0.1:0"

// errClosed is the error of requests to a server that has ended. Clients take it for the refused connection that they would have met.
var errClosed = fmt.Errorf("the API server of this process has ended: %w", syscall.ECONNREFUSED)

// Transport is an http.RoundTripper to a handler in this process. It behaves as a connection of HTTP/2 does: requests run side by side, answers may be streams,
// who reads slowly slows the handler down, and giving up at one end ends the work at the other. Nothing of a request's context reaches the handler but its end.
// Make one with New.
type Transport struct {
	serving chan struct{} // closed when there is a handler
	handler http.Handler

	// life is the context of all requests.
	life context.Context
	end  context.CancelCauseFunc
}

var _ http.RoundTripper = &Transport{}

// New returns a Transport whose requests wait for Serve.
func New() *Transport {
	t := &Transport{serving: make(chan struct{})}
	t.life, t.end = context.WithCancelCause(context.WithValue(context.Background(), receivedKey{}, true))
	return t
}

// receivedKey is the key of a value in the context of every request that came through a Transport.
type receivedKey struct{}

// Received tells whether a request came through a Transport, so from a client of this process.
func Received(request *http.Request) bool {
	return request.Context().Value(receivedKey{}) != nil
}

// Serve has a handler answer the requests. It is called once.
func (t *Transport) Serve(handler http.Handler) {
	t.handler = handler
	close(t.serving)
}

// Close ends all requests, and refuses those to come. It may be called again.
func (t *Transport) Close() { t.end(errClosed) }

// RoundTrip implements http.RoundTripper. The handler runs on a goroutine of its own.
func (t *Transport) RoundTrip(request *http.Request) (*http.Response, error) {
	body := &requestBody{body: request.Body}
	if err := t.wait(request.Context()); err != nil {
		_ = body.Close() // as a RoundTripper must; there is nobody to tell
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(t.life)
	stop := context.AfterFunc(request.Context(), func() { cancel(context.Cause(request.Context())) })
	answer := newAnswer(ctx, cancel)
	go func() {
		defer cancel(nil)
		defer stop()
		defer body.Close()
		serve(t.handler, answer, received(ctx, request, body))
	}()
	<-answer.begun
	response, err := answer.response(request)
	if err != nil {
		_ = body.Close() // the handler may go on for a moment
	}
	return response, err
}

// wait waits until there is a handler.
func (t *Transport) wait(ctx context.Context) error {
	select {
	case <-t.serving:
	case <-ctx.Done():
	case <-t.life.Done():
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return context.Cause(t.life)
}

// received turns the request that a client sends into the one that a server receives.
func received(ctx context.Context, request *http.Request, body io.ReadCloser) *http.Request {
	served := request.Clone(ctx)
	served.Body = body
	served.GetBody = nil
	served.RequestURI = request.URL.RequestURI()
	served.RemoteAddr = peer
	served.Proto, served.ProtoMajor, served.ProtoMinor = "HTTP/2.0", 2, 0
	if served.Host == "" {
		served.Host = request.URL.Host
	}
	served.URL.Scheme, served.URL.Host = "", ""
	return served
}

// serve runs the handler. A panic ends this answer alone, as it would a connection's.
func serve(handler http.Handler, answer *answer, request *http.Request) {
	defer func() {
		cause := recover()
		if cause == nil {
			answer.finish(io.EOF)
			return
		}
		if err, ok := cause.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
			klog.FromContext(request.Context()).Error(fmt.Errorf("%v", cause), "Panic while serving a request of this process",
				"method", request.Method, "uri", request.RequestURI, "stack", string(debug.Stack()))
		}
		answer.finish(io.ErrUnexpectedEOF)
	}()
	handler.ServeHTTP(answer, request)
}

// requestBody is the body of a request. Once it is closed, which is at the latest when the handler is done, nothing is read of the client's any more.
type requestBody struct {
	mu   sync.Mutex
	body io.ReadCloser // nil: there is none, or it is closed
	done bool
}

// Read implements io.Reader.
func (b *requestBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.done:
		return 0, http.ErrBodyReadAfterClose
	case b.body == nil:
		return 0, io.EOF
	}
	return b.body.Read(p)
}

// Close implements io.Closer.
func (b *requestBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.done {
		return nil
	}
	b.done = true
	if b.body == nil {
		return nil
	}
	return b.body.Close()
}

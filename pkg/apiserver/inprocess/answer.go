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

package inprocess

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
)

// maxBuffered is how many bytes of an answer wait for their reader before the handler has to.
const maxBuffered = 1 << 20

var errBodyClosed = errors.New("the client has closed the body of the answer")

// answer carries an answer from the handler, whose http.ResponseWriter it is, to the client, whose body it is. It begins when the handler flushes it, has
// written more than fits into the buffer, or is done: most answers are complete by then. It begins too when the request is given up, without a status then.
type answer struct {
	ctx    context.Context // of the request
	cancel context.CancelCauseFunc
	// header is the handler's until it has decided on the status.
	header http.Header
	begun  chan struct{}

	mu      sync.Mutex
	changed sync.Cond
	status  int         // 0: not decided
	sent    http.Header // what header was then
	isBegun bool
	isWhole bool // it was complete when it began
	buffer  bytes.Buffer
	err     error // what is read after the buffer: io.EOF at the end of a whole answer; nil: there may be more
	closed  bool  // by the client
	// stop ends the watch over the request's context.
	stop func() bool
}

var (
	_ http.ResponseWriter = &answer{}
	_ http.Flusher        = &answer{}
	_ io.ReadCloser       = &answer{}
	// http.CloseNotifier: by it, what wraps a ResponseWriter in k8s.io/apiserver finds out whether it can flush.
	_ interface{ CloseNotify() <-chan bool } = &answer{}
)

func newAnswer(ctx context.Context, cancel context.CancelCauseFunc) *answer {
	a := &answer{ctx: ctx, cancel: cancel, header: http.Header{}, begun: make(chan struct{})}
	a.changed.L = &a.mu
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stop = context.AfterFunc(ctx, func() { a.finish(context.Cause(ctx)) })
	return a
}

// finish ends the answer. Only the first call counts; when the request has been given up, that is why.
func (a *answer) finish(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err != nil {
		return
	}
	a.stop()
	a.err = err
	if a.ctx.Err() != nil {
		a.err = context.Cause(a.ctx)
	}
	if a.err == io.EOF {
		a.decide(http.StatusOK)
		a.isWhole = !a.isBegun
	}
	a.begin()
	a.changed.Broadcast()
}

// begin lets the client have the answer. It needs a.mu.
func (a *answer) begin() {
	if !a.isBegun {
		a.isBegun = true
		close(a.begun)
	}
}

// decide settles status and header, once. It needs a.mu.
func (a *answer) decide(status int) {
	if a.status == 0 {
		a.status, a.sent = status, a.header.Clone()
	}
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter. Statuses that are only on the way to an answer are dropped.
func (a *answer) WriteHeader(status int) {
	if status < http.StatusOK {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.decide(status)
}

// Write implements http.ResponseWriter. It fails once the request has been given up.
func (a *answer) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.decide(http.StatusOK)
	for a.err == nil && a.buffer.Len() >= maxBuffered {
		a.begin()
		a.changed.Wait()
	}
	if a.err != nil {
		return 0, a.err
	}
	// All at once, however much it is: the handler has it in memory anyway.
	a.buffer.Write(p)
	a.changed.Broadcast()
	return len(p), nil
}

// Flush implements http.Flusher.
func (a *answer) Flush() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.decide(http.StatusOK)
	a.begin()
}

// CloseNotify is as in http.CloseNotifier.
func (a *answer) CloseNotify() <-chan bool {
	gone := make(chan bool, 1)
	context.AfterFunc(a.ctx, func() { gone <- true })
	return gone
}

// Read implements io.Reader, for the client.
func (a *answer) Read(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for {
		switch {
		case a.closed:
			return 0, http.ErrBodyReadAfterClose
		case len(p) == 0:
			return 0, nil
		case a.buffer.Len() > 0:
			n, err := a.buffer.Read(p)
			a.changed.Broadcast()
			return n, err
		case a.err != nil:
			return 0, a.err
		}
		a.changed.Wait()
	}
}

// Close implements io.Closer, for the client. An answer that is not complete ends.
func (a *answer) Close() error {
	a.mu.Lock()
	a.closed = true
	a.buffer = bytes.Buffer{}
	a.mu.Unlock()
	a.finish(errBodyClosed)
	a.cancel(errBodyClosed)
	return nil
}

// response is what the client gets, once the answer has begun.
func (a *answer) response(request *http.Request) (*http.Response, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.status == 0 {
		return nil, fmt.Errorf("no answer: %w", a.err)
	}
	response := &http.Response{
		Status: strconv.Itoa(a.status) + " " + http.StatusText(a.status), StatusCode: a.status, Proto: "HTTP/2.0", ProtoMajor: 2,
		Header: a.sent, Body: a, ContentLength: -1, Request: request,
	}
	if a.isWhole {
		response.ContentLength = int64(a.buffer.Len())
	} else if length, err := strconv.ParseInt(a.sent.Get("Content-Length"), 10, 64); err == nil {
		response.ContentLength = length
	}
	return response, nil
}

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

// Package clientgone tells a handler that takes its connection over when the client at the other end is gone.
package clientgone

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
)

// Err is why a request ended whose client is gone: the cause of its context.
var Err = errors.New("the client is gone")

// Handler ends the context of a request once its client is gone, even where handler takes the connection over. Go's server stops looking
// then, so that a command that says nothing would run on for a client that isn't there.
func Handler(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		ctx, cancel := context.WithCancelCause(request.Context())
		defer cancel(nil)
		handler.ServeHTTP(&watchedWriter{ResponseWriter: w, gone: func() { cancel(Err) }}, request.WithContext(ctx))
	})
}

// watchedWriter hands out a connection that tells when it is gone.
type watchedWriter struct {
	http.ResponseWriter
	gone func()
}

// Hijack implements http.Hijacker.
func (w *watchedWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	watched := &watchedConn{Conn: conn, gone: w.gone}
	// What the server has read ahead comes first.
	if ahead := buffered.Reader.Buffered(); ahead > 0 {
		if watched.ahead, err = buffered.Reader.Peek(ahead); err != nil {
			return nil, nil, errors.Join(err, conn.Close())
		}
	}
	return watched, bufio.NewReadWriter(bufio.NewReader(watched), bufio.NewWriter(watched)), nil
}

// Flush implements http.Flusher.
func (w *watchedWriter) Flush() { _ = http.NewResponseController(w.ResponseWriter).Flush() }

// watchedConn calls gone when nothing more can be read, or nobody here wants to: who serves SPDY closes the connection when the client
// says goodbye.
type watchedConn struct {
	net.Conn
	ahead []byte
	gone  func()
}

// Read implements net.Conn.
func (c *watchedConn) Read(data []byte) (int, error) {
	if len(c.ahead) > 0 {
		n := copy(data, c.ahead)
		c.ahead = c.ahead[n:]
		return n, nil
	}
	n, err := c.Conn.Read(data)
	if err != nil {
		c.gone()
	}
	return n, err
}

// Close implements net.Conn.
func (c *watchedConn) Close() error {
	c.gone()
	return c.Conn.Close()
}

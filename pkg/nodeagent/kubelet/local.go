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
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Local serves the API within this process, over pairs of sockets that nobody else can reach. So it needs neither a port nor certificates.
type Local struct {
	server      *http.Server
	connections chan net.Conn
	closed      chan struct{}
	close       func()
}

// ServeLocal serves handler until Close is called.
func ServeLocal(handler http.Handler) *Local {
	l := &Local{server: &http.Server{Handler: handler}, connections: make(chan net.Conn), closed: make(chan struct{})}
	l.close = sync.OnceFunc(func() { close(l.closed) })
	// It always returns an error, which says that Close was called.
	go func() { _ = l.server.Serve(localListener{l}) }()
	return l
}

// Dial opens a connection.
func (l *Local) Dial(ctx context.Context) (net.Conn, error) {
	near, far, err := socketPair()
	if err != nil {
		return nil, fmt.Errorf("connect to the node agent: %w", err)
	}
	select {
	case l.connections <- far:
		return near, nil
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-l.closed:
		err = net.ErrClosed
	}
	return nil, errors.Join(fmt.Errorf("connect to the node agent: %w", err), near.Close(), far.Close())
}

// Close ends the serving. Requests under way are cut, streams are not.
func (l *Local) Close() error {
	l.close()
	return l.server.Close()
}

// localListener is a net.Listener of the connections that Dial makes.
type localListener struct{ *Local }

// Accept implements net.Listener.
func (l localListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.connections:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l localListener) Close() error {
	l.close()
	return nil
}

// Addr implements net.Listener.
func (l localListener) Addr() net.Addr { return &net.UnixAddr{Net: "unix"} }

// socketPair returns two ends of a connection. Unlike net.Pipe's they are buffered by the kernel.
func socketPair() (net.Conn, net.Conn, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	near, nearErr := fileConn(fds[0])
	far, farErr := fileConn(fds[1])
	if err := errors.Join(nearErr, farErr); err != nil {
		for _, conn := range []net.Conn{near, far} {
			if conn != nil {
				_ = conn.Close()
			}
		}
		return nil, nil, err
	}
	return near, far, nil
}

// fileConn makes a connection of a socket, which it takes over.
func fileConn(fd int) (net.Conn, error) {
	file := os.NewFile(uintptr(fd), "socket")
	defer file.Close()
	return net.FileConn(file)
}

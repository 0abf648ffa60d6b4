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

package nodeagent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"

	corev1 "k8s.io/api/core/v1"
)

// PortForward connects stream with a port of the machine's loopback, which is where servers in containers listen: they share the machine's
// network. It returns when the server has ended the connection, or ctx ends.
func (a *Agent) PortForward(ctx context.Context, pod *corev1.Pod, port int32, stream io.ReadWriteCloser) error {
	if err := a.Running(pod, ""); err != nil {
		return err
	}
	// The name has both addresses, IPv4 and IPv6.
	server, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort("localhost", strconv.Itoa(int(port))))
	if err != nil {
		return fmt.Errorf("connect to port %d of pod %q: %w", port, pod.Name, err)
	}
	defer server.Close()
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	go func() {
		// A client that has sent all may still want to read the answer.
		if _, err := io.Copy(server, stream); err == nil {
			if half, ok := server.(*net.TCPConn); ok {
				_ = half.CloseWrite()
				return
			}
		}
		_ = server.Close()
	}()
	_, err = io.Copy(stream, server)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("forward port %d of pod %q: %w", port, pod.Name, err)
	}
	return nil
}

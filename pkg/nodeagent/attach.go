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
	"io"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/kubelet"
	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime"
)

// Attach connects a client with the streams of a running container, until the container ends or the client is gone. Whether it is a terminal is up to the container,
// as with a kubelet: that can't be changed once it runs.
func (a *Agent) Attach(ctx context.Context, pod *corev1.Pod, container string, streams kubelet.Streams) error {
	target, err := a.execTarget(pod, container)
	if err != nil {
		return err
	}
	spec := target.container
	attached := runtime.AttachStreams{StdinOnce: spec.StdinOnce && !spec.TTY}
	switch {
	case streams.Stdin == nil:
	case spec.Stdin:
		attached.Stdin = streams.Stdin
	default:
		go func() { _, _ = io.Copy(io.Discard, streams.Stdin) }() // ends with the connection
	}
	// A nil writer of another type is no nil writer.
	if streams.Stdout != nil {
		attached.Stdout = streams.Stdout
	}
	if streams.Stderr != nil && !spec.TTY {
		attached.Stderr = streams.Stderr
	}
	if streams.Resize != nil && spec.TTY {
		attached.Resize = sizes(streams.Resize)
	}
	return a.runtime.Attach(ctx, target.id, attached)
}

// sizes passes on the sizes of a client's terminal, in the runtime's type, as long as the client sends them.
func sizes(from <-chan remotecommand.TerminalSize) <-chan runtime.TerminalSize {
	to := make(chan runtime.TerminalSize, 1)
	go func() {
		defer close(to)
		for size := range from {
			to <- runtime.TerminalSize{Width: size.Width, Height: size.Height}
		}
	}()
	return to
}

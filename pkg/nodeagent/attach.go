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
	"fmt"
	"io"
	"math"

	corev1 "k8s.io/api/core/v1"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/kubelet"
)

// Attach passes on what a running container prints from now on, until it or ctx ends. What the client sends goes nowhere: the standard input of
// containers is empty here (support.go refuses those that want one).
func (a *Agent) Attach(ctx context.Context, pod *corev1.Pod, container string, streams kubelet.Streams) error {
	target, err := a.execTarget(pod, container)
	if err != nil {
		return err
	}
	source, err := a.openLog(target.id)
	if err != nil {
		return fmt.Errorf("attach to container %q: %w", container, err)
	}
	defer source.Close()
	if streams.Stdin != nil {
		go func() { _, _ = io.Copy(io.Discard, streams.Stdin) }() // ends with the connection
	}
	options := logOptions{tail: new(int64(0)), limit: math.MaxInt64, ended: a.runtime.Done(target.id)}
	// A nil writer of another type is no nil writer.
	if streams.Stdout != nil {
		options.stdout = streams.Stdout
	}
	if streams.Stderr != nil {
		options.stderr = streams.Stderr
	}
	return readLog(ctx, source, options)
}

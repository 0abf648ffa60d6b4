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

package run

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// logStreamer copies the output of all containers of all Pods, line by line, as it comes.
type logStreamer struct {
	client kubernetes.Interface
	out    io.Writer

	mu       sync.Mutex
	attempts map[attempt]bool
	streams  sync.WaitGroup
}

// attempt is one start of a container; a restarted one is read again.
type attempt struct {
	pod       types.UID
	container string
	restarts  int32
}

func newLogStreamer(client kubernetes.Interface, out io.Writer) *logStreamer {
	return &logStreamer{client: client, out: out, attempts: map[attempt]bool{}}
}

// follow starts to read every container of the Pod that has started and isn't read yet.
func (l *logStreamer) follow(ctx context.Context, pod *corev1.Pod) {
	containers := len(pod.Spec.InitContainers) + len(pod.Spec.Containers)
	for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if status.State.Running == nil && status.State.Terminated == nil {
			continue
		}
		this := attempt{pod: pod.UID, container: status.Name, restarts: status.RestartCount}
		l.mu.Lock()
		begun := l.attempts[this]
		l.attempts[this] = true
		l.mu.Unlock()
		if begun {
			continue
		}
		prefix := "[" + pod.Name + "] "
		if containers > 1 {
			prefix = "[" + pod.Name + "/" + status.Name + "] "
		}
		l.streams.Go(func() { l.stream(ctx, pod, status.Name, prefix) })
	}
}

// stream copies a log to its end. A Job's result doesn't depend on what could be shown of it: an error is shown in its place, but for an
// interruption.
func (l *logStreamer) stream(ctx context.Context, pod *corev1.Pod, container, prefix string) {
	options := &corev1.PodLogOptions{Container: container, Follow: true}
	log, err := l.client.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, options).Stream(ctx)
	if err == nil {
		err = errors.Join(l.copy(log, prefix), log.Close())
	}
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		// A failure to show the failure leaves nothing to be done.
		_, _ = fmt.Fprintf(l.out, "%s(log not available: %v)\n", prefix, err)
	}
}

func (l *logStreamer) copy(log io.Reader, prefix string) error {
	reader := bufio.NewReader(log)
	for {
		line, err := reader.ReadString('\n')
		if line != "" {
			if line[len(line)-1] != '\n' {
				line += "\n"
			}
			if _, err := io.WriteString(l.out, prefix+line); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// wait blocks until every log that is being read has been read to its end.
func (l *logStreamer) wait() {
	l.streams.Wait()
}

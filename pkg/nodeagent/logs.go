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
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime"
)

// LogLimits bound the log of one attempt at a container. Zero values stand for a kubelet's defaults.
type LogLimits struct {
	// MaxSize is the size in bytes from which on the log goes on in another file; 0: 10 MiB.
	MaxSize int64
	// MaxFiles is how many files are kept, at least 2; 0: 5.
	MaxFiles int
}

// complete fills in defaults and checks the rest.
func (l *LogLimits) complete() error {
	l.MaxSize, l.MaxFiles = cmp.Or(l.MaxSize, 10<<20), cmp.Or(l.MaxFiles, 5)
	if l.MaxSize < 0 || l.MaxFiles < 2 {
		return fmt.Errorf("of a log at least 2 files of more than 0 bytes are kept, not %d of %d", l.MaxFiles, l.MaxSize)
	}
	return nil
}

// OpenLog returns what a container of the Pod printed, as opts ask for it: see logread.go. The caller has resolved
// and validated the container's name and the options. With Follow the reader ends when the container does. The reader must be
// closed; the end of ctx ends it too. Errors are those of the API, in a kubelet's words.
func (a *Agent) OpenLog(ctx context.Context, pod *corev1.Pod, container string, opts *corev1.PodLogOptions) (io.ReadCloser, error) {
	if opts == nil {
		opts = &corev1.PodLogOptions{}
	}
	id, err := a.logID(pod, container, opts.Previous)
	if err != nil {
		return nil, err
	}
	source, err := a.openLog(id)
	if err != nil {
		return nil, apierrors.NewInternalError(fmt.Errorf("log of container %q in pod %q: %w", container, pod.Name, err))
	}
	reader, writer := io.Pipe()
	options := a.logOptions(opts, writer)
	if opts.Follow {
		options.ended = a.runtime.Done(id)
	}
	ctx, cancel := context.WithCancel(ctx)
	// Whoever doesn't read on would otherwise hold the copying below for good.
	stop := context.AfterFunc(ctx, func() { _ = writer.CloseWithError(context.Cause(ctx)) })
	go func() {
		defer cancel()
		defer stop()
		defer source.Close()
		_ = writer.CloseWithError(readLog(ctx, source, options))
	}()
	return &logReader{PipeReader: reader, cancel: cancel}, nil
}

// logReader ends the reading of the file when it is closed.
type logReader struct {
	*io.PipeReader
	cancel context.CancelFunc
}

// Close implements io.Closer.
func (r *logReader) Close() error {
	r.cancel()
	return r.PipeReader.Close()
}

// logOptions translates the API's options.
func (a *Agent) logOptions(opts *corev1.PodLogOptions, target io.Writer) logOptions {
	options := logOptions{tail: opts.TailLines, limit: math.MaxInt64, timestamps: opts.Timestamps, stdout: target, stderr: target}
	if opts.LimitBytes != nil {
		options.limit = *opts.LimitBytes
	}
	switch {
	case opts.SinceSeconds != nil:
		options.since = a.config.Clock.Now().Add(-time.Duration(*opts.SinceSeconds) * time.Second)
	case opts.SinceTime != nil:
		options.since = opts.SinceTime.Time
	}
	if opts.Stream != nil {
		switch *opts.Stream {
		case corev1.LogStreamStdout:
			options.stderr = nil
		case corev1.LogStreamStderr:
			options.stdout = nil
		}
	}
	return options
}

// logID finds the attempt whose log is asked for. The records here know better than the Pod's status, which lags behind them.
func (a *Agent) logID(pod *corev1.Pod, container string, previous bool) (runtime.ID, error) {
	attempts, err := a.runtime.Attempts(pod.UID, container)
	if err != nil {
		return runtime.ID{}, apierrors.NewInternalError(err)
	}
	status := findStatus(pod, container)
	if len(attempts) == 0 {
		return runtime.ID{}, apierrors.NewBadRequest(unstartedMessage(pod, container, status, previous))
	}
	latest := runtime.ID{PodUID: pod.UID, Container: container, Attempt: attempts[len(attempts)-1]}
	if !previous {
		return latest, nil
	}
	// While a container waits for its restart, its latest run is the previous one.
	if status != nil && status.State.Waiting != nil && int(status.RestartCount) == latest.Attempt && isClosed(a.runtime.Done(latest)) {
		return latest, nil
	}
	if len(attempts) == 1 {
		return runtime.ID{}, apierrors.NewBadRequest(unstartedMessage(pod, container, status, previous))
	}
	latest.Attempt = attempts[len(attempts)-2]
	return latest, nil
}

// unstartedMessage says why there is no log.
func unstartedMessage(pod *corev1.Pod, container string, status *corev1.ContainerStatus, previous bool) string {
	switch {
	case previous:
		return fmt.Sprintf("previous terminated container %q in pod %q not found", container, pod.Name)
	case pod.Spec.NodeName == "":
		return fmt.Sprintf("pod %s does not have a host assigned", pod.Name)
	case status == nil:
		reason := reasonContainerCreating
		if len(pod.Spec.InitContainers) > 0 {
			reason = reasonPodInitializing
		}
		return fmt.Sprintf("container %q in pod %q is waiting to start: %s", container, pod.Name, reason)
	case status.State.Waiting != nil:
		return fmt.Sprintf("container %q in pod %q is waiting to start: %s", container, pod.Name, status.State.Waiting.Reason)
	case status.State.Terminated != nil && status.State.Terminated.Reason == reasonUnsupportedField:
		return fmt.Sprintf("container %q in pod %q was not started: %s", container, pod.Name, status.State.Terminated.Message)
	case status.State.Terminated != nil:
		return fmt.Sprintf("container %q in pod %q is terminated", container, pod.Name)
	default:
		return fmt.Sprintf("container %q in pod %q is waiting to start - no logs yet", container, pod.Name)
	}
}

// findStatus returns the status of the container with the name, of whichever sort, or nil.
func findStatus(pod *corev1.Pod, name string) *corev1.ContainerStatus {
	for _, list := range containerStatuses(pod) {
		for i := range list {
			if list[i].Name == name {
				return &list[i]
			}
		}
	}
	return nil
}

// containerStatuses are the statuses of a Pod's containers, of all sorts.
func containerStatuses(pod *corev1.Pod) [][]corev1.ContainerStatus {
	return [][]corev1.ContainerStatus{pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses, pod.Status.EphemeralContainerStatuses}
}

// isClosed tells whether a channel that nothing is sent on is closed.
func isClosed(channel <-chan struct{}) bool {
	select {
	case <-channel:
		return true
	default:
		return false
	}
}

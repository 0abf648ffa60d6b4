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
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime"
)

// runHook runs a lifecycle hook of a running container. The error is short enough for a log; the message says it in a kubelet's words, for the
// status of the container.
func (a *Agent) runHook(ctx context.Context, target execTarget, handler *corev1.LifecycleHandler) (message string, err error) {
	pod, container := target.pod, target.container
	where := fmt.Sprintf("for Container %q in Pod %q failed - error", container.Name, fullName(pod))
	switch {
	case handler.Sleep != nil:
		if err := a.sleep(ctx, time.Duration(handler.Sleep.Seconds)*time.Second); err != nil {
			return fmt.Sprintf("Sleep lifecycle hook (%d) %s: %v", handler.Sleep.Seconds, where, err), err
		}
	case handler.Exec != nil:
		output, err := a.execInContainer(ctx, target, handler.Exec.Command)
		if err != nil {
			return fmt.Sprintf("Exec lifecycle hook (%v) %s: %v, message: %q", handler.Exec.Command, where, err, output), err
		}
	case handler.HTTPGet != nil:
		if err := a.prober.Call(ctx, handler.HTTPGet, container, a.nodeIP()); err != nil {
			return fmt.Sprintf("HTTP lifecycle hook (%s) %s: %v", handler.HTTPGet.Path, where, err), err
		}
	default:
		// Of a tcpSocket, which Kubernetes takes for the sake of old objects, and fails.
		err := fmt.Errorf("invalid handler: %v", handler)
		return fmt.Sprintf("Cannot run handler: %v", err), err
	}
	return "", nil
}

// sleep waits on the agent's clock.
func (a *Agent) sleep(ctx context.Context, duration time.Duration) error {
	timer := a.config.Clock.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-timer.C():
		return nil
	case <-ctx.Done():
		return errors.New("container terminated before sleep hook finished")
	}
}

// exitError is a command that ended with another exit code than 0.
type exitError struct{ code int }

func (e *exitError) Error() string {
	return fmt.Sprintf("command terminated with exit code %d", e.code)
}

// maxExecOutput is how much of a command's output is kept, as with a kubelet.
const maxExecOutput = 10 << 10

// execTarget is the running attempt that a command is run beside.
type execTarget struct {
	pod       *corev1.Pod
	container *corev1.Container
	id        runtime.ID
	beside    *beside
}

// execInContainer runs a command beside a running container and returns the beginning of what it printed. A command that ends with another exit
// code than 0 is an *exitError.
func (a *Agent) execInContainer(ctx context.Context, target execTarget, argv []string) (output []byte, err error) {
	command, err := a.command(ctx, target)
	if err != nil {
		return nil, err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("run command: %w", err)
	}
	defer read.Close()
	command.Argv, command.Stdout, command.Stderr = argv, write, write
	printed := make(chan []byte, 1)
	go func() {
		data, _ := io.ReadAll(io.LimitReader(read, maxExecOutput))
		_, _ = io.Copy(io.Discard, read) // so that it can go on printing
		printed <- data
	}()
	code, err := a.runtime.Exec(ctx, target.id, command)
	_ = write.Close()
	output = <-printed
	if err == nil && code != 0 {
		err = &exitError{code}
	}
	return output, err
}

// command is a command of the container's environment and working directory, still without arguments.
func (a *Agent) command(ctx context.Context, target execTarget) (runtime.Command, error) {
	command := runtime.Command{
		WorkingDir: a.workingDir(target.pod, target.container), Env: target.beside.environment(target.id), Rights: rights(target.pod, target.container),
	}
	if command.Env == nil {
		// An earlier agent started the container: what its environment refers to may have changed since.
		environment, err := a.environment(ctx, target.pod, target.container, nil)
		if err != nil {
			return command, err
		}
		command.Env = environment.list()
	}
	return command, nil
}

// preStop returns the call of the container's preStop hook; nil where it has none.
func (a *Agent) preStop(target execTarget) func(context.Context) {
	pod, container := target.pod, target.container
	if container.Lifecycle == nil || container.Lifecycle.PreStop == nil {
		return nil
	}
	return func(ctx context.Context) {
		message, err := a.runHook(ctx, target, container.Lifecycle.PreStop)
		if err == nil || ctx.Err() != nil {
			return // a hook that is cut off by the end of the grace period or of the container hasn't failed
		}
		klog.Background().Info("A preStop hook failed", "pod", klog.KObj(pod), "podUID", pod.UID, "container", container.Name, "reason", message)
		// Why is left out, as a kubelet does: what hooks print may be secret.
		a.recorder.Event(containerReference(pod, container.Name), corev1.EventTypeWarning, reasonFailedPreStopHook, "PreStopHook failed")
	}
}

// startHook runs the postStart hook of a container that has just been started. Until it has ended, nothing else of the Pod is started.
func (a *Agent) startHook(ctx context.Context, target execTarget) {
	pod, container := target.pod, target.container
	if container.Lifecycle == nil || container.Lifecycle.PostStart == nil {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := a.runtime.Done(target.id)
	target.beside.setHook(target.id, hookRunning, "")
	a.besides.Go(func() {
		select {
		case <-ended:
			cancel()
		case <-ctx.Done():
		}
	})
	a.besides.Go(func() {
		defer cancel()
		message, err := a.runHook(ctx, target, container.Lifecycle.PostStart)
		switch {
		case err == nil:
			target.beside.setHook(target.id, hookNone, "")
		case ctx.Err() != nil && !isClosed(ended):
			return // the agent is ending: the next one runs the hook again
		default:
			klog.FromContext(ctx).Info("A postStart hook failed", "container", container.Name, "reason", message)
			a.recorder.Event(containerReference(pod, container.Name), corev1.EventTypeWarning, reasonFailedPostStartHook, "PostStartHook failed")
			target.beside.setHook(target.id, hookFailed, message)
		}
		a.queue.Add(pod.UID)
	})
}

// fullName names a Pod in messages as a kubelet does.
func fullName(pod *corev1.Pod) string {
	return fmt.Sprintf("%s_%s(%s)", pod.Name, pod.Namespace, pod.UID)
}

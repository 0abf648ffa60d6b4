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
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	utilexec "k8s.io/utils/exec"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/kubelet"
	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime"
)

var _ kubelet.Host = &Agent{}

// Running returns nil where the container runs, else why nothing can be connected with it, in a kubelet's words. An empty name means any container.
func (a *Agent) Running(pod *corev1.Pod, container string) error {
	if container != "" {
		_, err := a.execTarget(pod, container)
		return err
	}
	if !anyRunning(a.runtime.Containers(pod.UID)) {
		return fmt.Errorf("pod %q is not running", pod.Name)
	}
	return nil
}

// execTarget finds the running attempt at a container.
func (a *Agent) execTarget(pod *corev1.Pod, name string) (execTarget, error) {
	a.mu.Lock()
	state := a.states[pod.UID]
	a.mu.Unlock()
	container := findContainer(pod, name)
	if state != nil && container != nil {
		for _, attempt := range a.runtime.Containers(pod.UID) {
			if attempt.ID.Container == name && attempt.Running {
				return execTarget{pod: pod, container: container, id: attempt.ID, beside: state.beside}, nil
			}
		}
	}
	return execTarget{}, fmt.Errorf("container not found (%q)", name)
}

// Exec runs a command in a running container, with its environment, working directory and view of the machine's files, and waits for its
// end. An exit code other than 0 is a utilexec.ExitError. At the end of ctx, or of the container, the command is killed with all
// that it started.
func (a *Agent) Exec(ctx context.Context, pod *corev1.Pod, container string, argv []string, streams kubelet.Streams) error {
	target, err := a.execTarget(pod, container)
	if err != nil {
		return err
	}
	command, err := a.command(ctx, target)
	if err != nil {
		return err
	}
	command.Argv = argv
	if streams.TTY && !slices.ContainsFunc(command.Env, func(variable string) bool { return strings.HasPrefix(variable, "TERM=") }) {
		command.Env = append(slices.Clone(command.Env), "TERM="+terminalType)
	}
	connection := &execStreams{streams: streams}
	if err := connection.connect(&command); err != nil {
		return fmt.Errorf("run command: %w", err)
	}
	code, err := a.runtime.Exec(ctx, target.id, command)
	connection.finish()
	if err != nil {
		return err
	}
	if code != 0 {
		return utilexec.CodeExitError{Err: fmt.Errorf("command terminated with exit code %d", code), Code: code}
	}
	return nil
}

// execStreams connects a client's streams with a command's files.
type execStreams struct {
	streams kubelet.Streams
	// theirs are the command's ends, ours those that are read and written here.
	theirs, ours []*os.File
	output       sync.WaitGroup // the copying of output
}

// connect makes the files of the command, and copies between them and the streams.
func (e *execStreams) connect(command *runtime.Command) error {
	if e.streams.TTY {
		return e.connectTerminal(command)
	}
	for _, stream := range []struct {
		wanted bool
		file   **os.File
		copy   func(ours *os.File)
		input  bool
	}{
		{e.streams.Stdin != nil, &command.Stdin, e.send, true},
		{e.streams.Stdout != nil, &command.Stdout, func(ours *os.File) { _, _ = io.Copy(e.streams.Stdout, ours) }, false},
		{e.streams.Stderr != nil, &command.Stderr, func(ours *os.File) { _, _ = io.Copy(e.streams.Stderr, ours) }, false},
	} {
		if !stream.wanted {
			continue
		}
		read, write, err := os.Pipe()
		if err != nil {
			e.finish()
			return err
		}
		theirs, ours := write, read
		if stream.input {
			theirs, ours = read, write
			// Not waited for: it ends with the client, which may have nothing to say.
			go stream.copy(ours)
		} else {
			e.ours = append(e.ours, ours)
			e.output.Go(func() { stream.copy(ours) })
		}
		*stream.file = theirs
		e.theirs = append(e.theirs, theirs)
	}
	return nil
}

// send passes on what the client sends, and that it has come to its end. A command that no longer reads ends the copying.
func (e *execStreams) send(ours *os.File) {
	_, _ = io.Copy(ours, e.streams.Stdin)
	_ = ours.Close()
}

// connectTerminal gives the command a terminal of its own.
func (e *execStreams) connectTerminal(command *runtime.Command) error {
	terminal, theirs, err := runtime.OpenTerminal()
	if err != nil {
		return err
	}
	command.TTY = true
	command.Stdin, command.Stdout, command.Stderr = theirs, theirs, theirs
	e.theirs, e.ours = []*os.File{theirs}, []*os.File{terminal}
	e.resize(terminal)
	if e.streams.Stdin != nil {
		go func() { _, _ = io.Copy(terminal, e.streams.Stdin) }()
	}
	if e.streams.Stdout != nil {
		e.output.Go(func() { _, _ = io.Copy(e.streams.Stdout, terminal) })
	}
	return nil
}

// firstSize bounds the wait for the size of the client's terminal, which clients send at once.
const firstSize = 500 * time.Millisecond

// resize keeps the terminal at the size of the client's. A command that looks at once finds the right one.
func (e *execStreams) resize(terminal *os.File) {
	if e.streams.Resize == nil {
		return
	}
	// Nobody could do anything about a terminal without a size: errors are dropped.
	select {
	case size, ok := <-e.streams.Resize:
		if !ok {
			return
		}
		_ = runtime.ResizeTerminal(terminal, size.Width, size.Height)
	case <-time.After(firstSize):
	}
	go func() {
		for size := range e.streams.Resize {
			_ = runtime.ResizeTerminal(terminal, size.Width, size.Height)
		}
	}()
}

// finish waits until the client has got all output of a command that has ended.
func (e *execStreams) finish() {
	for _, file := range e.theirs {
		_ = file.Close()
	}
	e.output.Wait()
	for _, file := range e.ours {
		_ = file.Close()
	}
}

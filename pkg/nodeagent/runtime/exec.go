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

package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime/supervisor"
)

// Exec implements Runtime. The command has a supervisor of its own, so that nothing of it is left when it ends or is killed.
func (p *Process) Exec(ctx context.Context, id ID, command Command) (int, error) {
	if err := contextError(ctx); err != nil {
		return 0, err
	}
	done := p.Done(id)
	if isDone(done) {
		return 0, ErrNotRunning
	}
	p.mu.Lock()
	var group supervisor.Cgroup
	if entry := p.find(id); entry != nil {
		group = entry.cgroup
	}
	p.mu.Unlock()
	child, err := p.launch(supervisor.Spec{
		Argv: command.Argv, Env: command.Env, WorkingDir: command.WorkingDir, Rights: command.Rights, Cgroup: group, TTY: command.TTY, Join: p.joinedView(id), StopSignal: int(syscall.SIGKILL), Lifeline: true,
	}, stdio{stdin: command.Stdin, stdout: command.Stdout, stderr: command.Stderr})
	if err != nil {
		return 0, err
	}
	ended := make(chan struct{})
	watcher := make(chan struct{})
	go func() {
		defer close(watcher)
		select {
		case <-ctx.Done():
		case <-done:
		case <-ended:
			return
		}
		_ = child.spec.Close() // the lifeline
	}()
	report, err := child.readReport(0)
	close(ended)
	<-watcher
	child.discard()
	switch {
	case ctx.Err() != nil:
		return 0, context.Cause(ctx)
	case err != nil:
		return 0, fmt.Errorf("the command's supervisor failed: %w", err)
	case report.Exit == nil:
		return 0, errors.New("the command's supervisor didn't say how it ended")
	case report.Exit.StartError != "":
		return 0, &StartError{Message: report.Exit.StartError}
	case report.Exit.Signal == int(syscall.SIGKILL) && isDone(done):
		return 0, ErrNotRunning
	}
	return report.Exit.Code, nil
}

// joinedView names the running attempt's command where it has a view of its own of the machine's files. To join the machine's own would take rights
// that the server may not have.
func (p *Process) joinedView(id ID) supervisor.Joined {
	joined := p.joined(id)
	own, ownErr := os.Readlink("/proc/self/ns/mnt")
	theirs, theirsErr := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", joined.PID))
	if ownErr == nil && theirsErr == nil && own == theirs {
		return supervisor.Joined{}
	}
	return joined
}

// stdio are the files that a supervisor is started with, beside its pipes; nil: the null device.
type stdio struct {
	// stdin is the command's standard input, or the attempt's lock.
	stdin, stdout, stderr *os.File
}

// isDone tells whether a channel that nothing is sent on is closed.
func isDone(channel <-chan struct{}) bool {
	select {
	case <-channel:
		return true
	default:
		return false
	}
}

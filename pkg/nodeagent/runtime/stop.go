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
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime/supervisor"
)

// minimumGrace is what remains between signal and SIGKILL for a container whose hook used up its grace, as with a kubelet.
const minimumGrace = 2 * time.Second

// Stop implements Runtime.
func (p *Process) Stop(id ID, options StopOptions) {
	deadline := time.Now().Add(options.Grace)
	p.mu.Lock()
	entry := p.find(id)
	if entry == nil || !entry.Running || (!entry.stopBefore.IsZero() && !deadline.Before(entry.stopBefore)) {
		p.mu.Unlock()
		return
	}
	repeated := entry.Stopping
	entry.Stopping = true
	entry.stopBefore = deadline
	p.mu.Unlock()
	go p.stop(id, options, deadline, repeated)
}

// stop runs the hook, unless the end was asked for before, and passes the request on to the supervisor.
func (p *Process) stop(id ID, options StopOptions, deadline time.Time, repeated bool) {
	logger := klog.Background().WithValues("podUID", id.PodUID, "container", id.Container, "attempt", id.Attempt)
	if !repeated {
		// Failing to write it means that an agent restarted meanwhile would run the hook again: no reason not to stop.
		if err := supervisor.WriteRecord(p.path(id, supervisor.SuffixStop), stopRecord{RequestedAt: time.Now()}); err != nil {
			logger.Error(err, "Failed to record the stop of a container")
		}
	}
	if options.Hook != nil && !repeated && options.Grace > 0 {
		if err := p.runHook(options.Hook, options.Grace); err != nil && options.Hook.Failed != nil {
			options.Hook.Failed(err)
		}
		options.Grace = max(minimumGrace, time.Until(deadline))
	}
	if err := p.sendStop(id, supervisor.StopRequest(options.Signal, options.Grace)); err != nil {
		logger.Error(err, "Failed to stop a container")
	}
}

// sendStop writes to the control pipe. A supervisor that has just been started may not listen yet; one that ended never will.
func (p *Process) sendStop(id ID, request string) error {
	for {
		control, err := os.OpenFile(p.path(id, supervisor.SuffixControl), os.O_WRONLY|unix.O_NONBLOCK, 0)
		if err == nil {
			_, err = control.WriteString(request)
			_ = control.Close()
		}
		switch {
		case err == nil, errors.Is(err, os.ErrNotExist):
			return nil
		case !errors.Is(err, unix.ENXIO) && !errors.Is(err, unix.EPIPE):
			return fmt.Errorf("ask the supervisor to stop: %w", err)
		case !p.supervised(id):
			return nil
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// runHook runs a hook under a supervisor of its own, so that nothing of it is left when it ends, runs into the timeout, or the agent dies.
func (p *Process) runHook(hook *Hook, timeout time.Duration) error {
	if len(hook.Argv) == 0 {
		time.Sleep(min(hook.Sleep, timeout))
		return nil
	}
	child, err := p.launch(supervisor.Spec{
		Argv: hook.Argv, Env: hook.Env, WorkingDir: hook.WorkingDir, StopSignal: int(syscall.SIGKILL), Lifeline: true,
	}, nil)
	if err != nil {
		return err
	}
	report, err := child.readReport(timeout)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		_ = child.spec.Close() // the lifeline
	}
	child.discard()
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("the hook did not end within %v", timeout)
	case err != nil:
		return fmt.Errorf("the hook's supervisor failed: %w", err)
	case report.Exit == nil:
		return errors.New("the hook's supervisor didn't say how it ended")
	case report.Exit.StartError != "":
		return errors.New(report.Exit.StartError)
	case report.Exit.Code != 0:
		return fmt.Errorf("the hook ended with exit code %d", report.Exit.Code)
	}
	return nil
}

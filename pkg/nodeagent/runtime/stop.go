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
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime/supervisor"
)

// minimumGrace is what is between signal and SIGKILL at least, however short the grace is or a hook has left it, as with a kubelet.
const minimumGrace = 2 * time.Second

// Stop implements Runtime.
func (p *Process) Stop(id ID, options StopOptions) {
	deadline := time.Now().Add(max(options.Grace, minimumGrace))
	if options.Kill {
		deadline = time.Now()
	}
	p.mu.Lock()
	entry := p.find(id)
	if entry != nil && !entry.stopRecorded.IsZero() && entry.stopRecorded.Before(deadline) {
		deadline = entry.stopRecorded
	}
	if entry == nil || !entry.Running || (!entry.stopBefore.IsZero() && !deadline.Before(entry.stopBefore)) {
		p.mu.Unlock()
		return
	}
	repeated := entry.Stopping
	if !repeated {
		entry.Stopping, entry.StopReason = true, options.Reason
	}
	entry.stopBefore = deadline
	done := entry.done
	p.mu.Unlock()
	go p.stop(id, options, deadline, repeated, done)
}

// stop runs the hook, unless the end was asked for before, waits for others that end first, and passes the request on to the supervisor.
func (p *Process) stop(id ID, options StopOptions, deadline time.Time, repeated bool, done <-chan struct{}) {
	logger := klog.Background().WithValues("podUID", id.PodUID, "container", id.Container, "attempt", id.Attempt)
	if !repeated {
		// Failing to write it means that an agent restarted meanwhile would run the hook again: no reason not to stop.
		record := stopRecord{RequestedAt: time.Now(), Deadline: deadline, Reason: options.Reason}
		if err := supervisor.WriteRecord(p.path(id, supervisor.SuffixStop), record); err != nil {
			logger.Error(err, "Failed to record the stop of a container")
		}
	}
	if options.Grace > 0 && !options.Kill && p.prepareStop(options, earlier(deadline, time.Now().Add(options.Grace)), repeated, done) {
		// The signal comes late, but never with SIGKILL at its heels.
		deadline = later(deadline, time.Now().Add(minimumGrace))
	}
	grace := time.Until(deadline)
	if err := p.sendControl(id, supervisor.StopRequest(options.Signal, grace)); err != nil {
		logger.Error(err, "Failed to stop a container")
	}
}

// prepareStop runs the hook and waits for others, both at most until the deadline or the end of the container itself. It returns whether there was anything to do.
func (p *Process) prepareStop(options StopOptions, deadline time.Time, repeated bool, done <-chan struct{}) bool {
	runsHook := options.Hook != nil && !repeated
	if !runsHook && len(options.After) == 0 {
		return false
	}
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	go func() {
		select {
		case <-done:
			cancel()
		case <-ctx.Done():
		}
	}()
	if runsHook {
		options.Hook(ctx)
	}
	for _, other := range options.After {
		select {
		case <-p.Done(other):
		case <-ctx.Done():
		}
	}
	return true
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// sendControl writes to the control pipe. A supervisor that has just been started may not listen yet; one that ended never will, which is no error.
func (p *Process) sendControl(id ID, request string) error {
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
			return fmt.Errorf("ask the supervisor: %w", err)
		case !p.supervised(id):
			return nil
		}
		time.Sleep(5 * time.Millisecond)
	}
}

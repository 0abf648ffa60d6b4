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

package supervisor

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// StopRequest is the line that asks a supervisor, through its control pipe, to end the command: signal now, SIGKILL after
// grace. A grace of zero or less kills at once. Signal zero stands for the container's own.
func StopRequest(signal syscall.Signal, grace time.Duration) string {
	return fmt.Sprintf("stop %d %d\n", int(signal), max(0, grace.Milliseconds()))
}

// stopper ends the command: a signal first, SIGKILL when its grace is over.
type stopper struct {
	mu       sync.Mutex
	pid      int // the command's; 0 before it was started
	over     bool
	deadline time.Time // zero until the end was asked for
	timer    *time.Timer
}

func (s *stopper) started(pid int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pid = pid
}

// ended says that the command has ended, and must not be signalled any more.
func (s *stopper) ended() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	if s.timer != nil {
		s.timer.Stop()
	}
}

func (s *stopper) hasEnded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.over
}

// request asks for the end. The first request sends the signal to everything that the command started. A later one can only bring the
// SIGKILL forward: an agent that was restarted asks again, and that must not give more time.
func (s *stopper) request(signal syscall.Signal, grace time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over || s.pid == 0 {
		return
	}
	deadline := time.Now().Add(grace)
	switch {
	case s.deadline.IsZero():
		if grace > 0 {
			_ = syscall.Kill(-s.pid, signal)
			signalOthers(s.pid, signal)
		}
		s.deadline = deadline
		s.timer = time.AfterFunc(grace, s.kill)
	case deadline.Before(s.deadline):
		s.deadline = deadline
		s.timer.Reset(max(0, grace))
	}
}

// kill ends the command's process group. The command's other descendants follow when its end is seen: see supervision.wait.
func (s *stopper) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over && s.pid != 0 {
		_ = syscall.Kill(-s.pid, syscall.SIGKILL)
	}
}

// obey does what a line of the control pipe asks for, if it is one of StopRequest. own is the container's own signal.
func (s *stopper) obey(line string, own syscall.Signal) {
	fields := strings.Fields(line)
	if len(fields) != 3 || fields[0] != "stop" {
		return
	}
	signal, signalErr := strconv.Atoi(fields[1])
	milliseconds, graceErr := strconv.ParseInt(fields[2], 10, 64)
	if signal == 0 {
		signal = int(own)
	}
	if signalErr == nil && graceErr == nil {
		s.request(syscall.Signal(signal), time.Duration(milliseconds)*time.Millisecond)
	}
}

// signalOthers sends the signal to the descendants that have left the command's process group. One that is just being forked may miss it.
func signalOthers(group int, signal syscall.Signal) {
	for _, pid := range descendants(os.Getpid()) {
		if process, err := ReadProcess(pid); err == nil && process.Group != group && !process.Zombie {
			_ = syscall.Kill(pid, signal)
		}
	}
}

// killChildren sends SIGKILL to every descendant. Whoever forks faster than the list is read is caught when one of the
// listed ones is collected and the list is read again.
func killChildren() {
	self := os.Getpid()
	// Asking whether there is a living child at all is cheap, reading all of /proc isn't, and most commands leave nothing behind.
	for {
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if err == syscall.ECHILD {
			return
		}
		if pid == 0 {
			break
		}
	}
	processes, err := Processes()
	if err != nil {
		return
	}
	for _, process := range Tree(processes, func(p Process) bool { return p.Parent == self }) {
		_ = syscall.Kill(process.PID, syscall.SIGKILL)
	}
}

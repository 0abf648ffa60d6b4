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

package cluster

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// logTail is how much of a log an error shows.
const logTail = 2000

// Process is a program that can be started again after it ended. Its methods must not be called at the same time.
type Process struct {
	// Name is what errors call it.
	Name string

	// Path is the program, Args are its arguments, Env are variables beside those of this process, as "NAME=value".
	Path string
	Args []string
	Env  []string

	// LogPath is the file that output and errors are added to.
	LogPath string

	command *exec.Cmd
	exited  chan struct{}
}

// Start starts the program. It is killed if this process ends without having stopped it.
func (p *Process) Start() error {
	if p.Running() {
		return fmt.Errorf("start %s: it runs already", p.Name)
	}
	log, err := os.OpenFile(p.LogPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	p.command = exec.Command(p.Path, p.Args...)
	p.command.Env = append(os.Environ(), p.Env...)
	p.command.Stdout, p.command.Stderr = log, log
	p.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	p.exited = make(chan struct{})
	started := make(chan error)
	go p.run(log, started)
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	return nil
}

// run keeps a thread for as long as the program runs: the kernel takes the end of the thread that started it for the end of its parent.
func (p *Process) run(log *os.File, started chan<- error) {
	runtime.LockOSThread()
	defer close(p.exited)
	defer log.Close()
	err := p.command.Start()
	started <- err
	if err == nil {
		// How it ended is in its ProcessState and in its log.
		_ = p.command.Wait()
	}
}

// Running says whether the program has been started and has not ended.
func (p *Process) Running() bool {
	if p == nil || p.exited == nil {
		return false
	}
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// Exited is closed when the program ends. It is nil before the first start.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Signal sends a signal: SIGSTOP and SIGCONT pause the program and let it go on.
func (p *Process) Signal(signal syscall.Signal) error {
	if !p.Running() {
		return fmt.Errorf("%s does not run", p.Name)
	}
	return p.command.Process.Signal(signal)
}

// Kill ends the program with SIGKILL and waits for its end.
func (p *Process) Kill() error {
	if !p.Running() {
		return nil
	}
	if err := p.Signal(syscall.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-p.exited
	return nil
}

// Stop ends the program with SIGTERM and waits for its end. One that does not end in time is killed, which is an error.
func (p *Process) Stop() error {
	if !p.Running() {
		return nil
	}
	if err := p.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.exited:
		return nil
	case <-time.After(stopTimeout):
		return errors.Join(fmt.Errorf("%s did not end within %s of SIGTERM", p.Name, stopTimeout), p.Kill())
	}
}

// LogTail is the end of the log, for an error.
func (p *Process) LogTail() string {
	log, err := os.ReadFile(p.LogPath)
	if err != nil {
		return err.Error()
	}
	if len(log) > logTail {
		log = log[len(log)-logTail:]
	}
	return strings.ToValidUTF8(string(log), "?")
}

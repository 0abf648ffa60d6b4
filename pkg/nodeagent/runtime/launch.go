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
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime/supervisor"
)

// launchTimeout bounds the wait for a supervisor to say that the command runs. It takes a few milliseconds on an idle machine.
const launchTimeout = 30 * time.Second

// Start implements Runtime.
func (p *Process) Start(ctx context.Context, request StartRequest) (Container, error) {
	if err := contextError(ctx); err != nil {
		return Container{}, err
	}
	started := newEntry(Container{ID: request.ID, StartedAt: time.Now(), Backoff: request.Backoff, Round: request.Round})
	if err := p.beginStart(started); err != nil {
		return Container{}, err
	}
	defer p.endStart(started)
	view, err := p.view(request)
	if err != nil {
		return Container{}, err
	}
	if below, err := filepath.Rel(p.WorkingDir(request.ID.PodUID), request.WorkingDir); err == nil && filepath.IsLocal(below) {
		if err := os.MkdirAll(request.WorkingDir, 0o777); err != nil {
			return Container{}, fmt.Errorf("make the working directory: %w", err)
		}
	}
	if request.Rights.User != nil {
		// The folders above it keep everybody out who isn't led in: only the Pod's processes are.
		if err := os.Chmod(p.WorkingDir(request.ID.PodUID), 0o777); err != nil {
			return Container{}, fmt.Errorf("open the working directory to the container's user: %w", err)
		}
	}
	lock, err := p.recordIntent(request, started)
	if err != nil {
		return Container{}, errors.Join(err, started.cgroup.Remove())
	}
	defer lock.Close()
	child, err := p.launch(supervisor.Spec{
		Dir: p.containerDir(request.ID), Attempt: strconv.Itoa(request.ID.Attempt),
		Argv: request.Argv, Env: request.Env, WorkingDir: request.WorkingDir, Stdin: request.Stdin, TTY: request.TTY,
		LogMaxSize: p.logMaxSize, LogMaxFiles: p.logMaxFiles, Cgroup: started.cgroup, View: view, Rights: request.Rights, StopSignal: int(request.StopSignal), Grace: max(request.Grace, minimumGrace),
		AgentPID: os.Getpid(), Lifeline: p.endWithAgent,
	}, stdio{stdin: lock})
	if err != nil {
		// Nothing was started: take the intent back.
		return Container{}, errors.Join(err, p.removeAttempt(request.ID))
	}
	started.pidfd, started.lifeline = child.pidfd, child.spec
	report, reportErr := child.readReport(launchTimeout)
	switch {
	case report.Running != nil:
		started.StartedAt = report.Running.StartedAt
	case reportErr != nil && !errors.Is(reportErr, os.ErrDeadlineExceeded):
		// The supervisor ended without a word. Only where it never took charge is it certain that nothing was run.
		var running supervisor.Running
		if found, err := supervisor.ReadRecord(p.path(request.ID, supervisor.SuffixRunning), &running); err == nil && !found {
			child.discard()
			return Container{}, errors.Join(fmt.Errorf("the container's supervisor failed: %w", reportErr), p.removeAttempt(request.ID))
		}
	}
	p.keep(started)
	if report.Exit != nil {
		child.discard()
		p.settle(started)
	} else {
		go p.watch(started, child.pidfd, child.pid)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return started.Container, nil
}

// beginStart makes the attempt known to Done: from here on its log may be asked for.
func (p *Process) beginStart(started *entry) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	pod := p.pods[started.ID.PodUID]
	if pod == nil {
		return errors.New("the Pod was not prepared")
	}
	pod.starting = started
	return nil
}

// endStart ends what beginStart began. Of an attempt that was not kept, nothing was started.
func (p *Process) endStart(started *entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if pod := p.pods[started.ID.PodUID]; pod != nil {
		pod.starting = nil
	}
	if !started.kept {
		close(started.done)
	}
}

// recordIntent makes the attempt's cgroup, writes its intent record, makes its control pipe, and returns the record's file, locked.
func (p *Process) recordIntent(request StartRequest, started *entry) (*os.File, error) {
	if err := os.MkdirAll(p.containerDir(request.ID), 0o700); err != nil {
		return nil, fmt.Errorf("make container folder: %w", err)
	}
	var err error
	if started.cgroup, err = p.cgroups.Create(cgroupName(request.ID), request.Limits); err != nil {
		return nil, err
	}
	record := intent{BootID: p.bootID, Backoff: request.Backoff, Round: request.Round, CreatedAt: time.Now(), Cgroup: started.cgroup}
	if err := supervisor.WriteRecord(p.path(request.ID, supervisor.SuffixIntent), record); err != nil {
		return nil, err
	}
	lock, err := p.lockIntent(request.ID)
	if err != nil {
		return nil, err
	}
	if lock == nil {
		return nil, errors.New("another supervisor runs the same attempt")
	}
	if err := unix.Mkfifo(p.path(request.ID, supervisor.SuffixControl), 0o600); err != nil && !errors.Is(err, os.ErrExist) {
		_ = lock.Close()
		return nil, fmt.Errorf("make control pipe: %w", err)
	}
	return lock, nil
}

// child is a supervisor just started.
type child struct {
	pid    int
	pidfd  *os.File
	report *os.File
	spec   *os.File // the writing end, open only with a lifeline
}

// launch starts a supervisor and hands it the spec.
func (p *Process) launch(spec supervisor.Spec, files stdio) (*child, error) {
	specRead, specWrite, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start supervisor: %w", err)
	}
	defer specRead.Close()
	reportRead, reportWrite, err := os.Pipe()
	if err != nil {
		_ = specWrite.Close()
		return nil, fmt.Errorf("start supervisor: %w", err)
	}
	defer reportWrite.Close()
	started, err := p.fork(specRead, reportWrite, files)
	if err != nil {
		_, _ = specWrite.Close(), reportRead.Close()
		return nil, err
	}
	started.report = reportRead
	_ = specWrite.SetWriteDeadline(time.Now().Add(launchTimeout))
	err = json.NewEncoder(specWrite).Encode(spec)
	if spec.Lifeline && err == nil {
		started.spec = specWrite
		return started, nil
	}
	if err := errors.Join(err, specWrite.Close()); err != nil {
		// A supervisor that didn't get the whole spec starts nothing.
		started.discard()
		return nil, fmt.Errorf("hand the spec to the supervisor: %w", err)
	}
	return started, nil
}

// fork starts the executable under the supervisor's name, in a session of its own: what ends the server's terminal or
// process group must not reach it.
func (p *Process) fork(spec, report *os.File, files stdio) (*child, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("start supervisor: %w", err)
	}
	defer null.Close()
	for _, file := range []**os.File{&files.stdin, &files.stdout, &files.stderr} {
		if *file == nil {
			*file = null
		}
	}
	pidfd := -1
	pid, err := syscall.ForkExec(p.supervisorPath, []string{supervisor.Marker}, &syscall.ProcAttr{
		Dir:   "/",
		Env:   supervisor.Environment(),
		Files: []uintptr{spec.Fd(), files.stdout.Fd(), files.stderr.Fd(), files.stdin.Fd(), report.Fd()},
		Sys:   &syscall.SysProcAttr{Setsid: true, PidFD: &pidfd},
	})
	if err != nil {
		return nil, fmt.Errorf("start supervisor %s: %w", p.supervisorPath, err)
	}
	if pidfd < 0 {
		if pidfd, err = unix.PidfdOpen(pid, 0); err != nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			_, _ = syscall.Wait4(pid, nil, 0, nil)
			return nil, fmt.Errorf("watch supervisor (pidfd needs Linux 5.3 or newer): %w", err)
		}
	}
	return &child{pid: pid, pidfd: pidfdFile(pidfd)}, nil
}

// readReport waits for the supervisor's report. It is io.EOF where the supervisor ended without one.
func (c *child) readReport(timeout time.Duration) (supervisor.Report, error) {
	defer c.report.Close()
	if timeout > 0 {
		_ = c.report.SetReadDeadline(time.Now().Add(timeout))
	}
	var report supervisor.Report
	err := json.NewDecoder(c.report).Decode(&report)
	return report, err
}

// discard waits for the end of a supervisor that ends by itself, and collects it.
func (c *child) discard() {
	_ = waitPidfd(c.pidfd)
	_, _ = syscall.Wait4(c.pid, nil, syscall.WNOHANG, nil)
	_ = c.pidfd.Close()
	_ = c.report.Close()
	if c.spec != nil {
		_ = c.spec.Close()
	}
}

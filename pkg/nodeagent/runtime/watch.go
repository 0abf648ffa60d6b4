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

// lostCode is the exit code of a container whose own nobody knows: the one that Kubernetes reports then.
const lostCode = 137

// pidfdFile makes a pidfd known to Go's poller: a goroutine that waits for it costs no thread.
func pidfdFile(pidfd int) *os.File {
	_ = unix.SetNonblock(pidfd, true)
	return os.NewFile(uintptr(pidfd), "pidfd")
}

// waitPidfd blocks until the process has ended. The error says that the file was closed.
func waitPidfd(pidfd *os.File) error {
	connection, err := pidfd.SyscallConn()
	if err != nil {
		return err
	}
	return connection.Read(func(fd uintptr) bool {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		return n > 0 && err == nil
	})
}

// watch waits for the end of a supervisor and settles its attempt. pid is collected where it is a child of ours: after
// a restart of the server it isn't.
func (p *Process) watch(watched *entry, pidfd *os.File, pid int) {
	if err := waitPidfd(pidfd); err != nil {
		return // closed
	}
	_, _ = syscall.Wait4(pid, nil, syscall.WNOHANG, nil)
	p.mu.Lock()
	watched.pidfd = nil
	if watched.lifeline != nil {
		_ = watched.lifeline.Close()
	}
	p.mu.Unlock()
	_ = pidfd.Close()
	p.settle(watched)
}

// settle takes the result of an attempt, none of whose supervisors lives, into memory. Where there is no result it makes
// sure that no process is left, and records the attempt as lost.
func (p *Process) settle(ended *entry) {
	var exit supervisor.Exit
	for {
		found, err := supervisor.ReadRecord(p.path(ended.ID, supervisor.SuffixExit), &exit)
		if err == nil && found {
			break
		}
		if err == nil {
			exit, err = p.recordLost(ended.ID, "the supervisor of the container was killed")
		}
		if err == nil || errors.Is(err, os.ErrNotExist) {
			break
		}
		// A full disk or the like: the container counts as running until its end could be recorded.
		time.Sleep(time.Second)
	}
	p.mu.Lock()
	ended.apply(exit)
	p.mu.Unlock()
	// The supervisor has done that, unless commands beside the container were still in there: those end with it.
	if err := ended.cgroup.Remove(); err != nil {
		klog.Background().Error(err, "Failed to delete the cgroup of a container", "podUID", ended.ID.PodUID, "container", ended.ID.Container)
	}
	p.cgroups.Clean() // so that an agent that is killed while nothing runs leaves nothing
	p.onChange(ended.ID.PodUID)
}

// apply ends the attempt. It is called once for each, with Process.mu where others know the entry.
func (e *entry) apply(exit supervisor.Exit) {
	e.Running = false
	close(e.done)
	e.ExitCode, e.Signal, e.OOMKilled = exit.Code, exit.Signal, exit.OOMKilled
	e.StartedAt, e.FinishedAt = exit.StartedAt, exit.FinishedAt
	switch {
	case exit.Reboot:
		e.Failure, e.Message = FailureNodeLost, exit.Lost
	case exit.Lost != "":
		e.Failure, e.Message = FailureLost, exit.Lost
	case exit.StartError != "":
		e.Failure, e.Message = FailureStart, exit.StartError
	}
}

// recordLost kills what is left of an attempt without supervisor and writes its exit record. The kill comes first: an attempt
// on record as ended may be followed by the next one.
func (p *Process) recordLost(id ID, why string) (supervisor.Exit, error) {
	var running supervisor.Running
	if found, err := supervisor.ReadRecord(p.path(id, supervisor.SuffixRunning), &running); err != nil && !found {
		return supervisor.Exit{}, err
	}
	if err := killSession(running); err != nil {
		return supervisor.Exit{}, err
	}
	var record intent
	if _, err := supervisor.ReadRecord(p.path(id, supervisor.SuffixIntent), &record); err == nil {
		if err := record.Cgroup.Remove(); err != nil {
			return supervisor.Exit{}, err
		}
	}
	exit := supervisor.Exit{Code: lostCode, Lost: why, StartedAt: running.StartedAt, FinishedAt: time.Now()}
	return exit, supervisor.WriteRecord(p.path(id, supervisor.SuffixExit), exit)
}

// killTimeout bounds one try at killing what a killed supervisor left behind.
const killTimeout = 10 * time.Second

// killSession kills the processes of the command's session and process group and all their descendants, and waits until
// they are gone. A process that left the session and whose ancestors have ended can't be told from others any more: where there is no
// cgroup that it is found in, the death of the supervisor lets it escape.
func killSession(running supervisor.Running) error {
	if running.PID == 0 {
		return nil // the command, if any, had PDEATHSIG
	}
	for deadline := time.Now().Add(killTimeout); ; time.Sleep(5 * time.Millisecond) {
		processes, err := supervisor.Processes()
		if err != nil {
			return fmt.Errorf("list processes: %w", err)
		}
		left := supervisor.Tree(processes, func(process supervisor.Process) bool {
			if process.PID == running.PID {
				return running.Start == process.Start // else the number has gone to another
			}
			return process.Session == running.PID || process.Group == running.PID
		})
		if len(left) == 0 {
			return nil
		}
		for _, process := range left {
			_ = syscall.Kill(process.PID, syscall.SIGKILL)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d processes of the container can't be killed, process %d for one", len(left), left[0].PID)
		}
	}
}

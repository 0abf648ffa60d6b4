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
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime/supervisor"
)

// Recover implements Runtime.
func (p *Process) Recover(ctx context.Context) error {
	folders, err := os.ReadDir(filepath.Join(p.root, podsFolder))
	if err != nil {
		return fmt.Errorf("find earlier Pods: %w", err)
	}
	for _, folder := range folders {
		if err := contextError(ctx); err != nil {
			return err
		}
		if err := p.recoverPod(ctx, types.UID(folder.Name())); err != nil {
			return fmt.Errorf("find earlier Pod %s: %w", folder.Name(), err)
		}
	}
	p.sweepCgroups(ctx)
	return nil
}

func (p *Process) recoverPod(ctx context.Context, uid types.UID) error {
	pod := Pod{UID: uid}
	// A folder without record is the trace of a crash while it was made, or while it was deleted: it is kept, with
	// the name alone, so that it gets deleted with the Pod.
	if err := readLenient(ctx, filepath.Join(p.podDir(uid), podRecord), &pod); err != nil {
		return err
	}
	p.mu.Lock()
	p.pods[uid] = &podEntry{pod: pod, containers: map[string][]*entry{}}
	p.mu.Unlock()
	folders, err := os.ReadDir(p.podDir(uid))
	if err != nil {
		return err
	}
	for _, folder := range folders {
		if !folder.IsDir() || strings.Contains(folder.Name(), ".") {
			continue
		}
		// The intent is there first; only a power cut may leave one of the others without it.
		numbers, err := attempts(filepath.Join(p.podDir(uid), folder.Name()), supervisor.SuffixIntent, supervisor.SuffixRunning, supervisor.SuffixExit)
		if err != nil {
			return err
		}
		for _, number := range numbers {
			if err := p.recoverAttempt(ctx, ID{PodUID: uid, Container: folder.Name(), Attempt: number}); err != nil {
				return err
			}
		}
	}
	return nil
}

// readLenient reads a record that may be missing or, after a power cut, empty: it is left as it is then.
func readLenient(ctx context.Context, path string, record any) error {
	found, err := supervisor.ReadRecord(path, record)
	if err != nil && found {
		klog.FromContext(ctx).Info("Found a record that can't be read and goes on without it", "path", path, "reason", err.Error())
		return nil
	}
	return err
}

// recoverAttempt is the table of crash windows in package supervisor's comment, in code.
func (p *Process) recoverAttempt(ctx context.Context, id ID) error {
	var record intent
	if err := readLenient(ctx, p.path(id, supervisor.SuffixIntent), &record); err != nil {
		return err
	}
	found := newEntry(Container{ID: id, StartedAt: record.CreatedAt, Backoff: record.Backoff, Round: record.Round})
	found.cgroup = record.Cgroup
	if err := p.recoverStop(ctx, found); err != nil {
		return err
	}
	// The lock is looked at before the records: a supervisor that ends in between has written its record by then.
	supervised := p.supervised(id)
	var exit supervisor.Exit
	ended, err := supervisor.ReadRecord(p.path(id, supervisor.SuffixExit), &exit)
	if ended && err != nil && record.BootID != p.bootID {
		ended, err = false, nil // a power cut came before it was on disk
	}
	if err != nil {
		return err
	}
	var running supervisor.Running
	inCharge, err := supervisor.ReadRecord(p.path(id, supervisor.SuffixRunning), &running)
	if err != nil && !inCharge {
		return err
	}
	logger := klog.FromContext(ctx).WithValues("podUID", id.PodUID, "container", id.Container, "attempt", id.Attempt)
	switch {
	case ended:
		found.apply(exit)
	case supervised:
		if inCharge {
			found.StartedAt = running.StartedAt
		}
		logger.V(2).Info("Found a running container")
		p.keep(found)
		go p.adopt(found)
		return nil
	case record.BootID != p.bootID:
		// The processes went with the machine; what their numbers name now is not ours to kill.
		exit = supervisor.Exit{Code: lostCode, Lost: "the machine was restarted", Reboot: true, StartedAt: running.StartedAt, FinishedAt: time.Now()}
		if err := supervisor.WriteRecord(p.path(id, supervisor.SuffixExit), exit); err != nil {
			return err
		}
		found.apply(exit)
	case !inCharge:
		logger.V(2).Info("Found a container that was never started")
		return p.removeAttempt(id)
	default:
		logger.Info("Found a container whose supervisor was killed")
		if exit, err = p.recordLost(id, "the supervisor of the container was killed"); err != nil {
			return err
		}
		found.apply(exit)
	}
	p.keep(found)
	return nil
}

// recoverStop takes in that an earlier agent asked for the end of the attempt.
func (p *Process) recoverStop(ctx context.Context, found *entry) error {
	path := p.path(found.ID, supervisor.SuffixStop)
	if _, err := os.Stat(path); err != nil {
		return nil
	}
	var record stopRecord
	if err := readLenient(ctx, path, &record); err != nil {
		return err
	}
	found.Stopping, found.StopReason, found.stopRecorded = true, record.Reason, record.Deadline
	return nil
}

// adopt watches a supervisor that an earlier agent started.
func (p *Process) adopt(found *entry) {
	pidfd, pid := p.openSupervisor(found.ID)
	if pidfd == nil {
		if !p.dropUnstarted(found) {
			p.settle(found)
		}
		return
	}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		_ = pidfd.Close()
		return
	}
	found.pidfd = pidfd
	p.mu.Unlock()
	p.watch(found, pidfd, pid)
}

// dropUnstarted forgets an attempt whose supervisor has ended without having taken charge, as one does that was handed only a part of what it
// was to do: nothing was run, so the attempt may be made again. False where the supervisor had taken charge.
func (p *Process) dropUnstarted(found *entry) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return true // the folder may be another's by now, who finds the same
	}
	for _, suffix := range []string{supervisor.SuffixRunning, supervisor.SuffixExit} {
		if _, err := os.Stat(p.path(found.ID, suffix)); !errors.Is(err, os.ErrNotExist) {
			return false
		}
	}
	if err := p.removeAttempt(found.ID); err != nil {
		return false
	}
	if pod := p.pods[found.ID.PodUID]; pod != nil {
		pod.containers[found.ID.Container] = slices.DeleteFunc(pod.containers[found.ID.Container], func(e *entry) bool { return e == found })
	}
	found.Running = false
	close(found.done)
	p.onChange(found.ID.PodUID)
	return true
}

// openSupervisor returns a pidfd of the attempt's supervisor, or nil once there is none. The number on record may by now name
// another process; that the lock is still held after the pidfd was opened for a process with the start time on record proves that it doesn't.
func (p *Process) openSupervisor(id ID) (*os.File, int) {
	for p.supervised(id) {
		var running supervisor.Running
		found, err := supervisor.ReadRecord(p.path(id, supervisor.SuffixRunning), &running)
		if err == nil && found {
			pidfd, err := unix.PidfdOpen(running.SupervisorPID, 0)
			if err == nil {
				process, err := supervisor.ReadProcess(running.SupervisorPID)
				if err == nil && process.Start == running.SupervisorStart {
					return pidfdFile(pidfd), running.SupervisorPID
				}
				_ = unix.Close(pidfd)
			} else if !errors.Is(err, unix.ESRCH) {
				klog.Background().Error(err, "Failed to watch a supervisor, trying again", "podUID", id.PodUID, "container", id.Container)
				time.Sleep(time.Second)
			}
		}
		// A supervisor that has been started, but has not taken charge yet, or one just ending: the next look will tell.
		time.Sleep(5 * time.Millisecond)
	}
	return nil, 0
}

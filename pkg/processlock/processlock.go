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

// Package processlock lets one process at a time own something, for as long as that process lives.
package processlock

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// inheritedWait is how long a lock is waited for whose owner is dead. A process that was just forked has its parent's files open until it runs
// its program: a server that is killed as it starts a container leaves its locks behind for that long, which is milliseconds, and more on
// a machine with too much to do.
const inheritedWait = 10 * time.Second

// retryPeriod is the time between two tries.
const retryPeriod = 5 * time.Millisecond

// HeldError says that another process owns what was to be locked.
type HeldError struct {
	// PID is that process; zero where it isn't known.
	PID int
}

func (e *HeldError) Error() string {
	if e.PID == 0 {
		return "in use by another process"
	}
	return fmt.Sprintf("in use by process %d", e.PID)
}

// Lock is a lock that this process holds.
type Lock struct{ file *os.File }

// Acquire locks the file at path, which is made where it is missing, and writes into it who has the lock. The kernel drops the lock with the
// process, however that ends. A *HeldError says that a process has it that lives; others, what is wrong with the file.
func Acquire(path string) (*Lock, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	lock := &Lock{file}
	if err := lock.acquire(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return lock, nil
}

func (l *Lock) acquire() error {
	for deadline := time.Now().Add(inheritedWait); ; time.Sleep(retryPeriod) {
		err := unix.Flock(int(l.file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return fmt.Errorf("lock %s: %w", l.file.Name(), err)
		}
		if owner := l.owner(); owner.lives() || time.Now().After(deadline) {
			return &HeldError{owner.pid}
		}
	}
	self := owner{pid: os.Getpid()}
	self.start, _ = startOf(self.pid) // it only tells us from a later process of our number
	if err := l.file.Truncate(0); err != nil {
		return fmt.Errorf("write lock: %w", err)
	}
	if _, err := l.file.WriteAt(fmt.Appendf(nil, "%d %s\n", self.pid, self.start), 0); err != nil {
		return fmt.Errorf("write lock: %w", err)
	}
	return nil
}

// Release gives the lock up, here and now: closing alone would leave it with a process that was just forked.
func (l *Lock) Release() error {
	return errors.Join(unix.Flock(int(l.file.Fd()), unix.LOCK_UN), l.file.Close())
}

// owner is the process that a lock's file names. The number alone may have gone to another: in a container, every server may have the same one.
type owner struct {
	pid   int
	start string // in clock ticks since boot; empty: not known
}

// owner reads who has the lock. It is the zero value while that is being written.
func (l *Lock) owner() owner {
	text := make([]byte, 64)
	n, _ := l.file.ReadAt(text, 0) // an empty answer is the error's only cost
	words := strings.Fields(string(text[:n]))
	var o owner
	if len(words) > 0 {
		o.pid, _ = strconv.Atoi(words[0])
	}
	if len(words) > 1 {
		o.start = words[1]
	}
	return o
}

func (o owner) lives() bool {
	if o.pid == 0 {
		return false
	}
	start, err := startOf(o.pid)
	return err == nil && (o.start == "" || o.start == start)
}

// startOf returns when a process was started; an error where it has ended, even if nobody has collected it yet.
func startOf(pid int) (string, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	// The program's name, in parentheses, may hold anything. The state is the first field after it, the start the twentieth.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 20 || strings.Contains("ZX", fields[0]) {
		return "", fmt.Errorf("process %d has ended", pid)
	}
	return fields[19], nil
}

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
	"errors"
	"fmt"
	"os"
	"syscall"
)

// Joined is a process whose view of the machine's files a command gets; the zero value is none.
type Joined struct {
	PID int
	// Start is the start time in clock ticks since boot: the number alone may by now name another process.
	Start uint64
}

// enter gives the calling thread the mount namespace of the process. The thread must be locked.
func (j Joined) enter() (leave func() error, err error) {
	theirs, err := os.Open(fmt.Sprintf("/proc/%d/ns/mnt", j.PID))
	if err != nil {
		return nil, fmt.Errorf("join the container: %w", err)
	}
	defer theirs.Close()
	// With the namespace open, it can't become another one's any more.
	if process, err := ReadProcess(j.PID); err != nil || process.Start != j.Start || process.Zombie {
		return nil, errors.New("join the container: it has ended")
	}
	old, err := os.Open("/proc/thread-self/ns/mnt")
	if err != nil {
		return nil, err
	}
	// A thread that shares its root and working directory with others can't change its namespace.
	if err = syscall.Unshare(syscall.CLONE_FS); err == nil {
		err = setns(int(theirs.Fd()))
	}
	if err != nil {
		_ = old.Close()
		return nil, fmt.Errorf("join the container: %w", err)
	}
	return func() error {
		defer old.Close()
		return setns(int(old.Fd()))
	}, nil
}

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
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
)

// Cgroup is the cgroup that holds the processes of one attempt: a folder in each hierarchy that counts. The zero Cgroup is none. Package cgroup makes it,
// before the supervisor is started; the supervisor deletes it at the end.
type Cgroup struct {
	// Unified is the folder in the hierarchy of version 2, absolute; empty: none. It holds the processes even where it limits nothing, so that all of
	// them are found when their supervisor is gone.
	Unified string `json:"unified,omitempty"`
	// Legacy are the folders in hierarchies of version 1.
	Legacy []string `json:"legacy,omitempty"`
	// Home are the folders that the supervisor is in: one for each of Folders.
	Home []string `json:"home,omitempty"`
	// Memory is the folder, one of those above, that counts kills for want of memory; empty: none.
	Memory string `json:"memory,omitempty"`
}

// Folders are all folders of the cgroup.
func (c *Cgroup) Folders() []string {
	if c.Unified == "" {
		return c.Legacy
	}
	return append([]string{c.Unified}, c.Legacy...)
}

const cgroupProcesses = "cgroup.procs"

// placement puts the command into its cgroup. Its files are opened before the supervisor enters the command's view, where they may not be written.
type placement struct {
	unified     *os.File   // the folder, that the command is born in; nil: none
	unifiedHome *os.File   // the one that this process is in; nil: it can't be opened
	enter, home []*os.File // of the legacy folders
}

// open opens what it takes to put a command into the cgroup.
func (c *Cgroup) open() (*placement, error) {
	placed := &placement{}
	for i, folder := range c.Folders() {
		if folder == c.Unified {
			file, err := os.OpenFile(folder, oPath|syscall.O_DIRECTORY, 0)
			if err != nil {
				return placed, fmt.Errorf("open cgroup: %w", err)
			}
			placed.unified = file
			placed.unifiedHome, _ = os.OpenFile(c.Home[i], oPath|syscall.O_DIRECTORY, 0) // only needed where the kernel refuses
			continue
		}
		enter, err := os.OpenFile(join(folder, cgroupProcesses), os.O_WRONLY, 0)
		if err != nil {
			return placed, fmt.Errorf("open cgroup: %w", err)
		}
		placed.enter = append(placed.enter, enter)
		home, err := os.OpenFile(join(c.Home[i], cgroupProcesses), os.O_WRONLY, 0)
		if err != nil {
			return placed, fmt.Errorf("open cgroup: %w", err)
		}
		placed.home = append(placed.home, home)
	}
	return placed, nil
}

func (p *placement) close() {
	for _, file := range append(append(p.enter, p.home...), p.unified, p.unifiedHome) {
		if file != nil {
			_ = file.Close()
		}
	}
}

// fork calls fork, which makes a child with attributes, so that the child is in the cgroup from its first instruction on. Hierarchies of version 1 can't have a child
// born elsewhere: this process goes there and comes back. It does so too where a kernel refuses that in version 2.
func (p *placement) fork(attributes *syscall.SysProcAttr, fork func() (int, error)) (int, error) {
	defer func() {
		for _, file := range p.home {
			// Should it fail, this process counts as one of the container's.
			_, _ = file.WriteString("0")
		}
	}()
	for _, file := range p.enter {
		if _, err := file.WriteString("0"); err != nil {
			return 0, fmt.Errorf("enter cgroup: %w", err)
		}
	}
	if p.unified == nil {
		return fork()
	}
	attributes.UseCgroupFD, attributes.CgroupFD = true, int(p.unified.Fd())
	pid, err := fork()
	if err == nil || p.unifiedHome == nil || !mayBeRefusal(err) {
		return pid, err
	}
	// Nothing was run. Where it was the command that couldn't be, the second try says so again.
	attributes.UseCgroupFD = false
	if err := enterUnified(p.unified); err != nil {
		return 0, fmt.Errorf("enter cgroup: %w", err)
	}
	defer func() { _ = enterUnified(p.unifiedHome) }()
	return fork()
}

// mayBeRefusal tells whether the error may be that of a kernel or sandbox that has no clone3 or won't have a child born in another cgroup. Each of them may be the
// command's own as well.
func mayBeRefusal(err error) bool {
	for _, refusal := range []error{syscall.ENOSYS, syscall.EPERM, syscall.EACCES, syscall.EINVAL, syscall.E2BIG, syscall.EBUSY, syscall.EOPNOTSUPP} {
		if errors.Is(err, refusal) {
			return true
		}
	}
	return false
}

// enterUnified moves this process into a cgroup of version 2.
func enterUnified(folder *os.File) error {
	fd, err := syscall.Openat(int(folder.Fd()), cgroupProcesses, syscall.O_WRONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	_, err = syscall.Write(fd, []byte("0"))
	return err
}

// oomKills is how many processes the kernel has killed for want of memory within the cgroup's limit.
func (c *Cgroup) oomKills() int {
	if c.Memory == "" {
		return 0
	}
	for _, name := range []string{"memory.events", "memory.oom_control"} { // version 2, version 1
		data, err := os.ReadFile(join(c.Memory, name))
		if err != nil {
			continue
		}
		for line := range bytes.Lines(data) {
			if value, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("oom_kill ")); ok {
				kills, _ := strconv.Atoi(string(value))
				return kills
			}
		}
	}
	return 0
}

// killTimeout bounds the wait for processes that were killed to be gone.
const killTimeout = 10 * time.Second

// Remove kills what is in the cgroup and deletes it, with those that its processes have made in it. One that isn't there is fine.
func (c *Cgroup) Remove() error {
	var failed []error
	for _, folder := range c.Folders() {
		failed = append(failed, removeCgroup(folder, time.Now().Add(killTimeout)))
	}
	return errors.Join(failed...)
}

func removeCgroup(folder string, deadline time.Time) error {
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		err := os.Remove(folder)
		if err == nil || errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("delete cgroup: %w", err)
		}
		entries, readErr := os.ReadDir(folder)
		if readErr != nil && !errors.Is(readErr, os.ErrNotExist) {
			return fmt.Errorf("delete cgroup: %w", readErr)
		}
		for _, entry := range entries {
			if entry.IsDir() {
				if err := removeCgroup(join(folder, entry.Name()), deadline); err != nil {
					return err
				}
			}
		}
		killCgroup(folder)
		time.Sleep(wait)
	}
}

// killCgroup kills the processes that are in the cgroup itself.
func killCgroup(folder string) {
	data, err := os.ReadFile(join(folder, cgroupProcesses))
	if err != nil {
		return
	}
	for _, field := range bytes.Fields(data) {
		// 0 stands for a process of another PID namespace: it would be our own group. A supervisor that couldn't go home still has to write its record.
		if pid, err := strconv.Atoi(string(field)); err == nil && pid > 0 && pid != os.Getpid() {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// finish tells whether the kernel killed something for want of memory, and deletes the cgroup. Where commands beside the container are still in it, the agent does
// that when it has ended them. When there is no agent any more, they are killed, and the cgroup's parent is deleted too if nothing else is in it.
func (c *Cgroup) finish(orphan bool) (oomKilled bool) {
	oomKilled = c.oomKills() > 0
	if orphan {
		_ = c.Remove() // what can't be deleted now, the next agent deletes
	}
	for _, folder := range c.Folders() {
		_ = os.Remove(folder)
		if orphan {
			_ = os.Remove(dir(folder))
		}
	}
	return oomKilled
}

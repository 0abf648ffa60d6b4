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
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime/supervisor"
)

// view completes the view of the machine's files that the request asks for.
func (p *Process) view(request StartRequest) (supervisor.View, error) {
	view := request.View
	if request.MessagePath != "" {
		mount, err := p.messageMount(request)
		if err != nil {
			return view, err
		}
		view.Mounts = append(slices.Clone(view.Mounts), mount...)
	}
	if !view.IsPrivate() {
		return view, nil
	}
	view.Mounts = slices.Clone(view.Mounts)
	for i := range view.Mounts {
		view.Mounts[i].Target = filepath.Clean(view.Mounts[i].Target)
	}
	view.Staging = filepath.Join(p.root, stagingFolder)
	return view, nil
}

// joined names the command of a running attempt, for commands that are to see what it sees; the zero value where it isn't on record.
func (p *Process) joined(id ID) supervisor.Joined {
	var running supervisor.Running
	if found, err := supervisor.ReadRecord(p.path(id, supervisor.SuffixRunning), &running); err != nil || !found {
		return supervisor.Joined{}
	}
	return supervisor.Joined{PID: running.PID, Start: running.Start}
}

// UnmountBelow unmounts everything that the machine has mounted in the folder, the last mounted first. What a process still uses vanishes with it.
func UnmountBelow(folder string) error {
	if _, err := os.Lstat(folder); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	points, err := mountPointsBelow(folder)
	if err != nil {
		return err
	}
	for i := len(points) - 1; i >= 0; i-- {
		if err := unix.Unmount(points[i], unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("unmount %s: %w", points[i], err)
		}
	}
	return nil
}

// mountPointsBelow lists the mount points in the folder, in the order in which they were mounted.
func mountPointsBelow(folder string) ([]string, error) {
	resolved, err := filepath.EvalSymlinks(folder)
	if err != nil {
		return nil, fmt.Errorf("find mounts: %w", err)
	}
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("find mounts: %w", err)
	}
	defer file.Close()
	var points []string
	for lines := bufio.NewScanner(file); ; {
		if !lines.Scan() {
			if err := lines.Err(); err != nil {
				return nil, fmt.Errorf("find mounts: %w", err)
			}
			return points, nil
		}
		// Field 5 of proc_pid_mountinfo(5), with blanks and the like written in octal.
		if fields := strings.Fields(lines.Text()); len(fields) > 4 {
			if point := unescapeMount.Replace(fields[4]); strings.HasPrefix(point, resolved+"/") {
				points = append(points, point)
			}
		}
	}
}

var unescapeMount = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

// CanMount tells why this process may not give containers a view of their own; nil where it may. It is tried once, on a thread that ends with the try.
var CanMount = sync.OnceValue(func() error {
	tried := make(chan error)
	go tryOnLostThread(tried)
	return <-tried
})

// tryOnLostThread tries on a thread that is never used again. The main thread must not be it: it never ends, and /proc/self shows its mounts.
func tryOnLostThread(tried chan<- error) {
	goruntime.LockOSThread()
	if unix.Gettid() != unix.Getpid() {
		tried <- tryMounts()
		return
	}
	again := make(chan error)
	go tryOnLostThread(again) // on another thread: this one is taken
	err := <-again
	goruntime.UnlockOSThread()
	tried <- err
}

func tryMounts() error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return os.NewSyscallError("unshare", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_SLAVE|unix.MS_REC, ""); err != nil {
		return os.NewSyscallError("mount", err)
	}
	tree, err := unix.OpenTree(unix.AT_FDCWD, "/", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("open_tree", err)
	}
	return unix.Close(tree)
}

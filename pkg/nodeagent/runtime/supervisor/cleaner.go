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
	"io"
	"os"
	"strings"
	"syscall"
	"time"
)

// CleanerMarker is the name (argv[0]) under which an executable that links this package is started to become a cleaner. Its arguments are
// a folder to delete, the folder of the Pods, relative to it, and the cgroups that theirs are in.
//
// A cleaner waits until its standard input ends, which is when the process that started it is gone, even by SIGKILL. Then it waits for the
// supervisors, whose lifelines have ended with the same process, and deletes the folder, with what is mounted in it.
const CleanerMarker = "jobserver-cleaner"

// cleanPoll is the time between two looks at what is left.
const cleanPoll = 50 * time.Millisecond

// clean is the life of a cleaner. It gives up on a folder only where it can't be deleted although nothing runs in it any more.
func clean(args []string) int {
	if len(args) < 2 {
		return exitBadSpec
	}
	folder, pods := args[0], args[1]
	defer func() {
		for _, cgroup := range args[2:] {
			_ = removeCgroup(cgroup, time.Now().Add(killTimeout))
		}
	}()
	closeInherited(3)
	_, _ = io.Copy(io.Discard, os.Stdin)
	for quiet := 0; quiet < 3; time.Sleep(cleanPoll) {
		if _, err := os.Lstat(folder); errors.Is(err, os.ErrNotExist) {
			return exitOK
		}
		if anySupervisor(join(folder, pods)) {
			quiet = 0
			continue
		}
		unmountBelow(folder)
		if err := os.RemoveAll(folder); err == nil {
			return exitOK
		}
		quiet++
	}
	return exitNoRecord
}

// anySupervisor tells whether one of the supervisors runs that have records in the folder of the Pods.
func anySupervisor(pods string) bool {
	for _, pod := range folders(pods) {
		for _, container := range folders(pod) {
			entries, err := os.ReadDir(container)
			if err != nil {
				continue
			}
			for _, entry := range entries {
				if strings.HasSuffix(entry.Name(), SuffixRunning) && isSupervised(join(container, entry.Name())) {
					return true
				}
			}
		}
	}
	return false
}

// folders lists the folders in a folder.
func folders(folder string) []string {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil
	}
	var found []string
	for _, entry := range entries {
		if entry.IsDir() {
			found = append(found, join(folder, entry.Name()))
		}
	}
	return found
}

// isSupervised tells whether the supervisor runs that wrote the record.
func isSupervised(record string) bool {
	var running Running
	if found, err := ReadRecord(record, &running); err != nil || !found {
		return false
	}
	process, err := ReadProcess(running.SupervisorPID)
	return err == nil && process.Start == running.SupervisorStart && !process.Zombie
}

// unmountBelow unmounts what is mounted in the folder, the last mount first.
func unmountBelow(folder string) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		// The mount point is the fifth field; the temporary folder's name has nothing in it that is escaped there.
		fields := strings.Fields(lines[i])
		if len(fields) > 4 && strings.HasPrefix(fields[4], folder+"/") {
			// Where it fails, the folder can't be deleted, which is what counts.
			_ = syscall.Unmount(fields[4], syscall.MNT_DETACH)
		}
	}
}

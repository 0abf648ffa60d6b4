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

package standalone

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// What tests see of supervisors and of what Pods leave behind.

// runningContainer is a record of a container that runs, as the node agent keeps it.
type runningContainer struct {
	podUID, container      string
	SupervisorPID, PID     int
	SupervisorStart, Start uint64
}

// runningContainers reads the records of a server's containers that run.
func runningContainers(dataDir string) []runningContainer {
	files, _ := filepath.Glob(filepath.Join(dataDir, "node", "pods", "*", "*", "*.running")) // the pattern is well-formed
	var running []runningContainer
	for _, file := range files {
		if _, err := os.Stat(strings.TrimSuffix(file, ".running") + ".exit"); err == nil {
			continue
		}
		folder := filepath.Dir(file)
		record := runningContainer{podUID: filepath.Base(filepath.Dir(folder)), container: filepath.Base(folder)}
		data, err := os.ReadFile(file)
		if err == nil && json.Unmarshal(data, &record) == nil && record.PID != 0 {
			running = append(running, record)
		}
	}
	return running
}

// killProcess kills the process with the number and the start time, and tells whether there was one.
func killProcess(pid int, start uint64) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	// The fields after the command's name, which may have any character in it; the start time is the 22nd of all.
	fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
	if len(fields) < 20 || fields[0] == "Z" || fields[19] != strconv.FormatUint(start, 10) {
		return false
	}
	return syscall.Kill(pid, syscall.SIGKILL) == nil
}

// podFolders lists what the node agent has of Pods.
func podFolders(dataDir string) []string {
	folders, _ := filepath.Glob(filepath.Join(dataDir, "node", "pods", "*")) // the pattern is well-formed
	return folders
}

// mountsBelow lists the mounts below a folder.
func mountsBelow(t *testing.T, folder string) []string {
	t.Helper()
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	var mounts []string
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); len(fields) > 4 && strings.HasPrefix(fields[4], folder+"/") {
			mounts = append(mounts, fields[4])
		}
	}
	return mounts
}

// cgroupsOf lists the cgroups that are named after one of the Pods.
func cgroupsOf(uids []string) []string {
	var found []string
	// Errors are folders that are gone by now.
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return nil
		}
		for _, uid := range uids {
			if strings.Contains(entry.Name(), uid) {
				found = append(found, path)
			}
		}
		return nil
	})
	return found
}

// processesUsing returns the processes that have a file below the folder open, or work in it.
func processesUsing(folder string) []string {
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*") // the patterns are well-formed
	working, _ := filepath.Glob("/proc/[0-9]*/cwd")
	var found []string
	for _, link := range append(links, working...) {
		if target, err := os.Readlink(link); err == nil && strings.HasPrefix(target, folder+"/") && !strings.HasPrefix(link, fmt.Sprintf("/proc/%d/", os.Getpid())) {
			found = append(found, link+" -> "+target)
		}
	}
	return found
}

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
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Process is what /proc tells about one process.
type Process struct {
	PID, Parent, Group, Session int
	// Start is the start time in clock ticks since boot.
	Start uint64
	// Zombie is true for a process that has ended and waits for its parent to collect it.
	Zombie bool
}

// ReadProcess reads /proc/PID/stat. The error satisfies errors.Is(err, os.ErrNotExist) where there is no such process.
func ReadProcess(pid int) (Process, error) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return Process{}, err
	}
	return parseStat(pid, data)
}

// parseStat reads the fields after the command's name, which is in parentheses and may itself hold spaces and parentheses.
func parseStat(pid int, data []byte) (Process, error) {
	end := bytes.LastIndexByte(data, ')')
	if end < 0 {
		return Process{}, fmt.Errorf("/proc/%d/stat has no command name", pid)
	}
	fields := strings.Fields(string(data[end+1:]))
	// Numbered from 1 in proc(5): 3 state, 4 ppid, 5 pgrp, 6 session, 22 starttime. fields[0] is number 3.
	if len(fields) < 20 {
		return Process{}, fmt.Errorf("/proc/%d/stat has %d fields after the name, too few", pid, len(fields))
	}
	process := Process{PID: pid, Zombie: fields[0] == "Z" || fields[0] == "X"}
	for i, target := range []*int{&process.Parent, &process.Group, &process.Session} {
		number, err := strconv.Atoi(fields[i+1])
		if err != nil {
			return Process{}, fmt.Errorf("/proc/%d/stat: %w", pid, err)
		}
		*target = number
	}
	start, err := strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		return Process{}, fmt.Errorf("/proc/%d/stat: %w", pid, err)
	}
	process.Start = start
	return process, nil
}

// Processes lists the processes of the machine. One that ends meanwhile may be missing.
func Processes() ([]Process, error) {
	directory, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer directory.Close()
	names, err := directory.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var processes []Process
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if process, err := ReadProcess(pid); err == nil {
			processes = append(processes, process)
		}
	}
	return processes, nil
}

// descendants lists the processes that descend from one, by what the kernel says of each process' children: the cost is that of these processes, not that of
// all of the machine. A process whose sibling ends meanwhile may be missing.
func descendants(pid int) []int {
	var found []int
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return nil
	}
	for _, thread := range threads {
		children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, thread.Name()))
		if err != nil {
			continue
		}
		for _, field := range bytes.Fields(children) {
			if child, err := strconv.Atoi(string(field)); err == nil {
				found = append(found, child)
				found = append(found, descendants(child)...)
			}
		}
	}
	return found
}

// Tree returns the processes that are roots by isRoot, and all their descendants. Zombies are left out: there is nothing
// left of them to kill.
func Tree(processes []Process, isRoot func(Process) bool) []Process {
	in := map[int]bool{}
	var tree []Process
	for grew := true; grew; {
		grew = false
		for _, process := range processes {
			if !in[process.PID] && (isRoot(process) || in[process.Parent]) {
				in[process.PID] = true
				tree = append(tree, process)
				grew = true
			}
		}
	}
	return slices.DeleteFunc(tree, func(process Process) bool { return process.Zombie })
}

// BootID names the current boot of the machine: process ids and start times of another boot mean nothing.
func BootID() (string, error) {
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read boot id: %w", err)
	}
	return strings.TrimSpace(string(data)), nil
}

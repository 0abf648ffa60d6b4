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
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// What the tests see of the machine itself: processes by a mark in their command line, and a diary that Pods' processes write.

// serial numbers what must be unique in a run of the tests.
var serial atomic.Int64

// newMark returns the argument for a sleep that no other process of this machine has: a bit more than an hour, never reached.
func newMark() string {
	return fmt.Sprintf("3600.%d%03d", os.Getpid(), serial.Add(1))
}

// processesWith returns the ids of the processes that have a mark in their command line.
func processesWith(mark string) []int {
	var found []int
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline") // the pattern is well-formed
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err != nil {
			continue // ended meanwhile
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err == nil && bytes.Contains(line, []byte(mark)) && pid != os.Getpid() {
			found = append(found, pid)
		}
	}
	return found
}

// mustRun waits until processes with the mark run, mustNotRun until none does.
func mustRun(t *testing.T, mark string) {
	t.Helper()
	eventually(t, time.Minute, func() string {
		if len(processesWith(mark)) > 0 {
			return ""
		}
		return "no process of the Pod runs"
	})
}

func mustNotRun(t *testing.T, mark string) {
	t.Helper()
	eventually(t, time.Minute, func() string {
		if left := processesWith(mark); len(left) > 0 {
			return fmt.Sprintf("processes of the Pod still run: %v", left)
		}
		return ""
	})
}

// diary is a file that the processes of Pods append lines to: what happened on the machine, whatever the API says.
type diary struct{ path string }

func newDiary(t *testing.T) diary {
	t.Helper()
	d := diary{path: filepath.Join(t.TempDir(), "diary")}
	if err := os.WriteFile(d.path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return d
}

// lines returns what was written so far. A line is written by one write, so none is ever seen in part.
func (d diary) lines(t *testing.T) []string {
	t.Helper()
	content, err := os.ReadFile(d.path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(content))
}

// atOnce returns the most processes that ran at the same time, by their "+" and "-" lines.
func (d diary) atOnce(t *testing.T) int {
	t.Helper()
	running, most := 0, 0
	for _, line := range d.lines(t) {
		switch line {
		case "+":
			running++
		case "-":
			running--
		}
		most = max(most, running)
	}
	return most
}

// gate is a file that the processes of Pods wait for, so that a test decides when they go on.
type gate struct{ path string }

func newGate(t *testing.T) gate {
	t.Helper()
	return gate{path: filepath.Join(t.TempDir(), "gate")}
}

func (g gate) open(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(g.path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
}

// await is the shell command that waits for the gate.
func (g gate) await() string {
	return fmt.Sprintf("until [ -e %s ]; do sleep 0.1; done", g.path)
}

// indexes returns "0" to n-1 in the order that sorted strings have.
func indexes(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = strconv.Itoa(i)
	}
	sort.Strings(all)
	return all
}

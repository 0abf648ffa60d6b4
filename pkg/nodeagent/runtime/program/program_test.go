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

package program

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

func TestLoad(t *testing.T) {
	echo, err := exec.LookPath("echo")
	if err != nil {
		t.Fatalf("no program to try it with: %v", err)
	}
	program, err := os.ReadFile(echo)
	if err != nil {
		t.Fatal(err)
	}
	file, err := load(program)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	// A child that has files of its own where this process has the program.
	command := exec.Command(pathOf(file), "hello")
	for range 30 {
		command.ExtraFiles = append(command.ExtraFiles, os.Stdin)
	}
	if out, err := command.Output(); err != nil || string(out) != "hello\n" {
		t.Errorf("the program printed %q, error %v", out, err)
	}
	if got, err := io.ReadAll(io.NewSectionReader(file, 0, 1<<30)); err != nil || !bytes.Equal(got, program) {
		t.Errorf("%d bytes can be read of the program, which has %d, error %v", len(got), len(program), err)
	}
	if _, err := file.WriteAt([]byte("x"), 0); !errors.Is(err, unix.EPERM) {
		t.Errorf("writing to the program: %v", err)
	}
	if err := file.Truncate(1); !errors.Is(err, unix.EPERM) {
		t.Errorf("cutting the program off: %v", err)
	}
}

// TestLoadRefusesWhatCannotRun: the caller falls back to its own executable, which a container's start would be too late for.
func TestLoadRefusesWhatCannotRun(t *testing.T) {
	before := openFiles(t)
	if file, err := load([]byte("no program")); !errors.Is(err, unix.ENOEXEC) {
		t.Errorf("loaded %v, error %v", file, err)
	}
	if after := openFiles(t); after != before {
		t.Errorf("%d files are open, %d were before", after, before)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestPath(t *testing.T) {
	if len(embedded) == 0 {
		if got := Path(); got != self {
			t.Errorf("the program is %s, want %s", got, self)
		}
		return
	}
	if got := Path(); got != pathOf(loaded) {
		t.Errorf("the program is %s, want the embedded one", got)
	}
}

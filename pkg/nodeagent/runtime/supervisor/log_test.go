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
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// A log on a full disk must neither hold its container up nor hide that something is missing.
func TestFullDiskIsTold(t *testing.T) {
	t.Parallel()
	// The kernel's limit on the size of files is of a whole process, so a process of its own writes.
	path := filepath.Join(t.TempDir(), "0.log")
	command := exec.Command(os.Args[0], "-test.run=^TestWriteBeyondTheLimit$")
	command.Env = append(os.Environ(), "JOBSERVER_TEST_LOG="+path)
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(data)) {
		_, rest, _ := strings.Cut(line, " ")
		lines = append(lines, rest)
	}
	got := strings.Join(lines, "")
	want := regexp.MustCompile(`^stdout F before\n.*\nstderr F jobserver: 3 lines of this log are lost: file too large\nstdout F after\n$`)
	if !want.MatchString(got) {
		t.Errorf("the log is %q", got)
	}
}

// TestWriteBeyondTheLimit does its work in the process that TestFullDiskIsTold starts.
func TestWriteBeyondTheLimit(t *testing.T) {
	path := os.Getenv("JOBSERVER_TEST_LOG")
	if path == "" {
		return
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	limit := func(size uint64) {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: size, Max: 1 << 40}); err != nil {
			t.Fatal(err)
		}
	}
	log := &logFile{file: file}
	pump := func(text string) { log.pump(bytes.NewBufferString(text), "stdout", func([]byte) {}) }
	limit(100)
	pump("before\n" + strings.Repeat("x", 100) + "\n")
	pump("more\n")
	pump("and more\n")
	limit(1 << 30)
	pump("after\n")
	log.complete()
}

// logged returns the contents of a log's files by name, without their times.
func logged(t *testing.T, folder string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(folder, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			_, rest, _ := strings.Cut(line, " ")
			found[entry.Name()] += rest
		}
	}
	return found
}

func TestLogGoesOnInAnotherFile(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	// An entry of one digit takes 42 to 47 bytes: two to a file.
	log, err := openLog(filepath.Join(folder, "0.log"), 100, 3)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 9 {
		log.pump(strings.NewReader(fmt.Sprintf("%d\n", i)), "stdout", func([]byte) {})
	}
	want := map[string]string{"0.log.2": "stdout F 4\nstdout F 5\n", "0.log.3": "stdout F 6\nstdout F 7\n", "0.log.4": "stdout F 8\n"}
	if got := logged(t, folder); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLogWithoutLimit(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	log, err := openLog(filepath.Join(folder, "0.log"), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	log.pump(strings.NewReader(strings.Repeat("x\n", 1000)), "stdout", func([]byte) {})
	if got := logged(t, folder); len(got) != 1 || strings.Count(got["0.log"], "\n") != 1000 {
		t.Errorf("got %d files", len(got))
	}
}

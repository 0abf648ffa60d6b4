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
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime/supervisor"
)

// patience bounds every wait of a test. It is only reached by a test that fails.
const patience = 20 * time.Second

// fixture is a Process on a folder, with a channel that ticks on every change.
type fixture struct {
	*Process
	changes chan types.UID
}

func newFixture(t *testing.T, root string) *fixture {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	changes := make(chan types.UID, 100)
	process, err := NewProcess(ProcessConfig{RootDir: root, SupervisorPath: executable, OnChange: func(uid types.UID) { changes <- uid }})
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{process, changes}
	if err := process.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.killAll(t) })
	return f
}

// killAll ends what a failed test left running.
func (f *fixture) killAll(t *testing.T) {
	f.mu.Lock()
	closed := f.closed
	f.mu.Unlock()
	if closed {
		return // another has taken over
	}
	for _, pod := range f.Pods() {
		for _, container := range f.Containers(pod.UID) {
			f.Stop(container.ID, StopOptions{Signal: syscall.SIGKILL})
			f.waitEnded(t, container.ID)
		}
	}
	f.Close()
}

func (f *fixture) start(t *testing.T, id ID, script string, changes ...func(*StartRequest)) Container {
	t.Helper()
	if _, err := f.Prepare(t.Context(), Pod{UID: id.PodUID, Namespace: "default", Name: "test"}); err != nil {
		t.Fatal(err)
	}
	request := StartRequest{
		ID: id, Argv: []string{"sh", "-c", script}, Env: []string{"PATH=/usr/bin:/bin", "GREETING=hello"}, WorkingDir: f.WorkingDir(id.PodUID),
		StopSignal: syscall.SIGTERM, Grace: time.Second,
	}
	for _, change := range changes {
		change(&request)
	}
	container, err := f.Process.Start(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	return container
}

func (f *fixture) get(id ID) (Container, bool) {
	for _, container := range f.Containers(id.PodUID) {
		if container.ID == id {
			return container, true
		}
	}
	return Container{}, false
}

func (f *fixture) waitEnded(t *testing.T, id ID) Container {
	t.Helper()
	var container Container
	waitFor(t, "the end of "+id.Container, func() bool {
		found, ok := f.get(id)
		container = found
		return ok && !found.Running
	})
	return container
}

// waitFor polls until done or the test's patience is over.
func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("gave up waiting for %s", what)
		}
	}
}

func (f *fixture) log(t *testing.T, id ID) string {
	t.Helper()
	data, err := os.ReadFile(f.path(id, supervisor.SuffixLog))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func (f *fixture) running(t *testing.T, id ID) supervisor.Running {
	t.Helper()
	var running supervisor.Running
	if found, err := supervisor.ReadRecord(f.path(id, supervisor.SuffixRunning), &running); err != nil || !found {
		t.Fatalf("running record: found %t, error %v", found, err)
	}
	return running
}

// pidFrom waits for a process id that a script writes to a file of the working directory.
func (f *fixture) pidFrom(t *testing.T, id ID, name string) int {
	t.Helper()
	var pid int
	waitFor(t, name, func() bool {
		data, err := os.ReadFile(filepath.Join(f.WorkingDir(id.PodUID), name))
		if err != nil || !strings.HasSuffix(string(data), "\n") {
			return false
		}
		pid, err = strconv.Atoi(strings.TrimSpace(string(data)))
		return err == nil
	})
	return pid
}

// alive tells whether a process still runs; a zombie doesn't.
func alive(pid int) bool {
	process, err := supervisor.ReadProcess(pid)
	return err == nil && !process.Zombie
}

func TestStartReportsHowTheCommandEnded(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		script     string
		wantCode   int
		wantSignal int
		wantLog    []string
	}{
		"success":            {script: "echo $GREETING", wantLog: []string{"stdout F hello"}},
		"exit code":          {script: "echo oops >&2; exit 3", wantCode: 3, wantLog: []string{"stderr F oops"}},
		"signal":             {script: "kill -9 $$", wantCode: 137, wantSignal: 9},
		"line without end":   {script: "printf foo", wantLog: []string{"stdout P foo"}},
		"empty line":         {script: "echo; echo x", wantLog: []string{"stdout F ", "stdout F x"}},
		"clean environment":  {script: "env | sort | grep -v -e ^PWD= -e ^_= -e ^SHLVL= -e ^OLDPWD=", wantLog: []string{"stdout F GREETING=hello", "stdout F PATH=/usr/bin:/bin"}},
		"no open descriptor": {script: "ls /proc/self/fd | tr '\\n' ' '", wantLog: []string{"stdout P 0 1 2 3 "}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, t.TempDir())
			id := ID{PodUID: "pod", Container: "main"}
			f.start(t, id, test.script)
			got := f.waitEnded(t, id)
			if got.ExitCode != test.wantCode || got.Signal != test.wantSignal || got.Failure != FailureNone {
				t.Errorf("exit code %d, signal %d, failure %q; want %d, %d and none", got.ExitCode, got.Signal, got.Failure, test.wantCode, test.wantSignal)
			}
			if got.FinishedAt.Before(got.StartedAt) || got.StartedAt.IsZero() {
				t.Errorf("started at %v, finished at %v", got.StartedAt, got.FinishedAt)
			}
			var lines []string
			for line := range strings.Lines(f.log(t, id)) {
				_, entry, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
				lines = append(lines, entry)
			}
			if strings.Join(lines, "\n") != strings.Join(test.wantLog, "\n") {
				t.Errorf("log is %q, want %q", lines, test.wantLog)
			}
		})
	}
}

func TestLongLinesAreLoggedInParts(t *testing.T) {
	t.Parallel()
	f := newFixture(t, t.TempDir())
	id := ID{PodUID: "pod", Container: "main"}
	f.start(t, id, "head -c 100000 /dev/zero | tr '\\0' x; echo; echo end")
	f.waitEnded(t, id)
	total := 0
	lines := strings.Split(strings.TrimSuffix(f.log(t, id), "\n"), "\n")
	for i, line := range lines {
		fields := strings.SplitN(line, " ", 4)
		total += len(fields[3])
		wantTag := "P"
		if i >= len(lines)-2 {
			wantTag = "F"
		}
		if fields[2] != wantTag || len(fields[3]) > 16<<10 {
			t.Errorf("entry %d of %d has tag %s and %d bytes", i, len(lines), fields[2], len(fields[3]))
		}
	}
	if want := 100000 + len("end"); total != want {
		t.Errorf("%d bytes logged, want %d", total, want)
	}
}

func TestCommandThatCannotBeRun(t *testing.T) {
	t.Parallel()
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, []byte("no program"), 0o600); err != nil {
		t.Fatal(err)
	}
	garbage := filepath.Join(t.TempDir(), "garbage")
	if err := os.WriteFile(garbage, []byte{1, 2, 3}, 0o700); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		command, workingDir string
		wantCode            int
		wantMessage         string
	}{
		"not in PATH":          {command: "no-such-command", wantCode: 127, wantMessage: `exec: "no-such-command": executable file not found in $PATH`},
		"no such file":         {command: "/no/such", wantCode: 127, wantMessage: `exec: "/no/such": stat /no/such: no such file or directory`},
		"not executable":       {command: plain, wantCode: 126, wantMessage: "permission denied"},
		"a folder":             {command: "/tmp", wantCode: 126, wantMessage: `exec: "/tmp": is a directory`},
		"no program":           {command: garbage, wantCode: 126, wantMessage: "exec format error"},
		"a file as directory":  {command: "true", workingDir: plain, wantCode: 126, wantMessage: "failed: not a directory"},
		"no working directory": {command: "true", workingDir: "/no/such", wantCode: 127, wantMessage: `chdir to cwd ("/no/such") failed: no such file or directory`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, t.TempDir())
			id := ID{PodUID: "pod", Container: "main"}
			if _, err := f.Prepare(t.Context(), Pod{UID: id.PodUID}); err != nil {
				t.Fatal(err)
			}
			workingDir := f.WorkingDir(id.PodUID)
			if test.workingDir != "" {
				workingDir = test.workingDir
			}
			got, err := f.Start(t.Context(), StartRequest{ID: id, Argv: []string{test.command}, Env: []string{"PATH=/usr/bin:/bin"}, WorkingDir: workingDir})
			if err != nil {
				t.Fatal(err)
			}
			if got.Running || got.Failure != FailureStart || got.ExitCode != test.wantCode || !strings.Contains(got.Message, test.wantMessage) {
				t.Errorf("got %+v, want an ended container with code %d and message %q", got, test.wantCode, test.wantMessage)
			}
			if !got.StartedAt.IsZero() || got.FinishedAt.IsZero() {
				t.Errorf("started at %v, finished at %v; want a finish only", got.StartedAt, got.FinishedAt)
			}
		})
	}
}

// The scripts start a descendant in a session of its own, whose parent has ended: what a daemon does.
const daemonize = `setsid sh -c 'sleep 1000 & echo $! > daemon; wait' & `

func TestEndOfTheCommandEndsItsDescendants(t *testing.T) {
	t.Parallel()
	f := newFixture(t, t.TempDir())
	id := ID{PodUID: "pod", Container: "main"}
	f.start(t, id, `(`+daemonize+`); while [ ! -s daemon ]; do sleep 0.01; done; exit 4`)
	got := f.waitEnded(t, id)
	if got.ExitCode != 4 {
		t.Errorf("exit code %d, want 4", got.ExitCode)
	}
	if daemon := f.pidFrom(t, id, "daemon"); alive(daemon) {
		t.Errorf("process %d of the container is still alive", daemon)
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		script   string
		options  StopOptions
		wantCode int
		wantLog  string
	}{
		"the signal ends it": {
			script: "touch ready; sleep 1000", options: StopOptions{Signal: syscall.SIGTERM, Grace: time.Minute}, wantCode: 143,
		},
		"it handles the signal": {
			script:  "trap 'echo bye; exit 5' TERM; touch ready; while :; do sleep 0.01; done",
			options: StopOptions{Signal: syscall.SIGTERM, Grace: time.Minute}, wantCode: 5, wantLog: "stdout F bye",
		},
		"it ignores the signal": {
			script:  "trap '' TERM; touch ready; while :; do sleep 0.01; done",
			options: StopOptions{Signal: syscall.SIGTERM, Grace: 100 * time.Millisecond}, wantCode: 137,
		},
		"no grace, which leaves two seconds": {
			script: "trap 'sleep 0.5; exit 5' TERM; touch ready; while :; do sleep 0.01; done", options: StopOptions{Signal: syscall.SIGTERM}, wantCode: 5,
		},
		"its own signal": {
			script: "trap 'exit 5' TERM; touch ready; while :; do sleep 0.01; done", options: StopOptions{}, wantCode: 5,
		},
		"killed": {
			script: "trap 'exit 5' TERM; touch ready; while :; do sleep 0.01; done", options: StopOptions{Signal: syscall.SIGTERM, Grace: time.Minute, Kill: true}, wantCode: 137,
		},
		"another signal": {
			// With a trap: a shell drops a SIGINT that comes while a command of its script is about to end well.
			script: "trap 'exit 130' INT; touch ready; while :; do sleep 0.01; done", options: StopOptions{Signal: syscall.SIGINT, Grace: time.Minute}, wantCode: 130,
		},
		"who left the group gets the signal too": {
			script:  `setsid sh -c 'trap "echo other; exit" TERM; touch ready; while :; do sleep 0.01; done' & trap 'wait; exit 6' TERM; wait`,
			options: StopOptions{Signal: syscall.SIGTERM, Grace: time.Minute}, wantCode: 6, wantLog: "stdout F other",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, t.TempDir())
			id := ID{PodUID: "pod", Container: "main"}
			f.start(t, id, test.script)
			workingDir := f.WorkingDir(id.PodUID)
			waitFor(t, "the script", func() bool {
				_, err := os.Stat(filepath.Join(workingDir, "ready"))
				return err == nil
			})
			f.Stop(id, test.options)
			if got := f.waitEnded(t, id); got.ExitCode != test.wantCode {
				t.Errorf("exit code %d, want %d", got.ExitCode, test.wantCode)
			}
			if !strings.Contains(f.log(t, id), test.wantLog) {
				t.Errorf("log is %q, want %q in it", f.log(t, id), test.wantLog)
			}
		})
	}
}

func TestStopAgainCanOnlyShortenTheGrace(t *testing.T) {
	t.Parallel()
	f := newFixture(t, t.TempDir())
	id := ID{PodUID: "pod", Container: "main"}
	f.start(t, id, "trap 'echo TERM' TERM; touch ready; while :; do sleep 0.01; done")
	waitFor(t, "the script", func() bool {
		_, err := os.Stat(filepath.Join(f.WorkingDir(id.PodUID), "ready"))
		return err == nil
	})
	f.Stop(id, StopOptions{Signal: syscall.SIGTERM, Grace: time.Hour})
	waitFor(t, "the signal", func() bool { return strings.Contains(f.log(t, id), "TERM") })
	f.Stop(id, StopOptions{Signal: syscall.SIGTERM, Grace: 2 * time.Hour})
	f.Stop(id, StopOptions{Signal: syscall.SIGTERM, Grace: 50 * time.Millisecond})
	if got := f.waitEnded(t, id); got.ExitCode != 137 {
		t.Errorf("exit code %d, want 137", got.ExitCode)
	}
	if count := strings.Count(f.log(t, id), "TERM"); count != 1 {
		t.Errorf("the container got SIGTERM %d times, want once", count)
	}
}

func TestKilledSupervisor(t *testing.T) {
	t.Parallel()
	f := newFixture(t, t.TempDir())
	id := ID{PodUID: "pod", Container: "main"}
	f.start(t, id, `sleep 1000 & echo $! > child; wait`)
	child := f.pidFrom(t, id, "child")
	running := f.running(t, id)
	if err := syscall.Kill(running.SupervisorPID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	got := f.waitEnded(t, id)
	if got.Failure != FailureLost || got.ExitCode != 137 || got.Message == "" || got.FinishedAt.IsZero() {
		t.Errorf("got %+v, want a lost container with exit code 137 and a message", got)
	}
	for _, pid := range []int{running.PID, child} {
		if alive(pid) {
			t.Errorf("process %d of the container is still alive", pid)
		}
	}
}

func TestOnlyTwoAttemptsAreKept(t *testing.T) {
	t.Parallel()
	f := newFixture(t, t.TempDir())
	for attempt := range 4 {
		id := ID{PodUID: "pod", Container: "main", Attempt: attempt}
		f.start(t, id, "echo $GREETING")
		f.waitEnded(t, id)
	}
	numbers, err := f.Attempts("pod", "main")
	if err != nil || len(numbers) != 2 || numbers[0] != 2 || numbers[1] != 3 {
		t.Errorf("logs of attempts %v are left (error %v), want 2 and 3", numbers, err)
	}
	if got := f.Containers("pod"); len(got) != 2 {
		t.Errorf("%d attempts in memory, want 2", len(got))
	}
}

func TestRemove(t *testing.T) {
	t.Parallel()
	f := newFixture(t, t.TempDir())
	id := ID{PodUID: "pod", Container: "main"}
	f.start(t, id, "sleep 1000")
	if err := f.Remove("pod"); err == nil {
		t.Error("files of a running container were removed")
	}
	f.Stop(id, StopOptions{Kill: true})
	f.waitEnded(t, id)
	if err := f.Remove("pod"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(f.podDir("pod")); !os.IsNotExist(err) {
		t.Errorf("the Pod's folder is still there: %v", err)
	}
}

func TestOneAgentPerFolder(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	newFixture(t, root)
	if _, err := NewProcess(ProcessConfig{RootDir: root}); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a second agent on the folder got error %v", err)
	}
}

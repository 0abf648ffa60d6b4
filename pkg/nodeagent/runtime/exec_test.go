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
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

// exec runs a script beside a container and returns what it printed.
func (f *fixture) exec(t *testing.T, ctx context.Context, id ID, input, script string) (string, int, error) {
	t.Helper()
	stdin, feed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	if _, err := feed.WriteString(input); err != nil {
		t.Fatal(err)
	}
	_ = feed.Close()
	code, err := f.Exec(ctx, id, Command{
		Argv: []string{"sh", "-c", script}, Env: []string{"PATH=/usr/bin:/bin", "GREETING=hello"}, WorkingDir: f.WorkingDir(id.PodUID),
		Stdin: stdin, Stdout: write, Stderr: write,
	})
	_, _ = stdin.Close(), write.Close()
	output, readErr := io.ReadAll(read)
	if readErr != nil {
		t.Fatal(readErr)
	}
	return string(output), code, err
}

func TestExec(t *testing.T) {
	t.Parallel()
	f := newFixture(t, t.TempDir())
	id := ID{PodUID: "pod", Container: "main"}
	f.start(t, id, "sleep 1000")
	tests := map[string]struct {
		script, input, wantOutput string
		wantCode                  int
	}{
		"prints on both":          {"echo $GREETING; echo oops >&2", "", "hello\noops\n", 0},
		"reads":                   {"cat", "line\n", "line\n", 0},
		"fails":                   {"exit 7", "", "", 7},
		"ended by a signal":       {"kill -TERM $$", "", "", 143},
		"leaves something behind": {"sleep 1000 & echo done", "", "done\n", 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			output, code, err := f.exec(t, t.Context(), id, test.input, test.script)
			if err != nil || output != test.wantOutput || code != test.wantCode {
				t.Errorf("got %q, code %d, error %v; want %q and %d", output, code, err, test.wantOutput, test.wantCode)
			}
		})
	}
	if got, _ := f.get(id); !got.Running {
		t.Error("the container has ended with a command beside it")
	}
}

func TestExecCannotBeRun(t *testing.T) {
	t.Parallel()
	f := newFixture(t, t.TempDir())
	id := ID{PodUID: "pod", Container: "main"}
	f.start(t, id, "sleep 1000")
	_, err := f.Exec(t.Context(), id, Command{Argv: []string{"no-such-command"}, Env: []string{"PATH=/bin"}, WorkingDir: "/"})
	var failed *StartError
	if !errors.As(err, &failed) || !strings.Contains(failed.Message, "not found in $PATH") {
		t.Errorf("error %v, want a StartError that names the cause", err)
	}
	if _, err := f.Exec(t.Context(), ID{PodUID: "pod", Container: "other"}, Command{Argv: []string{"true"}, WorkingDir: "/"}); !errors.Is(err, ErrNotRunning) {
		t.Errorf("error %v beside a container that doesn't run, want ErrNotRunning", err)
	}
}

func TestExecEndsWithTheContainer(t *testing.T) {
	t.Parallel()
	f := newFixture(t, t.TempDir())
	id := ID{PodUID: "pod", Container: "main"}
	f.start(t, id, "while [ ! -e beside ]; do sleep 0.01; done")
	_, _, err := f.exec(t, t.Context(), id, "", "echo $$ > beside; sleep 1000")
	if !errors.Is(err, ErrNotRunning) {
		t.Errorf("error %v, want ErrNotRunning", err)
	}
	if pid := f.pidFrom(t, id, "beside"); alive(pid) {
		t.Error("the command has outlived the container")
	}
}

func TestExecIsCancelled(t *testing.T) {
	t.Parallel()
	f := newFixture(t, t.TempDir())
	id := ID{PodUID: "pod", Container: "main"}
	f.start(t, id, "sleep 1000")
	late := errors.New("too late")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		f.waitFile(t, "beside")
		cancel(late)
	}()
	_, _, err := f.exec(t, ctx, id, "", "sleep 1000 & echo $! > beside.tmp; mv beside.tmp beside; trap '' TERM; sleep 1000")
	if !errors.Is(err, late) {
		t.Errorf("error %v, want the cause of the cancellation", err)
	}
	if pid := f.pidFrom(t, id, "beside"); alive(pid) {
		t.Error("a child of the command is left")
	}
}

// waitFile waits until there is a file of that name in the working directory of the Pod.
func (f *fixture) waitFile(t *testing.T, name string) {
	t.Helper()
	waitFor(t, name, func() bool {
		_, err := os.Stat(f.WorkingDir("pod") + "/" + name)
		return err == nil
	})
}

func TestStopRunsTheHookFirst(t *testing.T) {
	t.Parallel()
	f := newFixture(t, t.TempDir())
	id := ID{PodUID: "pod", Container: "main"}
	f.start(t, id, "trap 'cat hooked; exit 5' TERM; touch ready; while :; do sleep 0.01; done")
	f.waitFile(t, "ready")
	hook := func(ctx context.Context) {
		if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > time.Minute {
			t.Errorf("the hook may take until %v, want at most the grace period", deadline)
		}
		if err := os.WriteFile(f.WorkingDir(id.PodUID)+"/hooked", []byte("hook first"), 0o600); err != nil {
			t.Error(err)
		}
	}
	f.Stop(id, StopOptions{Signal: 15, Grace: time.Minute, Hook: hook, Reason: "why"})
	if got := f.waitEnded(t, id); got.ExitCode != 5 || got.StopReason != "why" || !strings.Contains(f.log(t, id), "hook first") {
		t.Errorf("the attempt is %+v, its log %q", got, f.log(t, id))
	}
}

func TestStopHookIsCutOff(t *testing.T) {
	t.Parallel()
	f := newFixture(t, t.TempDir())
	id := ID{PodUID: "pod", Container: "main"}
	f.start(t, id, "trap 'echo signalled; exit 0' TERM; touch ready; while :; do sleep 0.01; done")
	f.waitFile(t, "ready")
	f.Stop(id, StopOptions{Signal: 15, Grace: 50 * time.Millisecond, Hook: func(ctx context.Context) { <-ctx.Done() }})
	// A hook that used up the grace leaves two seconds for the signal.
	if got := f.waitEnded(t, id); got.ExitCode != 0 || !strings.Contains(f.log(t, id), "signalled") {
		t.Errorf("the attempt is %+v, its log %q; want it to handle the signal", got, f.log(t, id))
	}
}

func TestStopWaitsForOthers(t *testing.T) {
	t.Parallel()
	f := newFixture(t, t.TempDir())
	main, sidecar := ID{PodUID: "pod", Container: "main"}, ID{PodUID: "pod", Container: "sidecar"}
	f.start(t, sidecar, "trap 'echo sidecar >> order; exit 0' TERM; touch ready; while :; do sleep 0.01; done")
	f.start(t, main, "trap 'sleep 0.2; echo main >> order; exit 0' TERM; touch main-ready; while :; do sleep 0.01; done")
	f.waitFile(t, "ready")
	f.waitFile(t, "main-ready")
	f.Stop(sidecar, StopOptions{Signal: 15, Grace: time.Minute, After: []ID{main}})
	f.Stop(main, StopOptions{Signal: 15, Grace: time.Minute})
	f.waitEnded(t, sidecar)
	order, err := os.ReadFile(f.WorkingDir("pod") + "/order")
	if err != nil || string(order) != "main\nsidecar\n" {
		t.Errorf("order %q, error %v; want the sidecar to end last", order, err)
	}
}

func TestRecoverStopAndRound(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	f := newFixture(t, root)
	id := ID{PodUID: "pod", Container: "main"}
	if _, err := f.Prepare(t.Context(), Pod{UID: "pod", Name: "test"}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Process.Start(t.Context(), StartRequest{
		ID: id, Argv: []string{"sleep", "1000"}, Env: []string{"PATH=/usr/bin:/bin"}, WorkingDir: "/", Round: 3,
	}); err != nil {
		t.Fatal(err)
	}
	// The hook never ends by itself: the agent dies in it.
	hook := make(chan struct{})
	f.Stop(id, StopOptions{Signal: 15, Grace: time.Hour, Reason: "probe", Hook: func(context.Context) { close(hook); select {} }})
	<-hook
	f = restart(t, f)
	got, _ := f.get(id)
	if !got.Running || !got.Stopping || got.StopReason != "probe" || got.Round != 3 {
		t.Errorf("found %+v, want it running, being stopped for the probe, in round 3", got)
	}
	f.Stop(id, StopOptions{Signal: 15, Grace: 2 * time.Hour, Reason: "other", Hook: func(context.Context) { t.Error("the hook ran again") }})
	if got := f.waitEnded(t, id); got.ExitCode != 143 || got.StopReason != "probe" {
		t.Errorf("the attempt is %+v, want it ended by the signal, for the first reason", got)
	}
}

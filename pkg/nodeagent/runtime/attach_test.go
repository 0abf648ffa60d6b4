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
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func withStdin(request *StartRequest) { request.Stdin = true }

func withTerminal(request *StartRequest) { request.Stdin, request.TTY = true, true }

// screen keeps what an attached client gets.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *screen) Write(data []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(data)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// session is one attached client.
type session struct {
	stdout, stderr screen
	typing         *io.PipeWriter
	resize         chan TerminalSize
	cancel         context.CancelCauseFunc
	ended          chan error
}

// attach attaches a client that can type.
func (f *fixture) attach(t *testing.T, id ID, once bool) *session {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	input, typing := io.Pipe()
	s := &session{typing: typing, resize: make(chan TerminalSize), cancel: cancel, ended: make(chan error, 1)}
	t.Cleanup(func() {
		cancel(nil)
		_ = typing.Close()
		close(s.resize)
	})
	go func() {
		s.ended <- f.Attach(ctx, id, AttachStreams{Stdin: input, StdinOnce: once, Stdout: &s.stdout, Stderr: &s.stderr, Resize: s.resize})
	}()
	return s
}

func (s *session) enter(t *testing.T, text string) {
	t.Helper()
	if _, err := io.WriteString(s.typing, text); err != nil {
		t.Fatal(err)
	}
}

func (s *session) waitFor(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(patience); !strings.Contains(s.stdout.String(), text); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the client got %q and %q, never %q", s.stdout.String(), s.stderr.String(), text)
		}
	}
}

func (s *session) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-s.ended:
		return err
	case <-time.After(patience):
		t.Fatalf("still attached; the client got %q", s.stdout.String())
		return nil
	}
}

// A client with StdinOnce sends all, the container sees the end of it, and the client gets all output to the container's end. The path is too long for a socket.
func TestAttachOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t, filepath.Join(t.TempDir(), strings.Repeat("long/", 30)))
	id := ID{PodUID: "pod", Container: "main"}
	f.start(t, id, `while read line; do echo "got $line"; echo "not $line" >&2; done; echo over; exit 3`, withStdin)
	s := f.attach(t, id, true)
	s.enter(t, "one\ntwo\n")
	_ = s.typing.Close()
	if err := s.wait(t); err != nil {
		t.Error(err)
	}
	if got, want := s.stdout.String(), "got one\ngot two\nover\n"; got != want {
		t.Errorf("output %q, want %q", got, want)
	}
	if got, want := s.stderr.String(), "not one\nnot two\n"; got != want {
		t.Errorf("errors %q, want %q", got, want)
	}
	if ended := f.waitEnded(t, id); ended.ExitCode != 3 {
		t.Errorf("exit code %d, want 3", ended.ExitCode)
	}
	if left, err := os.ReadDir(filepath.Join(f.root, socketsFolder)); err != nil || len(left) > 0 {
		t.Errorf("%d sockets are left, error %v", len(left), err)
	}
}

// Without StdinOnce the standard input stays open for the next client; what is no whole line is shown at once.
func TestAttachAgain(t *testing.T) {
	t.Parallel()
	f := newFixture(t, t.TempDir())
	id := ID{PodUID: "pod", Container: "main"}
	f.start(t, id, `read a; printf "$a? "; read b; printf "$b? "; read c; echo "$a $b $c"`, withStdin)
	first := f.attach(t, id, false)
	first.enter(t, "one\n")
	first.waitFor(t, "one? ")
	_ = first.typing.Close()
	if err := first.wait(t); err != nil {
		t.Error(err)
	}
	second, third := f.attach(t, id, false), f.attach(t, id, false)
	second.enter(t, "two\n")
	second.waitFor(t, "two? ")
	third.enter(t, "three\n")
	for name, s := range map[string]*session{"second": second, "third": third} {
		if err := s.wait(t); err != nil || !strings.HasSuffix(s.stdout.String(), "one two three\n") {
			t.Errorf("the %s client got %q, error %v", name, s.stdout.String(), err)
		}
	}
	if got := second.stdout.String(); got != "two? one two three\n" {
		t.Errorf("the second client got %q: that is not what was printed since it came", got)
	}
}

// The container and its input outlive the agent, even in the middle of a session of a client with StdinOnce.
func TestAttachToFoundContainer(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	f := newFixture(t, root)
	id := ID{PodUID: "pod", Container: "main"}
	f.start(t, id, `while read line; do echo "got $line"; done; echo over`, withStdin)
	connection, err := f.connectSupervisor(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := connection.Write([]byte("ifirst\n")); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the first line", func() bool { return strings.Contains(f.log(t, id), "got first\n") })
	f.Close()
	_ = connection.Close() // as the agent's death does
	again := newFixture(t, root)
	s := again.attach(t, id, true)
	s.enter(t, "second\n")
	s.waitFor(t, "got second\n")
	_ = s.typing.Close()
	if err := s.wait(t); err != nil || s.stdout.String() != "got second\nover\n" {
		t.Errorf("got %q, error %v", s.stdout.String(), err)
	}
}

func TestAttachToTerminal(t *testing.T) {
	t.Parallel()
	f := newFixture(t, t.TempDir())
	id := ID{PodUID: "pod", Container: "main"}
	f.start(t, id, `[ -t 0 ] && [ -t 1 ] && [ -t 2 ] || exit 9
trap 'stty size' WINCH; trap 'echo interrupted; exit 4' INT
echo ready > /dev/tty; echo to stderr >&2
while :; do read line && echo "got $line"; done`, withTerminal)
	waitFor(t, "the terminal", func() bool { return strings.Contains(f.log(t, id), " stdout F ready\r\n") })
	s := f.attach(t, id, false)
	s.resize <- TerminalSize{Width: 100, Height: 30}
	s.waitFor(t, "30 100\r\n")
	s.enter(t, "typed\r")
	s.waitFor(t, "typed\r\ngot typed\r\n")
	s.enter(t, "\x03")
	if err := s.wait(t); err != nil || !strings.HasSuffix(s.stdout.String(), "interrupted\r\n") {
		t.Errorf("got %q, error %v", s.stdout.String(), err)
	}
	if ended := f.waitEnded(t, id); ended.ExitCode != 4 {
		t.Errorf("exit code %d, want 4", ended.ExitCode)
	}
	if log := f.log(t, id); !strings.Contains(log, " stdout F to stderr\r\n") || strings.Contains(log, " stderr ") {
		t.Errorf("not all is in one stream: %s", log)
	}
}

// What the command leaves behind on its terminal is told that the terminal hangs up, as with a container runtime, and is gone in the end.
func TestTerminalEndsWithItsCommand(t *testing.T) {
	t.Parallel()
	f := newFixture(t, t.TempDir())
	id := ID{PodUID: "pod", Container: "main"}
	f.start(t, id, "sleep 1000 & echo $! > pid; head -c 100000 /dev/zero | tr '\\0' x; echo end", withTerminal)
	f.waitEnded(t, id)
	if pid := f.pidFrom(t, id, "pid"); alive(pid) {
		t.Error("a process is left")
	}
	if log := f.log(t, id); strings.Count(log, "x") != 100000 || !strings.HasSuffix(log, "end\r\n") {
		t.Errorf("of what was printed before the end the log has %d of 100000", strings.Count(log, "x"))
	}
}

// slowWriter takes nothing until it is released.
type slowWriter struct {
	screen
	release chan struct{}
}

func (w *slowWriter) Write(data []byte) (int, error) {
	<-w.release
	return w.screen.Write(data)
}

// A slow client gets everything. It holds up the container as long as that runs, but not its end.
func TestAttachSlowly(t *testing.T) {
	t.Parallel()
	f := newFixture(t, t.TempDir())
	tests := map[string]struct {
		count     int
		endsFirst bool
	}{
		"more than fits the buffers": {3000000, false},
		"rest":                       {100000, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			id := ID{PodUID: "pod", Container: "c" + strconv.Itoa(test.count)}
			f.start(t, id, fmt.Sprintf(`read go; head -c %d /dev/zero | tr '\0' x`, test.count), withStdin)
			client := &slowWriter{release: make(chan struct{})}
			ended := make(chan error, 1)
			go func() {
				ended <- f.Attach(t.Context(), id, AttachStreams{Stdin: strings.NewReader("go\n"), StdinOnce: true, Stdout: client})
			}()
			if test.endsFirst {
				f.waitEnded(t, id)
			} else {
				waitFor(t, "output", func() bool { return strings.Contains(f.log(t, id), "xxx") })
			}
			close(client.release)
			select {
			case err := <-ended:
				if got := client.String(); err != nil || strings.Trim(got, "x") != "" || len(got) != test.count {
					t.Errorf("the client got %d bytes of %d, error %v", len(got), test.count, err)
				}
			case <-time.After(patience):
				t.Fatal("still attached")
			}
			f.waitEnded(t, id)
		})
	}
}

// What a client has sent before it went away reaches a container that is slow to read it, and then its end.
func TestAttachClientGone(t *testing.T) {
	t.Parallel()
	f := newFixture(t, t.TempDir())
	id := ID{PodUID: "pod", Container: "main"}
	f.start(t, id, "while [ ! -e go ]; do sleep 0.01; done; wc -c", withStdin)
	s := f.attach(t, id, true)
	var taken atomic.Int64
	go func() {
		defer s.typing.Close()
		for range 500 { // more than all buffers hold
			if _, err := io.WriteString(s.typing, strings.Repeat("x", 1000)); err != nil {
				return
			}
			taken.Add(1000)
		}
	}()
	waitFor(t, "the supervisor to take input", func() bool { return taken.Load() > 64<<10 })
	gone := errors.New("the client is gone")
	s.cancel(gone)
	if err := s.wait(t); !errors.Is(err, gone) {
		t.Errorf("error %v, want the cause", err)
	}
	if err := os.WriteFile(filepath.Join(f.WorkingDir(id.PodUID), "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f.waitEnded(t, id)
	if log := f.log(t, id); !strings.HasSuffix(log, " F 500000\n") {
		t.Errorf("the container got %q", log)
	}
}

func TestAttachRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t, t.TempDir())
	id := ID{PodUID: "pod", Container: "main"}
	f.start(t, id, "true")
	f.waitEnded(t, id)
	if err := f.Attach(t.Context(), id, AttachStreams{Stdout: io.Discard}); !errors.Is(err, ErrNotRunning) {
		t.Errorf("error %v, want ErrNotRunning", err)
	}
}

// A container without an open standard input reads its end at once, attached clients or not.
func TestAttachWithoutStdin(t *testing.T) {
	t.Parallel()
	f := newFixture(t, t.TempDir())
	id := ID{PodUID: "pod", Container: "main"}
	f.start(t, id, "cat; echo over; while [ ! -e go ]; do sleep 0.01; done; echo gone")
	s := f.attach(t, id, false)
	s.enter(t, "nobody reads this\n")
	if err := os.WriteFile(filepath.Join(f.WorkingDir(id.PodUID), "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.wait(t); err != nil || !strings.HasSuffix(s.stdout.String(), "gone\n") {
		t.Errorf("got %q, error %v", s.stdout.String(), err)
	}
	f.waitEnded(t, id)
	if log := f.log(t, id); strings.Contains(log, "nobody") {
		t.Errorf("it read %s", log)
	}
}

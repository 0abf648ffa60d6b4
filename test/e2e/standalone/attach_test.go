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
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// withInput are the lines of a container whose standard input is for one client, and is closed after it.
var withInput = []string{"    stdin: true", "    stdinOnce: true"}

// attachExit is kubectlExit for an attached client, without what kubectl says to whoever might sit there.
func (c *client) attachExit(t *testing.T, environment []string, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return c.kubectlExit(t, environment, stdin, append([]string{"attach", "--quiet"}, args...)...)
}

// TestAttachInput: what a client sends is the standard input of the container, to its end, and the client gets all that comes of it.
func TestAttachInput(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	for protocol, environment := range protocols {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			pod := "p-" + strings.ToLower(protocol)
			c.runPod(t, pod, "cat; echo to stderr >&2; exit 3", withInput...)
			// More than any buffer holds, both ways.
			data := strings.Repeat("0123456789abcdef", 1<<17)
			stdout, stderr, code := c.attachExit(t, environment, data, "-i", pod)
			if stdout != data || stderr != "to stderr\n" || code != 0 {
				t.Errorf("of %d bytes %d came back, errors %q, exit code %d", len(data), len(stdout), stderr, code)
			}
			c.waitPhase(t, pod, "Failed")
			if got := c.podEnd(t, pod); got != "Failed///Error/3" {
				t.Errorf("got %s", got)
			}
			// What came first of two streams is not known.
			if log := c.run(t, "logs", pod); strings.Replace(log, "to stderr\n", "", 1) != data || log == data {
				t.Errorf("the log has %d bytes of %d", len(log), len(data))
			}
		})
	}
}

// TestAttachLive: several clients see the same, at once, even what is no whole line, and none of them ends anything.
func TestAttachLive(t *testing.T) {
	t.Parallel()
	c, g := newClient(t, shared), newGate(t)
	c.runPod(t, "p", "echo early; "+g.await()+`; printf 'who? '; read who; echo "hello $who"`, "    stdin: true")
	first, second := c.watch(t, "attach", "-q", "p"), c.watch(t, "attach", "-q", "p")
	waitAttached(t, c, "p", 2)
	g.open(t)
	for _, client := range []*process{first, second} {
		eventually(t, time.Minute, func() string {
			if got := client.stdout.String(); got != "who? " {
				return fmt.Sprintf("the client got %q", got)
			}
			return ""
		})
	}
	first.kill()
	// Without stdinOnce the client's own end of input ends it, and nothing else.
	if _, stderr, code := c.attachExit(t, nil, "me\n", "-i", "p"); code != 0 {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	if !second.endsWithin(time.Minute) || second.exitCode() != 0 || second.stdout.String() != "who? hello me\n" {
		t.Errorf("the second client got %q %q", second.stdout.String(), second.stderr.String())
	}
	c.waitPhase(t, "p", "Succeeded")
}

// waitAttached waits until so many clients are attached to the only container of a Pod: its supervisor has a socket for each.
func waitAttached(t *testing.T, c *client, pod string, count int) {
	t.Helper()
	uid := c.run(t, "get", "pod", pod, "-o", "jsonpath={.metadata.uid}")
	eventually(t, time.Minute, func() string {
		for _, container := range runningContainers(c.server.dataDir) {
			if container.podUID != uid {
				continue
			}
			sockets := 0
			folder := fmt.Sprintf("/proc/%d/fd/", container.SupervisorPID)
			entries, _ := os.ReadDir(folder)
			for _, entry := range entries {
				if target, err := os.Readlink(folder + entry.Name()); err == nil && strings.HasPrefix(target, "socket:") {
					sockets++
				}
			}
			if sockets == count {
				return ""
			}
			return fmt.Sprintf("%d clients are attached, want %d", sockets, count)
		}
		return "the container doesn't run"
	})
}

// TestAttachOutlivesTheServer: input sent before the server is killed is not the end of input; another client goes on with it when there is a server again.
func TestAttachOutlivesTheServer(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	c := newClient(t, s)
	c.runPod(t, "p", `while read line; do echo "got $line"; done; echo over`, withInput...)
	input, typing := io.Pipe()
	command := exec.Command(*kubectlPath, s.kubectlArgs(c.namespace, "attach", "-qi", "p")...)
	command.Stdin = input
	var shown output
	command.Stdout = &shown
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = typing.Close()
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	if _, err := io.WriteString(typing, "one\n"); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, func() string {
		if shown.String() != "got one\n" {
			return fmt.Sprintf("the client got %q", shown.String())
		}
		return ""
	})
	s.kill()
	s.mustStart(t)
	stdout, stderr, code := c.attachExit(t, nil, "two\n", "-i", "p")
	if stdout != "got two\nover\n" || code != 0 {
		t.Errorf("after the restart the client got %q, %q, exit code %d", stdout, stderr, code)
	}
	c.waitPhase(t, "p", "Succeeded")
	if log := c.run(t, "logs", "p"); log != "got one\ngot two\nover\n" {
		t.Errorf("log %q", log)
	}
}

// TestAttachOnTerminal: kubectl attach -it is a terminal session with the container, of the client's size, that ends with it.
func TestAttachOnTerminal(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	c.runPod(t, "p", `trap 'echo "size $(stty size)"' WINCH; trap 'echo interrupted' INT
while :; do read line && { echo "$TERM got $line"; [ "$line" = quit ] && exit 5; }; done`, "    stdin: true", "    tty: true")
	control, terminal := openTerminal(t)
	command := exec.Command(*kubectlPath, c.server.kubectlArgs(c.namespace, "attach", "-it", "p")...)
	command.Stdin, command.Stdout, command.Stderr = terminal, terminal, terminal
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	_ = terminal.Close()
	var screen output
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(&screen, control) // ends with an error where nobody has the terminal open any more
	}()
	resize := func() {
		size := [4]uint16{50, 132}
		ioctl(t, control, syscall.TIOCSWINSZ, unsafe.Pointer(&size))
		_ = command.Process.Signal(syscall.SIGWINCH) // as the kernel tells those whose controlling terminal it is
	}
	for _, step := range []struct{ enter, shows string }{
		{"", "size 30 100\r\n"},
		{"", "size 50 132\r\n"},
		{"typed\r", "typed\r\nxterm got typed\r\n"},
		{"\x03", "interrupted\r\n"},
		{"quit\r", "xterm got quit\r\n"},
	} {
		if _, err := control.WriteString(step.enter); err != nil {
			t.Fatal(err)
		}
		eventually(t, time.Minute, func() string {
			if !strings.Contains(screen.String(), step.shows) {
				return fmt.Sprintf("after %q the terminal shows %q, want %q in it", step.enter, screen.String(), step.shows)
			}
			return ""
		})
		resize()
	}
	if err := command.Wait(); err != nil {
		t.Errorf("kubectl: %v", err)
	}
	<-read
	c.waitPhase(t, "p", "Failed")
	if got := c.podEnd(t, "p"); got != "Failed///Error/5" {
		t.Errorf("got %s", got)
	}
}

// TestKubectlRun: kubectl run -i makes a Pod, is attached to it, and ends as it does.
func TestKubectlRun(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	run := func(name string, args ...string) []string {
		return append([]string{"run", name, "--image=none", "--restart=Never", "--pod-running-timeout=1m", "--quiet"}, args...)
	}
	t.Run("input", func(t *testing.T) {
		t.Parallel()
		stdout, stderr, code := c.kubectlExit(t, nil, "value\nabcd1234", run("once", "-i", "--rm", "--command", "--", "sh", "-c", "cat && echo ' closed'; exit 3")...)
		if stdout != "value\nabcd1234 closed\n" || code != 3 {
			t.Errorf("got %q, %q, exit code %d", stdout, stderr, code)
		}
		if got := c.run(t, "get", "pod", "once", "--ignore-not-found"); got != "" {
			t.Errorf("the Pod is left: %s", got)
		}
	})
	t.Run("no input", func(t *testing.T) {
		t.Parallel()
		_, stderr, code := c.kubectlExit(t, nil, "abcd1234", run("closed", "--attach", "--command", "--", "sh", "-c", "cat && echo closed")...)
		if log := c.run(t, "logs", "closed"); log != "closed\n" || code != 0 {
			t.Errorf("log %q, %q, exit code %d", log, stderr, code)
		}
	})
	t.Run("input stays open", func(t *testing.T) {
		t.Parallel()
		_, stderr, code := c.kubectlExit(t, nil, "abcd1234\n", run("open", "-i", "--leave-stdin-open", "--command", "--", "sh", "-c", "cat && echo closed")...)
		if code != 0 {
			t.Errorf("exit code %d: %s", code, stderr)
		}
		eventually(t, time.Minute, func() string {
			if log := c.run(t, "logs", "open"); log != "abcd1234\n" {
				return fmt.Sprintf("log %q", log)
			}
			return ""
		})
		if phase := c.run(t, "get", "pod", "open", "-o", "jsonpath={.status.phase}"); phase != "Running" {
			t.Errorf("the Pod is %s", phase)
		}
	})
}

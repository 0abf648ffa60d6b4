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
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// startTimeout is what a server may take to become ready, stopTimeout what it may take to end after SIGTERM.
	startTimeout = 60 * time.Second
	stopTimeout  = 10 * time.Second
)

// server is a standalone server on a data folder: started, killed and started again by a test, always on the same port.
type server struct {
	dataDir string
	port    int
	flags   []string // beside those that every server gets
	// binary is the server's, and user whom it runs as; zero values: as the tests are told, and whom they run as.
	binary  string
	user    *syscall.Credential
	running *process // nil while it does not run
}

// newServer prepares a server on a folder that need not exist yet.
func newServer(dataDir string) (*server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	return &server{dataDir: dataDir, port: port}, nil
}

// ownServer starts a server for one test, which is stopped, with its Jobs, when the test ends.
func ownServer(t *testing.T) *server {
	t.Helper()
	s, err := newServer(filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	s.mustStart(t)
	t.Cleanup(func() {
		if s.running == nil {
			return
		}
		if err := s.stopWithJobs(); err != nil {
			t.Errorf("stopping the server: %v", err)
		}
	})
	return s
}

func (s *server) kubeconfig() string { return filepath.Join(s.dataDir, "admin.kubeconfig") }

func (s *server) url() string {
	return "https://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port))
}

func (s *server) args() []string {
	return append([]string{"--standalone", "--data-dir", s.dataDir, "--secure-port", strconv.Itoa(s.port)}, s.flags...)
}

// start starts the server and returns when it is ready.
func (s *server) start() error {
	command := exec.Command(cmp.Or(s.binary, *apiserverPath), s.args()...)
	if s.user != nil {
		command.SysProcAttr = &syscall.SysProcAttr{Credential: s.user}
	}
	p, err := startCommand(command, "")
	if err != nil {
		return err
	}
	s.running = p
	deadline := time.Now().Add(startTimeout)
	for {
		_, err := s.kubectl("", "", "get", "--raw", "/readyz")
		if err == nil {
			return nil
		}
		if p.ended() {
			s.running = nil
			return fmt.Errorf("the server ended: exit code %d\n%s", p.exitCode(), p.stderr.tail())
		}
		if time.Now().After(deadline) {
			s.kill()
			return fmt.Errorf("the server was not ready after %s: %w\n%s", startTimeout, err, p.stderr.tail())
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (s *server) mustStart(t *testing.T) {
	t.Helper()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
}

// stop sends SIGTERM and returns how long the server took to end. It fails where that is too long or the exit code is not 0.
func (s *server) stop() (time.Duration, error) {
	p := s.running
	s.running = nil
	started := time.Now()
	if err := p.signal(syscall.SIGTERM); err != nil {
		return 0, err
	}
	if !p.endsWithin(stopTimeout) {
		p.kill()
		return 0, fmt.Errorf("still running %s after SIGTERM\n%s", stopTimeout, p.stderr.tail())
	}
	if code := p.exitCode(); code != 0 {
		return 0, fmt.Errorf("exit code %d after SIGTERM\n%s", code, p.stderr.tail())
	}
	return time.Since(started), nil
}

// stopWithJobs deletes all Jobs and Pods first, so that no process of a Pod is left on the machine.
func (s *server) stopWithJobs() error {
	_, jobsErr := s.kubectl("", "", "delete", "jobs", "--all", "--all-namespaces", "--cascade=foreground", "--timeout=60s")
	_, podsErr := s.kubectl("", "", "delete", "pods", "--all", "--all-namespaces", "--timeout=60s")
	_, stopErr := s.stop()
	return errors.Join(jobsErr, podsErr, stopErr)
}

// kill ends the server with SIGKILL.
func (s *server) kill() {
	s.running.kill()
	s.running = nil
}

// freePort returns a port of the loopback that nobody listened on a moment ago.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// process is a started command whose output is kept.
type process struct {
	command        *exec.Cmd
	stdout, stderr output
	done           chan struct{} // closed when it has ended
}

// startProcess starts a command with the given standard input.
func startProcess(path, stdin string, args ...string) (*process, error) {
	return startCommand(exec.Command(path, args...), stdin)
}

func startCommand(command *exec.Cmd, stdin string) (*process, error) {
	p := &process{command: command, done: make(chan struct{})}
	command.Stdin = strings.NewReader(stdin)
	command.Stdout = &p.stdout
	command.Stderr = &p.stderr
	// Pods' processes may outlive the command and hold its output open: they are not waited for.
	command.WaitDelay = time.Second
	if err := command.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.done)
		_ = command.Wait() // the exit code says it
	}()
	return p, nil
}

func (p *process) signal(s os.Signal) error { return p.command.Process.Signal(s) }

func (p *process) kill() {
	_ = p.command.Process.Kill() // fails only where it has ended
	<-p.done
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func (p *process) endsWithin(timeout time.Duration) bool {
	select {
	case <-p.done:
		return true
	case <-time.After(timeout):
		return false
	}
}

// exitCode is that of an ended process.
func (p *process) exitCode() int { return p.command.ProcessState.ExitCode() }

// output collects what a process writes; it may be read while the process runs.
type output struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.String()
}

// tail returns the last lines, for messages.
func (o *output) tail() string {
	lines := strings.Split(strings.TrimSpace(o.String()), "\n")
	return strings.Join(lines[max(0, len(lines)-30):], "\n")
}

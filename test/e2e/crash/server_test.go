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

package crash

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// startTimeout is what a server may take to become ready.
const startTimeout = 90 * time.Second

// server is a standalone server on a folder, on the same port whenever it is started.
type server struct {
	dataDir string
	port    int
	flags   []string

	mu      sync.Mutex
	running *process // nil while it does not run
}

func newServer(dataDir string, flags ...string) (*server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	port := listener.Addr().(*net.TCPAddr).Port
	return &server{dataDir: dataDir, port: port, flags: flags}, listener.Close()
}

// spawn starts the process, and doesn't wait until it is ready.
func (s *server) spawn() error {
	args := append([]string{"--standalone", "--data-dir", s.dataDir, "--secure-port", strconv.Itoa(s.port)}, s.flags...)
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := startProcess(s.logPath(), *apiserverPath, args...)
	if err != nil {
		return err
	}
	s.running = p
	return nil
}

// ready waits until the server says that it is.
func (s *server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for ctx.Err() == nil {
		if p := s.process(); p == nil || p.ended() {
			return fmt.Errorf("the server ended by itself\n%s", s.log())
		}
		if a, err := s.api(); err == nil {
			if _, err := a.call(ctx, "GET", "/readyz", "", nil); err == nil {
				return nil
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("the server is not ready after %s\n%s", startTimeout, s.log())
}

func (s *server) process() *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running
}

// kill sends SIGKILL, and waits until the process is gone.
func (s *server) kill() {
	if p := s.process(); p != nil {
		p.kill()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = nil
}

// stop sends SIGTERM.
func (s *server) stop() error {
	p := s.process()
	if p == nil {
		return nil
	}
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.done:
	case <-time.After(30 * time.Second):
		p.kill()
		return fmt.Errorf("still running after SIGTERM\n%s", s.log())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = nil
	return nil
}

// logPath is where all processes of the server write what they have to say, one after the other.
func (s *server) logPath() string { return s.dataDir + ".log" }

// log is the end of what the last process said.
func (s *server) log() string {
	text, err := os.ReadFile(s.logPath())
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-30):], "\n")
}

func (s *server) walDir() string { return filepath.Join(s.dataDir, "etcd", "data", "member", "wal") }

// process is a started command.
type process struct {
	command *exec.Cmd
	done    chan struct{} // closed when it has ended
}

// startProcess starts a command whose output is added to a file.
func startProcess(logPath, path string, args ...string) (*process, error) {
	log, err := os.OpenFile(logPath, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p := &process{command: exec.Command(path, args...), done: make(chan struct{})}
	p.command.Stdout, p.command.Stderr = log, log
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.done)
		_ = p.command.Wait() // it is killed mostly
	}()
	return p, nil
}

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

// processesWith returns the ids of the processes with a text in their command line.
func processesWith(text string) []int {
	return processes(func(folder string) bool {
		line, err := os.ReadFile(filepath.Join(folder, "cmdline"))
		return err == nil && bytes.Contains(line, []byte(text))
	})
}

// supervisorsOf returns the ids of the supervisors of a server's containers: they hold a record in its folder open.
func supervisorsOf(s *server) []int {
	return processes(func(folder string) bool {
		line, err := os.ReadFile(filepath.Join(folder, "cmdline"))
		if err != nil || !bytes.HasPrefix(line, []byte("jobserver-supervisor")) {
			return false
		}
		record, err := os.Readlink(filepath.Join(folder, "fd", "3"))
		return err == nil && strings.HasPrefix(record, s.dataDir)
	})
}

func processes(match func(folder string) bool) []int {
	var found []int
	folders, _ := filepath.Glob("/proc/[0-9]*") // the pattern is well-formed
	for _, folder := range folders {
		if pid, err := strconv.Atoi(filepath.Base(folder)); err == nil && pid != os.Getpid() && match(folder) {
			found = append(found, pid)
		}
	}
	return found
}

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
	"syscall"
	"testing"
	"time"
)

// waitRunning waits until one container of a server runs that has a mark in its command line, and returns its record.
func waitRunning(t *testing.T, s *server, mark string) runningContainer {
	t.Helper()
	mustRun(t, mark)
	var found []runningContainer
	eventually(t, time.Minute, func() string {
		if found = runningContainers(s.dataDir); len(found) == 1 {
			return ""
		}
		return fmt.Sprintf("records of running containers: %v, want one", found)
	})
	return found[0]
}

// podEnd is how a Pod of one container ended: phase, reason, condition DisruptionTarget, and of the container reason and exit code.
func (c *client) podEnd(t *testing.T, name string) string {
	t.Helper()
	return c.run(t, "get", "pod", name, "-o", `jsonpath={.status.phase}/{.status.reason}/{.status.conditions[?(@.type=="DisruptionTarget")].reason}`+
		`/{.status.containerStatuses[0].state.terminated.reason}/{.status.containerStatuses[0].state.terminated.exitCode}`)
}

// leavesBehind is a container whose first process starts another one and waits for it.
func leavesBehind(mark string) string { return "echo hello; sleep " + mark + " & wait" }

// TestKilledContainer: what kills a container's first process is told, and ends the others.
func TestKilledContainer(t *testing.T) {
	t.Parallel()
	s, mark := ownServer(t), newMark()
	c := newClient(t, s)
	c.apply(t, podManifest("p", leavesBehind(mark)))
	record := waitRunning(t, s, mark)
	if !killProcess(record.PID, record.Start) {
		t.Fatal("the process on record doesn't run")
	}
	c.waitPhase(t, "p", "Failed")
	if got := c.podEnd(t, "p"); got != "Failed///Error/137" {
		t.Errorf("got %s", got)
	}
	mustNotRun(t, mark)
	if got := c.run(t, "logs", "p"); got != "hello\n" {
		t.Errorf("log %q", got)
	}
}

// TestKilledSupervisor: without its supervisor nobody knows how a container ends, so it is ended, and the Pod says that it isn't known.
func TestKilledSupervisor(t *testing.T) {
	t.Parallel()
	for name, serverRuns := range map[string]bool{"server runs": true, "server is down": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, mark := ownServer(t), newMark()
			c := newClient(t, s)
			c.apply(t, podManifest("p", leavesBehind(mark)))
			record := waitRunning(t, s, mark)
			if !serverRuns {
				s.kill()
			}
			if !killProcess(record.SupervisorPID, record.SupervisorStart) {
				t.Fatal("the supervisor on record doesn't run")
			}
			if !serverRuns {
				s.mustStart(t)
			}
			c.waitPhase(t, "p", "Failed")
			if got := c.podEnd(t, "p"); got != "Failed///ContainerStatusUnknown/137" {
				t.Errorf("got %s", got)
			}
			mustNotRun(t, mark)
			if got := c.run(t, "logs", "p"); got != "hello\n" {
				t.Errorf("log %q", got)
			}
		})
	}
}

// TestExitCodeWhileTheServerIsDown: a supervisor outlives the server and keeps what a container did meanwhile.
func TestExitCodeWhileTheServerIsDown(t *testing.T) {
	t.Parallel()
	s, g, d := ownServer(t), newGate(t), newDiary(t)
	c := newClient(t, s)
	c.apply(t, podManifest("p", "echo before; "+g.await()+"; echo meanwhile; echo >>"+d.path+" ended; exit 42"))
	c.waitPhase(t, "p", "Running")
	s.kill()
	g.open(t)
	eventually(t, time.Minute, func() string {
		if len(d.lines(t)) > 0 && len(runningContainers(s.dataDir)) == 0 {
			return ""
		}
		return "the container has not ended"
	})
	s.mustStart(t)
	c.waitPhase(t, "p", "Failed")
	if got := c.podEnd(t, "p"); got != "Failed///Error/42" {
		t.Errorf("got %s", got)
	}
	if got := c.run(t, "logs", "p"); got != "before\nmeanwhile\n" {
		t.Errorf("log %q", got)
	}
	if got := d.lines(t); len(got) != 1 {
		t.Errorf("the container ran %d times", len(got))
	}
}

// TestRebootLosesPods: what ran when the machine was restarted is reported as lost with it, and not run again.
func TestRebootLosesPods(t *testing.T) {
	t.Parallel()
	s, mark, d := ownServer(t), newMark(), newDiary(t)
	c := newClient(t, s)
	c.apply(t, podManifest("p", "echo >>"+d.path+" started; sleep "+mark+" & wait"))
	record := waitRunning(t, s, mark)
	// A restart ends everything at once, and gives the machine another boot ID than the one on record.
	s.kill()
	killProcess(record.SupervisorPID, record.SupervisorStart)
	killProcess(record.PID, record.Start)
	for _, pid := range processesWith(mark) {
		_ = syscall.Kill(pid, syscall.SIGKILL) // ended with the others where it fails
	}
	mustNotRun(t, mark)
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		t.Fatal(err)
	}
	records, err := filepath.Glob(filepath.Join(s.dataDir, "node", "pods", "*", "main", "*.intent"))
	if err != nil || len(records) != 1 {
		t.Fatalf("records %v, error %v", records, err)
	}
	intent, err := os.ReadFile(records[0])
	if err != nil {
		t.Fatal(err)
	}
	boot = bytes.TrimSpace(boot)
	if !bytes.Contains(intent, boot) {
		t.Fatalf("the record doesn't name the boot: %s", intent)
	}
	if err := os.WriteFile(records[0], bytes.ReplaceAll(intent, boot, []byte("5fbd8a8e-0000-4000-8000-000000000000")), 0o600); err != nil {
		t.Fatal(err)
	}
	s.mustStart(t)
	c.waitPhase(t, "p", "Failed")
	if got := c.podEnd(t, "p"); got != "Failed/NodeLost/TerminationByKubelet/NodeLost/137" {
		t.Errorf("got %s", got)
	}
	if got := d.lines(t); len(got) != 1 {
		t.Errorf("the container ran %d times", len(got))
	}
}

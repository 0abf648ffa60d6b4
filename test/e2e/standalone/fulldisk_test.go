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
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// smallDisk mounts a disk of a size at folder for as long as the test takes. It returns false where that can't be done.
func smallDisk(t *testing.T, folder, size string) bool {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Log("a small disk takes root: nothing is tested")
		return false
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size="+size); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		eventually(t, time.Minute, func() string {
			if err := syscall.Unmount(folder, 0); err != nil {
				return fmt.Sprintf("unmounting %s: %v", folder, err)
			}
			return ""
		})
	})
	return true
}

// fillDisk takes all that a small disk has left, and returns how to give it back.
func fillDisk(t *testing.T, folder string) (free func()) {
	t.Helper()
	path := filepath.Join(folder, "fill")
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var written int
	for block := make([]byte, 1<<20); err == nil; written += len(block) {
		if written > 1<<30 {
			t.Fatal("the disk is not small")
		}
		_, err = file.Write(block)
	}
	return func() {
		t.Helper()
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFullDisk fills the disk of the node's folder. Containers go on, what can't be recorded is recorded later, and what is lost is told.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "data")
	node := filepath.Join(folder, "node")
	if !smallDisk(t, node, "1m") {
		return
	}
	s, err := newServer(folder)
	if err != nil {
		t.Fatal(err)
	}
	s.mustStart(t)
	t.Cleanup(func() {
		if err := s.stopWithJobs(); err != nil {
			t.Error(err)
		}
	})
	c, full, freed := newClient(t, s), newGate(t), newGate(t)
	c.apply(t, podManifest("talks", "echo before; "+full.await()+"; i=0; while [ $i -lt 1000 ]; do echo line $i; i=$((i+1)); done; "+freed.await()+"; echo after; exit 7"))
	c.apply(t, podManifest("ends", full.await()+"; exit 8"))
	c.waitPhase(t, "talks", "Running")
	c.waitPhase(t, "ends", "Running")
	free := fillDisk(t, node)
	full.open(t)
	c.run(t, "wait", "--for=condition=DiskPressure", "--timeout=60s", "node", "--all")
	eventually(t, time.Minute, func() string {
		got := c.run(t, "get", "events", "-n", "default", "--field-selector=involvedObject.kind=Node,reason=NodeHasDiskPressure", "-o", "jsonpath={.items[*].type}")
		if got != "Normal" {
			return fmt.Sprintf("events of the Node: %q", got)
		}
		return ""
	})
	c.apply(t, podManifest("later", "true"))
	eventually(t, time.Minute, func() string {
		const want = "0/1 nodes are available: 1 node(s) had untolerated taint(s)."
		if got := c.run(t, "get", "events", "--field-selector=involvedObject.name=later,reason=FailedScheduling", "-o", "jsonpath={.items[*].message}"); got != want {
			return fmt.Sprintf("the events of the Pod that has to wait: %q", got)
		}
		return ""
	})
	if got := c.run(t, "get", "pods", "-o", "jsonpath={.items[*].status.phase}"); got != "Running Pending Running" {
		t.Errorf("with a full disk, the Pods ends, later and talks are %s", got)
	}
	free()
	freed.open(t)
	for _, name := range []string{"talks", "ends"} {
		c.waitPhase(t, name, "Failed")
	}
	c.waitPhase(t, "later", "Succeeded")
	if talks, ends := c.podEnd(t, "talks"), c.podEnd(t, "ends"); talks != "Failed///Error/7" || ends != "Failed///Error/8" {
		t.Errorf("got %s and %s", talks, ends)
	}
	log := c.run(t, "logs", "talks")
	if !strings.HasPrefix(log, "before\n") || !strings.HasSuffix(log, "after\n") || !strings.Contains(log, " lines of this log are lost: no space left on device\n") {
		t.Errorf("log %q", log)
	}
}

// saysDiskFull is what a server says that had to end because its disk is full: one sentence, without a trace of goroutines.
var saysDiskFull = regexp.MustCompile(`(?m)^apiserver: .*the disk of \S+ is full, it has \d+ KiB left.* Nothing is lost; make room and start again`)

// writeUntilEnded creates large objects until the process of a server has ended. etcd ends at its first write that the disk has no room for, and until then all goes
// on; only Pods whose states can't be recorded wait.
func (s *server) writeUntilEnded(t *testing.T, p *process) {
	t.Helper()
	large := "apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: large-}\ndata: {text: " + strings.Repeat("x", 500_000) + "}\n"
	eventually(t, time.Minute, func() string {
		if p.ended() {
			return ""
		}
		_, err := s.kubectl("", large, "create", "-f", "-", "--request-timeout=5s")
		return fmt.Sprintf("the server goes on; the last write: %v", err)
	})
}

// checkDiskFull checks how a server ended whose disk became full.
func checkDiskFull(t *testing.T, p *process) {
	t.Helper()
	if !p.endsWithin(time.Minute) {
		t.Fatalf("goes on with a full disk\n%s", p.stderr.tail())
	}
	if said := p.stderr.String(); p.exitCode() != 1 || len(saysDiskFull.FindAllString(said, -1)) != 1 || strings.Contains(said, "goroutine ") {
		t.Errorf("exit code %d, said\n%s", p.exitCode(), p.stderr.tail())
	}
}

// TestFullDiskOfEverything fills the disk that the whole data folder is on, while a Job runs: etcd can't write any more. The server says so and ends, as it does
// when it is started again on the full disk. With room, it goes on from where it was.
func TestFullDiskOfEverything(t *testing.T) {
	t.Parallel()
	disk := filepath.Join(t.TempDir(), "disk")
	if !smallDisk(t, disk, "256m") {
		return
	}
	const completions = 30
	s, err := newServer(filepath.Join(disk, "data"))
	if err != nil {
		t.Fatal(err)
	}
	s.mustStart(t)
	t.Cleanup(func() {
		if s.running == nil {
			s.mustStart(t)
		}
		if err := s.stopWithJobs(); err != nil {
			t.Error(err)
		}
	})
	c, d := newClient(t, s), newDiary(t)
	c.apply(t, indexedDiaryJob("thirty", d, "sleep 0.5; echo so much", completions, 4))
	for round := range 2 {
		reached := (round + 1) * completions / 4
		eventually(t, 2*time.Minute, func() string {
			if n := len(d.lines(t)); n < reached {
				return fmt.Sprintf("%d indexes ran, want %d before the disk is full", n, reached)
			}
			return ""
		})
		free := fillDisk(t, disk)
		running := s.running
		s.writeUntilEnded(t, running)
		s.running = nil
		checkDiskFull(t, running)
		again, err := startProcess(*apiserverPath, "", s.args()...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(again.kill)
		checkDiskFull(t, again)
		free()
		s.mustStart(t)
	}
	c.wait(t, "thirty", "Complete")
	checkCountedOnce(t, c, "thirty", d, completions)
}

// TestRunOnFullDisk: "apiserver run" on a disk that becomes full says so, ends, and leaves nothing behind, although nobody makes room.
func TestRunOnFullDisk(t *testing.T) {
	t.Parallel()
	disk := filepath.Join(t.TempDir(), "disk")
	if !smallDisk(t, disk, "256m") {
		return
	}
	mark, d, g := newMark(), newDiary(t), newGate(t)
	manifest := manifestFile(t, indexedDiaryJob("ends", d, g.await(), 4, 4)+"---\n"+jobManifest("long", "trap 'exit 0' TERM; sleep "+mark+" & wait"))
	command := exec.Command(*apiserverPath, "run", "-f", manifest)
	command.Env = append(os.Environ(), "TMPDIR="+disk)
	run, err := startCommand(command, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(run.kill)
	mustRun(t, mark)
	fillDisk(t, disk)
	g.open(t) // how these end can't be recorded
	folders, err := filepath.Glob(filepath.Join(disk, "jobserver-run-*"))
	if err != nil || len(folders) != 1 {
		t.Fatalf("folders of the run: %v, error %v", folders, err)
	}
	(&server{dataDir: folders[0]}).writeUntilEnded(t, run)
	checkDiskFull(t, run)
	mustNotRun(t, mark)
	eventually(t, time.Minute, func() string {
		if _, err := os.Lstat(folders[0]); !errors.Is(err, os.ErrNotExist) {
			return fmt.Sprintf("the folder of the run is left, error %v", err)
		}
		return ""
	})
	if left := processesUsing(folders[0]); len(left) > 0 {
		t.Errorf("processes have files of the disk open: %v", left)
	}
}

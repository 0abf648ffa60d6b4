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

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime/cgroup"
)

// limited starts a script with limits, where this machine can enforce them.
func limited(t *testing.T, f *fixture, id ID, limits cgroup.Limits, script string) {
	t.Helper()
	for _, controller := range []string{cgroup.Memory, cgroup.CPU} {
		if err := f.LimitError(controller); err != nil {
			t.Skipf("this machine enforces no limits: %v", err)
		}
	}
	if _, err := f.Prepare(t.Context(), Pod{UID: id.PodUID, Namespace: "default", Name: "test"}); err != nil {
		t.Fatal(err)
	}
	_, err := f.Process.Start(t.Context(), StartRequest{
		ID: id, Argv: []string{"sh", "-c", script}, Env: []string{"PATH=/usr/bin:/bin"}, WorkingDir: f.WorkingDir(id.PodUID), Limits: limits,
		StopSignal: syscall.SIGTERM, Grace: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
}

// cgroupsLeft lists the containers' cgroups.
func (f *fixture) cgroupsLeft() []string {
	var left []string
	for _, folder := range f.cgroups.Folders() {
		found, _ := filepath.Glob(folder + "/*_*_[0-9]")
		left = append(left, found...)
	}
	return left
}

func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	f := newFixture(t, t.TempDir())
	limits := cgroup.Limits{Memory: 32 << 20, MilliCPU: 500}
	id := ID{PodUID: "pod", Container: "greedy"}
	limited(t, f, id, limits, "exec tail /dev/zero") // which keeps all of the one line that it reads
	if got := f.waitEnded(t, id); got.ExitCode != 137 || !got.OOMKilled || got.Failure != FailureNone {
		t.Errorf("ended with %+v, want it killed for want of memory", got)
	}
	id.Container = "modest"
	limited(t, f, id, limits, "cat /proc/self/cgroup; exit 1")
	if got := f.waitEnded(t, id); got.ExitCode != 1 || got.OOMKilled {
		t.Errorf("ended with %+v, want exit code 1 of its own", got)
	}
	if log := f.log(t, id); !strings.Contains(log, "pod_modest_0") {
		t.Errorf("the container is in the cgroups %s", log)
	}
	if left := f.cgroupsLeft(); len(left) > 0 {
		t.Errorf("cgroups are left: %q", left)
	}
}

func TestExecIsInTheCgroup(t *testing.T) {
	t.Parallel()
	f := newFixture(t, t.TempDir())
	id := ID{PodUID: "pod", Container: "main"}
	limited(t, f, id, cgroup.Limits{Memory: 64 << 20, MilliCPU: 1000}, "sleep 1000")
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	code, err := f.Exec(t.Context(), id, Command{Argv: []string{"cat", "/proc/self/cgroup"}, Env: []string{"PATH=/usr/bin:/bin"}, WorkingDir: "/", Stdout: write})
	_ = write.Close()
	output := make([]byte, 4096)
	n, _ := read.Read(output)
	if err != nil || code != 0 || strings.Count(string(output[:n]), "pod_main_0") < 1 {
		t.Errorf("code %d (%v), the command was in the cgroups %s", code, err, output[:n])
	}
	supervised, err := os.ReadFile("/proc/" + strconv.Itoa(f.running(t, id).SupervisorPID) + "/cgroup")
	if err != nil || strings.Contains(string(supervised), "pod_main_0") {
		t.Errorf("the supervisor is in the cgroups %s (%v)", supervised, err)
	}
}

// What has left the command's session, and lost its ancestors, is found by its cgroup when the supervisor is killed.
func TestKilledSupervisorLeavesNobody(t *testing.T) {
	t.Parallel()
	f := newFixture(t, t.TempDir())
	id := ID{PodUID: "pod", Container: "main"}
	limited(t, f, id, cgroup.Limits{Memory: 64 << 20, MilliCPU: 1000}, daemonize+"sleep 1000")
	daemon := f.pidFrom(t, id, "daemon")
	if err := syscall.Kill(f.running(t, id).SupervisorPID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if got := f.waitEnded(t, id); got.Failure != FailureLost {
		t.Errorf("ended with %+v, want it lost", got)
	}
	if alive(daemon) {
		t.Errorf("process %d is left", daemon)
	}
	if left := f.cgroupsLeft(); len(left) > 0 {
		t.Errorf("cgroups are left: %q", left)
	}
}

func TestCgroupsOfEarlierAgents(t *testing.T) {
	t.Parallel()
	f := newFixture(t, t.TempDir())
	id := ID{PodUID: "pod", Container: "main"}
	limited(t, f, id, cgroup.Limits{Memory: 64 << 20, MilliCPU: 1000}, "sleep 1000")
	if _, err := f.cgroups.Create("gone_main_0", cgroup.Limits{Memory: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	f = restart(t, f)
	for _, left := range f.cgroupsLeft() {
		if filepath.Base(left) != "pod_main_0" {
			t.Errorf("%s is left", left)
		}
	}
	if got, ok := f.get(id); !ok || !got.Running {
		t.Errorf("found %+v (%t), want it running", got, ok)
	}
	f.Stop(id, StopOptions{Kill: true})
	f.waitEnded(t, id)
	folders := f.cgroups.Folders()
	f.Close()
	for _, folder := range folders {
		if _, err := os.Stat(folder); !os.IsNotExist(err) {
			t.Errorf("%s is left: %v", folder, err)
		}
	}
}

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
	"os"
	"os/exec"
	goruntime "runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime/cgroup"
)

// refusedEnvironment is set in a test program for which the kernel refuses clone3.
const refusedEnvironment = "TEST_CLONE3_IS_REFUSED"

// TestWithoutClone3: where the kernel won't have a child born in another cgroup, as under many a sandbox, the container is in its cgroup all the same, with its limits,
// and the supervisor isn't.
func TestWithoutClone3(t *testing.T) {
	t.Parallel()
	if os.Getenv(refusedEnvironment) != "" {
		runWithoutClone3(t)
		return
	}
	for _, errno := range refusals {
		t.Run(errno.Error(), func(t *testing.T) {
			t.Parallel()
			command := exec.Command("/proc/self/exe", "-test.run=^TestWithoutClone3$", "-test.v")
			command.Env = append(os.Environ(), refusedEnvironment+"=1")
			var output bytes.Buffer
			command.Stdout, command.Stderr = &output, &output
			failed := make(chan error)
			go func() {
				goruntime.LockOSThread() // never unlocked: the thread ends with its filter
				if err := refuseClone3(errno); err != nil {
					failed <- err
					return
				}
				failed <- command.Run()
			}()
			if err := <-failed; err != nil {
				t.Errorf("%v\n%s", err, output.String())
			} else if strings.Contains(output.String(), "--- SKIP") {
				t.Skip(output.String())
			}
		})
	}
}

func runWithoutClone3(t *testing.T) {
	if _, _, errno := syscall.Syscall(unix.SYS_CLONE3, 0, 0, 0); errno != unix.ENOSYS && errno != unix.EPERM {
		t.Fatalf("clone3 is not refused: %v", errno)
	}
	f := newFixture(t, t.TempDir())
	found := cgroup.Find(t.TempDir())
	made, err := found.Create("probe_main_0", cgroup.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if err := made.Remove(); err != nil {
		t.Error(err)
	}
	found.Clean()
	if made.Unified == "" {
		t.Skip("this machine has no cgroups of version 2 that may be written")
	}
	limits := cgroup.Limits{Memory: 32 << 20, MilliCPU: 500}
	id := ID{PodUID: "pod", Container: "main"}
	limited(t, f, id, limits, "cat /proc/self/cgroup; sleep 1000")
	waitFor(t, "the container's cgroups", func() bool { return strings.Contains(f.log(t, id), " 0::/") })
	if log := f.log(t, id); !strings.Contains(log, "/pod_main_0") || !inUnified(log, "/pod_main_0") {
		t.Errorf("the container is in the cgroups %s", log)
	}
	supervised, err := os.ReadFile("/proc/" + strconv.Itoa(f.running(t, id).SupervisorPID) + "/cgroup")
	if err != nil || strings.Contains(string(supervised), "pod_main_0") {
		t.Errorf("the supervisor is in the cgroups %s (%v)", supervised, err)
	}
	f.Stop(id, StopOptions{Kill: true})
	f.waitEnded(t, id)
	id.Container = "greedy"
	limited(t, f, id, limits, "exec tail /dev/zero")
	if got := f.waitEnded(t, id); got.ExitCode != 137 || !got.OOMKilled || got.Failure != FailureNone {
		t.Errorf("ended with %+v, want it killed for want of memory", got)
	}
	id.Container = "impossible"
	if _, err := f.Process.Start(t.Context(), StartRequest{ID: id, Argv: []string{"/dev/null"}, WorkingDir: "/"}); err != nil {
		t.Fatal(err)
	}
	if got := f.waitEnded(t, id); got.Failure != FailureStart || got.ExitCode != 126 || !strings.Contains(got.Message, "permission denied") {
		t.Errorf("what can't be run ended with %+v", got)
	}
	if left := f.cgroupsLeft(); len(left) > 0 {
		t.Errorf("cgroups are left: %q", left)
	}
}

// inUnified tells whether a log of /proc/self/cgroup has the name in the line of version 2.
func inUnified(log, name string) bool {
	for line := range strings.Lines(log) {
		if strings.Contains(line, " 0::") && strings.Contains(line, name) {
			return true
		}
	}
	return false
}

// refuseClone3 has the kernel refuse clone3 to the calling thread and its children, as sandboxes do (seccomp).
func refuseClone3(errno syscall.Errno) error {
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the number of the call
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: unix.SYS_CLONE3},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(errno)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0)
}

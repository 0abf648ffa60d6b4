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

package cgroup

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime/supervisor"
)

// hierarchy makes a folder that stands for a mounted hierarchy; files are relative to it. A real one has its files from the start, here they come with the
// first write.
func hierarchy(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// contents reads the files in a folder.
func contents(t *testing.T, folder string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, entry := range entries {
		if data, err := os.ReadFile(filepath.Join(folder, entry.Name())); err == nil {
			found[entry.Name()] = string(data)
		}
	}
	return found
}

func mountLine(root, point, kind, options string) string {
	return fmt.Sprintf("31 23 0:28 %s %s rw,relatime shared:9 - %s cgroup rw,%s\n", root, point, kind, options)
}

func TestVersion2(t *testing.T) {
	t.Parallel()
	root := hierarchy(t, map[string]string{"cgroup.controllers": "cpuset cpu io memory pids\n", "cgroup.subtree_control": "cpu memory pids\n"})
	found := find(mountLine("/", root, "cgroup2", "nsdelegate"), "0::/system.slice/jobserver.service\n", "jobserver-x")
	for _, controller := range []string{Memory, CPU} {
		if err := found.Why(controller); err != nil {
			t.Errorf("%s can't be used: %v", controller, err)
		}
	}
	made, err := found.Create("uid_main_0", Limits{Memory: 64 << 20, MilliCPU: 1500})
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(root, "jobserver-x", "uid_main_0")
	want := supervisor.Cgroup{Unified: folder, Home: []string{filepath.Join(root, "system.slice/jobserver.service")}, Memory: folder}
	if diff := cmp.Diff(want, made); diff != "" {
		t.Errorf("made something else (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"memory.max": "67108864", "memory.swap.max": "0", "memory.oom.group": "1", "cpu.max": "150000 100000"}, contents(t, folder)); diff != "" {
		t.Errorf("the limits differ (-want +got):\n%s", diff)
	}
	unlimited, err := found.Create("uid_other_0", Limits{})
	if err != nil || unlimited.Unified == "" || unlimited.Memory != "" || len(contents(t, unlimited.Unified)) != 0 {
		t.Errorf("a container without limits has %+v (%v), want a cgroup without any", unlimited, err)
	}
}

func TestVersion2HandsNothingDown(t *testing.T) {
	t.Parallel()
	// As in a container: its root has processes, so that the kernel refuses to write subtree_control. A folder refuses too.
	root := hierarchy(t, map[string]string{"cgroup.controllers": "cpu memory\n", "cgroup.subtree_control/x": ""})
	found := find(mountLine("/", root, "cgroup2", ""), "0::/\n", "jobserver-x")
	if err := found.Why(Memory); err == nil || !strings.Contains(err.Error(), "no cgroup hierarchy with the controller memory") {
		t.Errorf("why is %v", err)
	}
	made, err := found.Create("uid_main_0", Limits{Memory: 1 << 20})
	if err != nil || made.Unified == "" || made.Memory != "" {
		t.Errorf("made %+v (%v), want a cgroup without limit", made, err)
	}
}

func TestVersion1(t *testing.T) {
	t.Parallel()
	memory, cpu := hierarchy(t, map[string]string{"service/x": ""}), hierarchy(t, nil)
	mounts := mountLine("/", memory, "cgroup", "memory") + mountLine("/docker/id", cpu, "cgroup", "cpu,cpuacct")
	found := find(mounts, "4:memory:/service\n1:cpu,cpuacct:/docker/id\n0::/\n", "jobserver-x")
	made, err := found.Create("uid_main_0", Limits{Memory: 1 << 20, MilliCPU: 5})
	if err != nil {
		t.Fatal(err)
	}
	inMemory, inCPU := filepath.Join(memory, "service/jobserver-x/uid_main_0"), filepath.Join(cpu, "jobserver-x/uid_main_0")
	want := supervisor.Cgroup{Legacy: []string{inMemory, inCPU}, Home: []string{filepath.Join(memory, "service"), cpu}, Memory: inMemory}
	if diff := cmp.Diff(want, made); diff != "" {
		t.Errorf("made something else (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"memory.limit_in_bytes": "1048576", "memory.memsw.limit_in_bytes": "1048576"}, contents(t, inMemory)); diff != "" {
		t.Errorf("the limit of memory differs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "1000"}, contents(t, inCPU)); diff != "" {
		t.Errorf("the limit of CPU differs (-want +got):\n%s", diff)
	}
	if unlimited, err := found.Create("uid_other_0", Limits{}); err != nil || len(unlimited.Folders()) != 0 {
		t.Errorf("a container without limits has %+v (%v), want no cgroup", unlimited, err)
	}
}

func TestNoHierarchy(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ mounts, own, want string }{
		"none":      {"22 1 0:21 / / rw - ext4 /dev/root rw\n", "0::/\n", "no cgroup hierarchy"},
		"elsewhere": {mountLine("/docker/id", "/sys/fs/cgroup/memory", "cgroup", "memory"), "4:memory:/other\n", "is not in what is mounted"},
		"missing":   {mountLine("/", "/no/such", "cgroup", "memory"), "4:memory:/\n", "/no/such can't be written: no such file or directory"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := find(test.mounts, test.own, "jobserver-x")
			if err := found.Why(Memory); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("why is %v, want %s", err, test.want)
			}
			if made, err := found.Create("uid_main_0", Limits{Memory: 1}); err != nil || len(made.Folders()) != 0 {
				t.Errorf("made %+v (%v), want nothing", made, err)
			}
		})
	}
}

func TestSweep(t *testing.T) {
	t.Parallel()
	root := hierarchy(t, map[string]string{"cgroup.controllers": ""})
	found := find(mountLine("/", root, "cgroup2", ""), "0::/\n", "jobserver-x")
	for _, name := range []string{"uid_main_0", "uid_main_1"} {
		if _, err := found.Create(name, Limits{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := found.Sweep(func(name string) bool { return name == "uid_main_1" }); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Join(root, "jobserver-x"))
	if err != nil || len(entries) != 1 || entries[0].Name() != "uid_main_1" {
		t.Errorf("left %v (%v), want what was to be kept", entries, err)
	}
	found.Clean()
	if _, err := os.Stat(filepath.Join(root, "jobserver-x")); err != nil {
		t.Errorf("a folder with something in it was deleted: %v", err)
	}
}

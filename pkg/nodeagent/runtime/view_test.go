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
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime/supervisor"
)

// requireRoot skips a test that mounts where the user may not.
func requireRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounts need root")
	}
}

// viewTest runs a script in a view and compares what it prints.
type viewTest struct {
	// view is made for the folder of the test, where files exist: volume/file, volume/dir/inner, volume/escape -> /etc, and host/kept.
	view func(dir string) supervisor.View
	// script may use $DIR.
	script string
	// want has DIR for the folder of the test.
	want     string
	wantCode int
	// wantError is part of the message of a container that can't be set up.
	wantError string
}

func TestView(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	mounts := func(list ...supervisor.Mount) supervisor.View { return supervisor.View{Mounts: list} }
	tests := map[string]viewTest{
		"mount point that exists": {
			view: func(dir string) supervisor.View {
				return mounts(supervisor.Mount{Source: dir + "/volume", Target: dir + "/host"})
			},
			script: "ls $DIR/host | xargs; echo new > $DIR/host/written; cat $DIR/volume/written",
			want:   "dir escape file\nnew",
		},
		"mount point at the root that doesn't exist": {
			view: func(dir string) supervisor.View {
				return mounts(supervisor.Mount{Source: dir + "/volume", Target: "/jobserver-test-a/b"}, supervisor.Mount{Source: dir + "/volume/dir", Target: "/jobserver-test-c"})
			},
			script: "cat /jobserver-test-a/b/file /jobserver-test-c/inner; ls $DIR | xargs; test -e /proc/self/exe && test -c /dev/null && echo there",
			want:   "content\ninner\nhost outside volume\nthere",
		},
		"mount point in a folder of the machine that doesn't exist": {
			view: func(dir string) supervisor.View {
				return mounts(supervisor.Mount{Source: dir + "/volume", Target: dir + "/host/made/deep"}, supervisor.Mount{Source: dir + "/volume", Target: "/etc/jobserver-test"})
			},
			script: "cat $DIR/host/made/deep/file $DIR/host/kept /etc/jobserver-test/file; grep -c ^root: /etc/passwd; echo more >> $DIR/host/kept; echo private > $DIR/host/new",
			want:   "content\nkept\ncontent\n1",
		},
		"file": {
			view: func(dir string) supervisor.View {
				return mounts(supervisor.Mount{Source: dir + "/volume/file", Target: "/jobserver-test.conf"}, supervisor.Mount{Source: dir + "/volume", SubPath: "dir/inner", Target: "/etc/passwd"})
			},
			script: "cat /jobserver-test.conf /etc/passwd",
			want:   "content\ninner",
		},
		"sub path that leads out": {
			view: func(dir string) supervisor.View {
				return mounts(supervisor.Mount{Source: dir + "/volume", SubPath: "escape", Target: "/jobserver-test"})
			},
			wantError: "mount at /jobserver-test: open DIR/volume/escape: no such file or directory",
		},
		"read-only": {
			view: func(dir string) supervisor.View {
				return mounts(supervisor.Mount{Source: dir + "/volume", Target: "/jobserver-test", ReadOnly: true})
			},
			script:   "cat /jobserver-test/file; rm /jobserver-test/file 2>&1 | grep -o 'Read-only file system'; touch $DIR/volume/file && exit 3",
			want:     "content\nRead-only file system",
			wantCode: 3,
		},
		"nested": {
			view: func(dir string) supervisor.View {
				return mounts(supervisor.Mount{Source: dir + "/volume/dir", Target: "/jobserver-test/sub/point"}, supervisor.Mount{Source: dir + "/volume", Target: "/jobserver-test", Nests: true})
			},
			script: "cat /jobserver-test/file /jobserver-test/sub/point/inner; ls $DIR/volume | xargs",
			want:   "content\ninner\ndir escape file sub",
		},
		"read-only root": {
			view: func(dir string) supervisor.View {
				return supervisor.View{ReadOnlyRoot: true, Mounts: []supervisor.Mount{{Source: dir + "/volume", Target: "/jobserver-test"}, {Source: dir + "/volume", Target: dir + "/host"}}}
			},
			script: "for file in /jobserver-test/a $DIR/host/b $DIR/outside/c /etc/jobserver-test-d /jobserver-test-e /dev/null /proc/self/comm; do" +
				" if (echo x > $file) 2>/dev/null; then echo $file; fi; done",
			want: "/jobserver-test/a\nDIR/host/b\n/dev/null\n/proc/self/comm",
		},
		"folder on a file": {
			view: func(dir string) supervisor.View {
				return mounts(supervisor.Mount{Source: dir + "/volume", Target: dir + "/host/kept"})
			},
			wantError: "mount at DIR/host/kept: DIR/host/kept is not a directory, what is to be mounted on it is one",
		},
		"source that is missing": {
			view:      func(dir string) supervisor.View { return mounts(supervisor.Mount{Source: dir + "/none", Target: "/x"}) },
			wantError: "mount at /x: open DIR/none: no such file or directory",
		},
		"the root as target": {
			view: func(dir string) supervisor.View {
				return mounts(supervisor.Mount{Source: dir + "/volume", Target: "/"})
			},
			wantError: "mount at /: the root can't be a mount point",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.run(t)
		})
	}
}

func (test viewTest) run(t *testing.T) {
	dir := makeTree(t)
	before := mountCount(t)
	f := newFixture(t, t.TempDir())
	id := ID{PodUID: "pod", Container: "main"}
	ended := f.runInView(t, id, test.view(dir), "DIR="+dir, test.script)
	if test.wantError != "" {
		if want := strings.ReplaceAll(test.wantError, "DIR", dir); ended.Failure != FailureStart || ended.Message != want || ended.ExitCode != 128 {
			t.Errorf("failure %q with exit code %d: %q, want Start, 128 and %q", ended.Failure, ended.ExitCode, ended.Message, want)
		}
	} else if got, want := f.output(t, id), strings.ReplaceAll(test.want, "DIR", dir); got != want || ended.ExitCode != test.wantCode {
		t.Errorf("exit code %d %s, output:\n%s\nwant %d:\n%s", ended.ExitCode, ended.Message, got, test.wantCode, want)
	}
	if entries, err := os.ReadDir(filepath.Join(dir, "host")); err != nil || len(entries) != 1 {
		t.Errorf("the machine has %v, want kept alone (error %v)", entries, err)
	}
	for _, path := range []string{"/jobserver-test", "/jobserver-test-a", "/jobserver-test-c", "/jobserver-test.conf", "/etc/jobserver-test", "/etc/jobserver-test-d"} {
		if _, err := os.Lstat(path); err == nil {
			t.Errorf("%s was left on the machine", path)
		}
	}
	if err := f.Remove(id.PodUID); err != nil {
		t.Error(err)
	}
	if after := mountCount(t); after > before && strings.Contains(mountInfo(t), dir) {
		t.Errorf("%d mounts became %d:\n%s", before, after, mountInfo(t))
	}
}

// makeTree makes what the cases of TestView have to mount.
func makeTree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, folder := range []string{"volume/dir", "host", "outside"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for file, content := range map[string]string{"volume/file": "content\n", "volume/dir/inner": "inner\n", "host/kept": "kept\n"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/usr/bin", filepath.Join(dir, "volume/escape")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func (f *fixture) runInView(t *testing.T, id ID, view supervisor.View, variable, script string) Container {
	t.Helper()
	if _, err := f.Prepare(t.Context(), Pod{UID: id.PodUID, Namespace: "default", Name: "test"}); err != nil {
		t.Fatal(err)
	}
	_, err := f.Process.Start(t.Context(), StartRequest{
		ID: id, Argv: []string{"sh", "-c", script}, Env: []string{"PATH=/usr/bin:/bin", variable}, WorkingDir: "/",
		View: view, StopSignal: syscall.SIGTERM, Grace: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	return f.waitEnded(t, id)
}

// output is what a container printed.
func (f *fixture) output(t *testing.T, id ID) string {
	t.Helper()
	var lines []string
	for line := range strings.Lines(f.log(t, id)) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 4)
		lines = append(lines, fields[3])
	}
	return strings.Join(lines, "\n")
}

func mountInfo(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func mountCount(t *testing.T) int { return strings.Count(mountInfo(t), "\n") }

func TestRemoveUnmountsVolumes(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	f := newFixture(t, t.TempDir())
	if _, err := f.Prepare(t.Context(), Pod{UID: "pod", Namespace: "default", Name: "test"}); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(f.VolumesDir("pod"), "with blank")
	for i := range 2 {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount("tmpfs", folder, "tmpfs", 0, ""); err != nil {
			t.Fatal(err)
		}
		folder = filepath.Join(folder, fmt.Sprint("nested", i))
	}
	if err := f.Remove("pod"); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(mountInfo(t), f.VolumesDir("pod")) {
		t.Error("a mount is left")
	}
	if _, err := os.Lstat(f.podDir("pod")); !os.IsNotExist(err) {
		t.Errorf("the Pod's folder is left: %v", err)
	}
}

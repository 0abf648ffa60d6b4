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
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// mustNotStart checks that a started server ends soon, with a non-zero exit code and one line on standard error that has the
// given words.
func mustNotStart(t *testing.T, p *process, words ...string) {
	t.Helper()
	if !p.endsWithin(startTimeout) {
		p.kill()
		t.Fatalf("the server runs, want it to refuse\n%s", p.stderr.tail())
	}
	if p.exitCode() <= 0 {
		t.Errorf("exit code %d, want a positive one", p.exitCode())
	}
	said := strings.TrimSpace(p.stderr.String())
	if said == "" || strings.Contains(said, "\n") {
		t.Errorf("standard error, want one line:\n%s", p.stderr.tail())
	}
	for _, word := range words {
		if !strings.Contains(said, word) {
			t.Errorf("standard error does not name %q: %s", word, p.stderr.tail())
		}
	}
}

func mustStartProcess(t *testing.T, path string, args ...string) *process {
	t.Helper()
	p, err := startProcess(path, "", args...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestSecondServerOnTheSameFolder(t *testing.T) {
	t.Parallel()
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	p := mustStartProcess(t, *apiserverPath, "--standalone", "--data-dir", shared.dataDir, "--secure-port", strconv.Itoa(port))
	mustNotStart(t, p, "--data-dir", shared.dataDir)
	// The first one goes on, and its kubeconfig still leads to it.
	if _, err := shared.kubectl("", "", "get", "--raw", "/readyz"); err != nil {
		t.Error(err)
	}
}

func TestPortInUse(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	port := strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
	p := mustStartProcess(t, *apiserverPath, "--standalone", "--data-dir", filepath.Join(t.TempDir(), "data"), "--secure-port", port)
	mustNotStart(t, p, "--secure-port", port)
}

func TestDataFolderBelowAFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := newServer(filepath.Join(file, "data"))
	if err != nil {
		t.Fatal(err)
	}
	mustNotStart(t, mustStartProcess(t, *apiserverPath, s.args()...), "--data-dir", file)
}

// TestUnwritableDataFolder runs the server as a user who may read its data folder but not write to it. Root may write anywhere: where
// the tests run as root, the server runs as another user.
func TestUnwritableDataFolder(t *testing.T) {
	t.Parallel()
	folder, err := os.MkdirTemp("", "jobserver-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	dataDir := filepath.Join(folder, "data")
	if err := os.Mkdir(dataDir, 0o555); err != nil {
		t.Fatal(err)
	}
	s, err := newServer(dataDir)
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(folder, "apiserver")
	copyFile(t, *apiserverPath, binary)
	if err := os.Chmod(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	command := exec.Command(binary, s.args()...)
	if os.Geteuid() == 0 {
		const nobody = 65534
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	p, err := startCommand(command, "")
	if err != nil {
		t.Fatal(err)
	}
	mustNotStart(t, p, dataDir)
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	// Not by this process: what another test forks at that moment would hold the copy open for writing, and an executable that is can't be run ("text file busy").
	if said, err := exec.Command("cp", from, to).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v: %s", err, said)
	}
	if err := os.Chmod(to, 0o755); err != nil {
		t.Fatal(err)
	}
}

func TestCorruptDataFolder(t *testing.T) {
	t.Parallel()
	for name, pattern := range map[string]string{
		"etcd's write-ahead log": "*.wal",
		"etcd's database":        "db",
		"certificates":           "*.crt",
		"keys":                   "*.key",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := newServer(filepath.Join(t.TempDir(), "data"))
			if err != nil {
				t.Fatal(err)
			}
			s.mustStart(t)
			if _, err := s.stop(); err != nil {
				t.Fatal(err)
			}
			if corrupted := corrupt(t, s.dataDir, pattern); corrupted == 0 {
				t.Fatalf("the data folder has no %s", pattern)
			}
			mustNotStart(t, mustStartProcess(t, *apiserverPath, s.args()...), s.dataDir)
		})
	}
}

// corrupt overwrites the files below a folder that match a pattern with as many bytes of nonsense, and returns how many there were.
func corrupt(t *testing.T, folder, pattern string) int {
	t.Helper()
	corrupted := 0
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if matched, err := filepath.Match(pattern, entry.Name()); err != nil || !matched {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		corrupted++
		nonsense := strings.Repeat("nonsense ", int(info.Size())/9+1)[:info.Size()]
		return os.WriteFile(path, []byte(nonsense), info.Mode().Perm())
	})
	if err != nil {
		t.Fatal(err)
	}
	return corrupted
}

func TestBadFlags(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"unknown flag":     {args: []string{"--standalone", "--data-directory", "x"}, want: "--data-directory"},
		"port too high":    {args: []string{"--standalone", "--data-dir", t.TempDir(), "--secure-port", "70000"}, want: "--secure-port"},
		"no number":        {args: []string{"--standalone", "--data-dir", t.TempDir(), "--secure-port", "https"}, want: "--secure-port"},
		"unknown argument": {args: []string{"--standalone", "--data-dir", t.TempDir(), "serve-me"}, want: "serve-me"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := mustStartProcess(t, *apiserverPath, test.args...)
			if !p.endsWithin(30 * time.Second) {
				p.kill()
				t.Fatal("the server runs, want it to refuse")
			}
			if p.exitCode() <= 0 || !strings.Contains(p.stderr.String(), test.want) {
				t.Errorf("exit code %d, standard error: %s; want that it names %s", p.exitCode(), p.stderr.tail(), test.want)
			}
		})
	}
}

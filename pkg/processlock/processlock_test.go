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

package processlock

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestOneOwnerAtATime(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	first, err := Acquire(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Acquire(path)
	var held *HeldError
	if !errors.As(err, &held) || held.PID != os.Getpid() {
		t.Fatalf("a second lock: %v, want it held by process %d", err, os.Getpid())
	}
	if want := fmt.Sprintf("in use by process %d", os.Getpid()); err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
	if err := first.Release(); err != nil {
		t.Fatal(err)
	}
	again, err := Acquire(path)
	if err != nil {
		t.Fatalf("after the release: %v", err)
	}
	if err := again.Release(); err != nil {
		t.Fatal(err)
	}
}

// TestLockThatOutlivesItsOwner: what a process that was killed had just forked has the lock for a moment more.
func TestLockThatOutlivesItsOwner(t *testing.T) {
	t.Parallel()
	ended := exec.Command("true")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	for name, owner := range map[string]string{
		"a process that has ended":               fmt.Sprintf("%d 1\n", ended.Process.Pid),
		"an earlier process of our own number":   fmt.Sprintf("%d 1\n", os.Getpid()),
		"one that has not written who it is yet": "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "lock")
			inherited, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := inherited.WriteString(owner); err != nil {
				t.Fatal(err)
			}
			if err := unix.Flock(int(inherited.Fd()), unix.LOCK_EX); err != nil {
				t.Fatal(err)
			}
			acquired := make(chan error, 1)
			go func() {
				_, err := Acquire(path)
				acquired <- err
			}()
			select {
			case err := <-acquired:
				t.Fatalf("Acquire didn't wait: %v", err)
			case <-time.After(50 * time.Millisecond):
			}
			if err := inherited.Close(); err != nil {
				t.Fatal(err)
			}
			if err := <-acquired; err != nil {
				t.Error(err)
			}
		})
	}
}

// TestReleaseDespiteAFork: what was just forked has the file open too, and doesn't keep the lock.
func TestReleaseDespiteAFork(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	first, err := Acquire(path)
	if err != nil {
		t.Fatal(err)
	}
	forked, err := unix.Dup(int(first.file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(forked)
	if err := first.Release(); err != nil {
		t.Fatal(err)
	}
	again, err := Acquire(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Release(); err != nil {
		t.Fatal(err)
	}
}

func TestFileThatCannotBeMade(t *testing.T) {
	t.Parallel()
	if _, err := Acquire(filepath.Join(t.TempDir(), "missing", "lock")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want that it doesn't exist", err)
	}
}

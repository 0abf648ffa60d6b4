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
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// openTerminal makes a pseudo-terminal of 30 lines and 100 columns: what is written to the second file can be read from the first.
func openTerminal(t *testing.T) (control, terminal *os.File) {
	t.Helper()
	control, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { control.Close() })
	var unlock, number int32
	size := [4]uint16{30, 100} // rows, columns, and the pixels that nobody asks for
	ioctl(t, control, syscall.TIOCSPTLCK, unsafe.Pointer(&unlock))
	ioctl(t, control, syscall.TIOCGPTN, unsafe.Pointer(&number))
	ioctl(t, control, syscall.TIOCSWINSZ, unsafe.Pointer(&size))
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return control, terminal
}

func ioctl(t *testing.T, file *os.File, request uintptr, argument unsafe.Pointer) {
	t.Helper()
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, file.Fd(), request, uintptr(argument)); errno != 0 {
		t.Fatalf("ioctl %#x: %v", request, errno)
	}
}

// TestRunOnATerminal: bars are drawn and drawn again below the Pods' output, of several Jobs at once, and the run ends with the table.
func TestRunOnATerminal(t *testing.T) {
	t.Parallel()
	control, terminal := openTerminal(t)
	shards := jobManifest("shards", "echo a shard; sleep 1", "completions: 4", "parallelism: 2")
	failing := jobManifest("failing", "echo a failure; sleep 1; exit 1", "backoffLimit: 0")
	command := exec.Command(*apiserverPath, "run", "-f", manifestFile(t, shards+"---\n"+failing))
	command.Stdin, command.Stdout, command.Stderr = terminal, terminal, terminal
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	terminal.Close() // the command has its own; without it the reading below ends with the command

	var shown output
	done := make(chan error, 1)
	go func() {
		_, _ = io.Copy(&shown, control) // ends with an error where nobody has the terminal open any more
		done <- command.Wait()
	}()
	select {
	case <-done:
	case <-time.After(2 * time.Minute):
		_ = command.Process.Kill()
		t.Fatalf("still running\n%s", shown.tail())
	}
	if code := command.ProcessState.ExitCode(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	screen := shown.String()
	for _, want := range []string{"a shard", "a failure", "2/4 succeeded", "4/4 succeeded", "[=", "BackoffLimitExceeded", "COMPLETIONS"} {
		if !strings.Contains(screen, want) {
			t.Errorf("nothing shown says %q", want)
		}
	}
	if !strings.Contains(screen, "\x1b[") {
		t.Error("no control sequences: nothing was drawn again")
	}
	if t.Failed() {
		t.Logf("shown at last:\n%s", shown.tail())
	}
}

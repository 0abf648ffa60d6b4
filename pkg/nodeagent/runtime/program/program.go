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

// Package program has the executable that becomes the supervisors of containers. A Go program pays at its start for all that is linked into it, used or not,
// and there is a supervisor for each container: one made from the server's own executable takes half as much processor time again as one that links package
// supervisor and nothing else. "make build" therefore embeds such a small one, with the build tag embedsupervisor; without that tag the running
// executable is the program, which has to link package supervisor.
package program

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"

	"golang.org/x/sys/unix"
	"k8s.io/klog/v2"
)

// self is the running executable, even after its file was replaced.
const self = "/proc/self/exe"

// Path returns the path under which this process starts the program. It is valid as long as this process lives, and for it alone.
func Path() string { return path() }

var path = sync.OnceValue(func() string {
	if len(embedded) == 0 {
		return self
	}
	file, err := load(embedded)
	if err != nil {
		klog.Background().Error(err, "Supervisors of containers are made from the server's executable, and take more memory and time")
		return self
	}
	loaded = file
	return pathOf(file)
})

// loaded stays open.
var loaded *os.File

// pathOf is the file's path in this process' own folder: /proc/self would be the child's, where other files take the numbers.
func pathOf(file *os.File) string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), file.Fd()) }

// load puts a program into memory, where nobody can change it, nothing has to be cleaned up, and a file system that forbids programs doesn't matter. It
// tries whether it can be run: the machine may forbid that.
func load(program []byte) (*os.File, error) {
	const name = "jobserver-supervisor"
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3 there was no MFD_EXEC, and each could be run
		fd, err = unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if err != nil {
		return nil, fmt.Errorf("make a file in memory: %w", err)
	}
	file := os.NewFile(uintptr(fd), name)
	if err := fill(file, program); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	// Without the name that makes it a supervisor it ends at once, in whatever way.
	err = exec.Command(pathOf(file)).Run()
	if ended := (*exec.ExitError)(nil); err != nil && !errors.As(err, &ended) {
		return nil, errors.Join(fmt.Errorf("run a program from memory: %w", err), file.Close())
	}
	return file, nil
}

func fill(file *os.File, program []byte) error {
	if _, err := file.Write(program); err != nil {
		return fmt.Errorf("write a program into memory: %w", err)
	}
	const seals = unix.F_SEAL_WRITE | unix.F_SEAL_GROW | unix.F_SEAL_SHRINK | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(file.Fd(), unix.F_ADD_SEALS, seals); err != nil {
		return fmt.Errorf("seal a program in memory: %w", err)
	}
	return nil
}

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

package supervisor

import (
	"os"
	"strconv"
	"syscall"
	"unsafe"
)

// Numbers of linux/prctl.h and linux/wait.h. They are written here rather than imported from golang.org/x/sys/unix, whose
// import path sorts after much of what this package has to be initialised before.
const (
	prSetChildSubreaper = 36
	prSetNoNewPrivs     = 38
	prCapBoundingDrop   = 24
	waitAll             = 0
	waitExited          = 0x4
	waitNoReap          = 0x01000000
)

// closeInherited closes every descriptor from first on that was inherited: what the server's own starter left open must not
// be kept open by a supervisor, nor reach a container. Those that the Go runtime opened in this process are marked
// close-on-exec, which an inherited one can't be.
func closeInherited(first int) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return
	}
	for _, entry := range entries {
		fd, err := strconv.Atoi(entry.Name())
		if err != nil || fd < first {
			continue
		}
		flags, _, errno := syscall.RawSyscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_GETFD, 0)
		if errno == 0 && flags&syscall.FD_CLOEXEC == 0 {
			_ = syscall.Close(fd)
		}
	}
}

func prctl(option, argument uintptr) error {
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, option, argument, 0, 0, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// childInfo is the part of the kernel's siginfo_t that waitid fills in, as laid out on 64-bit machines.
type childInfo struct {
	signal, errno, code, _ int32
	pid                    int32
	_                      [108]byte
}

// waitAny blocks until some child has ended, and returns its process id without collecting it: until collect is called,
// neither that number nor its process group can be given to another process. The error is ECHILD where there is no child.
func waitAny() (int, error) {
	for {
		var info childInfo
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, waitAll, 0, uintptr(unsafe.Pointer(&info)), waitExited|waitNoReap, 0, 0)
		switch errno {
		case 0:
			return int(info.pid), nil
		case syscall.EINTR:
		default:
			return 0, errno
		}
	}
}

// collect collects a child that has ended.
func collect(pid int) (syscall.WaitStatus, error) {
	for {
		var status syscall.WaitStatus
		_, err := syscall.Wait4(pid, &status, 0, nil)
		if err != syscall.EINTR {
			return status, err
		}
	}
}

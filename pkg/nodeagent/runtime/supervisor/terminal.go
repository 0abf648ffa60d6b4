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
	"fmt"
	"os"
	"syscall"
	"unsafe"
)

// OpenTerminal makes a terminal: what is written to ours is typed on it, and what theirs, its other side, prints is read from ours. Ours reads
// an error (EIO) once nobody has the other side open any more.
func OpenTerminal() (ours, theirs *os.File, err error) {
	// O_NONBLOCK has Go's poller wait for it, and Close wake who reads.
	fd, err := syscall.Open("/dev/ptmx", syscall.O_RDWR|syscall.O_NOCTTY|syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a terminal: %w", os.NewSyscallError("open /dev/ptmx", err))
	}
	ours = os.NewFile(uintptr(fd), "/dev/ptmx")
	var locked, number int32
	err = control(ours, syscall.TIOCSPTLCK, unsafe.Pointer(&locked))
	if err == nil {
		err = control(ours, syscall.TIOCGPTN, unsafe.Pointer(&number))
	}
	if err == nil {
		theirs, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	}
	if err != nil {
		_ = ours.Close()
		return nil, nil, fmt.Errorf("make a terminal: %w", err)
	}
	return ours, theirs, nil
}

// ResizeTerminal sets the size of a terminal, in characters. The processes on it are told (SIGWINCH).
func ResizeTerminal(ours *os.File, width, height uint16) error {
	size := [4]uint16{height, width} // struct winsize: rows, columns, and two numbers of pixels
	return control(ours, syscall.TIOCSWINSZ, unsafe.Pointer(&size))
}

// control is ioctl on a file that stays with Go's poller.
func control(file *os.File, request uintptr, argument unsafe.Pointer) error {
	connection, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var errno syscall.Errno
	if err := connection.Control(func(fd uintptr) {
		_, _, errno = syscall.Syscall(syscall.SYS_IOCTL, fd, request, uintptr(argument))
	}); err != nil {
		return err
	}
	if errno != 0 {
		return os.NewSyscallError("ioctl", errno)
	}
	return nil
}

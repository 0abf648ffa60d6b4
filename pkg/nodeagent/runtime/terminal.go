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

	"golang.org/x/sys/unix"
)

// OpenTerminal makes a terminal: what is written to ours is typed on it, and what theirs, its other side, prints is read from ours. Ours reads
// an error (EIO) once nobody has the other side open any more.
func OpenTerminal() (ours, theirs *os.File, err error) {
	// O_NONBLOCK has Go's poller wait for it, and Close wake who reads.
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make a terminal: %w", os.NewSyscallError("open /dev/ptmx", err))
	}
	ours = os.NewFile(uintptr(fd), "/dev/ptmx")
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		_ = ours.Close()
		return nil, nil, fmt.Errorf("make a terminal: %w", os.NewSyscallError("unlock", err))
	}
	number, err := unix.IoctlGetUint32(fd, unix.TIOCGPTN)
	if err != nil {
		_ = ours.Close()
		return nil, nil, fmt.Errorf("make a terminal: %w", os.NewSyscallError("find the other side", err))
	}
	theirs, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		_ = ours.Close()
		return nil, nil, fmt.Errorf("make a terminal: %w", err)
	}
	return ours, theirs, nil
}

// ResizeTerminal sets the size of a terminal, in characters. The processes on it are told (SIGWINCH).
func ResizeTerminal(ours *os.File, width, height uint16) error {
	connection, err := ours.SyscallConn()
	if err != nil {
		return err
	}
	controlErr := connection.Control(func(fd uintptr) {
		err = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Col: width, Row: height})
	})
	if controlErr != nil {
		return controlErr
	}
	return err
}

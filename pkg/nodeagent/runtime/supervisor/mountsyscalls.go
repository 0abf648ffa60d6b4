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
	"runtime"
	"syscall"
	"unsafe"
)

// Numbers of system calls that package syscall is too old for; newer ones have the same number on every machine.
const (
	sysOpenTree     = 428
	sysMoveMount    = 429
	sysOpenat2      = 437
	sysMountSetattr = 442
)

// Flags of linux/fcntl.h, linux/mount.h and linux/openat2.h.
const (
	oPath              = 0x200000
	atEmptyPath        = 0x1000
	atRecursive        = 0x8000
	openTreeClone      = 1
	moveMountEmptyPath = 4
	mountAttrReadOnly  = 1
	resolveNoMagicLink = 0x02
	resolveInRoot      = 0x10
)

// atCurrent is AT_FDCWD: paths are relative to the working directory.
const atCurrent = -100

func setns(fd int) error {
	number := uintptr(268)
	switch runtime.GOARCH {
	case "amd64":
		number = 308
	case "ppc64", "ppc64le":
		number = 350
	case "s390x":
		number = 339
	}
	if _, _, errno := syscall.RawSyscall(number, uintptr(fd), syscall.CLONE_NEWNS, 0); errno != 0 {
		return os.NewSyscallError("setns", errno)
	}
	return nil
}

// openTree returns a detached copy of the mount at a path; of that of directory where the path is empty and flags have atEmptyPath.
func openTree(directory int, path string, flags uintptr) (int, error) {
	if directory < 0 {
		directory = atCurrent
	}
	name, err := syscall.BytePtrFromString(path)
	if err != nil {
		return -1, err
	}
	tree, _, errno := syscall.Syscall(sysOpenTree, uintptr(directory), uintptr(unsafe.Pointer(name)), flags|openTreeClone|syscall.O_CLOEXEC)
	if errno != 0 {
		return -1, os.NewSyscallError("open_tree", errno)
	}
	return int(tree), nil
}

// moveMount attaches a detached mount.
func moveMount(tree int, target string) error {
	empty, err := syscall.BytePtrFromString("")
	if err != nil {
		return err
	}
	name, err := syscall.BytePtrFromString(target)
	if err != nil {
		return err
	}
	current := atCurrent
	_, _, errno := syscall.Syscall6(sysMoveMount, uintptr(tree), uintptr(unsafe.Pointer(empty)), uintptr(current), uintptr(unsafe.Pointer(name)), moveMountEmptyPath, 0)
	if errno != 0 {
		return &os.PathError{Op: "move_mount", Path: target, Err: errno}
	}
	return nil
}

// mountAttr is the kernel's struct mount_attr.
type mountAttr struct{ set, clear, propagation, userNamespace uint64 }

func mountSetattr(directory int, path string, flags uintptr, attr mountAttr) error {
	if directory < 0 {
		directory = atCurrent
	}
	name, err := syscall.BytePtrFromString(path)
	if err != nil {
		return err
	}
	_, _, errno := syscall.Syscall6(sysMountSetattr, uintptr(directory), uintptr(unsafe.Pointer(name)), flags, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0)
	if errno != 0 {
		return os.NewSyscallError("mount_setattr", errno)
	}
	return nil
}

// openInRoot opens a path for its place only (O_PATH), with the directory as its root: neither .. nor a symbolic link leads out of it.
func openInRoot(directory int, path string) (int, error) {
	name, err := syscall.BytePtrFromString(path)
	if err != nil {
		return -1, err
	}
	how := struct{ flags, mode, resolve uint64 }{oPath | syscall.O_CLOEXEC, 0, resolveInRoot | resolveNoMagicLink}
	for {
		fd, _, errno := syscall.Syscall6(sysOpenat2, uintptr(directory), uintptr(unsafe.Pointer(name)), uintptr(unsafe.Pointer(&how)), unsafe.Sizeof(how), 0, 0)
		switch errno {
		case 0:
			return int(fd), nil
		case syscall.EAGAIN, syscall.EINTR: // something was renamed meanwhile
		default:
			return -1, errno
		}
	}
}

func isDirectory(fd int) (bool, error) {
	var stat syscall.Stat_t
	if err := syscall.Fstat(fd, &stat); err != nil {
		return false, os.NewSyscallError("fstat", err)
	}
	return stat.Mode&syscall.S_IFMT == syscall.S_IFDIR, nil
}

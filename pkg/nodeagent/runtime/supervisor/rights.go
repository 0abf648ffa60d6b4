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
)

// Rights are whose rights a command has, and which. The zero Rights are the supervisor's own.
type Rights struct {
	// User is whom the command runs as; nil: as the supervisor. To set one takes the rights to (CAP_SETUID, CAP_SETGID).
	User *User `json:",omitempty"`
	// NoNewPrivileges keeps set-user-id programs from gaining rights.
	NoNewPrivileges bool `json:",omitempty"`
	// DropCapabilities holds a bit for each capability, by its number, that neither the command nor anything that it starts will ever have.
	DropCapabilities uint64 `json:",omitempty"`
}

// User is a user with its groups.
type User struct {
	UID, GID uint32
	// Groups are all supplementary groups.
	Groups []uint32
}

// credential is the user for the kernel; nil: no change.
func (r *Rights) credential() *syscall.Credential {
	if r.User == nil {
		return nil
	}
	return &syscall.Credential{Uid: r.User.UID, Gid: r.User.GID, Groups: r.User.Groups}
}

// limit takes from the calling thread what its children are not to have. It keeps what it needs itself: the limits work on what is executed.
func (r *Rights) limit() error {
	for number := range uintptr(64) {
		if r.DropCapabilities&(1<<number) == 0 {
			continue
		}
		if err := prctl(prCapBoundingDrop, number); err != nil && err != syscall.EINVAL { // EINVAL: the kernel doesn't know it
			return fmt.Errorf("drop capability %d: %w", number, err)
		}
	}
	if r.NoNewPrivileges {
		if err := prctl(prSetNoNewPrivs, 1); err != nil {
			return fmt.Errorf("allowPrivilegeEscalation: false: %w", err)
		}
	}
	return nil
}

// giveFiles gives pipes and terminals to the user, who could otherwise not open /dev/stdout and the like. Other files belong to others.
func (r *Rights) giveFiles(files ...*os.File) {
	if r.User == nil {
		return
	}
	for _, file := range files {
		var stat syscall.Stat_t
		if err := syscall.Fstat(int(file.Fd()), &stat); err != nil {
			continue
		}
		isTerminal := stat.Mode&syscall.S_IFMT == syscall.S_IFCHR && stat.Rdev>>8 >= unix98Terminals && stat.Rdev>>8 < unix98Terminals+8
		if stat.Mode&syscall.S_IFMT == syscall.S_IFIFO || isTerminal {
			// Failing costs the command its second way to a file that it has open already.
			_ = syscall.Fchown(int(file.Fd()), int(r.User.UID), -1)
		}
	}
}

// unix98Terminals is the first of the eight major device numbers of pseudo terminals' slaves (Documentation/admin-guide/devices.txt).
const unix98Terminals = 136

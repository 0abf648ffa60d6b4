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
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
)

// maxSkeleton bounds the entries of a folder that is shown in pieces: each costs a mount.
const maxSkeleton = 5000

// skeleton is a file system in memory that stands in for a folder of the machine, with the folder's entries mounted in it one by one: mount points
// can be made in it that the folder doesn't have.
type skeleton struct {
	path   string
	device uint64
}

// allowEntries sees to it that mount points can be made in the folder, unseen by the machine.
func (p *privateView) allowEntries(folder string) error {
	info, err := os.Stat(folder)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return &os.PathError{Op: "mkdir", Path: folder, Err: syscall.ENOTDIR}
	}
	device := info.Sys().(*syscall.Stat_t).Dev
	if slices.ContainsFunc(p.skeletons, func(s skeleton) bool { return s.device == device }) {
		return nil
	}
	if mount := p.covering(folder, resolve); mount != nil && mount.Nests {
		return nil
	}
	made, err := p.makeSkeleton(folder, info)
	if err != nil {
		return fmt.Errorf("make mount points possible in %s: %w", folder, err)
	}
	p.skeletons = append(p.skeletons, made)
	return nil
}

// makeSkeleton puts a skeleton in the place of the folder.
func (p *privateView) makeSkeleton(folder string, info os.FileInfo) (skeleton, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return skeleton{}, err
	}
	if len(entries) > maxSkeleton {
		return skeleton{}, fmt.Errorf("it has %d entries, more than %d: make the mount point on the machine", len(entries), maxSkeleton)
	}
	owner := info.Sys().(*syscall.Stat_t)
	options := fmt.Sprintf("mode=%o,uid=%d,gid=%d", owner.Mode&0o7777, owner.Uid, owner.Gid)
	if err := syscall.Mount("tmpfs", p.Staging, "tmpfs", 0, options); err != nil {
		return skeleton{}, err
	}
	// The staging folder lies in one of the entries, which is mounted in it in turn: unbindable ends that there.
	if err := syscall.Mount("", p.Staging, "", syscall.MS_UNBINDABLE, ""); err != nil {
		return skeleton{}, err
	}
	for _, entry := range entries {
		if err := copyEntry(join(folder, entry.Name()), join(p.Staging, entry.Name()), entry); err != nil {
			return skeleton{}, err
		}
	}
	if err := syscall.Mount("", p.Staging, "", syscall.MS_PRIVATE, ""); err != nil {
		return skeleton{}, err
	}
	if folder == "/" {
		err = pivotRoot(p.Staging)
	} else {
		err = syscall.Mount(p.Staging, folder, "", syscall.MS_MOVE, "")
	}
	if err != nil {
		return skeleton{}, err
	}
	var made syscall.Stat_t
	if err := syscall.Stat(folder, &made); err != nil {
		return skeleton{}, err
	}
	return skeleton{folder, made.Dev}, nil
}

// copyEntry shows one entry of a folder in the skeleton. One that has gone meanwhile is left out.
func copyEntry(from, to string, entry os.DirEntry) error {
	if entry.Type()&os.ModeSymlink != 0 {
		link, err := os.Readlink(from)
		if err != nil {
			return ignoreMissing(err)
		}
		return os.Symlink(link, to)
	}
	var err error
	if entry.IsDir() {
		err = os.Mkdir(to, 0o755)
	} else {
		err = os.WriteFile(to, nil, 0o600)
	}
	if err != nil {
		return err
	}
	if err := syscall.Mount(from, to, "", syscall.MS_BIND|syscall.MS_REC, ""); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return os.Remove(to)
		}
		return &os.PathError{Op: "mount", Path: from, Err: err}
	}
	return nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// pivotRoot makes the folder the root, and drops the old one.
func pivotRoot(folder string) error {
	if err := syscall.Chdir(folder); err != nil {
		return err
	}
	// Both arguments may be the same: the old root is then stacked on the new one.
	if err := syscall.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := syscall.Unmount(".", syscall.MNT_DETACH); err != nil {
		return fmt.Errorf("drop the old root: %w", err)
	}
	return syscall.Chdir("/")
}

// finishRoot makes the skeletons as read-only as what they stand for.
func (p *privateView) finishRoot() error {
	if !p.ReadOnlyRoot {
		return nil
	}
	for _, made := range p.skeletons {
		if err := mountSetattr(-1, made.path, 0, mountAttr{set: mountAttrReadOnly}); err != nil {
			return fmt.Errorf("make %s read-only: %w", made.path, err)
		}
	}
	return nil
}

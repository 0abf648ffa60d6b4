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

package volumes

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// makeEmptyDir makes an emptyDir volume, once. One in memory is mounted on the machine, as with a kubelet: it outlives the containers, and the server.
func (s *Set) makeEmptyDir(volume *corev1.Volume) error {
	path := s.Path(volume)
	inMemory := volume.EmptyDir != nil && volume.EmptyDir.Medium == corev1.StorageMediumMemory
	if !inMemory {
		if info, err := os.Stat(path); err == nil && info.IsDir() && info.Mode().Perm() == 0o777 {
			return nil
		}
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return fmt.Errorf("make folder of volume: %w", err)
	}
	if inMemory {
		mounted, err := isMountPoint(path)
		if err != nil || mounted {
			return err
		}
		size := memorySize(volume.EmptyDir.SizeLimit, s.Memory)
		if err := unix.Mount("tmpfs", path, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, fmt.Sprintf("size=%d,mode=0777", size)); err != nil {
			return fmt.Errorf("mount tmpfs: %w", err)
		}
	}
	if group := fsGroup(s.Pod); group != nil {
		if err := giveToGroup(path, *group, groupReadWrite); err != nil {
			return fmt.Errorf("give the volume to fsGroup %d: %w", *group, err)
		}
	}
	// The mode comes last: with it the volume counts as made.
	mode := os.FileMode(0o777)
	if fsGroup(s.Pod) != nil {
		mode |= os.ModeSetgid
	}
	if err := os.Chmod(path, mode); err != nil {
		return fmt.Errorf("make folder of volume: %w", err)
	}
	return nil
}

// memorySize is the size of a volume in memory, in bytes: its limit, where it is lower than what the Pod may have.
func memorySize(limit *resource.Quantity, most resource.Quantity) int64 {
	if limit != nil && limit.Sign() > 0 && (most.IsZero() || limit.Cmp(most) < 0) {
		return limit.Value()
	}
	return most.Value()
}

// isMountPoint tells whether a file system is mounted on the folder.
func isMountPoint(path string) (bool, error) {
	var own, parent syscall.Stat_t
	if err := syscall.Lstat(path, &own); err != nil {
		return false, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	if err := syscall.Lstat(filepath.Dir(path), &parent); err != nil {
		return false, &os.PathError{Op: "stat", Path: filepath.Dir(path), Err: err}
	}
	return own.Dev != parent.Dev, nil
}

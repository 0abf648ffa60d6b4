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
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	corev1 "k8s.io/api/core/v1"
)

// HasSizeLimit tells whether a volume of the Pod on disk has a limit. In memory, the file system itself has one.
func HasSizeLimit(pod *corev1.Pod) bool {
	for i := range pod.Spec.Volumes {
		if limitedOnDisk(&pod.Spec.Volumes[i]) {
			return true
		}
	}
	return false
}

func limitedOnDisk(volume *corev1.Volume) bool {
	source := volume.EmptyDir
	return source != nil && source.Medium == corev1.StorageMediumDefault && source.SizeLimit != nil && source.SizeLimit.Sign() > 0
}

// Excess says, in a kubelet's words, which volume on disk takes more than its limit; empty: none.
func (s *Set) Excess() (string, error) {
	for i := range s.Pod.Spec.Volumes {
		volume := &s.Pod.Spec.Volumes[i]
		if !limitedOnDisk(volume) {
			continue
		}
		used, err := usage(s.Path(volume))
		if err != nil {
			return "", &Error{Volume: volume.Name, Err: err}
		}
		if limit := volume.EmptyDir.SizeLimit; used > limit.Value() {
			return fmt.Sprintf("Usage of EmptyDir volume %q exceeds the limit %q. ", volume.Name, limit), nil
		}
	}
	return "", nil
}

// usage is what a tree takes on disk, in bytes; a file of several names counts once. What vanishes meanwhile doesn't count.
func usage(root string) (int64, error) {
	type inode struct{ device, number uint64 }
	seen := map[inode]bool{}
	var total int64
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		stat := info.Sys().(*syscall.Stat_t)
		if stat.Nlink > 1 && !entry.IsDir() {
			if seen[inode{stat.Dev, stat.Ino}] {
				return nil
			}
			seen[inode{stat.Dev, stat.Ino}] = true
		}
		total += stat.Blocks * 512
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("measure the volume: %w", err)
	}
	return total, nil
}

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
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime/supervisor"
)

// Mounts turns the volumeMounts of a container into mounts of its view of the machine's files, and makes the sub paths that don't exist.
// expand expands the variables of a subPathExpr and returns the names of those without a value. The volumes must have been set up. Errors are those
// with which a kubelet explains CreateContainerConfigError.
func (s *Set) Mounts(container *corev1.Container, expand func(string) (expanded string, missing []string)) ([]supervisor.Mount, error) {
	var mounts []supervisor.Mount
	for i := range container.VolumeMounts {
		wanted := &container.VolumeMounts[i]
		at := slices.IndexFunc(s.Pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == wanted.Name })
		if at < 0 {
			return nil, fmt.Errorf("volume %q of volumeMount %s is not one of the Pod's", wanted.Name, wanted.MountPath)
		}
		volume := &s.Pod.Spec.Volumes[at]
		subPath, err := subPathOf(wanted, expand)
		if err != nil {
			return nil, err
		}
		mount := supervisor.Mount{
			Source: s.Path(volume), SubPath: subPath, Target: wanted.MountPath,
			ReadOnly:          wanted.ReadOnly || isContent(volume),
			RecursiveReadOnly: wanted.ReadOnly && wanted.RecursiveReadOnly != nil && *wanted.RecursiveReadOnly != corev1.RecursiveReadOnlyDisabled,
			Follow:            wanted.MountPropagation != nil && *wanted.MountPropagation == corev1.MountPropagationHostToContainer,
			Nests:             volume.HostPath == nil && !isContent(volume) && !wanted.ReadOnly,
		}
		if !filepath.IsAbs(mount.Target) {
			mount.Target = "/" + mount.Target // as a kubelet does
		}
		if subPath != "" {
			if err := makeSubPath(mount.Source, subPath); err != nil {
				return nil, fmt.Errorf("failed to create subPath directory for volumeMount %q of container %q: %w", wanted.Name, container.Name, err)
			}
		}
		mounts = append(mounts, mount)
	}
	return mounts, nil
}

// subPathOf is the path within the volume that is mounted, or nothing.
func subPathOf(mount *corev1.VolumeMount, expand func(string) (string, []string)) (string, error) {
	path := mount.SubPath
	if mount.SubPathExpr != "" {
		expanded, missing := expand(mount.SubPathExpr)
		if len(missing) > 0 {
			return "", fmt.Errorf("missing value for %s", strings.Join(missing, ", "))
		}
		path = expanded
	}
	if filepath.IsAbs(path) {
		return "", fmt.Errorf("error SubPath `%s` must not be an absolute path", path)
	}
	if slices.Contains(strings.Split(path, "/"), "..") {
		return "", fmt.Errorf("unable to provision SubPath `%s`: must not contain '..'", path)
	}
	return path, nil
}

// makeSubPath makes the folders of a path in a volume that don't exist, with the mode of the volume's own. No symbolic link leads out of the
// volume: containers, which write in it, could otherwise have folders made and mounted that aren't theirs.
func makeSubPath(volume, path string) error {
	root, err := unix.Open(volume, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: volume, Err: err}
	}
	defer unix.Close(root)
	if found, err := openBelow(root, path); err == nil {
		return unix.Close(found)
	} else if !errors.Is(err, unix.ENOENT) {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	info, err := os.Stat(volume)
	if err != nil {
		return err
	}
	parent := root
	defer func() {
		if parent != root {
			_ = unix.Close(parent)
		}
	}()
	done := ""
	for name := range strings.SplitSeq(filepath.Clean(path), "/") {
		done = filepath.Join(done, name)
		next, err := openBelow(root, done)
		if errors.Is(err, unix.ENOENT) {
			if err = makeFolder(parent, name, info.Mode().Perm()); err == nil {
				next, err = openBelow(root, done)
			}
		}
		if err != nil {
			return &os.PathError{Op: "mkdir", Path: done, Err: err}
		}
		if parent != root {
			_ = unix.Close(parent)
		}
		parent = next
	}
	return nil
}

// makeFolder makes a folder with the mode, whatever the umask.
func makeFolder(parent int, name string, mode os.FileMode) error {
	if err := unix.Mkdirat(parent, name, uint32(mode)); err != nil {
		return err
	}
	return unix.Fchmodat(parent, name, uint32(mode), 0)
}

// openBelow opens a path for its place only, with root as its root.
func openBelow(root int, path string) (int, error) {
	for {
		found, err := unix.Openat2(root, path, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS})
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
			return found, err
		}
	}
}

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
	"slices"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	envutil "k8s.io/kubernetes/pkg/kubelet/util/env"
)

// FileKey reads a variable from a file in a volume, which the Pod's containers have written. The value is empty where the file doesn't set it, or sets it to nothing.
// The errors are a kubelet's, with the cause: of a file that isn't there too, even where the reference is optional.
func (s *Set) FileKey(from *corev1.FileKeySelector) (string, error) {
	at := slices.IndexFunc(s.Pod.Spec.Volumes, func(volume corev1.Volume) bool { return volume.Name == from.VolumeName })
	if at < 0 {
		return "", fmt.Errorf("cannot find the volume %q referenced by FileKeyRef", from.VolumeName)
	}
	// What a container has written may lead anywhere: no link leads out of the volume, and nothing is waited for.
	root, err := unix.Open(s.Path(&s.Pod.Spec.Volumes[at]), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", badEnvFile(err)
	}
	defer unix.Close(root)
	how := &unix.OpenHow{Flags: unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	file, err := unix.Openat2(root, from.Path, how)
	if err != nil {
		return "", badEnvFile(fmt.Errorf("open %s: %w", from.Path, err))
	}
	defer unix.Close(file)
	var stat unix.Stat_t
	if err := unix.Fstat(file, &stat); err != nil {
		return "", badEnvFile(err)
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFREG {
		return "", badEnvFile(fmt.Errorf("%s is not a file", from.Path))
	}
	value, err := envutil.ParseEnv(fmt.Sprintf("/proc/self/fd/%d", file), from.Key)
	if err != nil {
		return "", badEnvFile(err)
	}
	return value, nil
}

func badEnvFile(err error) error { return fmt.Errorf("couldn't parse env file: %w", err) }

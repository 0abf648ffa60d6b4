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

	corev1 "k8s.io/api/core/v1"
)

// checkHostPath checks that the machine has what the volume names, and makes it where the type says so. A path without type that doesn't exist
// becomes a folder, which is what container runtimes do with it.
func checkHostPath(source *corev1.HostPathVolumeSource) error {
	kind := corev1.HostPathUnset
	if source.Type != nil {
		kind = *source.Type
	}
	info, err := os.Stat(source.Path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	found := hostPathType(info)
	switch kind {
	case corev1.HostPathUnset, corev1.HostPathDirectoryOrCreate:
		if info == nil {
			return os.MkdirAll(source.Path, 0o755)
		}
		if kind == corev1.HostPathUnset {
			return nil
		}
		return compareTypes(source.Path, corev1.HostPathDirectory, found)
	case corev1.HostPathFileOrCreate:
		if info == nil {
			return makeFile(source.Path)
		}
		return compareTypes(source.Path, corev1.HostPathFile, found)
	case corev1.HostPathDirectory, corev1.HostPathFile, corev1.HostPathSocket, corev1.HostPathCharDev, corev1.HostPathBlockDev:
		return compareTypes(source.Path, kind, found)
	}
	return fmt.Errorf("%s is an invalid volume type", kind)
}

// hostPathType is the type of what is at a path; empty where there is nothing, or nothing that has a type.
func hostPathType(info fs.FileInfo) corev1.HostPathType {
	switch {
	case info == nil:
		return corev1.HostPathUnset
	case info.IsDir():
		return corev1.HostPathDirectory
	case info.Mode().IsRegular():
		return corev1.HostPathFile
	case info.Mode()&fs.ModeSocket != 0:
		return corev1.HostPathSocket
	case info.Mode()&fs.ModeCharDevice != 0:
		return corev1.HostPathCharDev
	case info.Mode()&fs.ModeDevice != 0:
		return corev1.HostPathBlockDev
	}
	return corev1.HostPathUnset
}

func compareTypes(path string, wanted, found corev1.HostPathType) error {
	names := map[corev1.HostPathType]string{
		corev1.HostPathDirectory: "directory", corev1.HostPathFile: "file", corev1.HostPathSocket: "socket file",
		corev1.HostPathCharDev: "character device", corev1.HostPathBlockDev: "block device",
	}
	if wanted != found {
		return fmt.Errorf("hostPath type check failed: %s is not a %s", path, names[wanted])
	}
	return nil
}

// makeFile makes an empty file, but not the folder that it is in.
func makeFile(path string) error {
	file, err := os.OpenFile(filepath.Clean(path), os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return file.Close()
}

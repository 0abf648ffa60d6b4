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
	"syscall"
)

// mountPoint returns the target without symbolic links, made where it didn't exist.
func (p *privateView) mountPoint(target string, isDir bool) (string, error) {
	existing, missing, err := splitExisting(target)
	if err != nil {
		return "", err
	}
	if len(missing) == 0 {
		switch info, err := os.Stat(existing); {
		case err != nil:
			return "", err
		case info.IsDir() && !isDir:
			return "", fmt.Errorf("%s is a directory, what is to be mounted on it is none", existing)
		case !info.IsDir() && isDir:
			return "", fmt.Errorf("%s is not a directory, what is to be mounted on it is one", existing)
		}
		return existing, nil
	}
	if err := p.allowEntries(existing); err != nil {
		return "", err
	}
	path := existing
	for i, name := range missing {
		path = join(path, name)
		if i < len(missing)-1 || isDir {
			err = os.Mkdir(path, 0o755)
		} else {
			err = os.WriteFile(path, nil, 0o644)
		}
		if err != nil {
			return "", fmt.Errorf("make mount point: %w", err)
		}
	}
	return path, nil
}

// splitExisting returns the longest part of the path that exists, without symbolic links, and the names that follow it.
func splitExisting(path string) (existing string, missing []string, err error) {
	for {
		existing, err = resolve(path)
		if err == nil {
			return existing, missing, nil
		}
		if !errors.Is(err, os.ErrNotExist) || path == "/" {
			return "", nil, err
		}
		missing = append([]string{base(path)}, missing...)
		path = dir(path)
	}
}

// resolve returns the path without symbolic links. (filepath.EvalSymlinks does too: see paths.go.)
func resolve(path string) (string, error) {
	fd, err := syscall.Open(path, oPath|syscall.O_CLOEXEC, 0)
	if err != nil {
		return "", &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer syscall.Close(fd)
	return os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
}

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
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A volume with content is laid out as a kubelet does, which programs that watch such volumes rely on:
//
//	..2026_11_25_01_40_20.123456789/key   the files
//	..data -> ..2026_11_25_01_40_20.123456789
//	key -> ..data/key
//
// An update writes a new folder and then replaces ..data, in one step.
const (
	dataLink    = "..data"
	newDataLink = "..data_tmp"
)

// writeAtomically makes the folder show the files, and no others. Where it does already, nothing is written. group, where it isn't nil, may read them.
func writeAtomically(folder string, wanted files, group *int64) error {
	for path := range wanted {
		if err := checkPath(path); err != nil {
			return err
		}
	}
	current, err := os.Readlink(filepath.Join(folder, dataLink))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the volume: %w", err)
	}
	if current == "" || !shows(filepath.Join(folder, current), wanted) {
		if current, err = replaceData(folder, wanted, group); err != nil {
			return fmt.Errorf("write the volume: %w", err)
		}
	}
	if err := linkFiles(folder, wanted); err != nil {
		return fmt.Errorf("write the volume: %w", err)
	}
	// What an earlier update left, finished or not.
	return removeOthers(folder, current, wanted)
}

// checkPath refuses paths that would lead out of the volume or be taken for its own files. The API server's validation does too.
func checkPath(path string) error {
	if path == "" || filepath.IsAbs(path) || strings.HasPrefix(path, "..") {
		return fmt.Errorf("invalid path %q: it must be relative and not start with '..'", path)
	}
	for part := range strings.SplitSeq(path, "/") {
		if part == ".." {
			return fmt.Errorf("invalid path %q: it must not contain '..'", path)
		}
	}
	return nil
}

// shows tells whether the folder holds exactly the files.
func shows(folder string, wanted files) bool {
	found := 0
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		want, ok := wanted[name]
		if !ok {
			return fs.ErrNotExist
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if !bytes.Equal(data, want.data) {
			return fs.ErrNotExist
		}
		found++
		return nil
	})
	return err == nil && found == len(wanted)
}

// replaceData writes the files into a new folder and makes it the one that is shown. It returns the folder's name.
func replaceData(folder string, wanted files, group *int64) (name string, err error) {
	made, err := os.MkdirTemp(folder, time.Now().UTC().Format("..2006_01_02_15_04_05."))
	if err != nil {
		return "", err
	}
	if err := os.Chmod(made, 0o755); err != nil {
		return "", err
	}
	for path, file := range wanted {
		if err := writeFile(filepath.Join(made, path), file); err != nil {
			return "", err
		}
	}
	if group != nil {
		if err := giveToGroup(made, *group, groupRead); err != nil {
			return "", err
		}
	}
	next := filepath.Join(folder, newDataLink)
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if err := os.Symlink(filepath.Base(made), next); err != nil {
		return "", err
	}
	return filepath.Base(made), os.Rename(next, filepath.Join(folder, dataLink))
}

// writeFile makes a file with its mode, whatever the umask.
func writeFile(path string, file file) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path, file.data, 0o600); err != nil {
		return err
	}
	if file.owner != nil {
		if err := os.Chown(path, int(*file.owner), -1); err != nil {
			return err
		}
	}
	return os.Chmod(path, file.mode)
}

// linkFiles makes the links that are missing, one for each file or folder at the top.
func linkFiles(folder string, wanted files) error {
	for path := range wanted {
		top, _, _ := strings.Cut(path, "/")
		err := os.Symlink(filepath.Join(dataLink, top), filepath.Join(folder, top))
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// removeOthers deletes what the folder holds beside the data shown and the links to it.
func removeOthers(folder, current string, wanted files) error {
	keep := map[string]bool{dataLink: true, current: true}
	for path := range wanted {
		top, _, _ := strings.Cut(path, "/")
		keep[top] = true
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return fmt.Errorf("clean up the volume: %w", err)
	}
	for _, entry := range entries {
		if keep[entry.Name()] {
			continue
		}
		// Only what was written here: a folder may be the mount point of another volume.
		isLink := entry.Type()&fs.ModeSymlink != 0
		if !isLink && !strings.HasPrefix(entry.Name(), "..") {
			continue
		}
		if err := os.RemoveAll(filepath.Join(folder, entry.Name())); err != nil {
			return fmt.Errorf("clean up the volume: %w", err)
		}
	}
	return nil
}

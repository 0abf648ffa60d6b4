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

package runtime

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime/supervisor"
)

// usualMessagePath is Kubernetes' default. Nearly every container has it, and nearly no machine has a file there. One is therefore made on the machine, once: to
// let each container have a copy of /dev in pieces with the file in it would take milliseconds and hundreds of mounts.
const usualMessagePath = "/dev/termination-log"

// messageMount makes the file for an attempt's termination message, and returns how the attempt sees it. Where the machine won't have the mount point of the
// usual path, there is none: whoever chose that path didn't choose it for here.
func (p *Process) messageMount(request StartRequest) ([]supervisor.Mount, error) {
	target := filepath.Clean(request.MessagePath)
	if target == usualMessagePath && !makeMessagePoint() {
		return nil, nil
	}
	path := p.path(request.ID, supervisor.SuffixMessage)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make container folder: %w", err)
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make file for the termination message: %w", err)
	}
	// For every user that the container may run as; the folders above it are closed.
	if err := errors.Join(file.Chmod(0o666), file.Close()); err != nil {
		return nil, fmt.Errorf("make file for the termination message: %w", err)
	}
	return []supervisor.Mount{{Source: path, Target: target}}, nil
}

// makeMessagePoint sees to it that there is a file at the usual path, and tells whether there is.
func makeMessagePoint() bool {
	info, err := os.Lstat(usualMessagePath)
	if err == nil {
		return info.Mode().IsRegular()
	}
	file, err := os.OpenFile(usualMessagePath, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return errors.Is(err, os.ErrExist)
	}
	return file.Close() == nil
}

// Message implements Runtime.
func (p *Process) Message(id ID, limit int64) (string, error) {
	file, err := os.Open(p.path(id, supervisor.SuffixMessage))
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the termination message: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return "", fmt.Errorf("read the termination message: %w", err)
	}
	text := &strings.Builder{}
	if _, err := io.Copy(text, io.NewSectionReader(file, max(0, info.Size()-limit), limit)); err != nil {
		return "", fmt.Errorf("read the termination message: %w", err)
	}
	return text.String(), nil
}

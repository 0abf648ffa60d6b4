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
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime/cgroup"
	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime/supervisor"
)

// StartCleaner starts a process that deletes the folder once this one is gone, even by SIGKILL, and no container of the root folder
// node, a folder in it, runs any more. Deleting it earlier is fine. executable links this package; empty: the running one. The
// file must be kept open as long as this process needs the folder.
func StartCleaner(executable, folder, node string) (*os.File, error) {
	if executable == "" {
		executable = "/proc/self/exe"
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start cleaner: %w", err)
	}
	defer read.Close()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		_ = write.Close()
		return nil, fmt.Errorf("start cleaner: %w", err)
	}
	defer null.Close()
	pods := filepath.Join(node, podsFolder)
	arguments := append([]string{supervisor.CleanerMarker, folder, pods}, cgroup.Find(filepath.Join(folder, node)).Folders()...)
	_, err = syscall.ForkExec(executable, arguments, &syscall.ProcAttr{
		Dir: "/", Env: supervisor.Environment(), Files: []uintptr{read.Fd(), null.Fd(), null.Fd()},
		// What kills this process's group or ends its terminal must not reach it.
		Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		_ = write.Close()
		return nil, fmt.Errorf("start cleaner: %w", err)
	}
	return write, nil
}

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
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime/supervisor"
)

// LogFile is one file of a log.
type LogFile struct {
	// Attempt and Number are those of the attempt, and of the file in its log, from 0.
	Attempt, Number int
	Path            string
}

// LogFiles implements Runtime.
func (p *Process) LogFiles(id ID) ([]LogFile, error) {
	all, err := p.logFiles(id.PodUID, id.Container)
	return slices.DeleteFunc(all, func(file LogFile) bool { return file.Attempt != id.Attempt }), err
}

// Attempts implements Runtime.
func (p *Process) Attempts(podUID types.UID, container string) ([]int, error) {
	files, err := p.logFiles(podUID, container)
	var numbers []int
	for _, file := range files {
		numbers = append(numbers, file.Attempt)
	}
	return slices.Compact(numbers), err
}

// logFiles lists the files of all logs of a container, in the order of their being written.
func (p *Process) logFiles(podUID types.UID, container string) ([]LogFile, error) {
	dir := filepath.Join(p.podDir(podUID), container)
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("list logs: %w", err)
	}
	var files []LogFile
	for _, entry := range entries {
		// ATTEMPT.log or ATTEMPT.log.NUMBER
		before, after, found := strings.Cut(entry.Name(), supervisor.SuffixLog)
		attempt, err := strconv.Atoi(before)
		if !found || err != nil {
			continue
		}
		number := 0
		if after != "" {
			if number, err = strconv.Atoi(strings.TrimPrefix(after, ".")); err != nil {
				continue
			}
		}
		files = append(files, LogFile{Attempt: attempt, Number: number, Path: filepath.Join(dir, entry.Name())})
	}
	slices.SortFunc(files, func(a, b LogFile) int {
		return cmp.Or(cmp.Compare(a.Attempt, b.Attempt), cmp.Compare(a.Number, b.Number))
	})
	return files, nil
}

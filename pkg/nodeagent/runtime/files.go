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
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/types"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime/supervisor"
)

// stagingFolder is a folder of the root that is always empty: containers build their view of the machine's files on it, each in a mount namespace of its own.
const stagingFolder = "staging.dir"

// The folder of a Pod is ROOT/pods/UID. It holds podRecord, the folders below, and one folder for each container. Container names are
// DNS labels and so can't hold the dots of the others.
const (
	podsFolder    = "pods"
	podRecord     = "pod.json"
	workFolder    = "work.dir"
	volumesFolder = "volumes.dir"
)

// intent is the record written before an attempt is started.
type intent struct {
	BootID  string        `json:"bootID"`
	Backoff time.Duration `json:"backoff,omitempty"`
	Round   int           `json:"round,omitempty"`
	// Cgroup holds the processes of the attempt.
	Cgroup    supervisor.Cgroup `json:"cgroup,omitzero"`
	CreatedAt time.Time         `json:"createdAt"`
}

// stopRecord says that the end of an attempt was asked for; its hook doesn't run again.
type stopRecord struct {
	RequestedAt time.Time `json:"requestedAt"`
	// Deadline is when the grace period ends: another agent must not give more.
	Deadline time.Time `json:"deadline"`
	Reason   string    `json:"reason,omitempty"`
}

func (p *Process) podDir(podUID types.UID) string {
	return filepath.Join(p.root, podsFolder, string(podUID))
}

// WorkingDir implements Runtime.
func (p *Process) WorkingDir(podUID types.UID) string {
	return filepath.Join(p.podDir(podUID), workFolder)
}

// VolumesDir implements Runtime.
func (p *Process) VolumesDir(podUID types.UID) string {
	return filepath.Join(p.podDir(podUID), volumesFolder)
}

func (p *Process) containerDir(id ID) string { return filepath.Join(p.podDir(id.PodUID), id.Container) }

func (p *Process) path(id ID, suffix string) string {
	return filepath.Join(p.containerDir(id), strconv.Itoa(id.Attempt)+suffix)
}

// attempts lists the numbers of the files with one of the suffixes, in rising order.
func attempts(dir string, suffixes ...string) ([]int, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list attempts: %w", err)
	}
	var numbers []int
	for _, entry := range entries {
		suffix := filepath.Ext(entry.Name())
		if !slices.Contains(suffixes, suffix) {
			continue
		}
		if number, err := strconv.Atoi(strings.TrimSuffix(entry.Name(), suffix)); err == nil {
			numbers = append(numbers, number)
		}
	}
	slices.Sort(numbers)
	return slices.Compact(numbers), nil
}

// removeAttempt deletes the files of an attempt, the intent last: without it the attempt doesn't exist.
func (p *Process) removeAttempt(id ID) error {
	var record intent
	if found, err := supervisor.ReadRecord(p.path(id, supervisor.SuffixIntent), &record); found && err == nil {
		if err := record.Cgroup.Remove(); err != nil {
			return fmt.Errorf("remove old attempt: %w", err)
		}
	}
	files, err := p.LogFiles(id)
	if err != nil {
		return fmt.Errorf("remove old attempt: %w", err)
	}
	for _, file := range files {
		if err := os.Remove(file.Path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove old attempt: %w", err)
		}
	}
	for _, suffix := range []string{
		supervisor.SuffixControl, supervisor.SuffixStop, supervisor.SuffixMessage, supervisor.SuffixExit, supervisor.SuffixRunning, supervisor.SuffixIntent,
	} {
		if err := os.Remove(p.path(id, suffix)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove old attempt: %w", err)
		}
	}
	return nil
}

// lockIntent opens the intent record and locks it. It returns nil without an error where a supervisor holds the lock.
func (p *Process) lockIntent(id ID) (*os.File, error) {
	file, err := os.Open(p.path(id, supervisor.SuffixIntent))
	if err != nil {
		return nil, fmt.Errorf("open intent: %w", err)
	}
	switch err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
	case err == nil:
		return file, nil
	case errors.Is(err, unix.EWOULDBLOCK):
		_ = file.Close()
		return nil, nil
	default:
		_ = file.Close()
		return nil, fmt.Errorf("lock intent: %w", err)
	}
}

// supervised tells whether a supervisor holds the attempt's lock. An error counts as held: the safe side.
func (p *Process) supervised(id ID) bool {
	file, err := p.lockIntent(id)
	if err != nil {
		return !errors.Is(err, os.ErrNotExist)
	}
	if file == nil {
		return true
	}
	unlock(file)
	return false
}

// unlock closes a file with a lock that is to end here and now. Closing alone ends it no sooner than in every process that has the file open too:
// one that was just forked to become a supervisor has it until it runs its program.
func unlock(file *os.File) {
	_ = unix.Flock(int(file.Fd()), unix.LOCK_UN)
	_ = file.Close()
}

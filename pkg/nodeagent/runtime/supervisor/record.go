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
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"
)

// Suffixes of the files of one attempt; the attempt's number comes before them. The package comment says what each is for.
const (
	SuffixIntent  = ".intent"
	SuffixRunning = ".running"
	SuffixExit    = ".exit"
	SuffixStop    = ".stop"
	SuffixControl = ".ctl"
	SuffixLog     = ".log"
	SuffixMessage = ".message"
)

// Running says that a supervisor has taken charge of an attempt.
type Running struct {
	// SupervisorPID and SupervisorStart name the supervisor: process id, and start time in clock ticks since boot (field 22 of
	// /proc/PID/stat). The pair is unique within one boot of the machine, the process id alone is not.
	SupervisorPID   int    `json:"supervisorPID"`
	SupervisorStart uint64 `json:"supervisorStart"`
	// PID and Start name the command in the same way. Both are zero until it was started.
	// PID is also the number of the command's session and process group.
	PID   int    `json:"pid,omitempty"`
	Start uint64 `json:"start,omitempty"`
	// StartedAt is when the command was started.
	StartedAt time.Time `json:"startedAt"`
}

// Exit says how an attempt ended.
type Exit struct {
	// Code is the exit code; 128 plus the signal's number for a command that a signal ended.
	Code int `json:"code"`
	// Signal is the number of the signal that ended the command, or 0.
	Signal int `json:"signal,omitempty"`
	// OOMKilled is true where the kernel killed a process of the container because all of them took more memory than their limit.
	OOMKilled bool `json:"oomKilled,omitempty"`
	// StartError says why the command could not be started; empty where it was.
	StartError string `json:"startError,omitempty"`
	// Lost says why nobody knows how the command ended; empty where that is known. Only an agent writes it.
	Lost string `json:"lost,omitempty"`
	// Reboot says of one that is Lost that it went with the machine.
	Reboot bool `json:"reboot,omitempty"`
	// StartedAt is zero where the command could not be started.
	StartedAt  time.Time `json:"startedAt"`
	FinishedAt time.Time `json:"finishedAt"`
}

// WriteRecord replaces the file at path by the JSON of record in one step: readers see the old record, the new one, or
// none, never a part. The record outlives every process, but not a power cut of the next half minute; the package comment says why
// that is enough, and when it isn't. The file is readable by its owner only.
func WriteRecord(path string, record any) error { return writeRecord(path, record, false) }

// writeRecord is WriteRecord; with durable, the record is on disk, under its name, before it returns.
func writeRecord(path string, record any, durable bool) error {
	data, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("encode record %s: %w", base(path), err)
	}
	temporary := path + ".tmp"
	file, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	_, err = file.Write(data)
	if err == nil && durable {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	if durable {
		return syncFolder(dir(path))
	}
	return nil
}

// syncFolder puts the names in a folder on disk.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("sync folder of records: %w", err)
	}
	if err := errors.Join(folder.Sync(), folder.Close()); err != nil {
		return fmt.Errorf("sync folder of records: %w", err)
	}
	return nil
}

// ReadRecord reads what WriteRecord wrote. It returns false without an error where the file doesn't exist, and true with an
// error where it exists but holds no record: after a power cut it may be empty.
func ReadRecord(path string, record any) (bool, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read record: %w", err)
	}
	if err := json.Unmarshal(data, record); err != nil {
		return true, fmt.Errorf("decode record %s: %w", path, err)
	}
	return true, nil
}

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

package etcd

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"

	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/sys/unix"
)

// failure is a member that gives itself up: because its disk is full, or its data are damaged. etcd does that by a log entry of the level Fatal or Panic
// on whatever goroutine it happens, and expects that the process ends there. Here the entry becomes an error, so that the process can say in one
// sentence what is wrong, and end in good order.
type failure struct {
	dir string
	// running is set once the member was opened.
	running atomic.Bool
	// stuck is set once a goroutine of the member stands still: it can't be closed then.
	stuck atomic.Bool
	// happened is set before there is something in told.
	happened atomic.Bool
	// told has the first error.
	told chan error
}

func newFailure(dir string) *failure { return &failure{dir: dir, told: make(chan error, 1)} }

// tell records why the member ends. What comes after the first reason is its consequence.
func (f *failure) tell(err error) {
	if f.happened.CompareAndSwap(false, true) {
		f.told <- err
	}
}

// OnWrite is called by zap after an entry that ends the process. It never returns, since etcd has nothing to go on with. While the member is being opened, its goroutine
// ends. Later it stands still for ever, with the locks that it holds: others that went on after it would find half of what they rely on.
func (f *failure) OnWrite(entry *zapcore.CheckedEntry, fields []zap.Field) {
	err := explain(f.dir, entryError(entry.Message, fields))
	if !f.running.Load() {
		f.tell(err)
		runtime.Goexit()
	}
	f.stuck.Store(true)
	f.tell(err)
	select {}
}

// entryError is a log entry as an error.
func entryError(message string, fields []zap.Field) error {
	for _, field := range fields {
		if err, ok := field.Interface.(error); ok && field.Type == zapcore.ErrorType {
			return fmt.Errorf("%s: %w", message, err)
		}
	}
	return errors.New(message)
}

// open opens the member on a goroutine of its own, which etcd may end.
func (f *failure) open(config *embed.Config) (member *embed.Etcd, err error) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer func() {
			if cause := recover(); cause != nil {
				f.tell(explain(f.dir, fmt.Errorf("%v", cause)))
			}
		}()
		member, err = embed.StartEtcd(config)
	}()
	<-ended
	if f.happened.Load() {
		return nil, fmt.Errorf("etcd can't read its data in %s: %w", f.dir, <-f.told)
	}
	if err != nil {
		return nil, fmt.Errorf("start etcd in %s: %w", f.dir, explain(f.dir, err))
	}
	f.running.Store(true)
	return member, nil
}

// close ends a member that can be ended.
func (f *failure) close(member *embed.Etcd) {
	if !f.stuck.Load() {
		member.Close()
	}
}

// explain says of an error that comes from a full disk what to do about it.
func explain(dir string, err error) error {
	left, statErr := room(dir)
	if !errors.Is(err, unix.ENOSPC) && (statErr != nil || left >= minRoom) {
		return err
	}
	return fmt.Errorf("the disk of %s is full, it has %d KiB left. Nothing is lost; make room and start again (%w)", dir, left>>10, err)
}

// room is how many bytes the disk of a folder has left.
func room(dir string) (int64, error) {
	var disk unix.Statfs_t
	if err := unix.Statfs(dir, &disk); err != nil {
		return 0, fmt.Errorf("look at the disk of %s: %w", dir, err)
	}
	return int64(disk.Bavail) * disk.Bsize, nil
}

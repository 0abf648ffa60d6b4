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

// Package datadir is the folder that a standalone server keeps everything in, and the lock that keeps a second server out of it.
package datadir

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Dir is a data folder that this process has locked.
type Dir struct {
	path string
	lock *os.File
}

// Open creates the folder with mode 0700 where it is missing, locks it and returns it. It is an error, which names the folder, where
// it can't be written to or another process has it open.
func Open(path string) (*Dir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("data folder %s: %w", path, err)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("create data folder: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("write to data folder: %w", err)
	}
	if err := acquire(lock); err != nil {
		return nil, errors.Join(fmt.Errorf("data folder %s: %w", path, err), lock.Close())
	}
	return &Dir{path: path, lock: lock}, nil
}

// acquire locks the file and writes our process ID into it. The kernel drops the lock with the process, however it ends.
func acquire(lock *os.File) error {
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return fmt.Errorf("lock: %w", err)
		}
		holder := make([]byte, 32)
		n, _ := lock.ReadAt(holder, 0) // an empty answer is the error's only cost
		if pid := strings.TrimSpace(string(holder[:n])); pid != "" {
			return fmt.Errorf("in use by another server, process %s", pid)
		}
		return errors.New("in use by another server")
	}
	if err := lock.Truncate(0); err != nil {
		return fmt.Errorf("write lock: %w", err)
	}
	if _, err := lock.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		return fmt.Errorf("write lock: %w", err)
	}
	return nil
}

// Path is the folder itself, absolute.
func (d *Dir) Path() string { return d.path }

// Etcd is where the embedded etcd keeps its data.
func (d *Dir) Etcd() string { return filepath.Join(d.path, "etcd") }

// PKI is where the certificates and keys are.
func (d *Dir) PKI() string { return filepath.Join(d.path, "pki") }

// Node is where the node agent keeps records, logs and files of Pods.
func (d *Dir) Node() string { return filepath.Join(d.path, "node") }

// AdminKubeconfig is the kubeconfig of the administrator.
func (d *Dir) AdminKubeconfig() string { return filepath.Join(d.path, "admin.kubeconfig") }

// Close lets other servers use the folder.
func (d *Dir) Close() error {
	return d.lock.Close()
}

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

	"github.com/jobserver-dev/jobserver/pkg/processlock"
)

// Dir is a data folder that this process has locked.
type Dir struct {
	path string
	lock *processlock.Lock
}

// OpenError says why a data folder can't be used.
type OpenError struct {
	err error
}

// Error names the folder, and what is in the way.
func (e *OpenError) Error() string { return e.err.Error() }

// Unwrap returns what is in the way.
func (e *OpenError) Unwrap() error { return e.err }

// Open creates the folder with mode 0700 where it is missing, locks it and returns it. It is an OpenError where it can't be written to or another
// process has it open.
func Open(path string) (*Dir, error) {
	dir, err := open(path)
	if err != nil {
		return nil, &OpenError{err}
	}
	return dir, nil
}

func open(path string) (*Dir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("data folder %s: %w", path, err)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("create data folder: %w", err)
	}
	lock, err := processlock.Acquire(filepath.Join(path, "lock"))
	var held *processlock.HeldError
	switch {
	case errors.As(err, &held) && held.PID != 0:
		return nil, fmt.Errorf("data folder %s: in use by another server, process %d", path, held.PID)
	case errors.As(err, &held):
		return nil, fmt.Errorf("data folder %s: in use by another server", path)
	case err != nil:
		return nil, fmt.Errorf("write to data folder: %w", err)
	}
	return &Dir{path: path, lock: lock}, nil
}

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
	return d.lock.Release()
}

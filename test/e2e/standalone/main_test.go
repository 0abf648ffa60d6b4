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

package standalone

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

var (
	apiserverPath = flag.String("apiserver", "../../../bin/apiserver", "the server's binary")
	kubectlPath   = flag.String("kubectl", "../../../bin/kubectl", "a kubectl of the Kubernetes release that the server serves")
)

// shared is the server of all tests that leave it alone.
var shared *server

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	os.Exit(code)
}

// run runs the tests between the start and the stop of the shared server.
func run(m *testing.M) (code int, err error) {
	for _, path := range []*string{apiserverPath, kubectlPath} {
		if *path, err = filepath.Abs(*path); err != nil {
			return 0, err
		}
		if _, err := os.Stat(*path); err != nil {
			return 0, fmt.Errorf("%w (\"make build kubectl\" builds the binaries)", err)
		}
	}
	folder, err := os.MkdirTemp("", "jobserver-e2e-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(folder)

	if shared, err = newServer(filepath.Join(folder, "shared")); err != nil {
		return 0, err
	}
	if err := shared.start(); err != nil {
		return 0, err
	}
	defer func() {
		if stopErr := shared.stopWithJobs(); stopErr != nil && err == nil {
			err = fmt.Errorf("stopping the shared server: %w", stopErr)
		}
	}()
	return m.Run(), nil
}

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

package aggregated

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var (
	apiserverPath = flag.String("apiserver", "../../../bin/apiserver", "the server's binary")
	kubectlPath   = flag.String("kubectl", "../../../bin/kubectl", "a kubectl of the cluster's release")
	binariesPath  = flag.String("binaries", "../../../_output/kubernetes", "folder with etcd, kube-apiserver and kube-controller-manager")
	manifestsPath = flag.String("manifests", "../../../artifacts/kustomize", "folder with the base and the overlays")
	keepPath      = flag.String("keep", "", "folder for the data and logs of the installations, which is kept; default: a temporary one")
)

// shared is the installation of all tests that leave it alone.
var shared *installation

// folder is where installations have their folders.
var folder string

// ownSlots bounds how many installations there are beside the shared one, busySlots how many of them may keep the machine busy: most tests with an installation
// of their own wait most of the time, for what a cluster does once in half a minute, or for the end of a trouble.
var (
	ownSlots  = make(chan struct{}, 3)
	busySlots = make(chan struct{}, 1)
)

// noTests is what -run is where only benchmarks are wanted.
const noTests = "^$"

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	os.Exit(code)
}

// run runs the tests between the start and the stop of the shared installation.
func run(m *testing.M) (code int, err error) {
	for _, path := range []*string{apiserverPath, kubectlPath, binariesPath, manifestsPath} {
		if *path, err = filepath.Abs(*path); err != nil {
			return 0, err
		}
		if _, err := os.Stat(*path); err != nil {
			return 0, fmt.Errorf("%w (\"make build kubectl kubernetes\" builds the binaries)", err)
		}
	}
	if folder = *keepPath; folder == "" {
		if folder, err = os.MkdirTemp("", "jobserver-e2e-"); err != nil {
			return 0, err
		}
		defer os.RemoveAll(folder)
	}
	if folder, err = filepath.Abs(folder); err != nil {
		return 0, err
	}
	if flag.Lookup("test.run").Value.String() == noTests {
		// Benchmarks make their own, and want the machine for themselves.
		return m.Run(), nil
	}
	dir := filepath.Join(folder, "shared")
	how, err := sharedSetup(dir)
	if err != nil {
		return 0, err
	}
	if shared, err = install(context.Background(), dir, how); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, shared.stop()) }()
	return m.Run(), nil
}

// ownInstallation makes an installation for one test, which is stopped when the test ends. Its subtests must not be parallel: they would wait for the
// end of tests that wait for the end of this one.
func ownInstallation(t *testing.T, how setup) *installation {
	t.Helper()
	asked := time.Now()
	if how.busy {
		busySlots <- struct{}{}
		t.Cleanup(func() { <-busySlots })
	}
	ownSlots <- struct{}{}
	t.Cleanup(func() { <-ownSlots })
	begun := time.Now()
	defer func() {
		t.Logf("waited %s for other installations, installed in %s", begun.Sub(asked).Round(time.Second), time.Since(begun).Round(time.Second))
	}()
	t.Cleanup(func() { t.Logf("had its installation for %s", time.Since(begun).Round(time.Second)) })
	made, err := install(t.Context(), filepath.Join(folder, t.Name()), how)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := made.stop(); err != nil {
			t.Error(err)
		}
	})
	return made
}

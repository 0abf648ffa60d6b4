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

package cluster

import (
	"context"
	"flag"
	"os/exec"
	"strings"
	"testing"
	"time"
)

var (
	binariesPath = flag.String("binaries", "../../../_output/kubernetes", "folder with etcd, kube-apiserver and kube-controller-manager")
	kubectlPath  = flag.String("kubectl", "../../../bin/kubectl", "a kubectl of the same Kubernetes release")
)

// TestClusterWorks starts a cluster, lets its parts work together, and kills one of them.
func TestClusterWorks(t *testing.T) {
	c, err := Start(t.Context(), Options{Binaries: *binariesPath, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
		for _, process := range []*Process{c.Etcd, c.APIServer, c.ControllerManager} {
			if process.Running() {
				t.Errorf("%s runs after Stop", process.Name)
			}
		}
	})

	// The controller manager gives every namespace its service account.
	eventually(t, "the default service account", func() bool {
		_, err := kubectl(t, c.Kubeconfig(), "get", "serviceaccount", "default")
		return err == nil
	})
	user, err := c.UserKubeconfig("someone", "readers")
	if err != nil {
		t.Fatal(err)
	}
	if output, err := kubectl(t, user, "get", "pods"); err == nil || !strings.Contains(output, `User "someone" cannot list resource "pods"`) {
		t.Errorf("get pods as someone without rights: %v, %s", err, output)
	}

	if err := c.APIServer.Kill(); err != nil {
		t.Fatal(err)
	}
	if output, err := kubectl(t, c.Kubeconfig(), "get", "namespaces"); err == nil {
		t.Errorf("the API server answers after it was killed: %s", output)
	}
	if err := c.APIServer.Start(); err != nil {
		t.Fatal(err)
	}
	if err := c.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	if output, err := kubectl(t, c.Kubeconfig(), "get", "serviceaccount", "default"); err != nil {
		t.Errorf("after a restart: %v: %s", err, output)
	}
}

func TestStartSaysWhatFailed(t *testing.T) {
	_, err := Start(t.Context(), Options{Binaries: *binariesPath, Dir: t.TempDir(), APIServerArgs: []string{"--no-such-flag"}})
	if err == nil || !strings.Contains(err.Error(), "kube-apiserver ended") || !strings.Contains(err.Error(), "no-such-flag") {
		t.Errorf("want an error with the process and the end of its log, got: %v", err)
	}
}

func kubectl(t *testing.T, kubeconfig string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	output, err := exec.CommandContext(ctx, *kubectlPath, append([]string{"--kubeconfig", kubeconfig}, args...)...).CombinedOutput()
	return string(output), err
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("timed out waiting for %s", what)
		}
		time.Sleep(pollInterval)
	}
}

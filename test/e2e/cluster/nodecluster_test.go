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
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// nodeCluster is a real control plane with one node of ours.
type nodeCluster struct {
	*Cluster
	node   *Process
	marker string
}

// startNodeCluster starts both. The node schedules Pods itself, since there is no scheduler; it gets the right to.
func startNodeCluster(t *testing.T) *nodeCluster {
	t.Helper()
	dir := t.TempDir()
	c, err := Start(t.Context(), Options{Binaries: *binariesPath, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	n := &nodeCluster{Cluster: c, marker: fmt.Sprintf("3600.%d", os.Getpid())}
	t.Cleanup(func() {
		if n.node != nil {
			if err := n.node.Stop(); err != nil {
				t.Error(err)
			}
		}
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	kubeconfig, err := c.UserKubeconfig("system:node:"+nodeName, "system:nodes")
	if err != nil {
		t.Fatal(err)
	}
	n.apply(t, SchedulingNodes)
	n.node = &Process{Name: "node", Path: *apiserverPath, LogPath: filepath.Join(dir, "node.log"), Args: []string{
		"node", "--kubeconfig", kubeconfig, "--data-dir", filepath.Join(dir, "node"), "--node-name", nodeName, "--secure-port", "0",
		"--client-ca-file", c.CertificatePath("client-ca.crt"), "--schedule-pods", "--stop-pods-on-exit", "--node-labels", "pool=jobs",
	}}
	if err := n.node.Start(); err != nil {
		t.Fatal(err)
	}
	// Pods need the account, which the controller manager makes.
	eventually(t, "the default service account", func() bool {
		_, _, code := n.kubectl(t, "", "get", "serviceaccount", "default")
		return code == 0
	})
	n.run(t, "wait", "--for=create", "--timeout=60s", "node/"+nodeName)
	n.run(t, "wait", "--for=condition=Ready", "--timeout=60s", "node/"+nodeName)
	return n
}

// kubectl runs kubectl as the administrator.
func (n *nodeCluster) kubectl(t *testing.T, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, *kubectlPath, append([]string{"--kubeconfig", n.Kubeconfig()}, args...)...)
	var out, err bytes.Buffer
	command.Stdin, command.Stdout, command.Stderr = strings.NewReader(stdin), &out, &err
	var exit *exec.ExitError
	if runErr := command.Run(); runErr != nil && !errors.As(runErr, &exit) {
		t.Fatal(runErr)
	}
	return out.String(), err.String(), command.ProcessState.ExitCode()
}

// run runs kubectl, which must succeed.
func (n *nodeCluster) run(t *testing.T, args ...string) string {
	t.Helper()
	stdout, stderr, code := n.kubectl(t, "", args...)
	if code != 0 {
		t.Fatalf("kubectl %s: exit code %d: %s\n%s", strings.Join(args, " "), code, stderr, n.node.LogTail())
	}
	return stdout
}

func (n *nodeCluster) apply(t *testing.T, manifest string) {
	t.Helper()
	if _, stderr, code := n.kubectl(t, manifest, "apply", "-f", "-"); code != 0 {
		t.Fatal(stderr)
	}
}

// job makes a batch/v1 Job of one container that runs a script; spec and pod are further lines.
func (n *nodeCluster) job(t *testing.T, name, script string, spec, pod []string) {
	t.Helper()
	n.apply(t, fmt.Sprintf(`
apiVersion: batch/v1
kind: Job
metadata: {name: %s}
spec:
  %s
  template:
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 1
      %s
      containers:
      - {name: main, image: none, command: [sh, -c, %q]}
`, name, strings.Join(spec, "\n  "), strings.Join(pod, "\n      "), script))
}

func (n *nodeCluster) waitJob(t *testing.T, name, condition string) {
	t.Helper()
	if _, stderr, code := n.kubectl(t, "", "wait", "--for=condition="+condition, "--timeout=180s", "job/"+name); code != 0 {
		t.Fatalf("%s\n%s\n%s", stderr, n.run(t, "describe", "job,pods"), n.node.LogTail())
	}
}

// waitPod returns the name of a Pod of the Job that runs.
func (n *nodeCluster) waitPod(t *testing.T, job string) string {
	t.Helper()
	var name string
	eventually(t, "a running Pod of "+job, func() bool {
		name = strings.TrimSpace(n.run(t, "get", "pods", "-l", "job-name="+job, "-o", `jsonpath={.items[?(@.status.phase=="Running")].metadata.name}`))
		return name != "" && n.run(t, "get", "pod", name, "-o", "jsonpath={.metadata.deletionTimestamp}") == ""
	})
	return name
}

// processesWith lists the processes with a text in their command line.
func processesWith(text string) []string {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline") // the pattern is well-formed
	var found []string
	for _, file := range files {
		if line, err := os.ReadFile(file); err == nil && bytes.Contains(line, []byte(text)) {
			found = append(found, file)
		}
	}
	return found
}

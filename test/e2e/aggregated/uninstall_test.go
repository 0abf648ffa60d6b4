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
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// installPage has the commands that administrators are told to run.
const installPage = "../../../docs/install.md"

// TestUninstall takes the server out of a cluster in which it has Jobs, one of them running, with the commands that the documentation has. Nothing hangs, and the cluster is as
// it was before.
func TestUninstall(t *testing.T) {
	slow(t)
	in := ownInstallation(t, setup{})
	u := in.newNamespace(t)
	u.apply(t, jobYAML("suspended", "true", "suspend: true")+"---\n"+jobYAML("running", longCommand))
	u.running(t, "running", 1)
	for _, command := range documented(t, "Uninstall", 0) {
		in.runDocumented(t, command)
		if strings.Contains(command, "kubectl scale") {
			// The processes are what the workload has in place of Pods.
			if err := in.replicas[0].Stop(); err != nil {
				t.Fatal(err)
			}
		}
	}
	in.admin.run(t, "delete", "namespace", u.namespace, "--timeout=150s")
	in.nothingLeft(t)
}

// TestUninstallWithoutServer takes the registration and what holds Pods out of a cluster whose server is gone already.
func TestUninstallWithoutServer(t *testing.T) {
	slow(t)
	in := ownInstallation(t, setup{})
	u := in.newNamespace(t)
	u.apply(t, jobYAML("running", longCommand, "parallelism: 2", "completions: 2"))
	u.running(t, "running", 2)
	if err := in.replicas[0].Kill(); err != nil {
		t.Fatal(err)
	}
	for _, command := range documented(t, "Uninstall", 1) {
		in.runDocumented(t, command)
	}
	for _, pod := range u.running(t, "running", 2) {
		if slices.Contains(pod.Finalizers, ourFinalizer) {
			t.Errorf("Pod %s is held by %v", pod.Name, pod.Finalizers)
		}
	}
	u.run(t, "delete", "pods", "--all", "--timeout=60s")
	in.admin.run(t, "delete", "namespace", u.namespace, "--timeout=150s")
	in.nothingLeft(t)
}

// nothingLeft: neither objects of the installation nor Pods of its Jobs are left, and nobody knows of our Jobs any more.
func (in *installation) nothingLeft(t *testing.T) {
	t.Helper()
	for _, kind := range []string{"apiservices", "clusterroles", "clusterrolebindings", "namespaces"} {
		if left := in.admin.run(t, "get", kind, "-l", "app.kubernetes.io/name=jobserver", "-o", "name"); left != "" {
			t.Errorf("%s are left: %s", kind, left)
		}
	}
	pods, err := in.kube.CoreV1().Pods(metav1.NamespaceAll).List(t.Context(), metav1.ListOptions{LabelSelector: "batch.jobserver.dev/controller-uid"})
	if err != nil || len(pods.Items) > 0 {
		t.Errorf("%d Pods are left, %v", len(pods.Items), err)
	}
	in.admin.refused(t, "", "get", ours)
}

// documented are the commands of one of the blocks of a section of the page about installations, in their order, the first block being 0.
func documented(t *testing.T, section string, block int) []string {
	t.Helper()
	page, err := os.ReadFile(installPage)
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(page), "\n## "+section+"\n")
	text, _, _ = strings.Cut(text, "\n## ")
	blocks := strings.Split(text, "```")
	if !found || len(blocks) <= 2*block+1 {
		t.Fatalf("%s has no block %d in section %s", installPage, block, section)
	}
	var commands []string
	for line := range strings.Lines(strings.TrimPrefix(blocks[2*block+1], "console\n")) {
		if command, begins := strings.CutPrefix(line, "$ "); begins {
			commands = append(commands, command)
		} else if len(commands) > 0 {
			commands[len(commands)-1] += line
		}
	}
	return commands
}

// runDocumented runs a command of the documentation in a shell, as the administrator and with the overlay of this installation.
func (in *installation) runDocumented(t *testing.T, command string) {
	t.Helper()
	if _, err := in.render("embedded-etcd"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), kubectlTimeout)
	defer cancel()
	shell := exec.CommandContext(ctx, "bash", "-e", "-o", "pipefail", "-c", strings.ReplaceAll(command, "YOUR-OVERLAY", in.overlay("embedded-etcd")))
	shell.Env = append(os.Environ(), "KUBECONFIG="+in.cluster.Kubeconfig(), "PATH="+filepath.Dir(*kubectlPath)+":"+filepath.Dir(*apiserverPath)+":"+os.Getenv("PATH"))
	output, err := shell.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, output)
	}
	t.Logf("$ %s%s", command, output)
}

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
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var apiserverPath = flag.String("apiserver", "../../../bin/apiserver", "the binary that is the node")

const nodeName = "jobs-1"

// TestNode runs Jobs of Kubernetes' own Job controller on a node of ours, and does to it what is done to nodes.
func TestNode(t *testing.T) {
	n := startNodeCluster(t)
	// One after the other: they drain, taint and delete the one node.
	t.Run("registration", n.testRegistration)
	t.Run("jobs", n.testJobs)
	t.Run("streams", n.testStreams)
	t.Run("logs", n.testLogs)
	t.Run("port-forward", n.testPortForward)
	t.Run("access to the kubelet", n.testKubeletAccess)
	t.Run("input", n.testInput)
	t.Run("service account", n.testServiceAccount)
	t.Run("rejection", n.testRejection)
	t.Run("taints", n.testTaints)
	t.Run("drain", n.testDrain)
	t.Run("killed node", n.testKilledNode)
	t.Run("deleted node", n.testDeletedNode)
}

func (n *nodeCluster) testRegistration(t *testing.T) {
	var node struct {
		Metadata struct{ Labels map[string]string }
		Status   struct {
			Capacity, Allocatable map[string]string
			NodeInfo              struct{ OSImage, KernelVersion, KubeletVersion, Architecture, OperatingSystem string }
			Conditions            []struct{ Type, Status string }
		}
	}
	if err := json.Unmarshal([]byte(n.run(t, "get", "node", nodeName, "-o", "json")), &node); err != nil {
		t.Fatal(err)
	}
	for _, resource := range []string{"cpu", "memory", "pods", "ephemeral-storage"} {
		if node.Status.Capacity[resource] == "" || node.Status.Allocatable[resource] == "" {
			t.Errorf("no %s in %v, %v", resource, node.Status.Capacity, node.Status.Allocatable)
		}
	}
	if info := node.Status.NodeInfo; info.OSImage == "" || info.KernelVersion == "" || info.KubeletVersion == "" || info.Architecture == "" || info.OperatingSystem != "linux" {
		t.Errorf("node info %+v", info)
	}
	if node.Metadata.Labels["kubernetes.io/hostname"] != nodeName || node.Metadata.Labels["pool"] != "jobs" {
		t.Errorf("labels %v", node.Metadata.Labels)
	}
	for _, condition := range node.Status.Conditions {
		if want := map[bool]string{true: "True", false: "False"}[condition.Type == "Ready"]; condition.Status != want {
			t.Errorf("condition %s is %s", condition.Type, condition.Status)
		}
	}
	renewed := n.run(t, "get", "lease", nodeName, "--namespace=kube-node-lease", "-o", "jsonpath={.spec.renewTime}")
	if at, err := time.Parse(time.RFC3339Nano, renewed); err != nil || time.Since(at) > 40*time.Second {
		t.Errorf("the lease was renewed at %q, error %v", renewed, err)
	}
	if got := n.run(t, "describe", "node", nodeName); !strings.Contains(got, "HolderIdentity:  "+nodeName) {
		t.Errorf("kubectl describe node: %s", got)
	}
}

func (n *nodeCluster) testJobs(t *testing.T) {
	n.job(t, "indexed", `echo "index $JOB_COMPLETION_INDEX"`, []string{"completionMode: Indexed", "completions: 6", "parallelism: 3"}, nil)
	n.job(t, "policy", "exit 42", []string{
		"backoffLimit: 5", "podFailurePolicy: {rules: [{action: FailJob, onExitCodes: {operator: In, values: [42]}}]}",
	}, nil)
	diary := filepath.Join(t.TempDir(), "diary")
	n.job(t, "twice", "echo x >>"+diary+"; [ $(wc -l <"+diary+") -ge 2 ]", nil, nil)
	n.waitJob(t, "indexed", "Complete")
	n.waitJob(t, "policy", "Failed")
	n.waitJob(t, "twice", "Complete")
	if got := n.run(t, "get", "job", "indexed", "-o", "jsonpath={.status.completedIndexes} {.status.succeeded}"); got != "0-5 6" {
		t.Errorf("indexes %s", got)
	}
	if got := n.run(t, "get", "job", "policy", "-o", `jsonpath={.status.conditions[?(@.type=="Failed")].reason}`); got != "PodFailurePolicy" {
		t.Errorf("reason %s", got)
	}
	if got := n.run(t, "get", "job", "twice", "-o", "jsonpath={.status.failed} {.status.succeeded}"); got != "1 1" {
		t.Errorf("failed and succeeded: %s", got)
	}
	logs := strings.Split(strings.TrimSpace(n.run(t, "logs", "-l", "job-name=indexed")), "\n")
	if len(logs) != 6 {
		t.Errorf("logs %q", logs)
	}
}

func (n *nodeCluster) testStreams(t *testing.T) {
	gate := filepath.Join(t.TempDir(), "gate")
	n.job(t, "talks", "echo before; until [ -e "+gate+" ]; do sleep 0.1; done; echo after", nil, nil)
	pod := n.waitPod(t, "talks")
	stdout, stderr, code := n.kubectl(t, "from the client", "exec", "-i", pod, "--", "sh", "-c", "cat; echo trouble >&2; exit 9")
	if stdout != "from the client" || !strings.HasPrefix(stderr, "trouble\n") || code != 9 {
		t.Errorf("exec: %q, %q, %d", stdout, stderr, code)
	}
	if _, stderr, code := n.kubectl(t, "", "exec", pod, "-c", "nobody", "--", "true"); code != 1 || !strings.Contains(stderr, "container nobody is not valid") {
		t.Errorf("exec in a container that isn't there: %q, %d", stderr, code)
	}
	if _, err := exec.LookPath("tar"); err != nil {
		t.Fatalf("kubectl cp takes tar: %v", err)
	}
	local, remote := filepath.Join(t.TempDir(), "local"), filepath.Join(t.TempDir(), "remote")
	if err := os.WriteFile(local, []byte("copied"), 0o600); err != nil {
		t.Fatal(err)
	}
	n.run(t, "cp", local, pod+":"+remote)
	n.run(t, "cp", pod+":"+remote, local+".back")
	if data, err := os.ReadFile(local + ".back"); err != nil || string(data) != "copied" {
		t.Errorf("kubectl cp: %q, %v", data, err)
	}
	type answer struct {
		stdout, stderr string
		code           int
	}
	followed := make(chan answer, 1)
	go func() {
		stdout, stderr, code := n.kubectl(t, "", "logs", "-f", "job/talks")
		followed <- answer{stdout, stderr, code}
	}()
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := <-followed; got.stdout != "before\nafter\n" || got.code != 0 {
		t.Errorf("logs -f: %+v", got)
	}
	n.waitJob(t, "talks", "Complete")
	if _, stderr, code := n.kubectl(t, "", "exec", pod, "--", "true"); code != 1 || !strings.Contains(stderr, "cannot exec into a container in a completed pod") {
		t.Errorf("exec in a Pod that has ended: %q, %d", stderr, code)
	}
}

// testInput: kubectl run -i makes a Pod, and what it sends through the cluster's API server is the container's standard input.
func (n *nodeCluster) testInput(t *testing.T) {
	stdout, stderr, code := n.kubectl(t, "one\ntwo", "run", "reader", "-i", "--rm", "--quiet", "--restart=Never", "--image=none", "--pod-running-timeout=2m",
		"--command", "--", "sh", "-c", "cat; echo ' over'; exit 4")
	if stdout != "one\ntwo over\n" || code != 4 {
		t.Errorf("kubectl run: %q, %q, exit code %d", stdout, stderr, code)
	}
}

// testServiceAccount: the API server gives each Pod a volume with a token, which this node fills.
func (n *nodeCluster) testServiceAccount(t *testing.T) {
	n.job(t, "token", "cd /var/run/secrets/kubernetes.io/serviceaccount; cat namespace; test -s token; test -s ca.crt", nil, nil)
	n.waitJob(t, "token", "Complete")
	if got := n.run(t, "logs", "job/token"); got != "default" {
		t.Errorf("namespace %q", got)
	}
}

func (n *nodeCluster) testRejection(t *testing.T) {
	n.apply(t, `
apiVersion: v1
kind: Pod
metadata: {name: huge}
spec:
  restartPolicy: Never
  nodeName: `+nodeName+`
  containers: [{name: main, image: none, command: ["true"], resources: {requests: {cpu: 1k}}}]
`)
	n.run(t, "wait", "--for=jsonpath={.status.phase}=Failed", "--timeout=60s", "pod/huge")
	if got := n.run(t, "get", "pod", "huge", "-o", "jsonpath={.status.reason}"); got != "OutOfcpu" {
		t.Errorf("reason %s", got)
	}
}

func (n *nodeCluster) testTaints(t *testing.T) {
	gate := filepath.Join(t.TempDir(), "gate")
	n.job(t, "tainted", "until [ -e "+gate+" ]; do sleep 0.1; done", nil, nil)
	first := n.waitPod(t, "tainted")
	n.run(t, "taint", "node", nodeName, "repair=now:NoExecute")
	// Kubernetes' taint eviction controller deletes the Pod, its Job controller makes another, and nobody takes that.
	n.run(t, "wait", "--for=delete", "--timeout=90s", "pod/"+first)
	eventually(t, "a Pod that has to wait", func() bool {
		return strings.Contains(n.run(t, "get", "pods", "-l", "job-name=tainted", "-o", `jsonpath={.items[*].status.conditions[?(@.type=="PodScheduled")].message}`),
			"0/1 nodes are available: 1 node(s) had untolerated taint(s).")
	})
	n.run(t, "taint", "node", nodeName, "repair-")
	n.waitPod(t, "tainted")
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	n.waitJob(t, "tainted", "Complete")
}

func (n *nodeCluster) testDrain(t *testing.T) {
	gate := filepath.Join(t.TempDir(), "gate")
	n.job(t, "drained", "until [ -e "+gate+" ]; do sleep 0.1; done", []string{
		"podFailurePolicy: {rules: [{action: Ignore, onPodConditions: [{type: DisruptionTarget}]}]}", "backoffLimit: 0",
	}, nil)
	first := n.waitPod(t, "drained")
	n.run(t, "drain", nodeName, "--force", "--timeout=90s")
	if _, _, code := n.kubectl(t, "", "get", "pod", first); code == 0 {
		t.Error("the evicted Pod is still there")
	}
	n.run(t, "uncordon", nodeName)
	n.waitPod(t, "drained")
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	n.waitJob(t, "drained", "Complete")
}

// testKilledNode: Pods outlive the node's process, and a later one finds how they ended.
func (n *nodeCluster) testKilledNode(t *testing.T) {
	diary, gate := filepath.Join(t.TempDir(), "diary"), filepath.Join(t.TempDir(), "gate")
	n.job(t, "survivor", "echo started >>"+diary+"; until [ -e "+gate+" ]; do sleep 0.1; done; echo ended >>"+diary+"; exit 5", []string{"backoffLimit: 0"}, nil)
	pod := n.waitPod(t, "survivor")
	if err := n.node.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end of the container", func() bool {
		data, err := os.ReadFile(diary)
		return err == nil && strings.Contains(string(data), "ended")
	})
	if err := n.node.Start(); err != nil {
		t.Fatal(err)
	}
	n.waitJob(t, "survivor", "Failed")
	if got := n.run(t, "get", "pod", pod, "-o", "jsonpath={.status.containerStatuses[0].state.terminated.exitCode}"); got != "5" {
		t.Errorf("exit code %s", got)
	}
	if data, err := os.ReadFile(diary); err != nil || string(data) != "started\nended\n" {
		t.Errorf("the machine saw %q, error %v", data, err)
	}
}

// testDeletedNode: the Pods of a Node that is gone are given up by Kubernetes. When the machine comes back, it ends what runs of them.
func (n *nodeCluster) testDeletedNode(t *testing.T) {
	n.job(t, "orphaned", "sleep "+n.marker+" & wait", []string{"backoffLimit: 3"}, nil)
	first := n.waitPod(t, "orphaned")
	eventually(t, "the process", func() bool { return len(processesWith(n.marker)) > 0 })
	if err := n.node.Kill(); err != nil {
		t.Fatal(err)
	}
	n.run(t, "delete", "node", nodeName)
	n.run(t, "wait", "--for=delete", "--timeout=200s", "pod/"+first)
	n.run(t, "delete", "job", "orphaned")
	if err := n.node.Start(); err != nil {
		t.Fatal(err)
	}
	n.run(t, "wait", "--for=create", "--timeout=60s", "node/"+nodeName)
	eventually(t, "the end of what ran of the Pod", func() bool { return len(processesWith(n.marker)) == 0 })
	n.job(t, "again", "true", nil, nil)
	n.waitJob(t, "again", "Complete")
}

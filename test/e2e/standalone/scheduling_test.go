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
	"fmt"
	"strings"
	"testing"
	"time"
)

// demanding is a Pod that asks for CPU; spec are further lines of the Pod's spec.
func demanding(name, script, cpu string, spec ...string) string {
	manifest := podManifest(name, script, fmt.Sprintf("    resources: {requests: {cpu: %q}}", cpu))
	for _, line := range spec {
		manifest += "\n  " + line
	}
	return manifest + "\n"
}

// waitUnscheduled waits until a Pod is said to wait, in the words of Kubernetes' scheduler.
func (c *client) waitUnscheduled(t *testing.T, pod, why string) {
	t.Helper()
	want := "False Unschedulable 0/1 nodes are available: 1 " + why + "."
	eventually(t, time.Minute, func() string {
		const path = `jsonpath={range .status.conditions[?(@.type=="PodScheduled")]}{.status} {.reason} {.message}{end}`
		if got := c.run(t, "get", "pod", pod, "-o", path); got != want {
			return fmt.Sprintf("Pod %s: %q, want %q", pod, got, want)
		}
		return ""
	})
}

// TestScheduling fills, cordons and taints the one node.
func TestScheduling(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	c := newClient(t, s)
	node := c.run(t, "get", "nodes", "-o", "jsonpath={.items[0].metadata.name}")
	cpus := c.run(t, "get", "nodes", "-o", "jsonpath={.items[0].status.allocatable.cpu}")
	g := newGate(t)
	c.apply(t, demanding("first", g.await(), "500m"))
	c.waitPhase(t, "first", "Running")

	// A Pod that needs the whole machine waits, and later ones don't pass it, unless they need nothing that it waits for.
	c.apply(t, demanding("whole", "true", cpus))
	c.waitUnscheduled(t, "whole", "Insufficient cpu")
	c.apply(t, demanding("small", "true", "1m"))
	c.waitUnscheduled(t, "small", "node(s) keep what is free for pods that came first")
	c.apply(t, podManifest("free", "true"))
	c.waitPhase(t, "free", "Succeeded")
	if got := c.run(t, "get", "events", "--field-selector=involvedObject.name=whole,reason=FailedScheduling", "-o", "jsonpath={.items[*].source.component}"); got != "default-scheduler" {
		t.Errorf("events of a Pod that waits are from %q", got)
	}
	// Around the scheduler there is no way either.
	c.apply(t, demanding("named", "true", cpus, "nodeName: "+node))
	c.waitPhase(t, "named", "Failed")
	if got := c.run(t, "get", "pod", "named", "-o", "jsonpath={.status.reason}"); got != "OutOfcpu" {
		t.Errorf("reason %q", got)
	}
	g.open(t)
	for _, name := range []string{"whole", "small"} {
		c.waitPhase(t, name, "Succeeded")
	}

	c.run(t, "cordon", node)
	c.apply(t, demanding("cordoned", "true", "1m"))
	c.waitUnscheduled(t, "cordoned", "node(s) were unschedulable")
	c.run(t, "uncordon", node)
	c.waitPhase(t, "cordoned", "Succeeded")

	c.apply(t, demanding("elsewhere", "true", "1m", "nodeSelector: {disk: ssd}"))
	c.waitUnscheduled(t, "elsewhere", "node(s) didn't match Pod's node affinity/selector")
	c.run(t, "label", "node", node, "disk=ssd")
	c.waitPhase(t, "elsewhere", "Succeeded")

	c.apply(t, podManifest("gated", "true")+"  schedulingGates: [{name: example.com/wait}]\n")
	c.apply(t, podManifest("foreign", "true")+"  schedulerName: another\n")
	if got := c.run(t, "get", "pod", "gated", "foreign", "-o", `jsonpath={.items[*].status.conditions[*].reason}`); got != "SchedulingGated" {
		t.Errorf("reasons of Pods that aren't the scheduler's: %q", got)
	}
}

// TestTaintEviction: a taint drives the Pods of a Job off; it makes them anew when the taint is gone.
func TestTaintEviction(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	c := newClient(t, s)
	node := c.run(t, "get", "nodes", "-o", "jsonpath={.items[0].metadata.name}")
	g := newGate(t)
	c.apply(t, jobManifest("worker", g.await(), "backoffLimit: 0", "podFailurePolicy: {rules: [{action: Ignore, onPodConditions: [{type: DisruptionTarget}]}]}"))
	mark := newMark()
	c.apply(t, podManifest("stays", "sleep "+mark)+"  tolerations: [{key: repair, operator: Exists}]\n")
	c.waitPhase(t, "stays", "Running")
	eventually(t, time.Minute, func() string {
		if ready := c.job(t, "job", "worker").Status.Ready; ready != 1 {
			return fmt.Sprintf("%d ready Pods, want 1", ready)
		}
		return ""
	})
	c.run(t, "taint", "node", node, "repair=now:NoExecute")
	var waiting string
	eventually(t, time.Minute, func() string {
		waiting = c.run(t, "get", "pods", "-l", "job-name=worker", "-o", `jsonpath={.items[?(@.status.phase=="Pending")].metadata.name}`)
		if waiting == "" || strings.Contains(waiting, " ") {
			return fmt.Sprintf("Pods of the Job that wait: %q, want one", waiting)
		}
		return ""
	})
	c.waitUnscheduled(t, waiting, "node(s) had untolerated taint(s)")
	mustRun(t, mark)
	c.run(t, "taint", "node", node, "repair-")
	g.open(t)
	c.wait(t, "worker", "Complete")
}

// TestDescribeNode: what kubectl shows of the node.
func TestDescribeNode(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	wide := strings.Fields(strings.Split(c.run(t, "get", "nodes", "-o", "wide"), "\n")[1])
	if len(wide) < 8 || wide[1] != "Ready" || !strings.HasPrefix(wide[4], "v1.") || wide[5] != "127.0.0.1" {
		t.Errorf("kubectl get nodes -o wide: %q", wide)
	}
	description := c.run(t, "describe", "nodes")
	for _, want := range []string{"KubeletHasSufficientMemory", "KubeletHasNoDiskPressure", "KubeletHasSufficientPID", "KubeletReady", "Unschedulable:      false", "Kernel Version:", "Allocated resources:"} {
		if !strings.Contains(description, want) {
			t.Errorf("kubectl describe nodes doesn't say %q:\n%s", want, description)
		}
	}
}

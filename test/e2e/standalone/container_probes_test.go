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
	"os"
	"strings"
	"testing"
	"time"
)

// close takes the file of a gate away again.
func (g gate) close(t *testing.T) {
	t.Helper()
	if err := os.Remove(g.path); err != nil {
		t.Fatal(err)
	}
}

// probe is an exec probe of every second.
func probe(kind, command string, failures int) string {
	return fmt.Sprintf("    %s: {exec: {command: [sh, -c, %q]}, periodSeconds: 1, timeoutSeconds: 30, failureThreshold: %d}", kind, command, failures)
}

// TestLivenessProbe: a container whose probe fails is stopped and started again.
func TestLivenessProbe(t *testing.T) {
	t.Parallel()
	c, g, d := newClient(t, shared), newGate(t), newDiary(t)
	script := "rm -f " + g.path + "; echo up >>" + d.path + "; sleep 300"
	c.apply(t, strings.Replace(podManifest("p", script, probe("livenessProbe", "! test -e "+g.path, 1)), "restartPolicy: Never", "restartPolicy: Always", 1))
	eventually(t, time.Minute, func() string {
		if len(d.lines(t)) == 1 {
			return ""
		}
		return "the container has not started"
	})
	g.open(t)
	eventually(t, time.Minute, func() string {
		const path = "jsonpath={.status.containerStatuses[0].restartCount} {.status.containerStatuses[0].lastState.terminated.exitCode} {.status.containerStatuses[0].ready}"
		if got := c.run(t, "get", "pod", "p", "-o", path); got != "1 143 true" || len(d.lines(t)) != 2 {
			return "restarts, exit code and readiness are " + got
		}
		return ""
	})
	c.waitEvent(t, "p", "Unhealthy", "Liveness probe failed: ")
	c.waitEvent(t, "p", "Killing", "Container main failed liveness probe, will be restarted")
}

// TestReadinessProbe: a Pod is ready while its probe says so, and so is its Job's.
func TestReadinessProbe(t *testing.T) {
	t.Parallel()
	c, g := newClient(t, shared), newGate(t)
	c.apply(t, strings.Replace(jobManifest("j", "sleep 300"), "        command:", strings.ReplaceAll("    "+probe("readinessProbe", "test -e "+g.path, 1), "\n", "\n    ")+"\n        command:", 1))
	waitReady := func(want string, jobReady int) {
		t.Helper()
		eventually(t, time.Minute, func() string {
			const path = `jsonpath={range .items[*]}{.status.phase} {.status.conditions[?(@.type=="Ready")].status} {.status.conditions[?(@.type=="ContainersReady")].status} {.status.containerStatuses[0].ready}{end}`
			pod, job := c.run(t, "get", "pods", "-o", path), c.job(t, "job", "j").Status
			if pod != want || job.Ready != jobReady || job.Active != 1 {
				return fmt.Sprintf("the Pod is %q, want %q; the Job %+v", pod, want, job)
			}
			return ""
		})
	}
	waitReady("Running False False false", 0)
	c.waitEvent(t, c.pods(t, "j")[0].Metadata.Name, "Unhealthy", "Readiness probe failed: ")
	g.open(t)
	waitReady("Running True True true", 1)
	g.close(t)
	waitReady("Running False False false", 0)
}

// TestStartupProbe: a container that doesn't come up in time is stopped; one that does is probed for readiness from then on only.
func TestStartupProbe(t *testing.T) {
	t.Parallel()
	c, g, d := newClient(t, shared), newGate(t), newDiary(t)
	c.apply(t, podManifest("late", "sleep 300", probe("startupProbe", "exit 1", 2)))
	c.apply(t, podManifest("well", "sleep 300", probe("startupProbe", "test -e "+g.path, 100), probe("readinessProbe", "echo asked >>"+d.path, 1)))
	c.waitPhase(t, "late", "Failed")
	if got := c.podEnd(t, "late"); got != "Failed///Error/143" {
		t.Errorf("got %s", got)
	}
	c.waitEvent(t, "late", "Killing", "Container main failed startup probe")
	c.waitEvent(t, "well", "Unhealthy", "Startup probe failed: ")
	if got := c.run(t, "get", "pod", "well", "-o", "jsonpath={.status.containerStatuses[0].started} {.status.containerStatuses[0].ready}"); got != "false false" || len(d.lines(t)) != 0 {
		t.Errorf("before it has started up: %s, asked for its readiness %d times", got, len(d.lines(t)))
	}
	g.open(t)
	c.run(t, "wait", "--for=condition=Ready", "--timeout=60s", "pod/well")
	if got := c.run(t, "get", "pod", "well", "-o", "jsonpath={.status.containerStatuses[0].started}"); got != "true" || len(d.lines(t)) == 0 {
		t.Errorf("after it has started up: %s, asked for its readiness %d times", got, len(d.lines(t)))
	}
}

// TestPodStatus: what a Pod's status says beside its containers.
func TestPodStatus(t *testing.T) {
	t.Parallel()
	c, g := newClient(t, shared), newGate(t)
	c.apply(t, podManifest("best-effort", g.await()))
	c.apply(t, podManifest("burstable", g.await(), "    resources: {requests: {cpu: 1m}}"))
	c.apply(t, podManifest("guaranteed", g.await(), "    resources: {limits: {cpu: 10m, memory: 64Mi}}"))
	for name, qos := range map[string]string{"best-effort": "BestEffort", "burstable": "Burstable", "guaranteed": "Guaranteed"} {
		c.run(t, "wait", "--for=condition=Ready", "--timeout=60s", "pod/"+name)
		if got := c.run(t, "get", "pod", name, "-o", "jsonpath={.status.qosClass} {.metadata.generation} {.status.observedGeneration}"); got != qos+" 1 1" {
			t.Errorf("class and generations of %s: %s", name, got)
		}
	}
	const conditions = `jsonpath={range .status.conditions[*]}{.type}={.status}/{.reason} {end}`
	want := "PodReadyToStartContainers=True/ Initialized=True/ Ready=True/ ContainersReady=True/ PodScheduled=True/ "
	if got := c.run(t, "get", "pod", "burstable", "-o", conditions); got != want {
		t.Errorf("conditions while it runs: %s", got)
	}
	c.run(t, "patch", "pod", "burstable", "--type=merge", "-p", `{"spec": {"activeDeadlineSeconds": 600}}`)
	eventually(t, time.Minute, func() string {
		if got := c.run(t, "get", "pod", "burstable", "-o", "jsonpath={.metadata.generation} {.status.observedGeneration}"); got != "2 2" {
			return "after a change, the generations are " + got
		}
		return ""
	})
	g.open(t)
	c.waitPhase(t, "burstable", "Succeeded")
	want = "PodReadyToStartContainers=False/PodSandboxNotReady Initialized=True/PodCompleted Ready=False/PodCompleted ContainersReady=False/PodCompleted PodScheduled=True/ "
	if got := c.run(t, "get", "pod", "burstable", "-o", conditions); got != want {
		t.Errorf("conditions at the end: %s", got)
	}
}

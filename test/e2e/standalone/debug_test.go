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

// debug is kubectl debug, without what it says to whoever might sit there.
func (c *client) debug(t *testing.T, stdin, pod string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	return c.kubectlExit(t, nil, stdin, append([]string{"debug", "--quiet", "--profile=baseline", "--image=none", pod}, args...)...)
}

// ephemeralEnd is how an ephemeral container has ended: reason and exit code; empty while it hasn't.
func (c *client) ephemeralEnd(t *testing.T, pod, container string) string {
	t.Helper()
	at := fmt.Sprintf("{.status.ephemeralContainerStatuses[?(@.name==%q)].state.terminated", container)
	return c.run(t, "get", "pod", pod, "-o", "jsonpath="+at+".reason}"+at+"['exitCode']}")
}

// TestDebug: a container that is added to a running Pod has what its others have, is talked to, and has no part in how its Pod ends.
func TestDebug(t *testing.T) {
	t.Parallel()
	c, g, mark := newClient(t, shared), newGate(t), newMark()
	c.runPod(t, "p", "echo of the Pod > file; "+g.await()+"; exit 3")
	stdout, stderr, code := c.debug(t, "what is it?\n", "p", "-i", "-c", "talks", "--target=main", "--", "sh", "-c", `read question; echo "$question"; cat file; exit 7`)
	if code != 0 {
		t.Errorf("exit code %d, got %q, errors %q", code, stdout, stderr)
	}
	eventually(t, time.Minute, func() string {
		if got := c.ephemeralEnd(t, "p", "talks"); got != "Error7" {
			return "the container that was talked to has ended with " + got
		}
		return ""
	})
	// kubectl is done once it has nothing more to send: the answer is in the log.
	if log := c.run(t, "logs", "p", "-c", "talks"); log != "what is it?\nof the Pod\n" {
		t.Errorf("its log is %q", log)
	}
	c.debug(t, "", "p", "-c", "stays", "--", "sh", "-c", "echo stays; sleep "+mark+" & wait")
	mustRun(t, mark)
	if out := c.run(t, "exec", "p", "-c", "stays", "--", "cat", "file"); out != "of the Pod\n" {
		t.Errorf("beside the other one, a command printed %q", out)
	}
	if got := c.run(t, "get", "pod", "p", "-o", "jsonpath={.status.phase} {.status.containerStatuses[0].restartCount}"); got != "Running 0" {
		t.Errorf("the Pod is %s", got)
	}
	g.open(t)
	c.waitPhase(t, "p", "Failed")
	mustNotRun(t, mark)
	if got := c.podEnd(t, "p"); got != "Failed///Error/3" {
		t.Errorf("got %s", got)
	}
	if got := c.ephemeralEnd(t, "p", "stays"); got != "Error143" {
		t.Errorf("the container that stayed has ended with %s", got)
	}
}

// TestDebugWithoutCommand: nothing says what an image would run. kubectl is told so, and the Pod goes on.
func TestDebugWithoutCommand(t *testing.T) {
	t.Parallel()
	c, g := newClient(t, shared), newGate(t)
	c.runPod(t, "p", g.await())
	_, stderr, code := c.debug(t, "", "p", "-i", "-c", "nothing")
	if code != 1 || !strings.Contains(stderr, "spec.ephemeralContainers[0].command: is required: images are not pulled here") {
		t.Errorf("exit code %d, errors %q", code, stderr)
	}
	c.waitEvent(t, "p", "Failed", "Error: spec.ephemeralContainers[0].command: is required")
	g.open(t)
	c.waitPhase(t, "p", "Succeeded")
}

// TestDebugAcrossAKill: a container that was added outlives the server like any other, is found again, and is not started twice.
func TestDebugAcrossAKill(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	c, g, end := newClient(t, s), newGate(t), newGate(t)
	c.runPod(t, "p", end.await())
	d := newDiary(t)
	c.debug(t, "", "p", "-c", "runs", "--", "sh", "-c", "echo started >> "+d.path+"; "+g.await()+"; exit 9")
	eventually(t, time.Minute, func() string {
		if len(d.lines(t)) == 0 {
			return "the container that was added doesn't run"
		}
		return ""
	})
	s.kill()
	g.open(t)
	s.mustStart(t)
	eventually(t, time.Minute, func() string {
		if got := c.ephemeralEnd(t, "p", "runs"); got != "Error9" {
			return "the container has ended with " + got
		}
		return ""
	})
	end.open(t)
	c.waitPhase(t, "p", "Succeeded")
	if lines := d.lines(t); len(lines) != 1 {
		t.Errorf("the container wrote %q", lines)
	}
}

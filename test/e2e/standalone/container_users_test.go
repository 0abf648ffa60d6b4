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
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// podWith is podManifest with further lines of the Pod's spec.
func podWith(name, script string, spec []string, container ...string) string {
	manifest := podManifest(name, script, container...)
	for _, line := range spec {
		manifest += "\n  " + line
	}
	return manifest + "\n"
}

// needsRoot tells whether the tests, and so the server, run as root: without that it may neither mount nor change users.
func needsRoot(t *testing.T) bool {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Log("this takes root: nothing is tested")
		return false
	}
	return true
}

// waitWaiting waits until the first container of a Pod waits for a reason, and returns the message.
func (c *client) waitWaiting(t *testing.T, pod, reason string) string {
	t.Helper()
	var message string
	eventually(t, time.Minute, func() string {
		got := c.run(t, "get", "pod", pod, "-o", "jsonpath={.status.containerStatuses[0].state.waiting.reason}/{.status.containerStatuses[0].state.waiting.message}")
		is, text, _ := strings.Cut(got, "/")
		if message = text; is != reason {
			return fmt.Sprintf("Pod %s waits for %q, want %s", pod, got, reason)
		}
		return ""
	})
	return message
}

// events returns the messages of a Pod's events of a reason, one a line.
func (c *client) events(t *testing.T, pod, reason string) string {
	t.Helper()
	return c.run(t, "get", "events", "--field-selector=involvedObject.name="+pod+",reason="+reason, "-o", `jsonpath={range .items[*]}{.message}{"\n"}{end}`)
}

func (c *client) waitEvent(t *testing.T, pod, reason, says string) {
	t.Helper()
	eventually(t, time.Minute, func() string {
		if got := c.events(t, pod, reason); !strings.Contains(got, says) {
			return fmt.Sprintf("events %s of Pod %s: %q, none says %q", reason, pod, got, says)
		}
		return ""
	})
}

// TestUsersOfContainers: processes have the user and the groups that the Pod asks for, and files of its volumes the group.
func TestUsersOfContainers(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	security := "securityContext: {runAsUser: 61234, runAsGroup: 61235, fsGroup: 61236, supplementalGroups: [61237]}"
	if os.Geteuid() != 0 {
		c.apply(t, podWith("p", "true", []string{security}))
		c.waitPhase(t, "p", "Failed")
		if got := c.run(t, "get", "pod", "p", "-o", "jsonpath={.status.reason} {.status.message}"); !strings.HasPrefix(got, "UnsupportedField spec.securityContext.runAsUser: ") {
			t.Errorf("got %s", got)
		}
		return
	}
	const script = "id -u; id -g; id -G; echo x >/data/file; stat -c '%u %g' /data/file; sleep 300"
	c.runPod(t, "pod", script, "    volumeMounts: [{name: data, mountPath: /data}]", "  volumes: [{name: data, emptyDir: {}}]", "  "+security)
	c.runPod(t, "own", script, "    volumeMounts: [{name: data, mountPath: /data}]", "    securityContext: {runAsUser: 61300, runAsGroup: 61301}", "  volumes: [{name: data, emptyDir: {}}]", "  "+security)
	for name, want := range map[string]string{
		"pod": "61234\n61235\n61235 61236 61237\n61234 61236\n",
		"own": "61300\n61301\n61301 61236 61237\n61300 61236\n",
	} {
		eventually(t, time.Minute, func() string {
			if got := c.run(t, "logs", name); got != want {
				return fmt.Sprintf("Pod %s says %q, want %q", name, got, want)
			}
			return ""
		})
		user, _, _ := strings.Cut(want, "\n")
		if got := c.run(t, "exec", name, "--", "id", "-u"); got != user+"\n" {
			t.Errorf("kubectl exec in %s runs as %q, want %s", name, got, user)
		}
	}
}

func TestRunAsNonRoot(t *testing.T) {
	t.Parallel()
	if !needsRoot(t) {
		return
	}
	c := newClient(t, shared)
	c.apply(t, podWith("root", "true", []string{"securityContext: {runAsNonRoot: true}"}))
	if got := c.waitWaiting(t, "root", "CreateContainerConfigError"); !strings.HasPrefix(got, "container has runAsNonRoot and image will run as root") {
		t.Errorf("message %q", got)
	}
	c.apply(t, podWith("other", "id -u", []string{"securityContext: {runAsNonRoot: true, runAsUser: 61234}"}))
	c.waitPhase(t, "other", "Succeeded")
}

func TestReadOnlyRootFilesystem(t *testing.T) {
	t.Parallel()
	if !needsRoot(t) {
		return
	}
	c, folder := newClient(t, shared), t.TempDir()
	c.apply(t, podWith("p", "echo x >/data/file && echo volume; cat "+folder+"/there; echo x >"+folder+"/file",
		[]string{"volumes: [{name: data, emptyDir: {}}]"}, "    volumeMounts: [{name: data, mountPath: /data}]", "    securityContext: {readOnlyRootFilesystem: true}"))
	if err := os.WriteFile(filepath.Join(folder, "there"), []byte("read\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	c.waitPhase(t, "p", "Failed")
	if got := c.run(t, "logs", "p"); !strings.HasPrefix(got, "volume\n") || !strings.Contains(got, "Read-only file system") {
		t.Errorf("log %q", got)
	}
	if _, err := os.Stat(filepath.Join(folder, "file")); err == nil {
		t.Error("the container wrote on the machine")
	}
}

// TestOOMKilled: what takes more memory than its limit is killed, and the Pod says why.
func TestOOMKilled(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	// The other limit is for machines on which the Pod's can't be enforced.
	c.apply(t, podManifest("p", "ulimit -v 1000000; exec tail /dev/zero", "    resources: {limits: {memory: 32Mi}}"))
	c.run(t, "wait", "--for=jsonpath={.status.containerStatuses[0].state.terminated}", "--timeout=90s", "pod/p")
	if got := c.events(t, "p", "LimitsNotEnforced"); got != "" {
		t.Logf("nothing is tested: %s", got)
		if !strings.HasPrefix(got, "resources.limits") || strings.Count(got, "\n") != 1 {
			t.Errorf("the event of limits that bind nothing says %q", got)
		}
		return
	}
	c.waitPhase(t, "p", "Failed")
	if got := c.podEnd(t, "p"); got != "Failed///OOMKilled/137" {
		t.Errorf("got %s", got)
	}
}

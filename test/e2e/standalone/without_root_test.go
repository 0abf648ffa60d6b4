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
	"syscall"
	"testing"
	"time"
)

// TestWithoutRoot: a server of an ordinary user runs Jobs, and says clearly what it can't do for them.
func TestWithoutRoot(t *testing.T) {
	t.Parallel()
	if !needsRoot(t) { // to become somebody else
		return
	}
	const user = 61000
	folder, err := os.MkdirTemp("", "jobserver-e2e-") // all of its path is open to everybody
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(folder); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chown(folder, user, user); err != nil {
		t.Fatal(err)
	}
	s, err := newServer(filepath.Join(folder, "data"))
	if err != nil {
		t.Fatal(err)
	}
	s.user = &syscall.Credential{Uid: user, Gid: user}
	s.binary = filepath.Join(folder, "apiserver")
	copyFile(t, *apiserverPath, s.binary)
	s.mustStart(t)
	t.Cleanup(func() {
		if err := s.stopWithJobs(); err != nil {
			t.Error(err)
		}
	})
	c := newClient(t, s)
	c.apply(t, jobManifest("j", "id -u", "completions: 3", "parallelism: 3"))
	c.wait(t, "j", "Complete")
	if got := c.run(t, "logs", "-l", "job-name=j"); got != strings.Repeat(fmt.Sprintln(user), 3) {
		t.Errorf("log %q", got)
	}

	// Whoever asks for what it is anyway gets that.
	c.apply(t, podWith("same", "true", []string{fmt.Sprintf("securityContext: {runAsUser: %d, runAsGroup: %[1]d, runAsNonRoot: true}", user)}))
	c.waitPhase(t, "same", "Succeeded")
	for name, test := range map[string]struct {
		says            string
		spec, container []string
	}{
		"user":      {"spec.securityContext.runAsUser: the server is not root, so containers run as its user", []string{"securityContext: {runAsUser: 0}"}, nil},
		"group":     {"spec.containers[0].securityContext.runAsGroup: the server is not root", nil, []string{"    securityContext: {runAsGroup: 0}"}},
		"fs-group":  {"spec.securityContext.fsGroup: the server is not root", []string{"securityContext: {fsGroup: 7}"}, nil},
		"volume":    {"spec.volumes: this server may not mount", []string{"volumes: [{name: data, emptyDir: {}}]"}, nil},
		"read-only": {"spec.containers[0].securityContext.readOnlyRootFilesystem: this server may not mount", nil, []string{"    securityContext: {readOnlyRootFilesystem: true}"}},
		"message":   {"spec.containers[0].terminationMessagePath: this server may not mount", nil, []string{"    terminationMessagePath: /run/message"}},
	} {
		c.apply(t, podWith(name, "true", test.spec, test.container...))
		c.waitPhase(t, name, "Failed")
		if got := c.run(t, "get", "pod", name, "-o", "jsonpath={.status.reason} {.status.message}"); !strings.HasPrefix(got, "UnsupportedField "+test.says) {
			t.Errorf("%s: got %s", name, got)
		}
	}

	// Limits bind nothing, which each Pod is told once.
	c.apply(t, strings.Replace(podManifest("limits", "true", "    resources: {limits: {memory: 64Mi, cpu: 100m}}",
		"  - {name: other, image: none, command: [\"true\"], resources: {limits: {memory: 64Mi}}}"), "restartPolicy: Never", "restartPolicy: OnFailure", 1))
	c.waitPhase(t, "limits", "Succeeded")
	eventually(t, time.Minute, func() string {
		if got := c.events(t, "limits", "LimitsNotEnforced"); strings.Count(got, "\n") != 1 || !strings.Contains(got, "cgroup") {
			return fmt.Sprintf("events of limits that aren't enforced: %q, want one", got)
		}
		return ""
	})
}

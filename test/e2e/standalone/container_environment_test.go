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

// TestEnvironmentOfContainers: where variables come from, and how they are expanded.
func TestEnvironmentOfContainers(t *testing.T) {
	t.Parallel()
	c, folder := newClient(t, shared), t.TempDir()
	c.run(t, "create", "configmap", "settings", "--from-literal=COLOUR=blue", "--from-literal=SHAPE=round")
	c.run(t, "create", "secret", "generic", "keys", "--from-literal=KEY=hidden")
	c.apply(t, `
apiVersion: v1
kind: Pod
metadata: {name: p, labels: {app: env}, annotations: {note: "two words"}}
spec:
  restartPolicy: Never
  containers:
  - name: main
    image: none
    workingDir: `+folder+`
    command: [sh, -c, 'pwd; echo "$0 $1"; env | grep ^T_ | sort', "$(T_PLAIN) $$(T_PLAIN) $(T_NONE)"]
    args: ["$(T_COMPOSED)"]
    resources: {requests: {cpu: 10m, memory: 8Mi}, limits: {memory: 64Mi}}
    envFrom:
    - {prefix: T_MAP_, configMapRef: {name: settings}}
    - {prefix: T_SECRET_, secretRef: {name: keys}}
    - {prefix: T_NEVER_, configMapRef: {name: never, optional: true}}
    env:
    - {name: T_PLAIN, value: plain}
    - {name: T_COMPOSED, value: "<$(T_PLAIN)> $(T_LATER)"}
    - {name: T_LATER, value: late}
    - {name: T_MAP_SHAPE, value: square}
    - {name: T_KEY, valueFrom: {secretKeyRef: {name: keys, key: KEY}}}
    - {name: T_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
    - {name: T_LABEL, valueFrom: {fieldRef: {fieldPath: "metadata.labels['app']"}}}
    - {name: T_NOTE, valueFrom: {fieldRef: {fieldPath: "metadata.annotations['note']"}}}
    - {name: T_NODE_IP, valueFrom: {fieldRef: {fieldPath: status.hostIP}}}
    - {name: T_CPU, valueFrom: {resourceFieldRef: {resource: requests.cpu, divisor: 1m}}}
    - {name: T_MEMORY, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}
`)
	c.waitPhase(t, "p", "Succeeded")
	want := folder + `
plain $(T_PLAIN) $(T_NONE) <plain> $(T_LATER)
T_COMPOSED=<plain> $(T_LATER)
T_CPU=10
T_KEY=hidden
T_LABEL=env
T_LATER=late
T_MAP_COLOUR=blue
T_MAP_SHAPE=square
T_MEMORY=64
T_NAME=p
T_NODE_IP=127.0.0.1
T_NOTE=two words
T_PLAIN=plain
T_SECRET_KEY=hidden
`
	if got := c.run(t, "logs", "p"); got != want {
		t.Errorf("log:\n%s\nwant:\n%s", got, want)
	}
}

// TestRestartRules: rules of single containers go before what the Pod says.
func TestRestartRules(t *testing.T) {
	t.Parallel()
	c, rule, all := newClient(t, shared), newDiary(t), newDiary(t)
	attempts := func(d diary, code int) string {
		return fmt.Sprintf("echo x >>%[1]s; [ $(wc -l <%[1]s) -ge 2 ] || exit %[2]d", d.path, code)
	}
	rules := func(action string) string {
		return "    restartPolicy: Never\n    restartPolicyRules: [{action: " + action + ", exitCodes: {operator: In, values: [42]}}]"
	}
	c.apply(t, podManifest("again", attempts(rule, 42), rules("Restart")))
	c.apply(t, podManifest("other", "exit 41", rules("Restart")))
	before := newDiary(t)
	c.apply(t, podManifest("all", attempts(all, 42), rules("RestartAllContainers"),
		"  initContainers: [{name: before, image: none, command: [sh, -c, \"echo x >>"+before.path+"\"]}]"))
	c.waitPhase(t, "again", "Succeeded")
	c.waitPhase(t, "other", "Failed")
	c.waitPhase(t, "all", "Succeeded")
	if got := c.run(t, "get", "pod", "again", "-o", "jsonpath={.status.containerStatuses[0].restartCount} {.status.containerStatuses[0].lastState.terminated.exitCode}"); got != "1 42" {
		t.Errorf("restarts and last exit code: %s", got)
	}
	if got := c.podEnd(t, "other"); got != "Failed///Error/41" {
		t.Errorf("got %s", got)
	}
	if n, m := len(all.lines(t)), len(before.lines(t)); n != 2 || m != 2 {
		t.Errorf("after RestartAllContainers the main container ran %d times, the init container %d times", n, m)
	}
}

// TestCPULimit: the limit is that of the container's cgroup.
func TestCPULimit(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	c.runPod(t, "p", "sleep 300", "    resources: {limits: {cpu: 250m, memory: 64Mi}}")
	if got := c.events(t, "p", "LimitsNotEnforced"); got != "" {
		t.Logf("nothing is tested: %s", got)
		return
	}
	uid := c.run(t, "get", "pod", "p", "-o", "jsonpath={.metadata.uid}")
	found := map[string]string{}
	for _, folder := range cgroupsOf([]string{uid}) {
		for _, file := range []string{"cpu.max", "cpu.cfs_quota_us", "memory.max", "memory.limit_in_bytes"} {
			if data, err := os.ReadFile(filepath.Join(folder, file)); err == nil {
				found[file] = strings.TrimSpace(string(data))
			}
		}
	}
	if found["cpu.max"] != "25000 100000" && found["cpu.cfs_quota_us"] != "25000" {
		t.Errorf("limits of the cgroup: %v", found)
	}
	if found["memory.max"] != "67108864" && found["memory.limit_in_bytes"] != "67108864" {
		t.Errorf("limits of the cgroup: %v", found)
	}
	c.run(t, "delete", "pod", "p", "--timeout=60s")
	eventually(t, time.Minute, func() string {
		if left := cgroupsOf([]string{uid}); len(left) > 0 {
			return fmt.Sprintf("cgroups are left: %v", left)
		}
		return ""
	})
}

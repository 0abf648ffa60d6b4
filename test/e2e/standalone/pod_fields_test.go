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

// envFilePod is a Pod whose first container writes a file into a volume, of which the second one has variables.
func envFilePod(name, file, env string) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: %s}
spec:
  restartPolicy: Never
  volumes: [{name: config, emptyDir: {}}]
  initContainers:
  - name: setup
    image: none
    command: [sh, -c, %q]
    volumeMounts: [{name: config, mountPath: /data}]
  containers:
  - name: main
    image: none
    command: [sh, -c, "env | grep FROM_FILE | sort"]
    env: [%s]
`, name, file, env)
}

// TestEnvFile: variables come from a file that an init container has written.
func TestEnvFile(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	write := `printf "A='one'\nB='two words' # and a comment\n" > /data/config.env`
	variable := func(name, path, key, optional string) string {
		return fmt.Sprintf("{name: FROM_FILE_%s, valueFrom: {fileKeyRef: {volumeName: config, path: %s, key: %s, optional: %s}}}", name, path, key, optional)
	}
	t.Run("there", func(t *testing.T) {
		t.Parallel()
		c.apply(t, envFilePod("there", write, variable("A", "config.env", "A", "false")+", "+variable("B", "config.env", "B", "false")+", "+variable("C", "config.env", "C", "true")))
		c.waitPhase(t, "there", "Succeeded")
		if log := c.run(t, "logs", "there"); log != "FROM_FILE_A=one\nFROM_FILE_B=two words\n" {
			t.Errorf("log %q", log)
		}
	})
	for name, test := range map[string]struct{ env, says string }{
		"no-key":  {variable("A", "config.env", "NONE", "false"), `environment variable key "NONE" not found in file "config.env"`},
		"no-file": {variable("A", "none.env", "A", "false"), "couldn't parse env file: open none.env: no such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.apply(t, envFilePod(name, write, test.env))
			eventually(t, time.Minute, func() string {
				got := c.run(t, "get", "pod", name, "-o", "jsonpath={.status.containerStatuses[0].state.waiting}")
				if strings.Contains(got, "CreateContainerConfigError") && strings.Contains(strings.ReplaceAll(got, `\"`, `"`), test.says) {
					return ""
				}
				return "the container's state is " + got
			})
		})
	}
}

// TestStartErrorStarted: what was never started doesn't claim to have been started in the year 1.
func TestStartErrorStarted(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	c.apply(t, strings.Replace(podManifest("p", ""), `[sh, -c, ""]`, "[no-such-command]", 1))
	c.waitPhase(t, "p", "Failed")
	if got := c.run(t, "describe", "pod", "p"); !strings.Contains(got, "Thu, 01 Jan 1970") || strings.Contains(got, "0001") {
		t.Errorf("kubectl describe shows\n%s", got)
	}
}

// TestContainerUserStatus: the status says whom a container runs as.
func TestContainerUserStatus(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	c.runPod(t, "p", "id -u; id -g; sleep 300")
	eventually(t, time.Minute, func() string {
		ids := strings.Fields(c.run(t, "logs", "p"))
		got := c.run(t, "get", "pod", "p", "-o", "jsonpath={.status.containerStatuses[0].user.linux.uid} {.status.containerStatuses[0].user.linux.gid}")
		if len(ids) == 2 && got == strings.Join(ids, " ") {
			return ""
		}
		return fmt.Sprintf("user and group are %v, and shown as %s", ids, got)
	})
}

// TestNameResolution: a Pod has its own names and name servers, beside the machine's, and the machine sees nothing of it.
func TestNameResolution(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	machine, err := os.ReadFile("/etc/hosts")
	if err != nil {
		t.Fatal(err)
	}
	manifest := podManifest("p", "getent hosts backend; tail -n 1 /etc/hosts; cat /etc/resolv.conf") +
		"\n  hostAliases: [{ip: 192.0.2.7, hostnames: [backend]}]\n  dnsPolicy: None\n  dnsConfig: {nameservers: [192.0.2.53], searches: [jobs.example], options: [{name: ndots, value: '2'}]}\n"
	c.apply(t, manifest)
	c.waitPhase(t, "p", "Succeeded")
	log := c.run(t, "logs", "p")
	if fields := strings.Fields(log); len(fields) < 2 || fields[0] != "192.0.2.7" || fields[1] != "backend" {
		t.Errorf("the name is resolved to %q", log)
	}
	if want := "192.0.2.7\tbackend\nsearch jobs.example\nnameserver 192.0.2.53\noptions ndots:2\n"; !strings.HasSuffix(log, want) {
		t.Errorf("got %q, want it to end with %q", log, want)
	}
	if after, err := os.ReadFile("/etc/hosts"); err != nil || string(after) != string(machine) {
		t.Errorf("the machine's file has changed: %q, %v", after, err)
	}
}

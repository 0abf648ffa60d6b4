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

// TestWaitsForConfiguration: a container waits for the objects that its environment comes from, and goes on when they are there.
func TestWaitsForConfiguration(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	c.apply(t, podManifest("p", "echo $FROM_MAP $FROM_SECRET $OPTIONAL.", "    envFrom: [{secretRef: {name: late}}]",
		"    env: [{name: FROM_MAP, valueFrom: {configMapKeyRef: {name: late, key: text}}}, {name: OPTIONAL, valueFrom: {secretKeyRef: {name: never, key: a, optional: true}}}]"))
	if got := c.waitWaiting(t, "p", "CreateContainerConfigError"); got != `secret "late" not found` {
		t.Errorf("message %q", got)
	}
	c.run(t, "create", "secret", "generic", "late", "--from-literal=FROM_SECRET=hidden")
	eventually(t, time.Minute, func() string {
		return strings.TrimPrefix(c.waitWaiting(t, "p", "CreateContainerConfigError"), `configmap "late" not found`)
	})
	c.run(t, "create", "configmap", "late", "--from-literal=other=x")
	eventually(t, time.Minute, func() string {
		return strings.TrimPrefix(c.waitWaiting(t, "p", "CreateContainerConfigError"), fmt.Sprintf("couldn't find key text in ConfigMap %s/late", c.namespace))
	})
	if got := c.run(t, "get", "pod", "p", "--no-headers"); !strings.Contains(got, "CreateContainerConfigError") {
		t.Errorf("kubectl get shows %s", got)
	}
	c.run(t, "patch", "configmap", "late", "-p", `{"data": {"text": "seen"}}`)
	c.waitPhase(t, "p", "Succeeded")
	if got := c.run(t, "logs", "p"); got != "seen hidden .\n" {
		t.Errorf("log %q", got)
	}
}

// TestUpdatedVolumes: what changes reaches Pods that run, but not what is mounted as a subPath.
func TestUpdatedVolumes(t *testing.T) {
	t.Parallel()
	if !needsRoot(t) {
		return
	}
	c := newClient(t, shared)
	c.run(t, "create", "configmap", "settings", "--from-literal=colour=blue", "--from-literal=shape=round")
	c.run(t, "create", "secret", "generic", "keys", "--from-literal=key=old")
	c.runPod(t, "p", "sleep 300", `    volumeMounts:
    - {name: settings, mountPath: /settings}
    - {name: settings, mountPath: /fixed/colour, subPath: colour}
    - {name: keys, mountPath: /keys, readOnly: true}
    - {name: all, mountPath: /all}
  volumes:
  - {name: settings, configMap: {name: settings}}
  - {name: keys, secret: {secretName: keys, defaultMode: 0400}}
  - name: all
    projected:
      sources:
      - configMap: {name: settings, items: [{key: shape, path: deep/shape, mode: 0440}]}
      - secret: {name: keys}
      - secret: {name: never, optional: true}
      - downwardAPI: {items: [{path: team, fieldRef: {fieldPath: "metadata.labels['team']"}}, {path: name, fieldRef: {fieldPath: metadata.name}}]}`)
	all := func() string {
		return c.run(t, "exec", "p", "--", "sh", "-c", "cd /; for file in settings/colour fixed/colour keys/key all/deep/shape all/key all/name all/team; do cat $file; echo; done")
	}
	if got := strings.Join(strings.Fields(all()), " "); got != "blue blue old round old p" {
		t.Errorf("at first: %q", got)
	}
	if got := c.run(t, "exec", "p", "--", "stat", "-Lc", "%a", "/keys/key", "/all/deep/shape", "/settings/colour"); got != "400\n440\n644\n" {
		t.Errorf("modes: %q", got)
	}
	if _, stderr, code := c.kubectlExit(t, nil, "", "exec", "p", "--", "sh", "-c", "echo x >/keys/other"); code == 0 || !strings.Contains(stderr, "Read-only file system") {
		t.Errorf("a secret's volume can be written: %d, %s", code, stderr)
	}
	c.run(t, "patch", "configmap", "settings", "-p", `{"data": {"colour": "red", "shape": "square"}}`)
	c.run(t, "patch", "secret", "keys", "-p", `{"stringData": {"key": "new"}}`)
	c.run(t, "label", "pod", "p", "team=a")
	eventually(t, 90*time.Second, func() string {
		if got := strings.Join(strings.Fields(all()), " "); got != "red blue new square new p a" {
			return fmt.Sprintf("after the update: %q", got)
		}
		return ""
	})
}

// TestEmptyDirs: containers share one, it is empty at first, and more than its limit ends the Pod, or is refused where it is in memory.
func TestEmptyDirs(t *testing.T) {
	t.Parallel()
	if !needsRoot(t) {
		return
	}
	c := newClient(t, shared)
	c.apply(t, podManifest("shared", "until [ -e /b/done ]; do sleep 0.1; done; cat /b/done; findmnt -no FSTYPE /memory",
		"    volumeMounts: [{name: data, mountPath: /b}, {name: memory, mountPath: /memory}]",
		"  - {name: other, image: none, command: [sh, -c, \"ls -A /a; echo shared >/a/part; mv /a/part /a/done\"], volumeMounts: [{name: data, mountPath: /a}]}",
		"  volumes: [{name: data, emptyDir: {}}, {name: memory, emptyDir: {medium: Memory}}]"))
	c.apply(t, podManifest("memory", "head -c 3000000 /dev/zero >/data/file", "    volumeMounts: [{name: data, mountPath: /data}]", "  volumes: [{name: data, emptyDir: {medium: Memory, sizeLimit: 1Mi}}]"))
	mark := newMark()
	c.apply(t, podManifest("large", "head -c 3000000 /dev/zero >/data/file; sleep "+mark+" & wait", "    volumeMounts: [{name: data, mountPath: /data}]", "  volumes: [{name: data, emptyDir: {sizeLimit: 1Mi}}]"))
	c.waitPhase(t, "shared", "Succeeded")
	if main, other := c.run(t, "logs", "shared", "-c", "main"), c.run(t, "logs", "shared", "-c", "other"); main != "shared\ntmpfs\n" || other != "" {
		t.Errorf("logs %q and %q", main, other)
	}
	c.waitPhase(t, "memory", "Failed")
	if got := c.run(t, "logs", "memory"); !strings.Contains(got, "No space left on device") {
		t.Errorf("log %q", got)
	}
	c.waitPhase(t, "large", "Failed")
	const says = `Usage of EmptyDir volume "data" exceeds the limit "1Mi". `
	if got := c.run(t, "get", "pod", "large", "-o", "jsonpath={.status.reason}: {.status.message}"); got != "Evicted: "+says {
		t.Errorf("got %q", got)
	}
	c.waitEvent(t, "large", "Evicted", says)
	mustNotRun(t, mark)
}

// TestHostPaths: the types say what has to be there, and what is made.
func TestHostPaths(t *testing.T) {
	t.Parallel()
	if !needsRoot(t) {
		return
	}
	c, folder := newClient(t, shared), t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "file"), []byte("content\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ path, kind, script, log, waits string }{
		"any":              {"", "", "cat /host/file", "content\n", ""},
		"directory":        {"", "Directory", "cat /host/file", "content\n", ""},
		"no-directory":     {"none", "Directory", "", "", "hostPath type check failed: " + folder + "/none is not a directory"},
		"file-as-folder":   {"file", "Directory", "", "", "hostPath type check failed: " + folder + "/file is not a directory"},
		"make-directory":   {"made/deep", "DirectoryOrCreate", "stat -c %a /host", "755\n", ""},
		"file":             {"file", "File", "cat /host", "content\n", ""},
		"make-file":        {"made-file", "FileOrCreate", "echo x >/host; stat -c %a /host", "644\n", ""},
		"no-socket":        {"file", "Socket", "", "", "hostPath type check failed: " + folder + "/file is not a socket file"},
		"character-device": {"/dev/null", "CharDevice", "echo x >/host && echo written", "written\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := test.path
			if !filepath.IsAbs(path) {
				path = filepath.Join(folder, path)
			}
			c.apply(t, podManifest(name, test.script, "    volumeMounts: [{name: host, mountPath: /host}]", fmt.Sprintf("  volumes: [{name: host, hostPath: {path: %q, type: %q}}]", path, test.kind)))
			if test.waits != "" {
				c.waitEvent(t, name, "FailedMount", test.waits)
				c.waitWaiting(t, name, "ContainerCreating")
				return
			}
			c.waitPhase(t, name, "Succeeded")
			if got := c.run(t, "logs", name); got != test.log {
				t.Errorf("log %q, want %q", got, test.log)
			}
		})
	}
}

// TestMissingVolumeSource: a Pod waits for the ConfigMap of its volume and says so.
func TestMissingVolumeSource(t *testing.T) {
	t.Parallel()
	if !needsRoot(t) {
		return
	}
	c := newClient(t, shared)
	c.apply(t, podManifest("p", "cat /settings/colour", "    volumeMounts: [{name: settings, mountPath: /settings}]", "  volumes: [{name: settings, configMap: {name: late}}]"))
	c.waitEvent(t, "p", "FailedMount", `configmap "late" not found`)
	c.waitWaiting(t, "p", "ContainerCreating")
	c.run(t, "create", "configmap", "late", "--from-literal=colour=green")
	c.waitPhase(t, "p", "Succeeded")
	if got := c.run(t, "logs", "p"); got != "green" {
		t.Errorf("log %q", got)
	}
}

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
	"slices"
	"strings"
	"testing"
	"time"
)

// twoContainers prints from an init container and two main ones, one of them on both streams.
const twoContainers = `
apiVersion: v1
kind: Pod
metadata: {name: p, labels: {app: talk}}
spec:
  restartPolicy: Never
  initContainers:
  - {name: before, image: none, command: [sh, -c, "echo of before"]}
  containers:
  - {name: one, image: none, command: [sh, -c, "for i in 1 2 3 4 5; do echo line $i; done; echo trouble >&2"]}
  - {name: two, image: none, command: [sh, -c, "echo of two"]}
`

func (c *client) waitPhase(t *testing.T, pod, phase string) {
	t.Helper()
	c.run(t, "wait", "--for=jsonpath={.status.phase}="+phase, "--timeout=60s", "pod/"+pod)
}

func sortedLines(text string) []string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	slices.Sort(lines)
	return lines
}

// TestLogFlags goes through the flags of kubectl logs.
func TestLogFlags(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	c.apply(t, twoContainers)
	c.waitPhase(t, "p", "Succeeded")
	const all = "line 1\nline 2\nline 3\nline 4\nline 5\n"
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"init container":     {[]string{"p", "-c", "before"}, "of before\n"},
		"tail":               {[]string{"p", "-c", "two", "--tail=1"}, "of two\n"},
		"tail 0":             {[]string{"p", "-c", "two", "--tail=0"}, ""},
		"tail without limit": {[]string{"p", "-c", "two", "--tail=-1"}, "of two\n"},
		"since":              {[]string{"p", "-c", "two", "--since=1h"}, "of two\n"},
		"since time":         {[]string{"p", "-c", "two", "--since-time=2020-01-01T00:00:00Z"}, "of two\n"},
		"since the future":   {[]string{"p", "-c", "two", "--since-time=2999-01-01T00:00:00Z"}, ""},
		"limit":              {[]string{"p", "-c", "two", "--limit-bytes=4"}, "of t"},
		"follow":             {[]string{"p", "-c", "two", "-f"}, "of two\n"},
		"follow, tail":       {[]string{"p", "-c", "two", "-f", "--tail=1"}, "of two\n"},
		"prefix":             {[]string{"p", "-c", "two", "--prefix"}, "[pod/p/two] of two\n"},
		"selector, one":      {[]string{"-l", "app=talk", "-c", "two"}, "of two\n"},
		"selector, nobody":   {[]string{"-l", "app=none"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := c.run(t, append([]string{"logs"}, test.args...)...); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	t.Run("default container", func(t *testing.T) {
		t.Parallel()
		// The streams of one container are two pipes: what comes first of both is not known.
		if got := c.run(t, "logs", "p"); strings.Replace(got, "trouble\n", "", 1) != all || got == all {
			t.Errorf("got %q", got)
		}
	})
	t.Run("timestamps", func(t *testing.T) {
		t.Parallel()
		got := c.run(t, "logs", "p", "-c", "two", "--timestamps")
		stamp, text, _ := strings.Cut(got, " ")
		at, err := time.Parse(time.RFC3339Nano, stamp)
		if err != nil || text != "of two\n" || time.Since(at) > time.Hour {
			t.Errorf("got %q, error %v", got, err)
		}
	})
	t.Run("all containers", func(t *testing.T) {
		t.Parallel()
		for _, args := range [][]string{{"p"}, {"-l", "app=talk", "--tail=-1"}} {
			got := sortedLines(c.run(t, append([]string{"logs", "--all-containers", "--prefix"}, args...)...))
			want := []string{"[pod/p/before] of before", "[pod/p/one] line 1", "[pod/p/one] line 2", "[pod/p/one] line 3", "[pod/p/one] line 4",
				"[pod/p/one] line 5", "[pod/p/one] trouble", "[pod/p/two] of two"}
			if !slices.Equal(got, want) {
				t.Errorf("%q: got %q", args, got)
			}
		}
	})
}

// TestFollowEndsWithTheContainer: what is followed is all there is to come, and no more is waited for once the container has ended.
func TestFollowEndsWithTheContainer(t *testing.T) {
	t.Parallel()
	c, g := newClient(t, shared), newGate(t)
	c.apply(t, podManifest("p", "echo before; "+g.await()+"; echo after; exit 3"))
	c.waitPhase(t, "p", "Running")
	follow, tail := c.watch(t, "logs", "-f", "p"), c.watch(t, "logs", "-f", "--tail=0", "--pod-running-timeout=1m", "p")
	eventually(t, time.Minute, func() string {
		if got := follow.stdout.String(); got != "before\n" {
			return fmt.Sprintf("the follower has %q", got)
		}
		return ""
	})
	g.open(t)
	for _, client := range []*process{follow, tail} {
		if !client.endsWithin(time.Minute) || client.exitCode() != 0 {
			t.Fatal("kubectl logs -f does not end, or fails, when the container ends")
		}
	}
	if got := follow.stdout.String(); got != "before\nafter\n" {
		t.Errorf("the follower got %q", got)
	}
	if got := tail.stdout.String(); got != "after\n" && got != "" { // nothing where it came after the end
		t.Errorf("the follower without history got %q", got)
	}
}

// TestFollowSeveral: kubectl logs -f of a selector shows all containers of all its Pods as they go, and ends with the last of them.
func TestFollowSeveral(t *testing.T) {
	t.Parallel()
	c, g := newClient(t, shared), newGate(t)
	c.apply(t, jobManifest("j", "echo $JOB_COMPLETION_INDEX before; "+g.await()+"; echo $JOB_COMPLETION_INDEX after", "completionMode: Indexed", "completions: 3", "parallelism: 3"))
	eventually(t, time.Minute, func() string {
		if ready := c.job(t, "job", "j").Status.Ready; ready != 3 {
			return fmt.Sprintf("%d Pods are ready, want 3", ready)
		}
		return ""
	})
	const tooMany = "you are attempting to follow 3 log streams, but maximum allowed concurrency is 2, use --max-log-requests to increase the limit"
	if got := c.refused(t, "", "logs", "-f", "-l", "job-name=j", "--max-log-requests=2"); !strings.Contains(got, tooMany) {
		t.Errorf("with too few requests kubectl says %s", got)
	}
	all := c.watch(t, "logs", "-f", "-l", "job-name=j", "--max-log-requests=3", "--all-containers", "--prefix")
	job := c.watch(t, "logs", "-f", "job/j", "--all-pods")
	for _, client := range []*process{all, job} {
		eventually(t, time.Minute, func() string {
			if got := strings.Count(client.stdout.String(), " before\n"); got != 3 {
				return fmt.Sprintf("before the gate opens kubectl shows %q", client.stdout.String())
			}
			return ""
		})
	}
	g.open(t)
	c.wait(t, "j", "Complete")
	for _, client := range []*process{all, job} {
		if !client.endsWithin(time.Minute) || client.exitCode() != 0 || strings.Count(client.stdout.String(), " after\n") != 3 {
			t.Errorf("kubectl shows %q, and ended: %t\n%s", client.stdout.String(), client.ended(), client.stderr.tail())
		}
	}
}

// TestLogErrors compares with the answers of a kubelet behind kube-apiserver.
func TestLogErrors(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	c.apply(t, podManifest("p", "echo hi"))
	c.waitPhase(t, "p", "Succeeded")
	c.apply(t, podManifest("gated", "true")+"  schedulingGates: [{name: example.com/wait}]\n")
	c.apply(t, podManifest("waits", "true", "    env: [{name: A, valueFrom: {configMapKeyRef: {name: missing, key: a}}}]"))
	eventually(t, time.Minute, func() string {
		return strings.TrimPrefix(c.run(t, "get", "pod", "waits", "-o", "jsonpath={.status.containerStatuses[0].state.waiting.reason}"), "CreateContainerConfigError")
	})
	raw := "/api/v1/namespaces/" + c.namespace + "/pods/p/log"
	for want, args := range map[string][]string{
		`error: container nobody is not valid for pod p`:                                                {"logs", "p", "-c", "nobody"},
		`(NotFound): pods "none" not found`:                                                             {"logs", "none"},
		`(BadRequest): previous terminated container "main" in pod "p" not found`:                       {"logs", "p", "--previous"},
		`(BadRequest): container "main" in pod "waits" is waiting to start: CreateContainerConfigError`: {"logs", "waits"},
		"at most one of `sinceTime` or `sinceSeconds` may be specified":                                 {"logs", "p", "--since=1m", "--since-time=2020-01-01T00:00:00Z"},
		`container nobody is not valid for pod p`:                                                       {"get", "--raw", raw + "?container=nobody"},
		`tailLines: Invalid value`:                                                                      {"get", "--raw", raw + "?tailLines=-1"},
		`limitBytes: Invalid value`:                                                                     {"get", "--raw", raw + "?limitBytes=0"},
	} {
		if got := c.refused(t, "", args...); !strings.Contains(got, want) {
			t.Errorf("kubectl %q says %q, which does not say %q", args, got, want)
		}
	}
	// As with kube-apiserver, a Pod without a node has an empty log.
	if got := c.run(t, "logs", "gated"); got != "" {
		t.Errorf("the log of a Pod without a node: %q", got)
	}
}

func TestAttach(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	for protocol, environment := range protocols {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			g := newGate(t)
			name := strings.ToLower(protocol)
			c.runPod(t, name, "echo before; until [ -e "+g.path+" ]; do echo tick; sleep 0.1; done; echo out; echo err >&2")
			client := c.watchWith(t, environment, "attach", name)
			eventually(t, time.Minute, func() string {
				if got := client.stdout.String(); !strings.Contains(got, "tick\n") {
					return fmt.Sprintf("the client has %q, %q", got, client.stderr.String())
				}
				return ""
			})
			g.open(t)
			if !client.endsWithin(time.Minute) || client.exitCode() != 0 {
				t.Fatal("kubectl attach does not end with the container, or fails")
			}
			if got := client.stdout.String(); strings.ReplaceAll(got, "tick\n", "") != "out\n" {
				t.Errorf("standard output %q", got)
			}
			if got := client.stderr.String(); !strings.HasSuffix(got, "err\n") {
				t.Errorf("standard error %q", got)
			}
		})
	}
	c.runPod(t, "runs", "sleep 300")
	for want, args := range map[string][]string{
		"container nobody is not valid for pod runs out of: main": {"attach", "runs", "-c", "nobody"},
		`pods "none" not found`:                                   {"attach", "none"},
	} {
		if got := c.refused(t, "", args...); !strings.Contains(got, want) {
			t.Errorf("kubectl %q says %q, which does not say %q", args, got, want)
		}
	}
}

// TestExecChoosesTheContainer: by -c, by the annotation, or the first one, as kubectl says.
func TestExecChoosesTheContainer(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	c.apply(t, `
apiVersion: v1
kind: Pod
metadata: {name: p, annotations: {kubectl.kubernetes.io/default-container: two}}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  initContainers:
  - {name: before, image: none, command: ["true"]}
  containers:
  - {name: one, image: none, command: [sleep, "300"], env: [{name: NAME, value: first}]}
  - {name: two, image: none, command: [sleep, "300"], env: [{name: NAME, value: second}]}
`)
	c.run(t, "wait", "--for=condition=Ready", "--timeout=60s", "pod/p")
	for want, args := range map[string][]string{
		"first\n":  {"exec", "p", "-c", "one", "--", "sh", "-c", "echo $NAME"},
		"second\n": {"exec", "p", "--", "sh", "-c", "echo $NAME"},
	} {
		if got := c.run(t, args...); got != want {
			t.Errorf("kubectl %q prints %q, want %q", args, got, want)
		}
	}
	for want, args := range map[string][]string{
		"container nobody is not valid for pod p": {"exec", "p", "-c", "nobody", "--", "true"},
		`container not found ("before")`:          {"exec", "p", "-c", "before", "--", "true"},
		"permission denied":                       {"exec", "p", "--", "/etc/passwd"},
	} {
		if got := c.refused(t, "", args...); !strings.Contains(got, want) {
			t.Errorf("kubectl %q says %q, which does not say %q", args, got, want)
		}
	}
}

func TestCopy(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	c.runPod(t, "p", "sleep 300")
	folder := t.TempDir()
	for name, content := range map[string]string{"from/a": "A", "from/deep/b": strings.Repeat("B", 1<<20)} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(folder, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c.run(t, "cp", filepath.Join(folder, "from"), "p:"+filepath.Join(folder, "to"))
	c.run(t, "cp", "p:"+filepath.Join(folder, "to"), filepath.Join(folder, "back"))
	for name, size := range map[string]int64{"to/a": 1, "to/deep/b": 1 << 20, "back/a": 1, "back/deep/b": 1 << 20} {
		if info, err := os.Stat(filepath.Join(folder, name)); err != nil || info.Size() != size {
			t.Errorf("%s: %v, error %v; want %d bytes", name, info, err, size)
		}
	}
	if got := c.refused(t, "", "cp", filepath.Join(folder, "missing"), "p:"+folder); !strings.Contains(got, "doesn't exist") {
		t.Errorf("kubectl cp of nothing says %q", got)
	}
}

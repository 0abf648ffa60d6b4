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

package aggregated

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// outage is one way in which the server does not serve.
type outage struct {
	name string
	harm func(t *testing.T)
	// says are words of what the condition of our APIService has to say meanwhile, one of them: which, depends on the moment.
	says []string
	// live and ready are what the server says of itself to who reaches it: whether it lives, and what is not ready ("": all is). nobody: there is no answer.
	nobody bool
	ready  string
	heal   func(t *testing.T)
}

// TestServerAway takes the server away in every way but one: the cluster goes on as fast as it was, says what is wrong, and all is well again when the server
// is back, without anybody's help.
func TestServerAway(t *testing.T) {
	slow(t)
	in := ownInstallation(t, setup{})
	server := in.replicas[0]
	in.suffer(t, []outage{
		{
			name: "down", harm: func(t *testing.T) { mustDo(t, server.Kill) },
			says: []string{"EOF", "connection refused", "connection reset"}, nobody: true,
			heal: func(t *testing.T) { mustDo(t, server.Start) },
		},
		{
			name: "black hole", harm: func(*testing.T) { in.gateway.setSwallow(true) },
			// It is well itself, and nobody knows.
			says: []string{"Client.Timeout exceeded", "timed out waiting for", "context deadline exceeded"},
			heal: func(*testing.T) { in.gateway.setSwallow(false) },
		},
		{
			// It has no certificate yet that the cluster trusts: it can't ask for it.
			name: "starting, without the cluster",
			harm: func(t *testing.T) {
				in.toHost.setSwallow(true)
				mustDo(t, server.Kill)
				mustDo(t, server.Start)
			},
			says: []string{"certificate is valid for jobserver-is-starting, not " + serviceHost}, ready: "[-]start waiting for the cluster's API server",
			heal: func(*testing.T) { in.toHost.setSwallow(false) },
		},
	})
	t.Run("started before the cluster", func(t *testing.T) {
		mustDo(t, server.Stop)
		mustDo(t, in.cluster.APIServer.Kill)
		// It waits for the cluster, which comes later.
		mustDo(t, server.Start)
		mustDo(t, in.cluster.APIServer.Start)
		if err := in.cluster.WaitReady(t.Context()); err != nil {
			t.Fatal(err)
		}
		in.healed(t, in.newNamespace(t), "after-cluster")
	})
}

// TestEtcdAway takes the server's etcd away while it serves, and while it starts.
func TestEtcdAway(t *testing.T) {
	slow(t)
	e := startEtcd(t, 1)
	in := ownInstallation(t, setup{overlay: "external-etcd", serverArgs: []string{e.flag()}})
	server := in.replicas[0]
	in.suffer(t, []outage{
		{
			name: "without etcd", harm: func(t *testing.T) { e.kill(t, 0) },
			says: []string{": 503"}, ready: "[-]etcd",
			heal: func(t *testing.T) { e.start(t, 0) },
		},
		{
			name: "starting, without etcd",
			harm: func(t *testing.T) {
				mustDo(t, server.Stop)
				e.kill(t, 0)
				mustDo(t, server.Start)
			},
			says: []string{": 503"}, ready: "[-]start waiting for etcd",
			heal: func(t *testing.T) { e.start(t, 0) },
		},
	})
}

// suffer goes through outages of the only replica. Nobody helps: the process that served before serves afterwards, but where the outage itself ends it.
func (in *installation) suffer(t *testing.T, outages []outage) {
	u := in.newNamespace(t)
	u.apply(t, jobYAML("before", "true"))
	u.wait(t, "before", "Complete")
	usual := in.kubectlTime(t)
	t.Logf("kubectl takes %s", usual)
	for i, outage := range outages {
		t.Run(outage.name, func(t *testing.T) {
			doomed := in.newNamespace(t)
			doomed.apply(t, jobYAML("left", "true", "suspend: true"))
			outage.harm(t)
			in.waitUnavailable(t, outage.says)
			// Ten times as long, and a second for the machine, is still far from what waiting for an answer takes.
			if got := in.kubectlTime(t); got > 10*usual+time.Second {
				t.Errorf("kubectl takes %s, before the outage %s", got, usual)
			}
			in.replicas[0].checkHealth(t, outage)
			for _, refusal := range []string{
				u.refused(t, "", "get", ours, "--request-timeout=60s"),
				u.refused(t, jobYAML("no-store", "true"), "create", "--request-timeout=60s", "-f", "-"),
			} {
				if !strings.Contains(refusal, "unable to handle the request") && !strings.Contains(refusal, "doesn't have a resource type") && !strings.Contains(refusal, "no matches for kind") {
					t.Errorf("our Jobs are refused with: %s", refusal)
				}
			}
			doomed.run(t, "delete", "namespace", doomed.namespace, "--wait=false")
			// It can't go while nobody says what of ours is in it.
			u.waitFor(t, "namespace/"+doomed.namespace, "NamespaceDeletionDiscoveryFailure")

			running := in.replicas[0].Running()
			outage.heal(t)
			in.healed(t, u, fmt.Sprintf("after-%d", i))
			if running && !in.replicas[0].Running() {
				t.Error("the server ended")
			}
			u.run(t, "wait", "--for=delete", "namespace/"+doomed.namespace, "--timeout=90s")
		})
	}
}

// checkHealth checks what the server says of itself during an outage: it lives, so that nobody starts it again for nothing.
func (r *replica) checkHealth(t *testing.T, outage outage) {
	t.Helper()
	if outage.nobody {
		return
	}
	if !r.healthy("/livez") {
		t.Error("livez fails: the process would be started again, for nothing")
	}
	code, body, err := caller{}.get(r, "/readyz")
	if outage.ready == "" && (err != nil || code != 200) || outage.ready != "" && (err != nil || code == 200 || !strings.Contains(body, outage.ready)) {
		t.Errorf("readyz: %v, %d %s, want %q", err, code, body, outage.ready)
	}
}

// healed waits until a Job runs to its end.
func (in *installation) healed(t *testing.T, u user, job string) {
	t.Helper()
	if err := in.waitAvailable(registrationName); err != nil {
		t.Fatal(err)
	}
	eventually(t, waitLong, func() string {
		_, err := u.try(jobYAML(job, "true"), "apply", "-f", "-")
		return describeError(err)
	})
	u.wait(t, job, "Complete")
}

func mustDo(t *testing.T, do func() error) {
	t.Helper()
	if err := do(); err != nil {
		t.Fatal(err)
	}
}

// slow leaves a test out of the group that runs first (go test -short).
func slow(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("one of the slow group: make e2e-aggregated")
	}
	t.Parallel()
}

// kubectlTime is how long kubectl takes for a resource of the cluster, with nothing in its cache: the best of some, as a machine has other
// things to do too.
func (in *installation) kubectlTime(t *testing.T) time.Duration {
	t.Helper()
	best := time.Hour
	for range 5 {
		cache, err := os.MkdirTemp(in.dir, "cache-")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), kubectlTimeout)
		command := in.admin.command(ctx, "get", "configmaps", "--cache-dir", cache)
		started := time.Now()
		if output, err := command.CombinedOutput(); err != nil {
			t.Errorf("get configmaps: %v: %s", err, output)
		}
		best = min(best, time.Since(started))
		cancel()
	}
	return best
}

// waitUnavailable waits until the condition of our APIService says that something is wrong, and what.
func (in *installation) waitUnavailable(t *testing.T, says []string) {
	t.Helper()
	eventually(t, waitLong, func() string {
		said := in.admin.run(t, "get", "apiservice", registrationName, "-o",
			`jsonpath={range .status.conditions[?(@.type=="Available")]}{.status} {.reason}: {.message}{end}`)
		in.tryAgain(t, 10*time.Second)
		contains := func(words string) bool { return strings.Contains(said, words) }
		if !strings.HasPrefix(said, "False FailedDiscoveryCheck: ") || !slices.ContainsFunc(says, contains) {
			return fmt.Sprintf("the condition says: %s", said)
		}
		t.Logf("the condition says: %s", said)
		return ""
	})
}

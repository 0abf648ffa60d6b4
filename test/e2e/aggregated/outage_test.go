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
	"strings"
	"testing"
	"time"
)

// TestOutage takes the server away in every way: the cluster goes on as fast as it was, says what is wrong, and all is well again when
// the server is back, without anybody's help.
func TestOutage(t *testing.T) {
	slow(t)
	e := startEtcd(t, 1)
	in := ownInstallation(t, setup{overlay: "external-etcd", serverArgs: []string{e.flag()}})
	u := in.newNamespace(t)
	server := in.replicas[0]
	u.apply(t, jobYAML("before", "true"))
	u.wait(t, "before", "Complete")
	usual := in.kubectlTime(t)
	t.Logf("kubectl takes %s", usual)

	// calm checks what holds during every outage.
	calm := func(t *testing.T) {
		t.Helper()
		// Ten times as long, and a second for the machine, is still far from what waiting for an answer takes.
		if got := in.kubectlTime(t); got > 10*usual+time.Second {
			t.Errorf("kubectl takes %s, before the outage %s", got, usual)
		}
	}
	healed := func(t *testing.T, job string) {
		t.Helper()
		if err := in.waitAvailable(registrationName); err != nil {
			t.Fatal(err)
		}
		eventually(t, waitLong, func() string {
			if _, err := u.try(jobYAML(job, "true"), "apply", "-f", "-"); err != nil {
				return err.Error()
			}
			return ""
		})
		u.wait(t, job, "Complete")
	}

	t.Run("down", func(t *testing.T) {
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		in.waitUnavailable(t, "FailedDiscoveryCheck", "failing or missing response")
		calm(t)
		if refusal := u.refused(t, "", "get", ours); !strings.Contains(refusal, "unable to handle the request") && !strings.Contains(refusal, "doesn't have a resource type") {
			t.Errorf("get our Jobs: %s", refusal)
		}
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		healed(t, "after-down")
	})
	t.Run("black hole", func(t *testing.T) {
		in.gateway.setSwallow(true)
		in.waitUnavailable(t, "FailedDiscoveryCheck", "")
		calm(t)
		in.gateway.setSwallow(false)
		healed(t, "after-black-hole")
	})
	t.Run("without etcd", func(t *testing.T) {
		if err := e.members[0].Kill(); err != nil {
			t.Fatal(err)
		}
		eventually(t, waitLong, func() string {
			if server.healthy("/readyz") {
				return "readyz says that all is well"
			}
			return ""
		})
		if !server.healthy("/livez") {
			t.Error("livez fails: the process would be started again, for nothing")
		}
		if _, body, err := (caller{}).get(server, "/readyz"); err != nil || !strings.Contains(body, "[-]etcd") {
			t.Errorf("readyz: %v, %s", err, body)
		}
		calm(t)
		if refusal := u.refused(t, jobYAML("no-store", "true"), "create", "--request-timeout=60s", "-f", "-"); strings.Contains(refusal, "timed out waiting") {
			t.Errorf("creating a Job: %s", refusal)
		}
		e.start(t, 0)
		healed(t, "after-etcd")
		if !server.Running() {
			t.Error("the server ended")
		}
	})
	t.Run("starting", func(t *testing.T) {
		if err := server.Stop(); err != nil {
			t.Fatal(err)
		}
		if err := in.cluster.APIServer.Kill(); err != nil {
			t.Fatal(err)
		}
		// It waits for the cluster, which comes later.
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		if err := in.cluster.APIServer.Start(); err != nil {
			t.Fatal(err)
		}
		if err := in.cluster.WaitReady(t.Context()); err != nil {
			t.Fatal(err)
		}
		healed(t, "after-start")
	})
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
func (in *installation) waitUnavailable(t *testing.T, reason, message string) {
	t.Helper()
	eventually(t, waitLong, func() string {
		said := in.admin.run(t, "get", "apiservice", registrationName, "-o",
			`jsonpath={range .status.conditions[?(@.type=="Available")]}{.status} {.reason}: {.message}{end}`)
		if !strings.HasPrefix(said, "False "+reason+": ") || !strings.Contains(said, message) {
			return fmt.Sprintf("the condition says: %s", said)
		}
		return ""
	})
}

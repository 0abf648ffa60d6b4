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
	"syscall"
	"testing"
	"time"
)

// outageTime is for how long the cluster's API server is down, and maxTries how often all parts of the server together may try to reach it meanwhile. Some forty of them
// do, each in growing intervals, and each read is tried ten times at once, because a gateway can't refuse connections but only break them. Whoever does not wait
// tries hundreds of times a second.
const (
	outageTime = 20 * time.Second
	maxTries   = 1000
)

// TestHostAway takes the cluster's API server away in the middle of a Job, in three ways. No index may run twice, none may be lost.
func TestHostAway(t *testing.T) {
	slow(t)
	in := ownInstallation(t, setup{})
	api := in.cluster.APIServer
	back := func(t *testing.T) {
		t.Helper()
		if err := in.cluster.WaitReady(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("killed and restarted", func(t *testing.T) {
		in.survive(t, func() {
			for range 3 {
				if err := api.Kill(); err != nil {
					t.Fatal(err)
				}
				if err := api.Start(); err != nil {
					t.Fatal(err)
				}
				back(t)
			}
		})
	})
	t.Run("down for a while", func(t *testing.T) {
		in.survive(t, func() {
			if err := api.Kill(); err != nil {
				t.Fatal(err)
			}
			// Whoever asks the cluster for something waits between two tries.
			before := in.toHost.connections()
			time.Sleep(outageTime) // how long it lasts, not a wait for something
			tries := in.toHost.connections() - before
			t.Logf("the server tried %d times within %s", tries, outageTime)
			if tries == 0 || tries > maxTries {
				t.Errorf("the server tried %d times within %s to reach a cluster that is down, want at most %d", tries, outageTime, maxTries)
			}
			if err := api.Start(); err != nil {
				t.Fatal(err)
			}
			back(t)
		})
	})
	t.Run("frozen for a minute", func(t *testing.T) {
		in.survive(t, func() {
			if err := api.Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute) // how long it lasts, not a wait for something
			if err := api.Signal(syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
			back(t)
		})
	})
}

// TestHostOutOfReach cuts the server off from the cluster's API server, which is well otherwise: Pods end meanwhile, and nobody tells the server.
func TestHostOutOfReach(t *testing.T) {
	slow(t)
	in := ownInstallation(t, setup{})
	t.Run("black hole for a minute", func(t *testing.T) {
		in.survive(t, func() {
			in.toHost.setSwallow(true)
			time.Sleep(time.Minute) // how long it lasts, not a wait for something
			in.toHost.setSwallow(false)
		})
	})
	t.Run("slow", func(t *testing.T) {
		in.survive(t, func() {
			in.toHost.setDelay(300 * time.Millisecond)
			t.Cleanup(func() { in.toHost.setDelay(0) })
		})
	})
}

// TestServerKilled kills the only replica, with its embedded etcd, again and again.
func TestServerKilled(t *testing.T) {
	slow(t)
	in := ownInstallation(t, setup{busy: true})
	in.hundredJobs(t, func() {
		for range 5 {
			if err := in.replicas[0].Kill(); err != nil {
				t.Fatal(err)
			}
			if err := in.replicas[0].Start(); err != nil {
				t.Fatal(err)
			}
			in.leader(t)
		}
	})
}

// survive runs a Job with 40 indexes and makes trouble once some of them are done.
func (in *installation) survive(t *testing.T, trouble func()) {
	t.Helper()
	const indexes = 40
	u := in.newNamespace(t)
	d := newDiary(t)
	u.apply(t, jobYAML("tough", d.command("tough", "1"), "completions: 40", "parallelism: 5", "completionMode: Indexed"))
	eventually(t, waitLong, func() string {
		if got := len(d.lines(t)); got < 10 {
			return describeCount("lines in the diary", got, 10)
		}
		return ""
	})
	trouble()
	eventually(t, waitLong, func() string {
		// The first answers after a restart can be errors.
		if _, err := u.try("", "wait", "--for=condition=Complete", "--timeout=120s", ours+"/tough"); err != nil {
			return err.Error()
		}
		return ""
	})
	var job jobObject
	u.read(t, &job, "get", ours, "tough")
	if job.Status.Succeeded != indexes || job.Status.Failed != 0 || job.Status.CompletedIndexes != "0-39" {
		t.Errorf("status: %+v", job.Status)
	}
	if pods := u.pods(t, "tough"); len(pods) != indexes {
		t.Error(describeCount("Pods", len(pods), indexes))
	}
	d.check(t, []string{"tough"}, indexes)
}

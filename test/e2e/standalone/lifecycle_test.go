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
	"slices"
	"strings"
	"testing"
	"time"
)

// indexedDiaryJob makes an Indexed Job each of whose Pods writes its index to the diary once it has worked for a while.
func indexedDiaryJob(name string, d diary, work string, completions, parallelism int) string {
	return jobManifest(name, fmt.Sprintf("%s; echo $JOB_COMPLETION_INDEX >>%s", work, d.path),
		"completionMode: Indexed", fmt.Sprintf("completions: %d", completions), fmt.Sprintf("parallelism: %d", parallelism))
}

// checkCountedOnce checks that a complete Job of n indexes, three at least, ran and counted each exactly once.
func checkCountedOnce(t *testing.T, c *client, name string, d diary, n int) {
	t.Helper()
	status := c.job(t, "job", name).Status
	if status.Succeeded != n || status.Failed != 0 || status.Active != 0 {
		t.Errorf("status: %+v, want %d succeeded and nothing else", status, n)
	}
	if want := fmt.Sprintf("0-%d", n-1); status.CompletedIndexes != want {
		t.Errorf("completedIndexes: %q, want %q", status.CompletedIndexes, want)
	}
	if left := status.UncountedTerminatedPods; len(left.Succeeded)+len(left.Failed) != 0 {
		t.Errorf("still uncounted: %+v", left)
	}
	ran := d.lines(t)
	slices.Sort(ran)
	if want := indexes(n); !slices.Equal(ran, want) {
		t.Errorf("the machine ran indexes %v, want each once", ran)
	}
	for _, p := range c.pods(t, name) {
		if len(p.Metadata.Finalizers) != 0 {
			t.Errorf("Pod %s still has finalizers %v", p.Metadata.Name, p.Metadata.Finalizers)
		}
	}
}

// TestKilledServerLosesNothing kills the server with SIGKILL in the middle of a Job, again and again, and lets it go on.
func TestKilledServerLosesNothing(t *testing.T) {
	t.Parallel()
	const completions, kills = 20, 3
	s, d := ownServer(t), newDiary(t)
	c := newClient(t, s)
	c.apply(t, indexedDiaryJob("twenty", d, "sleep 0.5", completions, 3))
	for i := range kills {
		reached := (i + 1) * completions / (kills + 1)
		eventually(t, 2*time.Minute, func() string {
			if n := len(d.lines(t)); n < reached {
				return fmt.Sprintf("%d indexes ran, want %d before the next kill", n, reached)
			}
			return ""
		})
		s.kill()
		s.mustStart(t)
	}
	c.wait(t, "twenty", "Complete")
	checkCountedOnce(t, c, "twenty", d, completions)
}

// TestProcessesOutliveAKilledServer lets a process end while no server runs: its end is seen by the next one.
func TestProcessesOutliveAKilledServer(t *testing.T) {
	t.Parallel()
	s, d, g := ownServer(t), newDiary(t), newGate(t)
	c := newClient(t, s)
	c.apply(t, indexedDiaryJob("patient", d, "echo ready >&2; "+g.await(), 3, 3))
	eventually(t, time.Minute, func() string {
		logs, err := s.kubectl(c.namespace, "", "logs", "-l", "job-name=patient")
		if err != nil {
			return err.Error() // not started yet
		}
		if got := strings.Count(logs, "ready"); got != 3 {
			return fmt.Sprintf("%d processes are ready, want 3", got)
		}
		return ""
	})
	s.kill()
	g.open(t)
	eventually(t, time.Minute, func() string {
		if n := len(d.lines(t)); n != 3 {
			return fmt.Sprintf("%d processes ended while no server ran, want 3", n)
		}
		return ""
	})
	s.mustStart(t)
	c.wait(t, "patient", "Complete")
	checkCountedOnce(t, c, "patient", d, 3)
}

func TestStopAndRestartContinuesJobs(t *testing.T) {
	t.Parallel()
	s, d, g := ownServer(t), newDiary(t), newGate(t)
	c := newClient(t, s)
	c.apply(t, hello)
	c.wait(t, "hello", "Complete")
	c.apply(t, indexedDiaryJob("waiting", d, g.await(), 4, 2))
	eventually(t, time.Minute, func() string {
		if active := c.job(t, "job", "waiting").Status.Active; active != 2 {
			return fmt.Sprintf("%d active Pods, want 2", active)
		}
		return ""
	})

	took, err := s.stop()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("stopped in %s", took)
	s.mustStart(t)
	if status := c.job(t, "job", "hello").Status; status.Succeeded != 1 {
		t.Errorf("status of the finished Job after the restart: %+v", status)
	}
	if got := c.run(t, "logs", "job/hello"); got != "hello world\n" {
		t.Errorf("logs of the finished Job after the restart: %q", got)
	}
	g.open(t)
	c.wait(t, "waiting", "Complete")
	checkCountedOnce(t, c, "waiting", d, 4)
}

// TestStopPodsOnExit: with the flag, Pods end with the server, in the time that they ask for.
func TestStopPodsOnExit(t *testing.T) {
	t.Parallel()
	s := ownServer(t)
	if _, err := s.stop(); err != nil {
		t.Fatal(err)
	}
	s.flags = []string{"--stop-pods-on-exit"}
	s.mustStart(t)
	mark, d := newMark(), newDiary(t)
	c := newClient(t, s)
	c.apply(t, podManifest("p", "trap 'echo ended >> "+d.path+"; exit 0' TERM; echo up >> "+d.path+"; sleep "+mark+" & wait"))
	eventually(t, time.Minute, func() string {
		if got := d.lines(t); len(got) == 0 {
			return "the container has not set its trap yet"
		}
		return ""
	})
	if _, err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if left := processesWith(mark); len(left) > 0 {
		t.Errorf("the server has ended, processes %v of the Pod run", left)
	}
	if got := d.lines(t); !slices.Equal(got, []string{"up", "ended"}) {
		t.Errorf("the container was to end by itself, its diary says %q", got)
	}
}

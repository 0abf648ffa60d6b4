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

package crash

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

var (
	apiserverPath = flag.String("apiserver", "../../../bin/apiserver", "the server's binary")
	etcdPath      = flag.String("etcd", "../../../_output/kubernetes/etcd", "etcd's binary, for the tests in which servers share one")
	outage        = flag.Duration("outage", 12*time.Second, "how long etcd is away")
	failovers     = flag.Int("failovers", 1, "how often a leader is killed, frozen, and stopped")
	kills         = flag.Int("kills", 40, "how often servers are killed, all together")
	servers       = flag.Int("servers", 2, "how many servers run, and are killed, at a time")
	seed          = flag.Uint64("seed", 0, "where the random numbers begin; 0: anywhere")
)

func TestMain(m *testing.M) {
	flag.Parse()
	path, err := filepath.Abs(*apiserverPath)
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "crash: %v (\"make build\" builds the binary)\n", err)
		os.Exit(1)
	}
	*apiserverPath = path
	os.Exit(m.Run())
}

// TestKills kills servers at the writes that the Jobs' life consists of, and at random moments.
func TestKills(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("-seed=%d", *seed)
	tally := newTally(*kills)
	t.Run("servers", func(t *testing.T) {
		for i := range *servers {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				killOneServer(t, tally, rand.New(rand.NewPCG(*seed, uint64(i))))
			})
		}
	})
	t.Logf("where the kills hit:\n%s", tally)
	if missed := tally.missed(); len(missed) > 0 && *kills >= 100 {
		t.Errorf("no kill came at or after the writes %q", missed)
	}
}

// folder makes a folder that is kept where the test fails. Its path is short, being part of command lines and of sockets'.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "jobserver-crash-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, pid := range processesWith(dir) {
			_ = syscall.Kill(pid, syscall.SIGKILL) // of a failed test
		}
		if t.Failed() {
			t.Logf("servers' folders and logs, and the diaries, are kept in %s", dir)
			return
		}
		_ = os.RemoveAll(dir)
	})
	return dir
}

// testServer prepares a server that is gone, with all that it ran, when the test ends.
func testServer(t *testing.T, dataDir string, flags ...string) *server {
	t.Helper()
	s, err := newServer(dataDir, append(flags, "--job-pod-failure-backoff=200ms", "--job-pod-failure-backoff-max=1s", "-v=3")...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.kill()
		for _, pid := range supervisorsOf(s) {
			_ = syscall.Kill(pid, syscall.SIGKILL) // of a failed test
		}
	})
	return s
}

// killOneServer runs rounds on a server of its own until no kills are left.
func killOneServer(t *testing.T, tally *tally, random *rand.Rand) {
	dir := folder(t)
	s := testServer(t, filepath.Join(dir, "data"), "--node-name=machine")
	v := &victim{server: s, tally: tally, random: random, log: &wal{dir: s.walDir()}}
	for number := 1; tally.any(); number++ {
		if err := v.ensureRunning(t.Context()); err != nil {
			t.Fatal(err)
		}
		r := &round{endpoint: s, servers: []*server{s}, number: number, dir: filepath.Join(dir, "diaries", fmt.Sprint(number)), jobs: load()}
		err := r.run(t.Context(), v.kills(killsPerRound, aims), v.kills(deletionKills, []write{podDeleting, podDeleted, jobDeleting, jobDeleted}))
		if err != nil {
			t.Fatalf("round %d: %v\nthe server's last words:\n%s", number, err, s.log())
		}
		t.Logf("round %d is over", number)
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}

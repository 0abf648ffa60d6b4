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
)

var (
	apiserverPath = flag.String("apiserver", "../../../bin/apiserver", "the server's binary")
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

// killOneServer runs rounds on a server of its own until no kills are left.
func killOneServer(t *testing.T, tally *tally, random *rand.Rand) {
	// A short path: it is part of every command line.
	dir, err := os.MkdirTemp("", "jobserver-crash-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the server's folder, its log, and the diaries are kept in %s", dir)
			return
		}
		_ = os.RemoveAll(dir)
	})
	s, err := newServer(filepath.Join(dir, "data"), "--node-name=machine", "--job-pod-failure-backoff=200ms", "--job-pod-failure-backoff-max=1s", "-v=3")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.kill()
		for _, pid := range append(supervisorsOf(s), processesWith(dir)...) {
			_ = syscall.Kill(pid, syscall.SIGKILL) // of a failed test
		}
	})
	for number := 1; tally.any(); number++ {
		r := &round{
			server: s, number: number, dir: filepath.Join(dir, "diaries", fmt.Sprint(number)), jobs: load(), tally: tally, random: random, log: &wal{dir: s.walDir()},
		}
		if err := r.run(t); err != nil {
			t.Fatalf("round %d: %v\nthe server's last words:\n%s", number, err, s.log())
		}
		t.Logf("round %d is over", number)
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}

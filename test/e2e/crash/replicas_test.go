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
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// handOverLimit is how long a leader that was killed may be missing.
const handOverLimit = 15 * time.Second

// leaseDuration is the servers' own default for --leader-elect-lease-duration.
const leaseDuration = 10 * time.Second

// replicas are servers on one etcd, each with a node of its own.
type replicas struct {
	all  []*server
	away atomic.Pointer[server] // one that can't answer, if any
	turn atomic.Int64
}

// api implements endpoint with one server after the other.
func (r *replicas) api() (*api, error) {
	for range r.all {
		one := r.all[int(r.turn.Add(1))%len(r.all)]
		if one != r.away.Load() {
			return one.api()
		}
	}
	return nil, errors.New("no server")
}

// leader waits until a server says that it leads. Two at a time are an error.
func (r *replicas) leader(ctx context.Context, limit time.Duration) (*server, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for ctx.Err() == nil {
		var leading []*server
		for _, one := range r.all {
			if one != r.away.Load() && one.leads(ctx) {
				leading = append(leading, one)
			}
		}
		switch len(leading) {
		case 1:
			return leading[0], nil
		case 2:
			return nil, fmt.Errorf("two servers lead:\n%s\n\n%s", leading[0].log(), leading[1].log())
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil, fmt.Errorf("nobody leads after %s", limit)
}

// leads asks whether the server runs the controllers.
func (s *server) leads(ctx context.Context) bool {
	a, err := s.api()
	if err != nil {
		return false
	}
	metrics, err := a.text(ctx, "/metrics")
	return err == nil && regexp.MustCompile(`(?m)^leader_election_master_status\{name="controllers"\} 1$`).MatchString(metrics)
}

// TestReplicas takes the leader of two servers away while Jobs run: kills it, freezes it for longer than its lease, and stops it.
func TestReplicas(t *testing.T) {
	dir := folder(t)
	e := startEtcd(t, filepath.Join(dir, "etcd"))
	r := &replicas{}
	for _, name := range []string{"one", "two"} {
		r.all = append(r.all, testServer(t, filepath.Join(dir, name), "--node-name="+name, "--etcd-servers="+e.clientURL))
	}
	for _, one := range r.all {
		if err := errors.Join(one.spawn(), one.ready(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	events := []struct {
		name string
		do   func(ctx context.Context, t *testing.T, leader *server) error
	}{{"killed", r.kill}, {"frozen", r.freeze}, {"stopped", r.stop}}
	number := 0
	for _, event := range events {
		for range *failovers {
			number++
			one := &round{endpoint: r, servers: r.all, number: number, dir: filepath.Join(dir, "diaries", fmt.Sprint(number)), jobs: load()}
			err := one.run(t.Context(), func(ctx context.Context, _ <-chan struct{}) error {
				if err := one.underWay(ctx); err != nil {
					return err
				}
				leader, err := r.leader(ctx, handOverLimit)
				if err != nil {
					return err
				}
				return event.do(ctx, t, leader)
			}, nil)
			if err != nil {
				t.Fatalf("leader %s: %v", event.name, err)
			}
		}
	}
}

// next waits for another leader, and says how long that took.
func (r *replicas) next(ctx context.Context, t *testing.T, what string, old *server, limit time.Duration) error {
	began := time.Now()
	leader, err := r.leader(ctx, limit)
	if err != nil {
		return err
	}
	if leader == old {
		return fmt.Errorf("the server that was %s leads", what)
	}
	t.Logf("%s: another server leads after %s", what, time.Since(began).Round(time.Millisecond))
	return nil
}

// kill kills the leader. Another has to lead in time.
func (r *replicas) kill(ctx context.Context, t *testing.T, leader *server) error {
	leader.kill()
	r.away.Store(leader)
	if err := r.next(ctx, t, "killed", leader, handOverLimit); err != nil {
		return err
	}
	return r.back(ctx, leader)
}

// back starts a server again.
func (r *replicas) back(ctx context.Context, s *server) error {
	defer r.away.Store(nil)
	return errors.Join(s.spawn(), s.ready(ctx))
}

// stop stops the leader as an administrator does. Another leads before the lease would have run out.
func (r *replicas) stop(ctx context.Context, t *testing.T, leader *server) error {
	r.away.Store(leader)
	began := time.Now()
	if err := leader.stop(); err != nil {
		return err
	}
	t.Logf("stopped after %s", time.Since(began).Round(time.Millisecond))
	if err := r.next(ctx, t, "stopped", leader, leaseDuration/2); err != nil {
		return err
	}
	return r.back(ctx, leader)
}

// freeze stops the leader's process until another has led for a while, and lets it go on: it must not write any more.
func (r *replicas) freeze(ctx context.Context, t *testing.T, leader *server) error {
	process := leader.process().command.Process
	if err := process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	r.away.Store(leader)
	if err := r.next(ctx, t, "frozen", leader, handOverLimit); err != nil {
		return errors.Join(err, process.Signal(syscall.SIGCONT))
	}
	// What was said before belongs to the time before.
	written, err := os.Stat(leader.logPath())
	if err != nil {
		return err
	}
	woken := time.Now()
	if err := process.Signal(syscall.SIGCONT); err != nil {
		return err
	}
	r.away.Store(nil)
	if err := leader.ready(ctx); err != nil {
		return err
	}
	if second, err := r.leader(ctx, handOverLimit); err != nil || second == leader {
		return fmt.Errorf("the server that was frozen leads, or nobody: %w", err)
	}
	return noWrites(leader.logPath(), written.Size(), woken)
}

// requests finds the writes of the controllers in a server's log of its requests: when they were answered, and how long they took.
var requests = regexp.MustCompile(`^I\d{4} (\d\d:\d\d:\d\d\.\d+) .*"HTTP" verb="(?:POST|PUT|PATCH|DELETE)".* latency="([^"]+)" userAgent="([^"]*-controller|job-controller)".* resp=2`)

// noWrites checks that no controller wrote anything through a server, by its log from an offset on, that was sent after it was woken. What was sent before
// no election can call back.
func noWrites(path string, offset int64, woken time.Time) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.Seek(offset, io.SeekStart); err != nil {
		return err
	}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	deposed := false
	for lines.Scan() {
		deposed = deposed || strings.Contains(lines.Text(), "Lost the leadership")
		found := requests.FindStringSubmatch(lines.Text())
		if found == nil {
			continue
		}
		answered, err := time.Parse("15:04:05", found[1])
		if err != nil {
			return err
		}
		latency, err := time.ParseDuration(found[2])
		if err != nil {
			return err
		}
		clock := woken.UTC()
		answered = time.Date(clock.Year(), clock.Month(), clock.Day(), answered.Hour(), answered.Minute(), answered.Second(), answered.Nanosecond(), time.UTC)
		if sent := answered.Add(-latency); sent.After(clock) {
			return fmt.Errorf("a server that had lost its lease wrote: %s", lines.Text())
		}
	}
	if !deposed {
		return fmt.Errorf("a server that was frozen for longer than its lease doesn't say that it lost the leadership: %s", path)
	}
	return lines.Err()
}

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
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	// killsPerRound is how often the server is killed while one mixture of Jobs runs, deletionKills how often while they are deleted.
	killsPerRound, deletionKills = 22, 3
	// roundTimeout bounds the whole of a round: it is reached by a Job that hangs.
	roundTimeout = 8 * time.Minute
	// startPatience is how long a Pod that has a node may wait for its start. The agent looks at everything once a minute anyway, which is no
	// substitute for looking when it has to.
	startPatience = 40 * time.Second
)

// round is one mixture of Jobs on one server, from their creation to their deletion.
type round struct {
	server *server
	number int
	dir    string // of the diaries
	jobs   []work
	tally  *tally
	random *rand.Rand
	log    *wal
}

func (r *round) name(w work) string { return fmt.Sprintf("%s-%d", w.kind, r.number) }

func (r *round) diary(w work) diary { return diary{filepath.Join(r.dir, r.name(w))} }

func (r *round) suspend(ctx context.Context, w work, suspend bool) error {
	return insist(ctx, r.server, "PATCH", w.path()+"/"+r.name(w), fmt.Sprintf(`{"spec": {"suspend": %t}}`, suspend), nil)
}

// run runs the round. It returns what was wrong.
func (r *round) run(t *testing.T) error {
	ctx, cancel := context.WithTimeout(t.Context(), roundTimeout)
	defer cancel()
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		return err
	}
	if err := r.ensureRunning(ctx); err != nil {
		return err
	}
	over := make(chan struct{})
	var driven error
	go func() {
		defer close(over)
		driven = errors.Join(r.drive(ctx), r.awaitEnds(ctx))
	}()
	if err := r.killRepeatedly(ctx, killsPerRound, aims, over); err != nil {
		return err
	}
	<-over
	problems := append([]error{driven}, r.check(ctx)...)
	if err := errors.Join(problems...); err != nil {
		return err
	}
	return r.deleteAll(ctx)
}

// drive makes the Jobs, one after the other, and does to them what is to be done.
func (r *round) drive(ctx context.Context) error {
	errs := make([]error, len(r.jobs))
	var all sync.WaitGroup
	defer all.Wait()
	for i, w := range r.jobs {
		if err := insist(ctx, r.server, "POST", w.path(), w.manifest(r.name(w), r.diary(w)), nil); err != nil {
			return err
		}
		if w.drive == nil {
			continue
		}
		all.Go(func() {
			if err := w.drive(ctx, r, w); err != nil {
				errs[i] = fmt.Errorf("%s: %w", r.name(w), err)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// awaitEnds waits until every Job has ended or is gone, as it has to.
func (r *round) awaitEnds(ctx context.Context) error {
	for {
		jobs, err := readJobs(ctx, r.server)
		if err != nil {
			return err
		}
		var open []string
		for _, w := range r.jobs {
			j, found := jobs[r.name(w)]
			if condition, _ := j.ended(); found && (condition == "" || w.want.gone) {
				open = append(open, r.name(w))
			}
		}
		if len(open) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("still not ended: %s", strings.Join(open, ", "))
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// killRepeatedly kills the server a number of times, and starts it again. It ends early where over is closed. The server runs and is ready when it
// returns.
func (r *round) killRepeatedly(ctx context.Context, times int, among []write, over <-chan struct{}) error {
	for range times {
		if !r.tally.take() {
			break
		}
		fired, err := r.killOnce(ctx, among, over)
		if err != nil {
			return err
		}
		if !fired {
			r.tally.putBack()
			break
		}
	}
	return r.ensureRunning(ctx)
}

// ensureRunning starts the server where it doesn't run, and waits until it is ready. A Pod that has a node must be started soon then.
func (r *round) ensureRunning(ctx context.Context) error {
	if r.server.process() == nil {
		if err := r.server.spawn(); err != nil {
			return err
		}
	}
	if err := r.server.ready(ctx); err != nil {
		return err
	}
	return r.checkStarts(ctx)
}

// checkStarts waits until every Pod that has a node now has been started.
func (r *round) checkStarts(ctx context.Context) error {
	waiting := map[string]bool{}
	for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		pods, err := readPods(ctx, r.server)
		if err != nil {
			return err
		}
		first, still := len(waiting) == 0, []string{}
		for _, ofJob := range pods {
			for _, one := range ofJob {
				if one.Spec.NodeName == "" || one.Status.Phase != "Pending" {
					continue
				}
				if first {
					waiting[one.Metadata.Name] = true
				}
				if waiting[one.Metadata.Name] {
					still = append(still, one.Metadata.Name)
				}
			}
		}
		if len(still) == 0 {
			return nil
		}
		if time.Since(began) > startPatience {
			return fmt.Errorf("%s after the server was ready, Pods %s have a node and were not started\n%s", startPatience, strings.Join(still, ", "), r.server.log())
		}
	}
}

// killOnce kills the server once, which may still be starting, and starts it again without waiting for it. False where over was closed before.
func (r *round) killOnce(ctx context.Context, among []write, over <-chan struct{}) (bool, error) {
	one := newShot(r.tally, r.random, among)
	if one.aim == "" {
		// The start of a server counts among the random moments.
		r.server.kill()
		if _, err := r.log.next(); err != nil {
			return false, err
		}
		if err := r.server.spawn(); err != nil {
			return false, err
		}
	} else {
		if err := r.server.ready(ctx); err != nil {
			return false, err
		}
		if _, err := r.log.next(); err != nil { // what came before doesn't count
			return false, err
		}
	}
	hit, fire, err := one.await(r.log, over)
	if err != nil || !fire {
		return false, err
	}
	ready := one.aim != "" || isReady(ctx, r.server)
	r.server.kill()
	last, err := r.lastWrite()
	if err != nil {
		return false, err
	}
	r.tally.count(one, hit, last, ready)
	return true, r.server.spawn()
}

// lastWrite returns what a server that was killed had written last, whoever knew of it.
func (r *round) lastWrite() (write, error) {
	whole := &wal{dir: r.server.walDir()}
	writes, err := whole.next()
	if err != nil || len(writes) == 0 {
		return "", err
	}
	r.log.file, r.log.offset = whole.file, whole.offset
	return writes[len(writes)-1], nil
}

// isReady asks once.
func isReady(ctx context.Context, s *server) bool {
	a, err := newAPI(s)
	if err != nil {
		return false
	}
	_, err = a.call(ctx, "GET", "/readyz", "", nil)
	return err == nil
}

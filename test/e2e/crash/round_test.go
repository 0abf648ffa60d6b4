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
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// roundTimeout bounds the whole of a round: it is reached by a Job that hangs.
const roundTimeout = 8 * time.Minute

// round is one mixture of Jobs, from their creation to their deletion.
type round struct {
	endpoint
	servers []*server // whose nodes run the Pods
	number  int
	dir     string // of the diaries
	jobs    []work
}

func (r *round) name(w work) string { return fmt.Sprintf("%s-%d", w.kind, r.number) }

func (r *round) diary(w work) diary { return diary{filepath.Join(r.dir, r.name(w))} }

func (r *round) suspend(ctx context.Context, w work, suspend bool) error {
	return insist(ctx, r, "PATCH", w.path()+"/"+r.name(w), fmt.Sprintf(`{"spec": {"suspend": %t}}`, suspend), nil)
}

// disturbance is what happens to servers while Jobs run. It ends early when over is closed, and leaves the servers ready.
type disturbance func(ctx context.Context, over <-chan struct{}) error

// run runs the round. It returns what was wrong.
func (r *round) run(ctx context.Context, running, deleting disturbance) error {
	ctx, cancel := context.WithTimeout(ctx, roundTimeout)
	defer cancel()
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		return err
	}
	run := func(ctx context.Context) error { return errors.Join(r.drive(ctx), r.awaitEnds(ctx)) }
	if err := disturb(ctx, run, running); err != nil {
		return err
	}
	if err := errors.Join(r.check(ctx)...); err != nil {
		return err
	}
	return disturb(ctx, r.deleteAll, deleting)
}

// disturb does something while it is disturbed.
func disturb(ctx context.Context, do func(context.Context) error, by disturbance) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	over := make(chan struct{})
	var done error
	go func() {
		defer close(over)
		done = do(ctx)
	}()
	if by != nil {
		if err := by(ctx, over); err != nil {
			cancel()
			<-over
			return err
		}
	}
	<-over
	return done
}

// drive makes the Jobs, one after the other, and does to them what is to be done.
func (r *round) drive(ctx context.Context) error {
	errs := make([]error, len(r.jobs))
	var all sync.WaitGroup
	defer all.Wait()
	for i, w := range r.jobs {
		if err := insist(ctx, r, "POST", w.path(), w.manifest(r.name(w), r.diary(w)), nil); err != nil {
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
		jobs, err := readJobs(ctx, r)
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

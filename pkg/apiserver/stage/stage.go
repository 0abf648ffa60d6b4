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

// Package stage runs the stages of a server: what is started together, and stopped together, one stage after the other.
package stage

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// Part is something that works through the API until its context ends. Run blocks until it has come to rest.
type Part interface {
	Run(ctx context.Context) error
}

// Stage is something that runs until it is stopped.
type Stage struct {
	name   string
	cancel context.CancelFunc
	done   chan struct{}
	err    error
	told   atomic.Bool // err was returned by Err
}

// Run runs f on a goroutine of its own.
func Run(ctx context.Context, name string, f func(context.Context) error) *Stage {
	ctx, cancel := context.WithCancel(ctx)
	r := &Stage{name: name, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		defer cancel()
		r.err = f(ctx)
	}()
	return r
}

// RunAll waits until ready returns, and runs the parts as one stage: where one ends, all do.
func RunAll(ctx context.Context, name string, parts map[string]Part, ready func(context.Context)) *Stage {
	return Run(ctx, name, func(ctx context.Context) error {
		ready(ctx)
		group, ctx := errgroup.WithContext(ctx)
		for name, part := range parts {
			group.Go(func() error {
				err := part.Run(ctx)
				if err == nil && ctx.Err() == nil {
					err = errors.New("ended")
				}
				if err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				return nil
			})
		}
		return group.Wait()
	})
}

// Ended is closed once the stage has.
func (r *Stage) Ended() <-chan struct{} { return r.done }

// Err is the error of a stage that ended without being stopped. It must only be called once Ended is closed. Stop does not return it again.
func (r *Stage) Err() error {
	r.told.Store(true)
	if r.err != nil {
		return fmt.Errorf("%s ended: %w", r.name, r.err)
	}
	return fmt.Errorf("%s ended", r.name)
}

// Stop ends the stage and waits for it, though not for longer than timeout, which is an error. So is one that the stage ended with, and that nobody knows yet.
func (r *Stage) Stop(timeout time.Duration) error {
	r.cancel()
	select {
	case <-r.done:
		if r.err != nil && !errors.Is(r.err, context.Canceled) && !r.told.Load() {
			return fmt.Errorf("stop %s: %w", r.name, r.err)
		}
		return nil
	case <-time.After(timeout):
		return fmt.Errorf("stop %s: not at rest after %s", r.name, timeout)
	}
}

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

package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/jobserver-dev/jobserver/pkg/controller/vanishednamespace"
)

// controller is what the packages below pkg/controller make.
type controller interface {
	// Run blocks until ctx ends and the controller has come to rest.
	Run(ctx context.Context) error
	// Ready returns nil once the controller does its work, else why it doesn't.
	Ready() error
}

// set are controllers and the caches that they share, for one run.
type set struct {
	byName      map[string]controller
	startCaches func(context.Context)
}

// sweepPatience is for how long Jobs wait for the first look at their namespaces: the cluster may be away.
const sweepPatience = 10 * time.Second

// letSweepFirst has the Job controller wait until Jobs of earlier namespaces are gone: they would run in those that have their names now.
func (s *set) letSweepFirst() {
	sweeper, sweeps := s.byName[VanishedNamespace].(*vanishednamespace.Controller)
	if jobs, runs := s.byName[Job]; sweeps && runs {
		s.byName[Job] = afterwards{controller: jobs, begin: sweeper.Swept()}
	}
}

// afterwards is a controller that waits before it runs.
type afterwards struct {
	controller
	begin <-chan struct{}
}

// Run implements controller.
func (a afterwards) Run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-a.begin:
	case <-time.After(sweepPatience):
	}
	return a.controller.Run(ctx)
}

// run blocks until ctx ends and all have come to rest. Where one ends by itself, all do, which is an error. The caches end after the
// controllers that read them.
func (s *set) run(ctx context.Context) error {
	cachesContext, stopCaches := context.WithCancel(context.WithoutCancel(ctx))
	defer stopCaches()
	s.startCaches(cachesContext)

	group, ctx := errgroup.WithContext(ctx)
	for name, controller := range s.byName {
		group.Go(func() error {
			err := controller.Run(ctx)
			if err == nil && ctx.Err() == nil {
				err = errors.New("ended")
			}
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		})
	}
	group.Go(func() error {
		// With every controller switched off the set still lasts until it is stopped.
		<-ctx.Done()
		return nil
	})
	return group.Wait()
}

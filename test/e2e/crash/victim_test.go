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
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

const (
	// killsPerRound is how often the server is killed while one mixture of Jobs runs, deletionKills how often while they are deleted.
	killsPerRound, deletionKills = 22, 3
	// startPatience is how long a Pod that has a node may wait for its start. The agent looks at everything once a minute anyway, which is no
	// substitute for looking when it has to.
	startPatience = 40 * time.Second
)

// victim is a server that is killed over and over.
type victim struct {
	server *server
	tally  *tally
	random *rand.Rand
	log    *wal
}

// kills returns the disturbance that the server is killed so often, after writes among those.
func (v *victim) kills(times int, among []write) disturbance {
	return func(ctx context.Context, over <-chan struct{}) error {
		return v.killRepeatedly(ctx, times, among, over)
	}
}

// killRepeatedly kills the server a number of times, and starts it again. It ends early where over is closed. The server runs and is ready when it
// returns.
func (v *victim) killRepeatedly(ctx context.Context, times int, among []write, over <-chan struct{}) error {
	for range times {
		if !v.tally.take() {
			break
		}
		fired, err := v.killOnce(ctx, among, over)
		if err != nil {
			return err
		}
		if !fired {
			v.tally.putBack()
			break
		}
	}
	return v.ensureRunning(ctx)
}

// ensureRunning starts the server where it doesn't run, and waits until it is ready. A Pod that has a node must be started soon then.
func (v *victim) ensureRunning(ctx context.Context) error {
	if v.server.process() == nil {
		if err := v.server.spawn(); err != nil {
			return err
		}
	}
	if err := v.server.ready(ctx); err != nil {
		return err
	}
	return v.checkStarts(ctx)
}

// checkStarts waits until every Pod that has a node now has been started.
func (v *victim) checkStarts(ctx context.Context) error {
	waiting := map[string]bool{}
	for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		pods, err := readPods(ctx, v.server)
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
			return fmt.Errorf("%s after the server was ready, Pods %s have a node and were not started\n%s", startPatience, strings.Join(still, ", "), v.server.log())
		}
	}
}

// killOnce kills the server once, which may still be starting, and starts it again without waiting for it. False where over was closed before.
func (v *victim) killOnce(ctx context.Context, among []write, over <-chan struct{}) (bool, error) {
	one := newShot(v.tally, v.random, among)
	if one.aim == "" {
		// The start of a server counts among the random moments.
		v.server.kill()
		if _, err := v.log.next(); err != nil {
			return false, err
		}
		if err := v.server.spawn(); err != nil {
			return false, err
		}
	} else {
		if err := v.server.ready(ctx); err != nil {
			return false, err
		}
		if _, err := v.log.next(); err != nil { // what came before doesn't count
			return false, err
		}
	}
	hit, fire, err := one.await(v.log, over)
	if err != nil || !fire {
		return false, err
	}
	ready := one.aim != "" || isReady(ctx, v.server)
	v.server.kill()
	last, err := v.lastWrite()
	if err != nil {
		return false, err
	}
	v.tally.count(one, hit, last, ready)
	return true, v.server.spawn()
}

// lastWrite returns what a server that was killed had written last, whoever knew of it.
func (v *victim) lastWrite() (write, error) {
	whole := &wal{dir: v.server.walDir()}
	writes, err := whole.next()
	if err != nil || len(writes) == 0 {
		return "", err
	}
	v.log.file, v.log.offset = whole.file, whole.offset
	return writes[len(writes)-1], nil
}

// isReady asks once.
func isReady(ctx context.Context, s *server) bool {
	a, err := s.api()
	if err != nil {
		return false
	}
	_, err = a.call(ctx, "GET", "/readyz", "", nil)
	return err == nil
}

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

package nodeagent

import (
	"context"
	"fmt"
	"time"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime"
)

// stopPoll is how often StopAll looks whether everything has ended.
const stopPoll = 10 * time.Millisecond

// killedPatience is for how long StopAll waits for what it has killed. It only passes where the kernel doesn't end a process, or where how it ended can't be
// recorded because the disk is full.
const killedPatience = 5 * time.Second

// StopAll ends every container, each with its hook, its signal and its grace period, and waits until no process is left. From
// then on the agent starts nothing any more. When ctx ends first, what still runs is killed and waited for (5 s at most), and the error says so.
// It is called while Run runs.
func (a *Agent) StopAll(ctx context.Context) error {
	a.stopping.Store(true)
	a.starting.Lock()   // whatever is being started is on record when we get it
	a.starting.Unlock() //lint:ignore SA2001 getting the lock is the point
	var killed error
	var giveUp time.Time
	for {
		running := a.stopEverything(killed != nil)
		if running == 0 {
			a.unmountVolumes()
			return killed
		}
		if killed == nil && ctx.Err() != nil {
			killed = fmt.Errorf("%d containers did not end in time and were killed: %w", running, context.Cause(ctx))
			giveUp = time.Now().Add(killedPatience)
			continue
		}
		if killed != nil && time.Now().After(giveUp) {
			return fmt.Errorf("%w; of %d the end is not on record", killed, running)
		}
		timer := time.NewTimer(stopPoll)
		select {
		case <-timer.C:
		case <-doneUnless(ctx, killed != nil):
		}
		timer.Stop()
	}
}

// doneUnless is ctx's end, or never.
func doneUnless(ctx context.Context, never bool) <-chan struct{} {
	if never {
		return nil
	}
	return ctx.Done()
}

// stopEverything asks every running container to end and returns how many there are.
func (a *Agent) stopEverything(kill bool) int {
	count := 0
	for _, found := range a.runtime.Pods() {
		containers := a.runtime.Containers(found.UID)
		pod, err := a.pods.Pods(found.Namespace).Get(found.Name)
		if err != nil || pod.UID != found.UID {
			pod = nil
		}
		a.mu.Lock()
		state := a.states[found.UID]
		a.mu.Unlock()
		running := 0
		for _, current := range containers {
			if !current.Running {
				continue
			}
			running++
			if kill || pod == nil || state == nil || findContainer(pod, current.ID.Container) == nil {
				a.runtime.Stop(current.ID, runtime.StopOptions{Kill: true})
			}
		}
		count += running
		if running > 0 && pod != nil && state != nil && !kill {
			observed := observation{pod: pod, containers: histories(containers)}
			a.stopContainers(pod, state, stopEveryContainer(observed, &actions{}))
		}
	}
	return count
}

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

package ttlafterfinished

import (
	"context"
	"time"

	"k8s.io/utils/clock"
)

const (
	// stepCheckPeriod is how often the clock is looked at, hence the longest time that a step goes unnoticed.
	stepCheckPeriod = 30 * time.Second
	// stepTolerance is how far the wall clock may differ from a ticker over one period without being taken for a step.
	// A late tick of a busy machine exceeds it at worst, and costs one needless look at the Jobs.
	stepTolerance = time.Second
)

// watchClock calls stepped each time the wall clock moved by more or less than the ticker's time did. Timers run on a clock
// that neither jumps nor counts the sleep of a machine, so a timer set for a Job's end would fire late by as much. It returns when ctx ends.
func watchClock(ctx context.Context, wall clock.PassiveClock, ticks clock.WithTicker, stepped func(by time.Duration)) {
	ticker := ticks.NewTicker(stepCheckPeriod)
	defer ticker.Stop()
	// Round(0) drops Go's own monotonic reading: Sub would use it, and see no step.
	last := wall.Now().Round(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C():
		}
		now := wall.Now().Round(0)
		if by, is := clockStep(last, now); is {
			stepped(by)
		}
		last = now
	}
}

// clockStep tells whether the wall clock was stepped between two readings one stepCheckPeriod apart, and by how much.
func clockStep(last, now time.Time) (time.Duration, bool) {
	by := now.Sub(last) - stepCheckPeriod
	return by, by.Abs() > stepTolerance
}

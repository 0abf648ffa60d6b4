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

package job

import (
	"sync"
	"time"
)

// paceFactor is how many times the duration of its last sync a Job rests before events make it sync again. With 4, one
// busy Job keeps a worker for at most a fifth of the time, unless its batches are full.
const paceFactor = 4

// pace spreads the syncs of one Job. Kubernetes collects the Pod events of a Job for one second before it syncs the Job;
// for a Job of few Pods on one machine that second is most of its run time, for a Job of thousands it saves as many syncs. So:
//
//   - An event that a decision hangs on (a Pod ended, is being deleted or is gone; a Pod that a sync waits for) makes the Job
//     sync at once if it has been quiet. Otherwise it is put off until paceFactor times the duration of the last sync has passed
//     since that sync, and all events until then share one sync. Syncs of small Jobs take milliseconds, and so does the
//     delay; under load syncs take longer and batches grow with them, up to the batch period.
//   - A batch is full when there were as many such events as half of the Job's Pods. Then it rests no longer: Pods that ended and are not
//     replaced leave the machine idle, and a sync that has so much to do is worth its status writes.
//   - Any other event (a Pod was scheduled, runs, is ready; the status of the Job changed) only changes what the status
//     shows. It waits for the whole batch period, and does not cost a status write of its own where the Pod ends earlier.
//
// The zero value is ready to use; it is safe for concurrent use.
type pace struct {
	mu sync.Mutex

	// syncing says that a sync is running; urgent events meanwhile are put off to its end.
	syncing bool
	missed  bool

	// ended counts the urgent events since the last sync began; full is how many of them end the rest, 0 where none do.
	ended int
	full  int

	// rested is when the next urgent event may make the Job sync.
	rested time.Time

	// waiting says that the last sync could not do everything because of the cache: every event is urgent.
	waiting bool

	// due is when the first event that no sync has answered came; zero if there is none.
	due time.Time
}

// event notes an event and returns how long the Job's sync has to wait; false if a sync is coming anyway.
func (p *pace) event(now time.Time, urgent bool, period time.Duration) (time.Duration, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !urgent && !p.waiting {
		return period, true
	}
	if urgent {
		p.ended++
	}
	if p.due.IsZero() {
		p.due = now
	}
	switch {
	case p.syncing:
		p.missed = true
		return 0, false
	case p.isFull():
		return 0, true
	}
	return max(p.rested.Sub(now), 0), true
}

// begin notes that a sync starts and returns since when an event has been waiting for it; zero if none has.
func (p *pace) begin() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	due := p.due
	p.due = time.Time{}
	p.syncing, p.missed, p.waiting, p.ended = true, false, false, 0
	return due
}

// batch notes how many Pods the running sync leaves active: when half of them have ended, the next batch is full.
func (p *pace) batch(active int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.full = (active + 1) / 2
}

// isFull tells whether enough has happened for another sync. It needs p.mu.
func (p *pace) isFull() bool { return p.full > 0 && p.ended >= p.full }

// wait notes that the running sync needs a fresher cache.
func (p *pace) wait() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = true
}

// end notes that the sync is over and returns after which time events that came meanwhile want another; false if
// there were none.
func (p *pace) end(started, now time.Time, failed bool, period time.Duration) (time.Duration, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	rest := min(paceFactor*now.Sub(started), period)
	if failed {
		// What fails may well fail again, and its own writes cause events: no faster than upstream.
		rest, p.full = period, 0
	}
	if p.isFull() {
		rest = 0
	}
	p.syncing = false
	p.rested = now.Add(rest)
	return rest, p.missed
}

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
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	t.Parallel()
	const period = time.Second
	at := func(ms int) time.Time { return epoch.Add(time.Duration(ms) * time.Millisecond) }
	type answer struct {
		delay  time.Duration
		wanted bool
	}
	for _, tc := range []struct {
		name  string
		setup func(*pace)
		// The event: its time in milliseconds after the epoch, and whether it is urgent.
		at     int
		urgent bool
		want   answer
	}{
		{"urgent after quiet", func(p *pace) {}, 0, true, answer{0, true}},
		{"status only", func(p *pace) {}, 0, false, answer{period, true}},
		{"urgent after a short sync", func(p *pace) {
			p.begin()
			p.end(at(0), at(10), false, period)
		}, 15, true, answer{35 * time.Millisecond, true}},
		{"urgent long after a sync", func(p *pace) {
			p.begin()
			p.end(at(0), at(10), false, period)
		}, 500, true, answer{0, true}},
		{"urgent after a long sync waits for the period at most", func(p *pace) {
			p.begin()
			p.end(at(0), at(3000), false, period)
		}, 3000, true, answer{period, true}},
		{"urgent after a failed sync", func(p *pace) {
			p.begin()
			p.end(at(0), at(10), true, period)
		}, 10, true, answer{period, true}},
		{"urgent during a sync", func(p *pace) { p.begin() }, 5, true, answer{0, false}},
		{"status only during a sync", func(p *pace) { p.begin() }, 5, false, answer{period, true}},
		{"any event that a sync waits for", func(p *pace) {
			p.begin()
			p.wait()
			p.end(at(0), at(10), false, period)
		}, 20, false, answer{30 * time.Millisecond, true}},
		{"the event that fills a batch", func(p *pace) {
			p.begin()
			p.batch(3)
			p.end(at(0), at(10), false, period)
			p.event(at(11), true, period)
		}, 12, true, answer{0, true}},
		{"an event before the batch is full", func(p *pace) {
			p.begin()
			p.batch(5)
			p.end(at(0), at(10), false, period)
			p.event(at(11), true, period)
		}, 12, true, answer{38 * time.Millisecond, true}},
		{"status only fills no batch", func(p *pace) {
			p.begin()
			p.batch(3)
			p.wait()
			p.end(at(0), at(10), false, period)
			p.event(at(11), false, period)
		}, 12, true, answer{38 * time.Millisecond, true}},
		{"a batch after a failed sync is never full", func(p *pace) {
			p.begin()
			p.batch(1)
			p.end(at(0), at(10), true, period)
		}, 10, true, answer{period, true}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var p pace
			tc.setup(&p)
			delay, wanted := p.event(at(tc.at), tc.urgent, period)
			if got := (answer{delay, wanted}); got != tc.want {
				t.Errorf("event: %v, want %v", got, tc.want)
			}
		})
	}
}

func TestPaceOfEventsDuringASync(t *testing.T) {
	t.Parallel()
	var p pace
	p.begin()
	if delay, again := p.end(epoch, epoch.Add(time.Millisecond), false, time.Second); again {
		t.Errorf("a sync without events wants another after %v", delay)
	}
	p.begin()
	event := epoch.Add(time.Second)
	p.event(event, true, time.Second)
	delay, again := p.end(epoch, epoch.Add(20*time.Millisecond), false, time.Second)
	if !again || delay != 80*time.Millisecond {
		t.Errorf("a sync with an event: another %v after %v, want after 80ms", again, delay)
	}
	if due := p.begin(); !due.Equal(event) {
		t.Errorf("the next sync was due at %v, want %v", due, event)
	}
	if due := p.begin(); !due.IsZero() {
		t.Errorf("a sync without events was due at %v", due)
	}
}

// A batch that is full at the end of a sync makes the next one follow at once; the next batch begins with that sync.
func TestPaceOfABatchThatIsFullDuringASync(t *testing.T) {
	t.Parallel()
	var p pace
	p.begin()
	p.batch(4)
	p.event(epoch, true, time.Second)
	p.event(epoch, true, time.Second)
	delay, again := p.end(epoch, epoch.Add(20*time.Millisecond), false, time.Second)
	if !again || delay != 0 {
		t.Errorf("after a full batch: another sync %v after %v, want at once", again, delay)
	}
	p.begin()
	p.batch(4)
	p.event(epoch, true, time.Second)
	delay, again = p.end(epoch, epoch.Add(20*time.Millisecond), false, time.Second)
	if !again || delay != 80*time.Millisecond {
		t.Errorf("after half a batch: another sync %v after %v, want after 80ms", again, delay)
	}
}

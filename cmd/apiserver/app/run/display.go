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

package run

import (
	"fmt"
	"io"
	"sync"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
)

// display shows how Jobs go on. Lines written to it appear whole and in order, whatever else is shown.
type display interface {
	io.Writer
	// update shows the state of a Job. States that come again are not shown again.
	update(uid types.UID, state jobState)
	// close ends the display; what was shown last stays.
	close()
}

// plainDisplay prints a line for each change, for files, pipes and logs.
type plainDisplay struct {
	mu   sync.Mutex
	out  io.Writer
	last map[types.UID]string
}

func newPlainDisplay(out io.Writer) *plainDisplay {
	return &plainDisplay{out: out, last: map[types.UID]string{}}
}

func (d *plainDisplay) Write(line []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.out.Write(line)
}

func (d *plainDisplay) update(uid types.UID, state jobState) {
	line := fmt.Sprintf("job %s: %s, %s\n", state.name, state.outcome, state.counts())
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.last[uid] == line {
		return
	}
	d.last[uid] = line
	// Nobody reads a closed output any more; the exit code still says how the Jobs ended.
	_, _ = io.WriteString(d.out, line)
}

func (d *plainDisplay) close() {}

// barDisplay shows a bar for each Job at the bottom of a terminal, and lines above.
type barDisplay struct {
	progress *mpb.Progress
	clock    clock.PassiveClock

	mu   sync.Mutex
	bars map[types.UID]*mpb.Bar

	// statesMu is never held during a call of the library: a bar that is being drawn asks for its caption, and a call to that bar
	// waits until it is drawn.
	statesMu sync.Mutex
	states   map[types.UID]jobState
}

// barWidth is the width of a bar in characters, small enough for what stands beside it.
const barWidth = 60

func newBarDisplay(out io.Writer) *barDisplay {
	return &barDisplay{
		progress: mpb.New(mpb.WithOutput(out), mpb.WithAutoRefresh(), mpb.WithWidth(barWidth)),
		clock:    clock.RealClock{},
		bars:     map[types.UID]*mpb.Bar{},
		states:   map[types.UID]jobState{},
	}
}

func (d *barDisplay) Write(line []byte) (int, error) {
	return d.progress.Write(line)
}

func (d *barDisplay) update(uid types.UID, state jobState) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.setState(uid, state)
	bar, ok := d.bars[uid]
	if !ok {
		bar = d.newBar(uid, state)
		d.bars[uid] = bar
	}
	bar.SetCurrent(int64(state.succeeded))
	if state.over() {
		// A bar that isn't full is left as it is, where the Job ended early.
		bar.EnableTriggerComplete()
		bar.Abort(false)
	}
}

// newBar makes a bar whose total is never reached by itself: the Job's condition ends it, not the number of successes.
func (d *barDisplay) newBar(uid types.UID, state jobState) *mpb.Bar {
	total := int64(0)
	if state.completions != nil {
		total = int64(*state.completions)
	}
	bar := d.progress.New(0, mpb.BarStyle(),
		mpb.PrependDecorators(decor.Name(state.name, decor.WCSyncSpaceR)),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return d.caption(uid) })),
	)
	bar.SetTotal(total, false)
	return bar
}

func (d *barDisplay) setState(uid types.UID, state jobState) {
	d.statesMu.Lock()
	defer d.statesMu.Unlock()
	d.states[uid] = state
}

// caption is what stands beside the bar of a Job. The library calls it while it draws the bar.
func (d *barDisplay) caption(uid types.UID) string {
	d.statesMu.Lock()
	state := d.states[uid]
	d.statesMu.Unlock()
	return fmt.Sprintf("%s  %s  %s", state.counts(), state.outcome, state.elapsed(d.clock.Now()))
}

func (d *barDisplay) close() {
	d.mu.Lock()
	for _, bar := range d.bars {
		bar.Abort(false)
	}
	d.mu.Unlock()
	d.progress.Wait()
}

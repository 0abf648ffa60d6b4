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

package compare

import (
	"flag"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	batchv1 "k8s.io/api/batch/v1"
)

var (
	flagJobs = flag.Int("jobs", 3000, "how many random requests to compare")
	flagSeed = flag.Uint64("seed", 1, "which requests those are")
)

// maxReported bounds how many mismatches are shown, each shrunk to as few edits as show it.
const maxReported = 10

// A history is how a random request came about: from a valid Job by edits, each of which its seed determines.
type history struct {
	verb  verb
	start *batchv1.Job
	old   []uint64 // edits of what is stored
	new   []uint64 // and of what is written
}

// newHistory makes up the history of one number. Mostly one edit of a valid Job; sometimes a few, and sometimes what is stored is odd already.
func newHistory(starts map[verb][]*batchv1.Job, seed, number uint64) history {
	random := rand.New(rand.NewPCG(seed, number))
	h := history{verb: pick(random, []verb{create, update, update, statusUpdate, statusUpdate})}
	h.start = pick(random, starts[h.verb])
	for range pick(random, []int{1, 1, 1, 1, 2, 3, 6}) {
		h.new = append(h.new, random.Uint64())
	}
	if h.verb != create {
		for range pick(random, []int{0, 0, 0, 0, 1, 1, 3}) {
			h.old = append(h.old, random.Uint64())
		}
	}
	return h
}

// request applies the edits, and says what they did.
func (h history) request() (request, []string) {
	var story []string
	job := h.start.DeepCopy()
	for _, seed := range h.old {
		story = append(story, "stored: "+mutate(job, h.verb, seed))
	}
	var old *batchv1.Job
	if h.verb != create {
		old = job.DeepCopy()
	}
	for _, seed := range h.new {
		story = append(story, "written: "+mutate(job, h.verb, seed))
	}
	return request{verb: h.verb, job: job, old: old}, story
}

// shrink leaves out every edit that the mismatch doesn't need.
func (h history) shrink(differs func(history) bool) history {
	for _, edits := range []*[]uint64{&h.old, &h.new} {
		for i := len(*edits) - 1; i >= 0; i-- {
			all := *edits
			if *edits = slices.Delete(slices.Clone(all), i, i+1); !differs(h) {
				*edits = all
			}
		}
	}
	return h
}

// TestRandom compares requests made by editing valid Jobs one place at a time.
func TestRandom(t *testing.T) {
	upstream, ours := sides(t)
	starts := map[verb][]*batchv1.Job{create: validJobs(), update: storedJobs(), statusUpdate: storedJobs()}
	t.Logf("%d requests of -seed=%d", *flagJobs, *flagSeed)

	// In a bubble time stands still: ages in tables are the same on both sides.
	synctest.Test(t, func(t *testing.T) {
		var (
			tally tally
			next  atomic.Uint64
			group sync.WaitGroup
		)
		compare := func(h history) (outcome, string) {
			req, _ := h.request()
			theirs := upstream.run(req)
			return theirs, mismatch(theirs, ours.run(req))
		}
		for range runtime.GOMAXPROCS(0) {
			group.Go(func() {
				for number := next.Add(1); number <= uint64(*flagJobs); number = next.Add(1) {
					h := newHistory(starts, *flagSeed, number)
					theirs, differs := compare(h)
					if !tally.add(h.verb, theirs, differs) {
						continue
					}
					small := h.shrink(func(h history) bool { _, differs := compare(h); return differs != "" })
					_, differs = compare(small)
					_, story := small.request()
					t.Errorf("%s number %d:\n\t%s\n%s", h.verb, number, strings.Join(story, "\n\t"), differs)
				}
			})
		}
		group.Wait()
		tally.report(t)
	})
}

// A tally counts what was compared, so that a run that compares little shows it.
type tally struct {
	lock       sync.Mutex
	accepted   map[verb]int
	refused    map[verb]int
	mismatches int
}

// add counts one comparison, and says whether its mismatch is to be shown.
func (c *tally) add(by verb, upstream outcome, differs string) bool {
	c.lock.Lock()
	defer c.lock.Unlock()
	if c.accepted == nil {
		c.accepted, c.refused = map[verb]int{}, map[verb]int{}
	}
	if len(upstream.Errors) > 0 {
		c.refused[by]++
	} else {
		c.accepted[by]++
	}
	if differs != "" {
		c.mismatches++
	}
	return differs != "" && c.mismatches <= maxReported
}

func (c *tally) report(t *testing.T) {
	for _, by := range []verb{create, update, statusUpdate} {
		t.Logf("%s: %d accepted, %d refused", by, c.accepted[by], c.refused[by])
		if total := *flagJobs; total >= 1000 && (c.accepted[by] < total/50 || c.refused[by] < total/50) {
			t.Errorf("too few of %s are accepted, or refused, to say much", by)
		}
	}
	if c.mismatches > 0 {
		t.Errorf("%d of %d requests end differently", c.mismatches, *flagJobs)
	}
}

var loadSides = sync.OnceValues(func() ([2]*side, error) {
	upstream, err := newUpstream()
	if err != nil {
		return [2]*side{}, err
	}
	ours, err := newOurs()
	if err != nil {
		return [2]*side{}, err
	}
	return [2]*side{upstream, ours}, nil
})

func sides(t *testing.T) (upstream, ours *side) {
	t.Helper()
	both, err := loadSides()
	if err != nil {
		t.Fatal(err)
	}
	return both[0], both[1]
}

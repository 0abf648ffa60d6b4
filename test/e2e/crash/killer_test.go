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
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// tally counts the kills of all servers, and says where the next one is to hit.
type tally struct {
	mu   sync.Mutex
	left int
	// last counts the kills by what the server had written last.
	last map[write]int
	// hit counts the kills that were aimed at a write, and came with it or right after it.
	hit map[write]int
	// random is how many came at any moment, starting how many of them before the server was ready.
	random, starting int
}

func newTally(kills int) *tally {
	return &tally{left: kills, last: map[write]int{}, hit: map[write]int{}}
}

// take takes one of the kills that are left.
func (t *tally) take() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.left--
	return t.left >= 0
}

// putBack gives a kill back that was not done.
func (t *tally) putBack() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.left++
}

// any tells whether there are kills left.
func (t *tally) any() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.left > 0
}

// count takes note of a kill.
func (t *tally) count(s shot, hit bool, last write, ready bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last[last]++
	switch {
	case hit:
		t.hit[s.aim]++
	default:
		t.random++
	}
	if !ready {
		t.starting++
	}
}

// aim picks one of the writes that were hit least.
func (t *tally) aim(random *rand.Rand, among []write) write {
	t.mu.Lock()
	defer t.mu.Unlock()
	shuffled := slices.Clone(among)
	random.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	slices.SortStableFunc(shuffled, func(a, b write) int { return t.hit[a] - t.hit[b] })
	return shuffled[random.IntN(min(3, len(shuffled)))]
}

func (t *tally) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var text strings.Builder
	total := 0
	for _, one := range append(slices.Clone(aims), "") {
		total += t.last[one]
		name := string(one)
		if one == "" {
			name = "something else"
		}
		fmt.Fprintf(&text, "%-30s the last write before %3d kills, aimed at by %3d\n", name, t.last[one], t.hit[one])
	}
	fmt.Fprintf(&text, "%d kills; %d at random moments, %d before the server was ready", total, t.random, t.starting)
	return text.String()
}

// missed lists the writes that no kill was aimed at, or followed.
func (t *tally) missed() []write {
	t.mu.Lock()
	defer t.mu.Unlock()
	hit := maps.Clone(t.hit)
	for one, n := range t.last {
		hit[one] += n
	}
	return slices.DeleteFunc(slices.Clone(aims), func(one write) bool { return hit[one] > 0 })
}

// shot is how one kill is done.
type shot struct {
	aim   write         // empty: at random
	after int           // of how many such writes the last is meant
	delay time.Duration // after the write; at random: after the start of the server
}

// newShot decides. Half of the aimed kills come at once, before whoever made the write knows that it is stored.
func newShot(t *tally, random *rand.Rand, among []write) shot {
	if random.IntN(4) == 0 {
		return shot{delay: time.Duration(random.Int64N(int64(3 * time.Second)))}
	}
	s := shot{aim: t.aim(random, among), after: 1}
	if strings.HasPrefix(string(s.aim), "Pod") { // there are many
		s.after += random.IntN(3)
	}
	switch random.IntN(4) {
	case 0:
		s.delay = time.Duration(random.Int64N(int64(3 * time.Millisecond)))
	case 1:
		s.delay = time.Duration(random.Int64N(int64(50 * time.Millisecond)))
	}
	return s
}

// aimTimeout is how long an aimed kill waits for its write. Then the server is killed all the same.
const aimTimeout = 4 * time.Second

// await waits for the moment of the kill. It returns whether that came with the write that was aimed at, and false for fire where over was closed
// before.
func (s shot) await(log *wal, over <-chan struct{}) (hit, fire bool, err error) {
	if s.aim == "" {
		select {
		case <-time.After(s.delay):
			return false, true, nil
		case <-over:
			return false, false, nil
		}
	}
	changes, err := notify(log.dir)
	if err != nil {
		return false, false, err
	}
	defer changes.Close()
	timeout := time.After(aimTimeout)
	for {
		writes, err := log.next()
		if err != nil {
			return false, false, err
		}
		for _, one := range writes {
			if one == s.aim {
				s.after--
			}
		}
		if s.after <= 0 {
			time.Sleep(s.delay)
			return true, true, nil
		}
		select {
		case <-timeout:
			return false, true, nil
		case <-over:
			return false, false, nil
		case <-changes.events:
		}
	}
}

// notifier tells when something was written to a folder's files.
type notifier struct {
	*os.File
	events chan struct{} // holds one
}

func notify(dir string) (*notifier, error) {
	fd, err := syscall.InotifyInit1(syscall.IN_NONBLOCK | syscall.IN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", dir, err)
	}
	n := &notifier{os.NewFile(uintptr(fd), "inotify"), make(chan struct{}, 1)}
	if _, err := syscall.InotifyAddWatch(fd, dir, syscall.IN_MODIFY|syscall.IN_CREATE|syscall.IN_MOVED_TO); err != nil {
		return nil, fmt.Errorf("watch %s: %w", dir, err)
	}
	go func() {
		buffer := make([]byte, 4096)
		for {
			if _, err := n.Read(buffer); err != nil {
				return // closed
			}
			select {
			case n.events <- struct{}{}:
			default:
			}
		}
	}()
	return n, nil
}

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

package leaderelection

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// ErrDeposed is the error of a request that a replica sends which may not lead any more.
var ErrDeposed = errors.New("this replica does not lead any more")

// TermHeader names the term in which a request was sent. Term.Wrap sets it; Elector.Fence reads it.
const TermHeader = "Jobserver-Term"

// Term is the time in which this replica leads, as far as it can know.
type Term struct {
	name    string // no other term has it, of this replica or another
	timings Timings
	now     func() time.Duration

	// requests ends with the fence.
	requests context.Context
	fence    context.CancelCauseFunc

	mu      sync.Mutex
	last    time.Duration // when the last good renewal was sent; zero before the first
	passed  chan struct{}
	changed *time.Timer
	closing *time.Timer
}

// newTerm returns a term that begins with its first renewal.
func newTerm(name string, timings Timings) *Term {
	t := &Term{name: name, timings: timings, now: bootTime, passed: make(chan struct{}, 1)}
	t.requests, t.fence = context.WithCancelCause(context.Background())
	t.last = t.now()
	t.changed = time.AfterFunc(timings.RenewDeadline, t.checkDeadline)
	t.closing = time.AfterFunc(timings.fence(), t.checkFence)
	return t
}

// bootTime is a clock that nobody sets and that goes on while the machine sleeps. It can't fail on Linux.
func bootTime() time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		panic(fmt.Sprintf("read CLOCK_BOOTTIME: %v", err))
	}
	return time.Duration(now.Nano())
}

// renewed notes a renewal that was sent at a time, and was good.
func (t *Term) renewed(sent time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = max(t.last, sent)
	elapsed := t.now() - t.last
	t.changed.Reset(t.timings.RenewDeadline - elapsed)
	t.closing.Reset(t.timings.fence() - elapsed)
}

// untilDeadline is how long the work may still go on without a renewal.
func (t *Term) untilDeadline() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.timings.RenewDeadline - (t.now() - t.last)
}

// deadline delivers once when the deadline for a renewal has passed.
func (t *Term) deadline() <-chan struct{} { return t.passed }

func (t *Term) checkDeadline() {
	if t.untilDeadline() > 0 {
		return // renewed as the timer fired
	}
	select {
	case t.passed <- struct{}{}:
	default:
	}
}

// Valid tells whether no other replica can lead yet.
func (t *Term) Valid() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.requests.Err() == nil && t.now()-t.last < t.timings.fence()
}

func (t *Term) checkFence() {
	if !t.Valid() {
		t.fence(ErrDeposed)
	}
}

// close ends the term for good.
func (t *Term) close() {
	t.changed.Stop()
	t.closing.Stop()
	t.fence(ErrDeposed)
}

// Wrap returns a transport that sends requests while the term lasts. After that they fail with ErrDeposed, and so do those under way.
// It fits k8s.io/client-go/rest.Config.Wrap.
func (t *Term) Wrap(next http.RoundTripper) http.RoundTripper {
	return &fencedTransport{term: t, next: next}
}

type fencedTransport struct {
	term *Term
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (f *fencedTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	if !f.term.Valid() {
		if request.Body != nil {
			_ = request.Body.Close() // as a RoundTripper must; there is nobody to tell
		}
		return nil, ErrDeposed
	}
	ctx, done := f.term.during(request.Context())
	request = request.Clone(ctx)
	request.Header.Set(TermHeader, f.term.name)
	response, err := f.next.RoundTrip(request)
	if err != nil {
		done()
		return nil, err
	}
	// The body of a watch lasts as long as the watch.
	response.Body = &fencedBody{ReadCloser: response.Body, done: done}
	return response, nil
}

// during returns a context that ends with the term, too. The caller calls done when what it is for is over.
func (t *Term) during(ctx context.Context) (_ context.Context, done func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(t.requests, func() { cancel(ErrDeposed) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// WrappedRoundTripper lets client-go find the transport below.
func (f *fencedTransport) WrappedRoundTripper() http.RoundTripper { return f.next }

// fencedBody lets go of the request's context when it is closed.
type fencedBody struct {
	io.ReadCloser
	done func()
}

// Close implements io.Closer.
func (b *fencedBody) Close() error {
	defer b.done()
	return b.ReadCloser.Close()
}

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

package stage

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// timeout is for what takes no time.
const timeout = time.Minute

var errBroken = errors.New("broken")

// part is a Part from a function.
type part func(ctx context.Context) error

func (p part) Run(ctx context.Context) error { return p(ctx) }

func waits(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// TestOneError: the error of a stage that ended by itself is said once, whether who runs it has asked for it or only stops it.
func TestOneError(t *testing.T) {
	t.Parallel()
	for _, asked := range []bool{true, false} {
		broken := RunAll(t.Context(), "controllers", map[string]Part{"data": part(func(context.Context) error { return errBroken }), "other": part(waits)}, func(context.Context) {})
		<-broken.Ended()
		var said error
		if asked {
			said = broken.Err()
		}
		said = errors.Join(said, broken.Stop(timeout))
		if !errors.Is(said, errBroken) || strings.Count(said.Error(), errBroken.Error()) != 1 || !strings.Contains(said.Error(), "controllers") || !strings.Contains(said.Error(), "data: ") {
			t.Errorf("asked before: %t: %v", asked, said)
		}
	}
}

// TestStop: a stage that is stopped has no error, one that comes to no end has.
func TestStop(t *testing.T) {
	t.Parallel()
	if err := RunAll(t.Context(), "good", map[string]Part{"part": part(waits)}, func(context.Context) {}).Stop(timeout); err != nil {
		t.Error(err)
	}
	end := make(chan struct{})
	stuck := Run(t.Context(), "stuck", func(context.Context) error { <-end; return nil })
	if err := stuck.Stop(time.Nanosecond); err == nil || !strings.Contains(err.Error(), "stop stuck: not at rest") {
		t.Errorf("a stage that does not end: %v", err)
	}
	close(end)
	<-stuck.Ended()
}

// TestEndedByItself: a part that ends without an error ends all of them, and that is an error.
func TestEndedByItself(t *testing.T) {
	t.Parallel()
	ended := RunAll(t.Context(), "controllers", map[string]Part{"short": part(func(context.Context) error { return nil }), "other": part(waits)}, func(context.Context) {})
	<-ended.Ended()
	if err := ended.Err(); err == nil || err.Error() != "controllers ended: short: ended" {
		t.Errorf("got %v", err)
	}
}

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

package framework

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestPoll(t *testing.T) {
	t.Parallel()
	calls := 0
	err := poll(t.Context(), time.Minute, func(context.Context) error {
		if calls++; calls < 3 {
			return errors.New("not yet")
		}
		return nil
	})
	if err != nil || calls != 3 {
		t.Errorf("error %v after %d calls, want none after three", err, calls)
	}
}

// TestPollTellsWhy: the error is what the check said, not that time was up.
func TestPollTellsWhy(t *testing.T) {
	t.Parallel()
	why := errors.New("two of three Pods")
	err := poll(t.Context(), 50*time.Millisecond, func(ctx context.Context) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return why
	})
	if !errors.Is(err, why) || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), why.Error()) {
		t.Errorf("error %v, want time and %v", err, why)
	}
}

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
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

const (
	// pollInterval is short: what tests wait for takes milliseconds.
	pollInterval = 10 * time.Millisecond

	// waitTimeout is long: it ends only tests that fail anyway.
	waitTimeout = time.Minute

	// stopPodsTimeout is how long the containers of a test may take to end.
	stopPodsTimeout = 30 * time.Second
)

// Eventually waits until check returns nil. It fails the test, with what and the last error of check, where that takes more
// than a minute.
func Eventually(t testing.TB, what string, check func(ctx context.Context) error) {
	t.Helper()
	if err := poll(t.Context(), waitTimeout, check); err != nil {
		t.Fatalf("waiting until %s: %v", what, err)
	}
}

// poll runs check until it returns nil. Its error tells what check said last.
func poll(ctx context.Context, timeout time.Duration, check func(context.Context) error) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, pollInterval, timeout, true, func(ctx context.Context) (bool, error) {
		if err := check(ctx); err != nil {
			// An error that says only that time is up would hide why.
			if ctx.Err() == nil || last == nil {
				last = err
			}
			return false, nil
		}
		return true, nil
	})
	if err != nil && last != nil {
		return fmt.Errorf("%w; last: %w", err, last)
	}
	return err
}

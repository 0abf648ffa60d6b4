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

package suite

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
)

// Outcome is how a test ended.
type Outcome string

const (
	// Pass: the statement holds.
	Pass Outcome = "pass"
	// Fail: it doesn't, or could not be judged.
	Fail Outcome = "fail"
	// Skip: the server lacks what the statement is about.
	Skip Outcome = "skip"
)

// Result is how one test ended.
type Result struct {
	Test     Test
	Outcome  Outcome
	Duration time.Duration
	// Known: the test failed, as Kubernetes is known to, on a server of Kubernetes.
	Known bool
	// Messages say why a test failed or was skipped, one line each with the place in the test.
	Messages []string
	// Log is what else the test told.
	Log []string
}

// Run is the run of tests of one profile on one target. It owns the namespaces of its tests, and the node that they bind Pods to.
type Run struct {
	// Profile is the profile that is run.
	Profile Profile
	// Keep leaves all that the tests make where it is: for servers that are thrown away, which need not spend minutes on it.
	Keep bool
	// Wait is how long a test waits for one thing to happen. Default: DefaultWait.
	Wait time.Duration

	target *Target
	places *places
}

// Begin connects to a server and prepares a run, as soon as the server answers and, for profile node, a node of it is ready. The
// features that it is said to lack it is not asked for. The caller must Close the run.
func Begin(ctx context.Context, config *rest.Config, groupVersion schema.GroupVersion, profile Profile, lacks ...Feature) (*Run, error) {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for {
		target, err := Connect(ctx, config, groupVersion, lacks...)
		if err == nil {
			var run *Run
			if run, err = NewRun(ctx, target, profile); err == nil {
				return run, nil
			}
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(slowestPoll):
		}
	}
}

// Target is the server that is judged.
func (r *Run) Target() *Target { return r.target }

// NewRun prepares a run. The caller must Close it.
func NewRun(ctx context.Context, target *Target, profile Profile) (*Run, error) {
	if profile == ProfileNode && !target.Has(FeatureReadyNode) {
		return nil, errors.New("profile node: no node of the server is ready")
	}
	places, err := newPlaces(ctx, target)
	if err != nil {
		return nil, err
	}
	return &Run{Profile: profile, Wait: DefaultWait, target: target, places: places}, nil
}

// Close removes everything that the run made in the server, and returns an error that says what is left. It may be called once
// all tests have ended.
func (r *Run) Close(ctx context.Context) error {
	if r.Keep {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	return r.places.remove(ctx)
}

// Test runs one test. It returns when the test has ended, or when its time is up.
func (r *Run) Test(ctx context.Context, test Test) Result {
	started := time.Now()
	t := &T{run: r, test: test}
	switch missing := r.target.lacks(test.Features); {
	case test.Group != "" && test.Group != r.target.Group():
		t.outcome, t.messages = Skip, []string{"it is about Jobs of " + test.Group + "/v1"}
	case missing != "":
		t.outcome, t.messages = Skip, []string{"the server lacks the feature " + string(missing)}
	case ctx.Err() != nil:
		t.outcome, t.messages = Fail, []string{"interrupted before it began"}
	default:
		r.execute(ctx, t)
	}
	return Result{
		Test: test, Outcome: t.outcome, Duration: time.Since(started), Messages: t.messages, Log: t.log,
		Known: t.outcome == Fail && test.UpstreamBug != "" && r.target.isKubernetes(),
	}
}

// execute runs a test in a goroutine of its own, which FailNow and SkipNow end.
func (r *Run) execute(ctx context.Context, t *T) {
	ctx, cancel := context.WithTimeout(ctx, testTimeout)
	defer cancel()
	t.ctx, t.outcome = ctx, Pass
	if err := t.begin(ctx); err != nil {
		t.outcome, t.messages = Fail, []string{err.Error()}
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if p := recover(); p != nil {
				t.record(Fail, fmt.Sprintf("panic: %v\n%s", p, debug.Stack()))
			}
		}()
		t.test.Run(t)
	}()
	<-done
	if !r.Keep {
		r.places.release(context.WithoutCancel(ctx), t.namespace)
	}
}

// All runs tests, some at a time, and returns their results in the order of names. Each result is also handed to done as it comes,
// one at a time.
func (r *Run) All(ctx context.Context, tests []Test, parallel int, done func(Result)) []Result {
	var (
		lock    sync.Mutex
		results []Result
		wait    sync.WaitGroup
	)
	queue := make(chan Test)
	for range max(parallel, 1) {
		wait.Go(func() {
			for test := range queue {
				result := r.Test(ctx, test)
				lock.Lock()
				results = append(results, result)
				done(result)
				lock.Unlock()
			}
		})
	}
	for _, test := range tests {
		queue <- test
	}
	close(queue)
	wait.Wait()
	sortResults(results)
	return results
}

func sortResults(results []Result) {
	slices.SortFunc(results, func(a, b Result) int { return strings.Compare(a.Test.Name, b.Test.Name) })
}

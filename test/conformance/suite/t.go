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
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// T is what a test has in hand: the server, a namespace of its own in it, and a way to say what is wrong. Its methods are the
// vocabulary of the tests; those that can't go on end the test. It is safe for concurrent use, but only the goroutine that a test
// was started in may end it.
type T struct {
	// Kube is a client of Kubernetes' own groups.
	Kube kubernetes.Interface

	ctx       context.Context
	run       *Run
	test      Test
	namespace string
	config    *rest.Config
	dynamic   dynamic.Interface
	warnings  warnings

	lock     sync.Mutex
	outcome  Outcome
	messages []string
	log      []string
}

// begin gives the test its clients and its namespace.
func (t *T) begin(ctx context.Context) error {
	t.config = rest.CopyConfig(t.run.target.config)
	t.config.WarningHandler = &t.warnings
	var err error
	if t.Kube, err = kubernetes.NewForConfigAndClient(t.config, t.run.target.client); err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	if t.dynamic, err = dynamic.NewForConfigAndClient(t.config, t.run.target.client); err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	t.namespace, err = t.run.places.namespace(ctx, t.test.Name)
	return err
}

// Context is the context of the test: it ends with the time of the test.
func (t *T) Context() context.Context { return t.ctx }

// Namespace is the name of the namespace that the test has for itself.
func (t *T) Namespace() string { return t.namespace }

// Target is the server.
func (t *T) Target() *Target { return t.run.target }

// Group is the group that the test reaches Jobs by.
func (t *T) Group() string { return t.run.target.Group() }

// Logf records something that helps to understand a failure.
func (t *T) Logf(format string, args ...any) {
	t.lock.Lock()
	defer t.lock.Unlock()
	t.log = append(t.log, place()+": "+fmt.Sprintf(format, args...))
}

// Errorf says that the statement of the test doesn't hold, and goes on.
func (t *T) Errorf(format string, args ...any) {
	t.record(Fail, place()+": "+fmt.Sprintf(format, args...))
}

// Fatalf says that the statement of the test doesn't hold, and ends the test.
func (t *T) Fatalf(format string, args ...any) {
	t.record(Fail, place()+": "+fmt.Sprintf(format, args...))
	runtime.Goexit()
}

// Skipf ends the test: the server lacks what it is about.
func (t *T) Skipf(format string, args ...any) {
	t.record(Skip, fmt.Sprintf(format, args...))
	runtime.Goexit()
}

// Must ends the test where err is not nil.
func (t *T) Must(err error) {
	if err != nil {
		t.Fatalf("%v", err)
	}
}

// record notes an outcome. A failure stays one.
func (t *T) record(outcome Outcome, message string) {
	t.lock.Lock()
	defer t.lock.Unlock()
	if t.outcome != Fail {
		t.outcome = outcome
	}
	t.messages = append(t.messages, message)
}

// place is the innermost line outside this package that led here: the line of the test.
func place() string {
	var callers [32]uintptr
	frames := runtime.CallersFrames(callers[:runtime.Callers(2, callers[:])])
	for {
		frame, more := frames.Next()
		if !strings.Contains(frame.Function, "/conformance/suite.") {
			return fmt.Sprintf("%s:%d", filepath.Base(frame.File), frame.Line)
		}
		if !more {
			return "?"
		}
	}
}

// Eventually waits until check returns nil. It ends the test, with what was waited for and what check said last, where that takes
// too long.
func (t *T) Eventually(what string, check func() error) { t.within(t.run.Wait, what, check) }

// Patiently is Eventually for what a server looks for now and then only.
func (t *T) Patiently(what string, check func() error) { t.within(patience*t.run.Wait, what, check) }

func (t *T) within(wait time.Duration, what string, check func() error) {
	deadline := time.Now().Add(wait)
	pause := firstPoll
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) || t.ctx.Err() != nil {
			t.Fatalf("waited in vain until %s: %v", what, err)
		}
		select {
		case <-t.ctx.Done():
		case <-time.After(pause):
		}
		pause = min(pause*2, slowestPoll)
	}
}

// warnings collects the warnings that the server sends with its answers.
type warnings struct {
	lock sync.Mutex
	all  []string
}

// HandleWarningHeader implements rest.WarningHandler.
func (w *warnings) HandleWarningHeader(code int, _ string, text string) {
	// 299 is the only code that API servers use.
	if code != 299 {
		return
	}
	w.lock.Lock()
	defer w.lock.Unlock()
	w.all = append(w.all, text)
}

// Warnings returns the warnings that came with the answers since it was called last.
func (t *T) Warnings() []string {
	t.warnings.lock.Lock()
	defer t.warnings.lock.Unlock()
	all := t.warnings.all
	t.warnings.all = nil
	return all
}

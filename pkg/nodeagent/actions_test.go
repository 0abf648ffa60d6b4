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

package nodeagent

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime"
)

var now = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// attempt makes an attempt at a container; it started a minute ago.
func attempt(container string, number int, change func(*runtime.Container)) runtime.Container {
	made := runtime.Container{ID: runtime.ID{PodUID: "uid", Container: container, Attempt: number}, StartedAt: now.Add(-time.Minute)}
	change(&made)
	return made
}

func running(c *runtime.Container) { c.Running = true }

// ended returns an end with the exit code, ago before now.
func ended(code int, ago time.Duration) func(*runtime.Container) {
	return func(c *runtime.Container) { c.ExitCode, c.FinishedAt = code, now.Add(-ago) }
}

// after adds the back-off that applies after the attempt.
func after(backoff time.Duration, change func(*runtime.Container)) func(*runtime.Container) {
	return func(c *runtime.Container) {
		change(c)
		c.Backoff = backoff
	}
}

// summary is what a case expects, in words short enough for a table.
type summary struct {
	Start string
	// Stop is the names of the containers to be stopped, each with those it waits for: "sidecar>one,two".
	Stop        string
	Grace       time.Duration // of the first one to be stopped
	Message     string        // of the first one, where it is not the usual one
	Failure     string
	Ended       bool
	Again       time.Duration
	NextBackoff time.Duration
}

func summarize(a actions) summary {
	var start, stop []string
	s := summary{Ended: a.ended, Again: a.again}
	for _, action := range a.start {
		start = append(start, action.container.Name)
		s.NextBackoff = action.backoff
	}
	for i, action := range a.stop {
		name := action.container.Name
		if len(action.after) > 0 {
			name += ">" + strings.Join(action.after, ",")
		}
		stop = append(stop, name)
		if i == 0 {
			s.Grace = action.grace
			if !strings.HasPrefix(action.message, "Stopping container ") {
				s.Message = action.message
			}
		}
	}
	s.Start, s.Stop = strings.Join(start, " "), strings.Join(stop, " ")
	if a.failure != nil {
		s.Failure = a.failure.reason
	}
	return s
}

func TestComputeActions(t *testing.T) {
	t.Parallel()
	type pod = *corev1.Pod
	onFailure := func(p pod) { p.Spec.RestartPolicy = corev1.RestartPolicyOnFailure }
	always := func(p pod) { p.Spec.RestartPolicy = corev1.RestartPolicyAlways }
	deadline := func(p pod) { p.Spec.ActiveDeadlineSeconds = new(int64(60)) }
	deleted := func(p pod) {
		p.DeletionTimestamp, p.DeletionGracePeriodSeconds = new(metav1.NewTime(now)), new(int64(7))
	}
	initDone := attempt("init-b", 0, ended(0, time.Second))
	tests := map[string]struct {
		change   func(pod)
		withInit bool
		attempts []runtime.Container
		age      time.Duration // of the Pod
		want     summary
	}{
		"nothing yet":           {want: summary{Start: "one two"}},
		"both run":              {attempts: []runtime.Container{attempt("one", 0, running), attempt("two", 0, running)}},
		"one runs":              {attempts: []runtime.Container{attempt("one", 0, running)}, want: summary{Start: "two"}},
		"one ended":             {attempts: []runtime.Container{attempt("one", 0, ended(1, 0)), attempt("two", 0, running)}},
		"both ended":            {attempts: []runtime.Container{attempt("one", 0, ended(1, 0)), attempt("two", 0, ended(0, 0))}, want: summary{Ended: true}},
		"first init container":  {withInit: true, want: summary{Start: "init-a"}},
		"first init runs":       {withInit: true, attempts: []runtime.Container{attempt("init-a", 0, running)}},
		"second init container": {withInit: true, attempts: []runtime.Container{attempt("init-a", 0, ended(0, 0))}, want: summary{Start: "init-b"}},
		"init containers done":  {withInit: true, attempts: []runtime.Container{attempt("init-a", 0, ended(0, 0)), initDone}, want: summary{Start: "one two"}},
		"init failed for good":  {withInit: true, attempts: []runtime.Container{attempt("init-a", 0, ended(1, 0))}, want: summary{Ended: true}},
		"init failed, again":    {change: onFailure, withInit: true, attempts: []runtime.Container{attempt("init-a", 0, ended(1, 0))}, want: summary{Start: "init-a", NextBackoff: 10 * time.Second}},
		"first restart at once": {change: onFailure, attempts: []runtime.Container{attempt("one", 0, ended(1, 0)), attempt("two", 0, running)}, want: summary{Start: "one", NextBackoff: 10 * time.Second}},
		"second restart waits":  {change: onFailure, attempts: []runtime.Container{attempt("one", 1, after(10*time.Second, ended(1, 4*time.Second))), attempt("two", 0, running)}, want: summary{Again: 6 * time.Second}},
		"second restart":        {change: onFailure, attempts: []runtime.Container{attempt("one", 1, after(10*time.Second, ended(1, 10*time.Second))), attempt("two", 0, running)}, want: summary{Start: "one", NextBackoff: 20 * time.Second}},
		"back-off has a limit":  {change: onFailure, attempts: []runtime.Container{attempt("one", 9, after(5*time.Minute, ended(1, 5*time.Minute))), attempt("two", 0, running)}, want: summary{Start: "one", NextBackoff: 5 * time.Minute}},
		"back-off is forgotten": {change: onFailure, attempts: []runtime.Container{attempt("one", 9, after(5*time.Minute, func(c *runtime.Container) {
			c.StartedAt, c.FinishedAt, c.ExitCode = now.Add(-11*time.Minute), now.Add(-time.Second), 1
		})), attempt("two", 0, running)}, want: summary{Start: "one", NextBackoff: 10 * time.Second}},
		"success is no failure":   {change: onFailure, attempts: []runtime.Container{attempt("one", 0, ended(0, 0)), attempt("two", 0, ended(0, 0))}, want: summary{Ended: true}},
		"always":                  {change: always, attempts: []runtime.Container{attempt("one", 0, ended(0, 0)), attempt("two", 0, running)}, want: summary{Start: "one", NextBackoff: 10 * time.Second}},
		"lost, not again":         {attempts: []runtime.Container{attempt("one", 0, func(c *runtime.Container) { c.Failure, c.ExitCode = runtime.FailureLost, 137 }), attempt("two", 0, ended(0, 0))}, want: summary{Ended: true}},
		"deadline to come":        {change: deadline, age: 45 * time.Second, attempts: []runtime.Container{attempt("one", 0, running), attempt("two", 0, running)}, want: summary{Again: 15 * time.Second}},
		"deadline":                {change: deadline, age: time.Minute, attempts: []runtime.Container{attempt("one", 0, running), attempt("two", 0, ended(0, time.Second))}, want: summary{Failure: "DeadlineExceeded", Stop: "one", Grace: 30 * time.Second}},
		"ended by the deadline":   {change: deadline, age: 70 * time.Second, attempts: []runtime.Container{attempt("one", 0, ended(0, time.Second)), attempt("two", 0, ended(0, time.Minute))}, want: summary{Failure: "DeadlineExceeded", Ended: true}},
		"ended before deadline":   {change: deadline, age: time.Hour, attempts: []runtime.Container{attempt("one", 0, ended(1, 59*time.Minute+30*time.Second)), attempt("two", 0, ended(0, 59*time.Minute+10*time.Second))}, want: summary{Ended: true}},
		"deadline before a start": {change: deadline, age: time.Hour, want: summary{Failure: "DeadlineExceeded", Ended: true}},
		"deleted":                 {change: deleted, attempts: []runtime.Container{attempt("one", 0, running), attempt("two", 0, running)}, want: summary{Stop: "one two", Grace: 7 * time.Second}},
		"deleted before a start":  {change: deleted, want: summary{Ended: true}},
		"deleted between":         {change: func(p pod) { onFailure(p); deleted(p) }, attempts: []runtime.Container{attempt("one", 0, ended(1, 0)), attempt("two", 0, running)}, want: summary{Stop: "two", Grace: 7 * time.Second}},
		"failed by others":        {change: func(p pod) { p.Status.Phase = corev1.PodFailed }, attempts: []runtime.Container{attempt("one", 0, running)}, want: summary{Stop: "one", Grace: 30 * time.Second}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := summarize(computeActions(observe(test.change, test.withInit, test.age, test.attempts)))
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("actions differ (-want +got):\n%s", diff)
			}
		})
	}
}

// observe makes an observation of a Pod with the containers one and two, and perhaps init-a and init-b.
func observe(change func(*corev1.Pod), withInit bool, age time.Duration, attempts []runtime.Container) observation {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "pod", UID: "uid", Generation: 3},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever,
			Containers:    []corev1.Container{{Name: "one", Image: "image-one"}, {Name: "two", Image: "image-two"}},
		},
		Status: corev1.PodStatus{Phase: corev1.PodPending},
	}
	if withInit {
		pod.Spec.InitContainers = []corev1.Container{{Name: "init-a"}, {Name: "init-b"}}
	}
	if change != nil {
		change(pod)
	}
	o := observation{pod: pod, startTime: metav1.NewTime(now.Add(-age)), containers: map[string]history{}, now: now}
	for _, made := range attempts {
		o.containers[made.ID.Container] = append(o.containers[made.ID.Container], made)
	}
	return o
}

func TestUnsupportedPodStartsNothing(t *testing.T) {
	t.Parallel()
	o := observe(nil, false, 0, nil)
	o.unsupported = &failure{reason: "UnsupportedField"}
	if diff := cmp.Diff(summary{Failure: "UnsupportedField", Ended: true}, summarize(computeActions(o))); diff != "" {
		t.Errorf("actions differ (-want +got):\n%s", diff)
	}
}

func TestNothingIsStartedWhileStopping(t *testing.T) {
	t.Parallel()
	o := observe(nil, false, 0, nil)
	o.startNothing = true
	if diff := cmp.Diff(summary{}, summarize(computeActions(o))); diff != "" {
		t.Errorf("actions differ (-want +got):\n%s", diff)
	}
}

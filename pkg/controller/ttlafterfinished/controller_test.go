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

package ttlafterfinished

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/cache"
	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/klog/v2/ktesting"
	clocktesting "k8s.io/utils/clock/testing"

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
	"github.com/jobserver-dev/jobserver/pkg/generated/clientset/versioned/fake"
	"github.com/jobserver-dev/jobserver/pkg/generated/informers/externalversions"
)

// complete is the condition of a Job that finished at finish.
var complete = condition(batchv1.JobComplete, corev1.ConditionTrue, finish)

// deletion is a delete that the server was asked for, and when by the fake clock.
type deletion struct {
	name    string
	options metav1.DeleteOptions
	at      time.Time
}

// recorder keeps the deletions of a fake clientset.
type recorder struct {
	mu        sync.Mutex
	deletions []deletion
}

func (r *recorder) all() []deletion {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]deletion(nil), r.deletions...)
}

func record(client *fake.Clientset, clock *clocktesting.FakeClock) *recorder {
	r := &recorder{}
	client.PrependReactor("delete", "jobs", func(action clienttesting.Action) (bool, runtime.Object, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		d := action.(clienttesting.DeleteActionImpl)
		r.deletions = append(r.deletions, deletion{name: d.Name, options: d.DeleteOptions, at: clock.Now()})
		return false, nil, nil
	})
	return r
}

func wantOptions(job *batchv1.Job) metav1.DeleteOptions {
	return metav1.DeleteOptions{
		PropagationPolicy: new(metav1.DeletePropagationForeground),
		Preconditions:     &metav1.Preconditions{UID: &job.UID},
	}
}

// TestSync looks at one Job of the cache while the server holds another state of it.
func TestSync(t *testing.T) {
	t.Parallel()
	recreated := makeJob("a", ttl(0))
	recreated.UID = "another"
	broken := errors.New("broken")
	cases := map[string]struct {
		cached, live *batchv1.Job
		deleteErr    error
		want         []metav1.DeleteOptions
		wantErr      string
	}{
		"due":                      {cached: makeJob("a", ttl(1), complete), live: makeJob("a", ttl(1), complete), want: []metav1.DeleteOptions{wantOptions(makeJob("a"))}},
		"not in the cache":         {live: makeJob("a", ttl(1), complete)},
		"gone meanwhile":           {cached: makeJob("a", ttl(1), complete)},
		"TTL raised meanwhile":     {cached: makeJob("a", ttl(1), complete), live: makeJob("a", ttl(100), complete)},
		"TTL removed meanwhile":    {cached: makeJob("a", ttl(1), complete), live: makeJob("a", complete)},
		"deleted meanwhile":        {cached: makeJob("a", ttl(1), complete), live: makeJob("a", ttl(1), complete, deleting)},
		"another Job has the name": {cached: makeJob("a", ttl(1), complete), live: recreated},
		"not due":                  {cached: makeJob("a", ttl(100), complete), live: makeJob("a", ttl(1), complete)},
		"no finish time":           {cached: makeJob("a", ttl(0), condition(batchv1.JobFailed, corev1.ConditionTrue, time.Time{})), wantErr: "no lastTransitionTime"},
		"delete fails":             {cached: makeJob("a", ttl(1), complete), live: makeJob("a", ttl(1), complete), deleteErr: broken, want: []metav1.DeleteOptions{wantOptions(makeJob("a"))}, wantErr: "broken"},
		"someone else was faster":  {cached: makeJob("a", ttl(1), complete), live: makeJob("a", ttl(1), complete), deleteErr: apierrors.NewNotFound(batchv1.Resource("jobs"), "a"), want: []metav1.DeleteOptions{wantOptions(makeJob("a"))}},
		"recreated meanwhile":      {cached: makeJob("a", ttl(1), complete), live: makeJob("a", ttl(1), complete), deleteErr: apierrors.NewConflict(batchv1.Resource("jobs"), "a", broken), want: []metav1.DeleteOptions{wantOptions(makeJob("a"))}, wantErr: "broken"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, ctx := ktesting.NewTestContext(t)
			client := fake.NewClientset()
			if tc.live != nil {
				if err := client.Tracker().Add(tc.live); err != nil {
					t.Fatal(err)
				}
			}
			clock := clocktesting.NewFakeClock(finish.Add(10 * time.Second))
			if tc.deleteErr != nil {
				client.PrependReactor("delete", "jobs", func(clienttesting.Action) (bool, runtime.Object, error) { return true, nil, tc.deleteErr })
			}
			recorded := record(client, clock)
			informer := externalversions.NewSharedInformerFactory(client, 0).Batch().V1().Jobs()
			if tc.cached != nil {
				if err := informer.Informer().GetStore().Add(tc.cached); err != nil {
					t.Fatal(err)
				}
			}
			c, err := New(ctx, Config{Jobs: client.BatchV1(), Informer: informer, Clock: clock})
			if err != nil {
				t.Fatal(err)
			}

			err = c.sync(ctx, cache.NewObjectName("default", "a"))

			if tc.wantErr == "" && err != nil || tc.wantErr != "" && (err == nil || !strings.Contains(err.Error(), tc.wantErr)) {
				t.Errorf("error %v, want one with %q", err, tc.wantErr)
			}
			var got []metav1.DeleteOptions
			for _, d := range recorded.all() {
				got = append(got, d.options)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("deletions (-want +got):\n%s", diff)
			}
		})
	}
}

// start runs a controller over the client until the test ends.
func start(t *testing.T, ctx context.Context, client *fake.Clientset, clock *clocktesting.FakeClock) {
	t.Helper()
	factory := externalversions.NewSharedInformerFactory(client, 0)
	c, err := New(ctx, Config{Jobs: client.BatchV1(), Informer: factory.Batch().V1().Jobs(), Clock: clock, Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	if c.Ready() == nil {
		t.Error("ready before the informer started")
	}
	ctx, cancel := context.WithCancel(ctx)
	stopped := make(chan error)
	go func() { stopped <- c.Run(ctx) }()
	factory.StartWithContext(ctx)
	t.Cleanup(func() {
		cancel()
		if err := <-stopped; err != nil {
			t.Errorf("Run: %v", err)
		}
		factory.Shutdown()
	})
	eventually(t, ctx, "controller is ready", func() bool { return c.Ready() == nil })
}

func eventually(t *testing.T, ctx context.Context, what string, done func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(ctx, time.Millisecond, 30*time.Second, true, func(context.Context) (bool, error) { return done(), nil })
	if err != nil {
		t.Fatalf("waiting until %s: %v", what, err)
	}
}

// TestRun starts on Jobs that finished before: one due, one due later, one whose TTL comes later still, and one without.
// Time goes by in small steps; no Job may go before its time.
func TestRun(t *testing.T) {
	t.Parallel()
	_, ctx := ktesting.NewTestContext(t)
	client := fake.NewClientset(makeJob("due", ttl(1), complete), makeJob("later", ttl(30), complete), makeJob("set-later", complete), makeJob("running", ttl(0)))
	clock := clocktesting.NewFakeClock(finish.Add(5 * time.Second))
	recorded := record(client, clock)
	failures := 1
	client.PrependReactor("delete", "jobs", func(clienttesting.Action) (bool, runtime.Object, error) {
		if failures > 0 {
			failures--
			return true, nil, errors.New("try again")
		}
		return false, nil, nil
	})
	start(t, ctx, client, clock)
	passTimeUntilGone := func(name string, earliest time.Time) {
		t.Helper()
		var got deletion
		eventually(t, ctx, "Job "+name+" goes", func() bool {
			all := recorded.all()
			if i := slices.IndexFunc(all, func(d deletion) bool { return d.name == name }); i >= 0 {
				got = all[i]
				return true
			}
			clock.Step(100 * time.Millisecond)
			return false
		})
		if got.at.Before(earliest) {
			t.Errorf("Job %q deleted at %v, %v too early", name, got.at, earliest.Sub(got.at))
		}
	}

	passTimeUntilGone("due", finish.Add(time.Second))
	passTimeUntilGone("later", finish.Add(30*time.Second))
	updated := clock.Now()
	if _, err := client.BatchV1().Jobs("default").Update(ctx, makeJob("set-later", ttl(40), complete), metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	passTimeUntilGone("set-later", latest(updated, finish.Add(40*time.Second)))

	if got := len(recorded.all()); got != 3 {
		t.Errorf("%d deletions, want 3", got)
	}
	if _, err := client.BatchV1().Jobs("default").Get(ctx, "running", metav1.GetOptions{}); err != nil {
		t.Errorf("the Job that has not finished: %v", err)
	}
	assertObserved(t)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// assertObserved checks that the deletions of Jobs are in the histogram, under upstream's name.
func assertObserved(t *testing.T) {
	t.Helper()
	families, err := legacyregistry.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "ttl_after_finished_controller_job_deletion_duration_seconds" {
			histogram := family.GetMetric()[0].GetHistogram()
			if histogram.GetSampleCount() == 0 || len(histogram.GetBucket()) != 14 {
				t.Errorf("histogram %v, want at least 1 sample in 14 buckets", histogram)
			}
			return
		}
	}
	t.Error("the histogram of deletions is not registered")
}

func TestWatchClock(t *testing.T) {
	t.Parallel()
	_, ctx := ktesting.NewTestContext(t)
	ctx, cancel := context.WithCancel(ctx)
	wall, ticks := clocktesting.NewFakeClock(finish), clocktesting.NewFakeClock(finish)
	steps := make(chan time.Duration)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		watchClock(ctx, wall, ticks, func(by time.Duration) { steps <- by })
	}()
	eventually(t, ctx, "the clock is watched", ticks.HasWaiters)

	for _, by := range []time.Duration{time.Hour, -2 * time.Hour, 5 * time.Second} {
		wall.Step(stepCheckPeriod + by)
		ticks.Step(stepCheckPeriod)
		if got := <-steps; got != by {
			t.Errorf("step of %v, want %v", got, by)
		}
	}
	cancel()
	<-stopped
}

func TestClockStep(t *testing.T) {
	t.Parallel()
	for by, want := range map[time.Duration]bool{
		0: false, stepTolerance: false, -stepTolerance: false, stepTolerance + 1: true, -stepTolerance - 1: true, -time.Hour: true,
	} {
		if got, is := clockStep(finish, finish.Add(stepCheckPeriod+by)); is != want || got != by {
			t.Errorf("off by %v: got step %t of %v, want %t", by, is, got, want)
		}
	}
}

func TestLookAgain(t *testing.T) {
	t.Parallel()
	_, ctx := ktesting.NewTestContext(t)
	client := fake.NewClientset()
	informer := externalversions.NewSharedInformerFactory(client, 0).Batch().V1().Jobs()
	for _, job := range []*batchv1.Job{makeJob("a", ttl(60), complete), makeJob("b", ttl(60)), makeJob("c", complete)} {
		if err := informer.Informer().GetStore().Add(job); err != nil {
			t.Fatal(err)
		}
	}
	c, err := New(ctx, Config{Jobs: client.BatchV1(), Informer: informer})
	if err != nil {
		t.Fatal(err)
	}
	c.lookAgain(ctx, time.Hour)
	if got := c.queue.Len(); got != 1 {
		t.Errorf("%d Jobs queued, want only the finished one with a TTL", got)
	}
}

func TestNewRefusesBadConfig(t *testing.T) {
	t.Parallel()
	client := fake.NewClientset()
	informer := externalversions.NewSharedInformerFactory(client, 0).Batch().V1().Jobs()
	cases := map[string]struct {
		config Config
		want   string
	}{
		"no client":        {config: Config{Informer: informer}, want: "Jobs is required"},
		"no informer":      {config: Config{Jobs: client.BatchV1()}, want: "Informer is required"},
		"negative workers": {config: Config{Jobs: client.BatchV1(), Informer: informer, Workers: -1}, want: "Workers must not be negative, got -1"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := New(t.Context(), tc.config); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}

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

package job

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/component-base/metrics/testutil"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
	"github.com/jobserver-dev/jobserver/pkg/controller/job/metrics"
	"github.com/jobserver-dev/jobserver/pkg/controller/job/plan"
)

// A Job is written as seldom as the accounting allows: its Pod, that it is active, that the Pod ended, its finalizer, that
// the Job is complete.
func TestWritesOfAJobOfOnePod(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.create(newJob())
	e.mustSync()
	e.end(e.pods()[0], 0)
	e.mustSync()
	for range 3 {
		e.mustSync()
	}
	if condition(e.job(), batchv1.JobComplete) == nil {
		t.Fatalf("the Job is not complete%s", e.summary())
	}
	for _, want := range []struct {
		client                      interface{ Actions() []clienttesting.Action }
		verb, resource, subresource string
		times                       int
	}{
		{e.api.pods, "create", "pods", "", 1},
		{e.api.pods, "patch", "pods", "", 1},
		{e.api.pods, "delete", "pods", "", 0},
		{e.api.pods, "get", "pods", "", 0},
		{e.api.jobs, "update", "jobs", "status", 3},
		{e.api.jobs, "get", "jobs", "", 0},
	} {
		if got := requests(want.client, want.verb, want.resource, want.subresource); got != want.times {
			t.Errorf("%s %s %s: %d requests, want %d", want.verb, want.resource, want.subresource, got, want.times)
		}
	}
}

// Whatever happens in a sync, it writes the status at most twice; a sync without news asks for nothing.
func TestSyncWritesTheStatusTwiceAtMost(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.create(newJob(sized(20, 40), indexed))
	for round := range 10 {
		before := len(e.api.writtenStatuses())
		e.mustSync()
		if writes := len(e.api.writtenStatuses()) - before; writes > 2 {
			t.Errorf("round %d: %d status writes in one sync", round, writes)
		}
		e.settled()
		idle := len(e.api.jobs.Actions()) + len(e.api.pods.Actions())
		e.mustSync()
		e.mustSync()
		if more := len(e.api.jobs.Actions()) + len(e.api.pods.Actions()) - idle; round > 0 && more > 0 && len(e.activePods()) == 20 {
			t.Errorf("round %d: %d requests without news", round, more)
		}
		for i, pod := range e.activePods() {
			if i%3 == 0 {
				e.end(pod, 0)
			}
		}
	}
}

func TestHugeJobIsCreatedInPortions(t *testing.T) {
	t.Parallel()
	e := newEnv(t, func(c *Config) { c.Limits.MaxPodCreateDeletePerSync = 30 })
	e.start()
	e.create(newJob(sized(100, 100), indexed))
	started := e.clock.Now()
	e.until("all Pods are active", func() bool { return len(e.activePods()) == 100 })
	e.until("the status shows them", func() bool { return e.job().Status.Active == 100 })
	t.Logf("100 Pods in portions of 30 took %v", e.clock.Since(started))
}

func TestManyFailuresAreRecordedInPortions(t *testing.T) {
	t.Parallel()
	e := newEnv(t, func(c *Config) { c.Limits.MaxUncountedPods = 10 })
	e.start()
	e.create(newJob(sized(50, 50)))
	e.until("all Pods are active", func() bool { return len(e.activePods()) == 50 })
	for _, pod := range e.activePods() {
		e.end(pod, 0)
	}
	e.until("the Job is complete", func() bool { return condition(e.job(), batchv1.JobComplete) != nil })
	if status := e.job().Status; status.Succeeded != 50 {
		t.Errorf("%d succeeded, want 50", status.Succeeded)
	}
	for _, status := range e.api.writtenStatuses() {
		if uncounted := status.UncountedTerminatedPods; len(uncounted.Succeeded) > 10 {
			t.Errorf("%d Pods are uncounted at once, the limit is 10", len(uncounted.Succeeded))
		}
	}
}

func TestFailedCreationIsAnEvent(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.api.fail(fault{verb: "create", resource: "pods", times: 1, err: errDown})
	e.start()
	e.create(newJob())
	e.until("there is a FailedCreate event", func() bool {
		events, err := e.api.pods.CoreV1().Events(namespace).List(e.ctx, metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, event := range events.Items {
			if event.Reason == "FailedCreate" && event.Type == corev1.EventTypeWarning && strings.HasPrefix(event.Message, "Error creating: ") {
				return true
			}
		}
		return false
	})
	e.until("the Pod is created in the end", func() bool { return len(e.activePods()) == 1 })
}

// Of seven creations the third fails: it is in the second batch, after which no other is tried.
func TestFailedCreationsDoNotCountAsSucceeded(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	job := e.create(newJob(sized(7, 7)))
	e.settled()
	state := e.controller.states.of(job.UID)
	in, err := e.controller.observe(e.ctx, job, state)
	if err != nil {
		t.Fatal(err)
	}
	tries := 0
	e.api.toss(func() *fault {
		if tries++; tries == 3 {
			return &fault{err: errDown}
		}
		return nil
	})
	created, failed, err := executor{Controller: e.controller, job: job, state: state, in: in}.createAll(e.ctx, plan.Compute(in).Create)
	if created != 2 || failed != 1 || err == nil {
		t.Errorf("%d created, %d failed, error %v; want 2, 1 and an error", created, failed, err)
	}
	reason := string(job.UID) // of no other test or run
	countCreations(reason, created, failed)
	for status, want := range map[string]float64{metrics.Succeeded: 2, metrics.Failed: 1} {
		if got, err := testutil.GetCounterMetricValue(metrics.PodsCreationTotal.WithLabelValues(reason, status)); err != nil || got != want {
			t.Errorf("%v creations are counted as %s (%v), want %v", got, status, err, want)
		}
	}
}

func TestFailedPodIsCountedByTheActionOfItsRule(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.start()
	value := func() float64 {
		v, err := testutil.GetCounterMetricValue(metrics.PodFailuresHandledTotal.WithLabelValues("FailJob"))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	before := value()
	e.create(newJob(sized(2, 2), func(job *batchv1.Job) {
		job.Spec.PodReplacementPolicy = new(batchv1.Failed)
		job.Spec.PodFailurePolicy = &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{
			Action: batchv1.PodFailurePolicyActionFailJob,
			OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{
				Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: []int32{42},
			},
		}}}
	}))
	e.until("2 Pods are active", func() bool { return len(e.activePods()) == 2 })
	e.end(e.activePods()[0], 42)
	e.until("the Job has failed", func() bool { return condition(e.job(), batchv1.JobFailed) != nil })
	failed := condition(e.job(), batchv1.JobFailed)
	if failed.Reason != batch.ReasonPodFailurePolicy || !strings.Contains(failed.Message, "exit code 42") {
		t.Errorf("the Job failed by %s: %s", failed.Reason, failed.Message)
	}
	if got := value() - before; got != 1 {
		t.Errorf("%v failures were counted for FailJob, want 1", got)
	}
}

// A failure that an Ignore rule matches is on no list of the status: what shows that it was handled is that its finalizer is
// off. Until then each sync meets the Pod anew.
func TestIgnoredFailureIsCountedOnce(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	value := func() float64 {
		v, err := testutil.GetCounterMetricValue(metrics.PodFailuresHandledTotal.WithLabelValues("Ignore"))
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	before := value()
	e.create(newJob(func(job *batchv1.Job) {
		job.Spec.PodFailurePolicy = &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{
			Action: batchv1.PodFailurePolicyActionIgnore,
			OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{
				Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: []int32{42},
			},
		}}}
	}))
	e.mustSync()
	e.end(e.pods()[0], 42)
	e.api.fail(fault{verb: "patch", resource: "pods", times: 2, err: errDown})
	for range 2 {
		if err := e.sync(); err == nil {
			t.Fatal("the finalizer was removed, the test wants it not to be")
		}
	}
	if got := value() - before; got != 0 {
		t.Errorf("%v ignored failures are counted while the finalizer is on, want 0", got)
	}
	e.mustSync()
	e.mustSync()
	if got := value() - before; got != 1 {
		t.Errorf("%v ignored failures are counted, want 1", got)
	}
	if status := e.job().Status; status.Failed != 0 {
		t.Errorf("status.failed is %d, want 0", status.Failed)
	}
}

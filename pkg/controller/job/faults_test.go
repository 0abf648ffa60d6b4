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
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/component-base/metrics/testutil"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
	"github.com/jobserver-dev/jobserver/pkg/controller/job/metrics"
	"github.com/jobserver-dev/jobserver/pkg/controller/job/plan"
)

func TestStalePodCacheNeverCreatesTwice(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.create(newJob(sized(3, 9)))
	e.settled()
	e.api.podWatch.close()
	for range 5 {
		if err := e.syncStale(); err != nil {
			t.Fatal(err)
		}
		e.jobSettled()
	}
	if got := len(e.pods()); got != 3 {
		t.Fatalf("%d Pods, want 3", got)
	}
	if got := e.job().Status.Active; got != 3 {
		t.Errorf("the status shows %d active Pods, want 3", got)
	}
	e.api.podWatch.open()
	e.mustSync()
	if got := len(e.pods()); got != 3 {
		t.Errorf("%d Pods once the cache caught up, want 3", got)
	}
}

func TestStaleJobCachePutsTheSyncOff(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.create(newJob())
	e.settled()
	e.api.jobWatch.close()
	if err := e.syncStale(); err != nil {
		t.Fatal(err)
	}
	before := len(e.api.jobs.Actions()) + len(e.api.pods.Actions())
	if err := e.syncStale(); err != nil {
		t.Fatal(err)
	}
	if after := len(e.api.jobs.Actions()) + len(e.api.pods.Actions()); after != before {
		t.Errorf("%d requests by a sync from an outdated cache, want none", after-before)
	}
}

func TestRemovedFinalizerThatTheCacheShowsCountsOnce(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		exitCode int32
	}{{"succeeded", 0}, {"failed", 1}} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t)
			e.create(newJob(sized(1, 2)))
			e.mustSync()
			e.end(e.pods()[0], tc.exitCode)
			e.settled()
			e.api.podWatch.close()
			for range 4 {
				if err := e.syncStale(); err != nil {
					t.Fatal(err)
				}
				e.jobSettled()
			}
			if status := e.job().Status; status.Succeeded+status.Failed != 1 {
				t.Errorf("the Pod is counted %d times: %+v", status.Succeeded+status.Failed, status)
			}
		})
	}
}

// TestPodThatGoesWithItsFinalizerCountsOnce: where the finalizer was all that held a deleted Pod, the answer to its removal has the version that the
// cache shows, finalizer and all. In a cluster the two watches come from two servers: that of the Job may be ahead for long.
func TestPodThatGoesWithItsFinalizerCountsOnce(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		exitCode int32
		mode     func(*batchv1.Job)
		policy   batchv1.PodReplacementPolicy
	}{
		"succeeded":          {0, completionModes["NonIndexed"], batchv1.TerminatingOrFailed},
		"failed":             {1, completionModes["NonIndexed"], batchv1.TerminatingOrFailed},
		"failed, Failed":     {1, completionModes["NonIndexed"], batchv1.Failed},
		"failed, Indexed":    {1, completionModes["Indexed"], batchv1.Failed},
		"succeeded, Indexed": {0, completionModes["Indexed"], batchv1.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t)
			e.create(newJob(sized(1, 2), tc.mode, func(job *batchv1.Job) { job.Spec.PodReplacementPolicy = &tc.policy }))
			e.mustSync()
			pod := e.pods()[0]
			e.run(pod)
			e.end(pod, tc.exitCode)
			if !e.api.deleteAsUser(pod.Namespace, pod.Name) {
				t.Fatal("the Pod is gone before its deletion")
			}
			e.settled()
			e.api.podWatch.close()
			for range 4 {
				if err := e.syncStale(); err != nil {
					t.Fatal(err)
				}
				e.jobSettled()
			}
			if e.api.podNamed(pod.Namespace, pod.Name) != nil {
				t.Fatal("the Pod is still there")
			}
			e.api.podWatch.open()
			e.mustSync()
			if status := e.job().Status; status.Succeeded+status.Failed != 1 {
				t.Errorf("the Pod is counted %d times: %+v", status.Succeeded+status.Failed, status)
			}
		})
	}
}

func TestConflictNeverOverwrites(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.create(newJob(sized(2, 2)))
	e.settled()
	e.api.jobWatch.close()
	e.change(func(job *batchv1.Job) { job.Spec.Suspend = new(true) })
	err := e.syncStale()
	if !apierrors.IsConflict(err) {
		t.Fatalf("sync from an outdated Job: %v, want a conflict", err)
	}
	if status := e.job().Status; status.StartTime != nil {
		t.Errorf("status %+v was written over a newer Job", status)
	}
	e.api.jobWatch.open()
	e.mustSync()
	e.mustSync()
	if condition(e.job(), batchv1.JobSuspended) == nil || len(e.activePods()) != 0 {
		t.Errorf("the Job is not suspended: %s", e.summary())
	}
}

func TestLostAnswerOfACreation(t *testing.T) {
	t.Parallel()
	for name, change := range completionModes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t)
			e.create(newJob(sized(3, 3), change))
			e.settled()
			e.api.podWatch.close()
			e.api.fail(fault{verb: "create", resource: "pods", times: 1, lost: true, err: errLost})
			if err := e.syncStale(); !apierrors.IsTimeout(err) {
				t.Fatalf("sync: %v, want the time-out", err)
			}
			e.jobSettled()
			if err := e.syncStale(); err != nil {
				t.Fatalf("second sync: %v", err)
			}
			if got := len(e.pods()); got != 3 {
				t.Errorf("%d Pods, want 3: %s", got, e.summary())
			}
			e.api.podWatch.open()
			e.mustSync()
			if status := e.job().Status; status.Active != 3 {
				t.Errorf("the status shows %d active Pods, want 3", status.Active)
			}
		})
	}
}

// TestLostAnswersOfSeveralCreations: the cache shows one of two Pods whose creation got no answer. The other must not be made once more.
func TestLostAnswersOfSeveralCreations(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	job := e.create(newJob(sized(3, 3)))
	e.settled()
	e.api.podWatch.close()
	// The second batch is of two.
	e.api.fail(fault{verb: "create", resource: "pods", skip: 1, times: 2, lost: true, err: errLost})
	if err := e.syncStale(); !apierrors.IsTimeout(err) {
		t.Fatalf("sync: %v, want the time-outs", err)
	}
	e.jobSettled()
	e.api.podWatch.allow(2)
	e.until("the cache shows two of three Pods", func() bool { return len(e.podCache.GetStore().ListKeys()) == 2 })
	// The name of the Pod that the cache shows comes first, as it does where the requests arrived in their order.
	doubts := e.controller.states.of(job.UID).names.inDoubt["work-"]
	if e.controller.pods.get(namespace, doubts[0].name) == nil {
		slices.Reverse(doubts)
	}
	if err := e.syncStale(); err != nil {
		t.Fatalf("second sync: %v", err)
	}
	if got := len(e.pods()); got != 3 {
		t.Errorf("%d Pods, want 3: %s", got, e.summary())
	}
	e.api.podWatch.open()
	e.mustSync()
	if status := e.job().Status; status.Active != 3 {
		t.Errorf("the status shows %d active Pods, want 3", status.Active)
	}
}

func TestNameTakenByAnother(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	job := e.create(newJob())
	e.settled()
	// The name in doubt is that of a Pod of somebody else.
	taken := &corev1.Pod{}
	taken.Name, taken.Namespace = "work-taken", namespace
	if err := e.api.pods.Tracker().Create(podsResource, taken, namespace); err != nil {
		t.Fatal(err)
	}
	e.settled()
	e.controller.states.of(job.UID).names.doubt("work-", "work-taken", e.clock.Now())
	e.mustSync()
	if active := e.job().Status.Active; active != 1 || len(e.pods()) != 2 {
		t.Errorf("%d active in the status, want 1%s", active, e.summary())
	}
}

func TestQuotaSlowsCreationsDown(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	quota := e.api.fail(fault{verb: "create", resource: "pods", times: -1,
		err: apierrors.NewForbidden(podsResource.GroupResource(), "", errLost)})
	e.start()
	e.create(newJob(sized(40, 40)))
	started := e.clock.Now()
	e.until("a minute has passed", func() bool { return e.clock.Since(started).Minutes() >= 1 })
	// Retries after 1, 2, 4, 8, 16 and 32 seconds, each with one creation; and the sync of the status write.
	if hits := e.api.hits(quota); hits < 3 || hits > 9 {
		t.Errorf("%d creations were tried in a minute, want about 7", hits)
	}
	e.api.heal()
	e.until("all Pods are active", func() bool { return len(e.activePods()) == 40 })
}

func TestTerminatingNamespaceIsLeftInPeace(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	terminating := apierrors.NewForbidden(podsResource.GroupResource(), "", errLost)
	terminating.ErrStatus.Details.Causes = append(terminating.ErrStatus.Details.Causes,
		statusCause(corev1.NamespaceTerminatingCause))
	tries := e.api.fail(fault{verb: "create", resource: "pods", times: -1, err: terminating})
	e.create(newJob(sized(50, 50)))
	if err := e.sync(); err != nil {
		t.Errorf("sync: %v, want no error", err)
	}
	if got := e.api.hits(tries); got != 1 {
		t.Errorf("%d creations were tried, want 1", got)
	}
	if got := e.job().Status.Active; got != 0 {
		t.Errorf("the status shows %d active Pods, want 0", got)
	}
}

func TestUnknownCompletionModeIsLeftAlone(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	events := e.recordEvents()
	job := e.create(newJob(func(job *batchv1.Job) { job.Spec.CompletionMode = new(batchv1.CompletionMode("Someday")) }))
	e.addPod("orphan", job.Spec.Selector.MatchLabels)
	e.mustSync()
	if told := events(); withReason(told, "UnknownCompletionMode") != 1 {
		t.Errorf("events %q, want one UnknownCompletionMode", told)
	}
	for _, result := range []string{metrics.ResultSuccess, metrics.ResultError} {
		syncs, err := testutil.GetCounterMetricValue(metrics.SyncsTotal.WithLabelValues("Someday", result, plan.ActionReconciling))
		if err != nil || syncs != 0 {
			t.Errorf("%v syncs are counted with the result %s (%v), want none", syncs, result, err)
		}
	}
	if requests(e.api.pods, "patch", "pods", "") != 0 {
		t.Error("it adopted a Pod")
	}
	if len(e.pods()) != 1 || requests(e.api.jobs, "update", "jobs", "status") != 0 {
		t.Errorf("a Job of an unknown mode was acted on: %s", e.summary())
	}
}

func TestJobOfAnotherControllerIsLeftAlone(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		managedBy string
		want      int
	}{
		"another's": {"example.com/other", 0},
		"ours":      {batch.JobControllerName, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t)
			e.create(newJob(func(job *batchv1.Job) { job.Spec.ManagedBy = &tc.managedBy }))
			e.mustSync()
			if got := len(e.pods()); got != tc.want {
				t.Errorf("%d Pods, want %d", got, tc.want)
			}
		})
	}
}

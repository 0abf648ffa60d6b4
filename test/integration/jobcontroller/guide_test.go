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

package jobcontroller

import (
	"context"
	"slices"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	ourv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
	"github.com/jobserver-dev/jobserver/test/framework"
)

// startOurs creates a Job through our own group. What becomes of it is read through batch/v1, as that of any other.
func startOurs(t *testing.T, changes ...func(*ourv1.JobSpec)) *testJob {
	t.Helper()
	namespace := server.Namespace(t)
	job := &ourv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "work"}, Spec: ourv1.JobSpec{Template: newJob().Spec.Template}}
	for _, change := range changes {
		change(&job.Spec)
	}
	created, err := server.Jobserver.BatchV1().Jobs(namespace).Create(t.Context(), job, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("create the Job: %v", err)
	}
	return &testJob{t: t, server: server, kubelet: kubelet, namespace: namespace, name: created.Name, uid: string(created.UID)}
}

func workers(n int32) func(*ourv1.JobSpec) {
	return func(spec *ourv1.JobSpec) { spec.Parallelism = &n }
}

func ourSize(parallelism, completions, backoffLimit int32) func(*ourv1.JobSpec) {
	return func(spec *ourv1.JobSpec) {
		spec.Parallelism, spec.Completions, spec.BackoffLimit = &parallelism, &completions, &backoffLimit
	}
}

// disruptions are the ways in which a Pod is lost without its fault.
var disruptions = map[string]func(*testing.T, *testJob, *corev1.Pod){
	"evicted": func(t *testing.T, _ *testJob, pod *corev1.Pod) {
		err := server.Kube.CoreV1().Pods(pod.Namespace).EvictV1(t.Context(), &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: pod.Name}})
		if err != nil {
			t.Fatal(err)
		}
		kubelet.End(t, pod, 143, time.Now())
		kubelet.LetGo(t, pod)
	},
	"deleted": func(t *testing.T, job *testJob, pod *corev1.Pod) {
		job.deletePods(pod)
		kubelet.End(t, pod, 143, time.Now())
		kubelet.LetGo(t, pod)
	},
	"killed by its node": func(t *testing.T, _ *testJob, pod *corev1.Pod) {
		kubelet.End(t, pod, 137, time.Now(), framework.Disrupted("TerminationByKubelet"))
	},
	"gone altogether": func(t *testing.T, job *testJob, pod *corev1.Pod) {
		found := job.pod(pod)
		found.Finalizers = nil
		if _, err := server.Kube.CoreV1().Pods(pod.Namespace).Update(t.Context(), found, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		kubelet.LetGo(t, pod)
	},
}

// TestDisruptionsAreIgnored: a disrupted Pod of our group is replaced at once, and neither failed nor backoffLimit know of it.
func TestDisruptionsAreIgnored(t *testing.T) {
	t.Parallel()
	for name, disrupt := range disruptions {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			job := startOurs(t, ourSize(2, 2, 0))
			pods := job.running(2)
			disrupt(t, job, pods[0])
			next := job.replacement(-1, pods...)
			job.wait(state{Active: 2, Ready: 1})
			kubelet.Succeed(t, pods[1], next)
			job.wait(state{Succeeded: 2, Conditions: complete("CompletionsReached")})
		})
	}
}

// TestDisruptionsCount: with Count they are failures.
func TestDisruptionsCount(t *testing.T) {
	t.Parallel()
	for name, disrupt := range disruptions {
		if name == "gone altogether" {
			continue // leaves nothing to be judged, with either policy
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			job := startOurs(t, ourSize(1, 1, 0), func(spec *ourv1.JobSpec) { spec.DisruptionPolicy = new(ourv1.DisruptionCount) })
			disrupt(t, job, job.running(1)[0])
			job.wait(state{Failed: 1, Conditions: failed("BackoffLimitExceeded")})
		})
	}
}

// TestRulesGoBeforeDisruptionPolicy: what podFailurePolicy says of a disruption holds.
func TestRulesGoBeforeDisruptionPolicy(t *testing.T) {
	t.Parallel()
	job := startOurs(t, ourSize(1, 1, 6), func(spec *ourv1.JobSpec) {
		spec.PodFailurePolicy = &ourv1.PodFailurePolicy{Rules: []ourv1.PodFailurePolicyRule{{
			Action:          ourv1.PodFailurePolicyActionFailJob,
			OnPodConditions: []ourv1.PodFailurePolicyOnPodConditionsPattern{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}},
		}}}
	})
	kubelet.End(t, job.running(1)[0], 137, time.Now(), framework.Disrupted("TerminationByKubelet"))
	job.wait(state{Failed: 1, Conditions: failed("PodFailurePolicy")})
}

// TestDisruptedAgainAndAgain: five disruptions in quick succession are replaced at once, the sixth later.
func TestDisruptedAgainAndAgain(t *testing.T) {
	t.Parallel()
	job := startOurs(t, ourSize(1, 1, 0))
	var all []*corev1.Pod
	first := time.Now().Truncate(time.Second)
	for range 6 {
		pod := job.replacement(-1, all...)
		all = append(all, pod)
		kubelet.Run(t, pod)
		kubelet.End(t, pod, 137, time.Now(), framework.Disrupted("TerminationByKubelet"))
	}
	// 60 s are owed when the sixth is disrupted, less what has passed since the first one; 50 s may be owed.
	last := job.replacement(-1, all...)
	if waited := last.CreationTimestamp.Sub(first); waited < 9*time.Second {
		t.Errorf("the seventh Pod came after %v: six disruptions in a row are no hot loop only with a delay of 10 s", waited)
	}
	kubelet.Succeed(t, last)
	job.wait(state{Succeeded: 1, Conditions: complete("CompletionsReached")})
}

// TestSuspendKeepsPods: suspending a Job of our group stops new Pods only.
func TestSuspendKeepsPods(t *testing.T) {
	t.Parallel()
	job := startOurs(t, ourSize(2, 3, 0))
	pods := job.running(2)
	job.wait(state{Active: 2, Ready: 2})
	started := job.get().Status.StartTime
	job.suspend(true)
	job.wait(state{Active: 2, Ready: 2, Conditions: []string{suspended}})
	kubelet.Succeed(t, pods...)
	job.wait(state{Succeeded: 2, Conditions: []string{suspended}})
	if got := job.get().Status.StartTime; !got.Equal(started) {
		t.Errorf("startTime was %v, is %v", started, got)
	}
	// The template may be changed, the image too.
	job.updateOurs(func(spec *ourv1.JobSpec) {
		spec.Template.Spec.Containers[0].Image = "busybox:new"
		spec.Suspend = new(false)
	})
	pod := job.running(1)[0]
	if image := pod.Spec.Containers[0].Image; image != "busybox:new" {
		t.Errorf("the Pod made after the resume runs %q", image)
	}
	kubelet.Succeed(t, pod)
	job.wait(state{Succeeded: 3, Conditions: append([]string{resumed}, complete("CompletionsReached")...)})
}

// TestSuspendedJobEnds: Pods that were kept can complete a suspended Job, or its deadline fail it.
func TestSuspendedJobEnds(t *testing.T) {
	t.Parallel()
	t.Run("complete", func(t *testing.T) {
		t.Parallel()
		job := startOurs(t, ourSize(1, 1, 0))
		pods := job.running(1)
		job.suspend(true)
		job.wait(state{Active: 1, Ready: 1, Conditions: []string{suspended}})
		kubelet.Succeed(t, pods...)
		job.wait(state{Succeeded: 1, Conditions: append([]string{suspended}, complete("CompletionsReached")...)})
	})
	t.Run("past its deadline", func(t *testing.T) {
		t.Parallel()
		job := startOurs(t, ourSize(1, 1, 0), func(spec *ourv1.JobSpec) { spec.ActiveDeadlineSeconds = new(int64(2)) })
		pods := job.running(1)
		job.suspend(true)
		job.waitPodsTerminate(pods...)
		kubelet.LetGo(t, pods...)
		job.eventually("the Job fails", func(*batchv1.Job) bool {
			return slices.Contains(stateOf(job.get().Status).Conditions, "Failed True DeadlineExceeded")
		})
	})
}

// TestSuspendDeletesPods: the policy of batch/v1, chosen in our group.
func TestSuspendDeletesPods(t *testing.T) {
	t.Parallel()
	job := startOurs(t, ourSize(1, 1, 0), func(spec *ourv1.JobSpec) { spec.SuspendPolicy = new(ourv1.SuspendDeletePods) })
	pods := job.running(1)
	job.suspend(true)
	job.wait(state{Terminating: 1, Conditions: []string{suspended}})
	kubelet.LetGo(t, pods...)
	job.wait(state{Conditions: []string{suspended}})
}

// TestWorkerPool: a Job of our group without completions replaces each worker, whatever became of it, until it is deleted.
func TestWorkerPool(t *testing.T) {
	t.Parallel()
	job := startOurs(t, workers(2), func(spec *ourv1.JobSpec) { spec.BackoffLimit = new(int32(1)) })
	all := job.running(2)
	for i := range int32(3) {
		kubelet.Succeed(t, all[len(all)-1])
		next := job.replacement(-1, all...)
		kubelet.Run(t, next)
		all = append(all, next)
		job.wait(state{Active: 2, Ready: 2, Succeeded: i + 1})
	}
	kubelet.FailedLongAgo(t, 1, all[0])
	next := job.replacement(-1, all...)
	kubelet.Run(t, next)
	job.wait(state{Active: 2, Ready: 2, Succeeded: 3, Failed: 1})
	// backoffLimit holds for the whole life of the pool.
	kubelet.FailedLongAgo(t, 1, next)
	last := all[len(all)-1]
	job.waitPodsTerminate(last)
	kubelet.LetGo(t, last)
	job.wait(state{Succeeded: 3, Failed: 3, Conditions: failed("BackoffLimitExceeded")})
}

// TestWorkQueueOfOurGroup: the policy of batch/v1, chosen in our group, and changed on the way.
func TestWorkQueueOfOurGroup(t *testing.T) {
	t.Parallel()
	job := startOurs(t, workers(2))
	pods := job.running(2)
	kubelet.Succeed(t, pods[0])
	next := job.replacement(-1, pods...)
	job.updateOurs(func(spec *ourv1.JobSpec) { spec.WorkQueuePolicy = new(ourv1.WorkQueueCompleteOnFirstSuccess) })
	kubelet.Succeed(t, pods[1])
	job.wait(state{Active: 1, Succeeded: 2})
	kubelet.Succeed(t, next)
	job.wait(state{Succeeded: 3, Conditions: complete("CompletionsReached")})
}

func (j *testJob) updateOurs(change func(*ourv1.JobSpec)) {
	j.t.Helper()
	framework.Eventually(j.t, "the Job is updated", func(ctx context.Context) error {
		job, err := j.server.Jobserver.BatchV1().Jobs(j.namespace).Get(ctx, j.name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		change(&job.Spec)
		_, err = j.server.Jobserver.BatchV1().Jobs(j.namespace).Update(ctx, job, metav1.UpdateOptions{})
		return err
	})
}

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
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// TestBackoffLimit: more failures than the limit end the Job, and the Pods that run then are stopped and count as failed.
func TestBackoffLimit(t *testing.T) {
	t.Parallel()
	job := start(t, sized(2, 4), backoffLimit(1))
	pods := job.running(2)
	kubelet.FailedLongAgo(t, 1, pods[0])
	next := job.replacement(-1, pods...)
	kubelet.Run(t, next)
	job.wait(state{Active: 2, Ready: 2, Failed: 1})
	kubelet.FailedLongAgo(t, 1, next)
	// The end is announced; it comes when the last Pod is gone.
	job.wait(state{Terminating: 1, Failed: 3, Conditions: []string{"FailureTarget True BackoffLimitExceeded"}})
	kubelet.LetGo(t, pods[1])
	job.wait(state{Failed: 3, Conditions: failed("BackoffLimitExceeded")})
	if got, want := job.message(batchv1.JobFailed), "Job has reached the specified backoff limit"; got != want {
		t.Errorf("message %q, want %q", got, want)
	}
	if job.get().Status.CompletionTime != nil {
		t.Error("a failed Job has a completionTime")
	}
	job.waitEvents(map[string]int{"Normal SuccessfulCreate": 3, "Normal SuccessfulDelete": 1, "Warning BackoffLimitExceeded": 1})
}

// TestRestartsCount: with restartPolicy OnFailure, restarts of containers count against backoffLimit.
func TestRestartsCount(t *testing.T) {
	t.Parallel()
	job := start(t, sized(2, 2), backoffLimit(3), func(spec *batchv1.JobSpec) {
		spec.Template.Spec.RestartPolicy = corev1.RestartPolicyOnFailure
	})
	pods := job.running(2)
	kubelet.Restarted(t, pods[0], 2)
	job.wait(state{Active: 2, Ready: 2})
	kubelet.Restarted(t, pods[1], 1)
	// Not more restarts than the limit, but as many.
	job.wait(state{Terminating: 2, Failed: 2, Conditions: []string{"FailureTarget True BackoffLimitExceeded"}})
	kubelet.LetGo(t, pods...)
	job.wait(state{Failed: 2, Conditions: failed("BackoffLimitExceeded")})
}

// TestFailuresAreReplacedLater: 10 s after the first failure, 20 s after the second.
func TestFailuresAreReplacedLater(t *testing.T) {
	t.Parallel()
	job := start(t)
	first := job.running(1)[0]
	// Times in the API are whole seconds.
	ends := time.Now().Truncate(time.Second).Add(-8 * time.Second)
	kubelet.End(t, first, 1, ends)
	second := job.replacement(-1, first)
	if created := second.CreationTimestamp; created.Time.Before(ends.Add(10 * time.Second)) {
		t.Errorf("replaced at %v, less than 10 s after %v", created, ends)
	}
	ends = time.Now().Truncate(time.Second).Add(-18 * time.Second)
	kubelet.Run(t, second)
	kubelet.End(t, second, 1, ends)
	third := job.replacement(-1, first, second)
	if created := third.CreationTimestamp; created.Time.Before(ends.Add(20 * time.Second)) {
		t.Errorf("replaced at %v, less than 20 s after %v", created, ends)
	}
	kubelet.Succeed(t, third)
	job.wait(state{Succeeded: 1, Failed: 2, Conditions: complete("CompletionsReached")})
}

func perIndex(limit int32) func(*batchv1.JobSpec) {
	return func(spec *batchv1.JobSpec) { spec.BackoffLimitPerIndex = &limit }
}

// TestBackoffLimitPerIndex: an index that fails too often is given up, the others go on.
func TestBackoffLimitPerIndex(t *testing.T) {
	t.Parallel()
	job := start(t, indexed(3), perIndex(1))
	pods := job.running(3)
	for _, pod := range pods {
		if got := pod.Annotations[failureCountAnnotation]; got != "0" {
			t.Errorf("Pod of index %d: failure count %q, want 0", index(pod), got)
		}
	}
	kubelet.FailedLongAgo(t, 1, pods[0], pods[1])
	again := []*corev1.Pod{job.replacement(0, pods...), job.replacement(1, pods...)}
	for _, pod := range again {
		if got := pod.Annotations[failureCountAnnotation]; got != "1" {
			t.Errorf("second Pod of index %d: failure count %q, want 1", index(pod), got)
		}
	}
	kubelet.FailedLongAgo(t, 1, again[0])
	job.wait(state{Active: 2, Ready: 1, Failed: 3, FailedIndexes: "0"})
	kubelet.Succeed(t, again[1], pods[2])
	job.wait(state{Succeeded: 2, Failed: 3, CompletedIndexes: "1,2", FailedIndexes: "0", Conditions: failed("FailedIndexes")})
}

// TestIndexesAreReplacedLater: the delay of one index is none of another's.
func TestIndexesAreReplacedLater(t *testing.T) {
	t.Parallel()
	job := start(t, indexed(2), perIndex(5))
	pods := job.running(2)
	// Index 0 waits for an hour, almost; index 1 doesn't.
	ends := time.Now().Truncate(time.Second).Add(-8 * time.Second)
	kubelet.End(t, pods[0], 1, ends)
	kubelet.FailedLongAgo(t, 1, pods[1])
	replaced := job.replacement(1, pods...)
	later := job.replacement(0, pods...)
	if created := later.CreationTimestamp; created.Time.Before(ends.Add(10 * time.Second)) {
		t.Errorf("index 0 was replaced at %v, less than 10 s after %v", created, ends)
	}
	kubelet.Succeed(t, replaced, later)
	job.wait(state{Succeeded: 2, Failed: 2, CompletedIndexes: "0,1", Conditions: complete("CompletionsReached")})
}

// TestMaxFailedIndexes: more given up indexes than that end the Job.
func TestMaxFailedIndexes(t *testing.T) {
	t.Parallel()
	job := start(t, indexed(4), perIndex(0), func(spec *batchv1.JobSpec) { spec.MaxFailedIndexes = new(int32(1)) })
	pods := job.running(4)
	kubelet.FailedLongAgo(t, 1, pods[3])
	job.wait(state{Active: 3, Ready: 3, Failed: 1, FailedIndexes: "3"})
	kubelet.FailedLongAgo(t, 1, pods[1])
	job.waitPodsTerminate(pods[0], pods[2])
	kubelet.LetGo(t, pods[0], pods[2])
	job.wait(state{Failed: 4, FailedIndexes: "1,3", Conditions: failed("MaxFailedIndexesExceeded")})
}

func TestActiveDeadline(t *testing.T) {
	t.Parallel()
	job := start(t, sized(2, 4), func(spec *batchv1.JobSpec) { spec.ActiveDeadlineSeconds = new(int64(2)) })
	pods := job.running(2)
	kubelet.Succeed(t, pods[0])
	job.eventually("the deadline has passed", func(job *batchv1.Job) bool { return len(job.Status.Conditions) > 0 })
	started := job.get().Status.StartTime
	if at := job.get().Status.Conditions[0].LastTransitionTime; at.Sub(started.Time) < 2*time.Second {
		t.Errorf("started at %v, ended at %v, before its deadline of 2 s", started, at)
	}
	kubelet.LetGo(t, pods[1])
	job.eventually("the Job has failed", func(job *batchv1.Job) bool { return len(job.Status.Conditions) == 2 })
	got := stateOf(job.get().Status)
	// Whether the first Pod's successor existed by then is a matter of time.
	if got.Succeeded != 1 || got.Failed < 1 || got.Active != 0 || got.Conditions[1] != "Failed True DeadlineExceeded" {
		t.Errorf("the Job ended as %+v", got)
	}
	job.checkEnd()
}

// TestDeadlineIsShortened: a running Job is held to its new deadline at once.
func TestDeadlineIsShortened(t *testing.T) {
	t.Parallel()
	job := start(t)
	pod := job.running(1)[0]
	job.wait(state{Active: 1, Ready: 1})
	job.update(func(spec *batchv1.JobSpec) { spec.ActiveDeadlineSeconds = new(int64(1)) })
	job.waitPodsTerminate(pod)
	kubelet.LetGo(t, pod)
	job.wait(state{Failed: 1, Conditions: failed("DeadlineExceeded")})
}

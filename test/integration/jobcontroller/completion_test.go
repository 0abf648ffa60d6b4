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
	"slices"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestOnePod(t *testing.T) {
	t.Parallel()
	job := start(t)
	pod := job.running(1)[0]
	job.wait(state{Active: 1, Ready: 1})
	started := job.get().Status.StartTime
	if started == nil {
		t.Error("a running Job has no startTime")
	}
	kubelet.Succeed(t, pod)
	job.wait(state{Succeeded: 1, Conditions: complete("CompletionsReached")})
	status := job.get().Status
	if status.CompletionTime == nil || !status.CompletionTime.Equal(&status.Conditions[1].LastTransitionTime) {
		t.Errorf("completionTime is %v, want that of the condition, %v", status.CompletionTime, status.Conditions[1].LastTransitionTime)
	}
	if !status.StartTime.Equal(started) {
		t.Errorf("startTime has changed from %v to %v", started, status.StartTime)
	}
	job.waitEvents(map[string]int{"Normal SuccessfulCreate": 1, "Normal Completed": 1})
}

// TestReady: a running Pod need not be ready.
func TestReady(t *testing.T) {
	t.Parallel()
	job := start(t, sized(2, 2))
	pods := job.active(2)
	kubelet.RunUnready(t, pods[0])
	kubelet.Run(t, pods[1])
	job.wait(state{Active: 2, Ready: 1})
	kubelet.Run(t, pods[0])
	job.wait(state{Active: 2, Ready: 2})
	kubelet.RunUnready(t, pods...)
	job.wait(state{Active: 2})
}

// TestWorkQueue: without completions, the first success means that there is no more work. The other workers end by themselves.
func TestWorkQueue(t *testing.T) {
	t.Parallel()
	job := start(t, func(spec *batchv1.JobSpec) { spec.Parallelism = new(int32(3)) })
	pods := job.running(3)
	kubelet.Succeed(t, pods[0])
	job.wait(state{Active: 2, Ready: 2, Succeeded: 1})
	// Neither successes nor failures are replaced now.
	kubelet.FailedLongAgo(t, 1, pods[1])
	job.wait(state{Active: 1, Ready: 1, Succeeded: 1, Failed: 1})
	kubelet.Succeed(t, pods[2])
	job.wait(state{Succeeded: 2, Failed: 1, Conditions: complete("CompletionsReached")})
	if pods := job.pods(); len(pods) != 3 {
		t.Errorf("the Job made %d Pods, want 3", len(pods))
	}
}

// TestParallelism: it holds at each moment, and 0 stops a Job.
func TestParallelism(t *testing.T) {
	t.Parallel()
	job := start(t, sized(0, 5))
	job.wait(state{})
	// The controller has seen the Job, and made nothing.
	job.waitStarted()
	if pods := job.pods(); len(pods) != 0 {
		t.Fatalf("a Job of no parallelism has %d Pods", len(pods))
	}

	job.scale(3)
	pods := job.running(3)
	kubelet.Succeed(t, pods[0])
	job.wait(state{Active: 3, Ready: 2, Succeeded: 1})

	job.scale(0)
	job.wait(state{Terminating: 2, Succeeded: 1}) // the one that had no node is gone at once
	kubelet.LetGo(t, pods[1:]...)
	job.wait(state{Succeeded: 1})

	job.scale(9)
	pods = job.running(4) // as many as are missing
	kubelet.Succeed(t, pods...)
	job.wait(state{Succeeded: 5, Conditions: complete("CompletionsReached")})
}

// waitStarted waits until the controller has seen the Job.
func (j *testJob) waitStarted() {
	j.t.Helper()
	j.eventually("the Job has a startTime", func(job *batchv1.Job) bool { return job.Status.StartTime != nil })
}

func TestIndexed(t *testing.T) {
	t.Parallel()
	job := start(t, indexed(3), func(spec *batchv1.JobSpec) { spec.Parallelism = new(int32(2)) })
	pods := job.running(2)
	if diff := gocmp.Diff([]int{0, 1}, indexes(pods)); diff != "" {
		t.Fatalf("the lowest indexes go first (-want +got):\n%s", diff)
	}
	if pods[1].Spec.Hostname != "work-1" || !strings.HasPrefix(pods[1].Name, "work-1-") || pods[1].Labels[indexAnnotation] != "1" {
		t.Errorf("Pod of index 1: name %s, host name %s, labels %v", pods[1].Name, pods[1].Spec.Hostname, pods[1].Labels)
	}
	kubelet.Succeed(t, pods[1])
	last := job.replacement(2)
	job.wait(state{Active: 2, Ready: 1, Succeeded: 1, CompletedIndexes: "1"})
	// An index that fails runs again.
	kubelet.FailedLongAgo(t, 1, pods[0])
	again := job.replacement(0, pods...)
	kubelet.Succeed(t, last, again)
	job.wait(state{Succeeded: 3, Failed: 1, CompletedIndexes: "0-2", Conditions: complete("CompletionsReached")})
}

// TestElasticIndexed: completions and parallelism change together.
func TestElasticIndexed(t *testing.T) {
	t.Parallel()
	job := start(t, indexed(2))
	pods := job.running(2)
	kubelet.Succeed(t, pods[1])
	job.wait(state{Active: 1, Ready: 1, Succeeded: 1, CompletedIndexes: "1"})

	job.update(sized(4, 4))
	pods = job.running(3)
	if diff := gocmp.Diff([]int{0, 2, 3}, indexes(pods)); diff != "" {
		t.Fatalf("indexes of a grown Job (-want +got):\n%s", diff)
	}
	kubelet.Succeed(t, pods[2])
	job.wait(state{Active: 2, Ready: 2, Succeeded: 2, CompletedIndexes: "1,3"})

	// What has succeeded beyond the new completions counts no more, what runs there is stopped without being counted.
	job.update(sized(2, 2))
	job.waitPodsTerminate(pods[1])
	job.wait(state{Active: 1, Ready: 1, Terminating: 1, Succeeded: 1, CompletedIndexes: "1"})
	kubelet.LetGo(t, pods[1])
	kubelet.Succeed(t, pods[0])
	job.wait(state{Succeeded: 2, CompletedIndexes: "0,1", Conditions: complete("CompletionsReached")})
}

// TestShrinkBelowSuccesses: a Job that shrinks to what it has done is complete.
func TestShrinkBelowSuccesses(t *testing.T) {
	t.Parallel()
	job := start(t, indexed(3))
	pods := job.running(3)
	kubelet.Succeed(t, pods[0])
	job.wait(state{Active: 2, Ready: 2, Succeeded: 1, CompletedIndexes: "0"})
	job.update(sized(1, 1))
	job.waitPodsTerminate(pods[1:]...)
	kubelet.LetGo(t, pods[1:]...)
	job.wait(state{Succeeded: 1, CompletedIndexes: "0", Conditions: complete("CompletionsReached")})
}

// TestManyIndexes: completedIndexes of 100,000 indexes is written in intervals, even where no two completed ones touch.
func TestManyIndexes(t *testing.T) {
	t.Parallel()
	const size = 100000
	done := make([]string, 0, size/2)
	for i := 1; i < size-8; i += 2 {
		done = append(done, strconv.Itoa(i))
	}
	// Nobody waits for 50,000 Pods here: the Job is suspended, and told to have done most of its work.
	job := start(t, indexed(size), func(spec *batchv1.JobSpec) { spec.Suspend, spec.Parallelism = new(true), new(int32(4)) })
	job.eventually("the Job is suspended", func(job *batchv1.Job) bool { return len(job.Status.Conditions) > 0 })
	job.setStatus(func(status *batchv1.JobStatus) {
		status.CompletedIndexes, status.Succeeded = strings.Join(done, ","), int32(len(done))
	})
	job.suspend(false)
	pods := job.running(4)
	if diff := gocmp.Diff([]int{0, 2, 4, 6}, indexes(pods)); diff != "" {
		t.Fatalf("the lowest indexes that are missing (-want +got):\n%s", diff)
	}
	kubelet.Succeed(t, pods[:2]...)
	want := "0-3," + strings.Join(done[2:], ",")
	job.eventually("the indexes are joined", func(job *batchv1.Job) bool { return job.Status.CompletedIndexes == want })
	if got := job.get().Status.Succeeded; got != int32(len(done)+2) {
		t.Errorf("succeeded is %d, want %d", got, len(done)+2)
	}

	job.suspend(true)
	job.setStatus(func(status *batchv1.JobStatus) { status.CompletedIndexes, status.Succeeded = "0-99997", size-2 })
	job.suspend(false)
	last := job.running(2)
	if diff := gocmp.Diff([]int{size - 2, size - 1}, indexes(last)); diff != "" {
		t.Fatalf("the last indexes (-want +got):\n%s", diff)
	}
	kubelet.Succeed(t, last...)
	kubelet.LetGo(t, pods[2:]...)
	job.wait(state{Succeeded: size, CompletedIndexes: "0-99999", Conditions: slices.Concat([]string{"Suspended False JobResumed"}, complete("CompletionsReached"))})
}

// TestManagedBy: a Job of another controller is left to it.
func TestManagedBy(t *testing.T) {
	t.Parallel()
	job := start(t, func(spec *batchv1.JobSpec) { spec.ManagedBy = new("example.com/other") })
	job.setStatus(func(status *batchv1.JobStatus) { status.Active, status.StartTime = 7, new(metav1.Now()) })
	// A Job of the same name pattern that came later has run, so the controller has had its chance.
	later := newJob()
	later.Name = "later"
	other := create(t, job.namespace, later)
	kubelet.Succeed(t, other.running(1)...)
	other.wait(state{Succeeded: 1, Conditions: complete("CompletionsReached")})
	if pods := job.pods(); len(pods) != 0 {
		t.Errorf("the Job of another controller got %d Pods", len(pods))
	}
	if diff := gocmp.Diff(state{Active: 7}, stateOf(job.get().Status)); diff != "" {
		t.Errorf("the status of another controller's Job was changed (-want +got):\n%s", diff)
	}

	job = start(t, func(spec *batchv1.JobSpec) { spec.ManagedBy = new("kubernetes.io/job-controller") })
	kubelet.Succeed(t, job.running(1)...)
	job.wait(state{Succeeded: 1, Conditions: complete("CompletionsReached")})
}

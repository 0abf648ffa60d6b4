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
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

func TestJobRunsToCompletion(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.start()
	job := e.create(newJob(sized(3, 10)))
	for i := range 10 {
		e.until("a Pod is active", func() bool { return len(e.activePods()) > 0 })
		if active := e.activePods(); len(active) > 3 {
			t.Fatalf("%d Pods are active, parallelism is 3", len(active))
		}
		e.run(e.activePods()[0])
		e.end(e.activePods()[0], 0)
		e.until("the success is counted", func() bool { return e.job().Status.Succeeded > int32(i) })
	}
	e.until("the Job is complete", func() bool { return condition(e.job(), batchv1.JobComplete) != nil })

	done := e.job()
	if done.Status.Succeeded != 10 || done.Status.Failed != 0 || done.Status.Active != 0 || done.Status.CompletionTime == nil {
		t.Errorf("status %+v, want 10 succeeded and nothing else", done.Status)
	}
	pods := e.pods()
	if len(pods) != 10 {
		t.Errorf("%d Pods were created, want 10", len(pods))
	}
	for _, pod := range pods {
		ref := metav1.GetControllerOf(pod)
		if ref == nil || ref.UID != job.UID || ref.APIVersion != "batch/v1" || ref.Kind != "Job" {
			t.Errorf("Pod %s has the controller %+v, want batch/v1 Job %s", pod.Name, ref, job.UID)
		}
		if len(pod.Finalizers) > 0 {
			t.Errorf("Pod %s still has finalizers %v", pod.Name, pod.Finalizers)
		}
	}
	e.until("the state of the Job is dropped", func() bool { return e.controller.states.len() == 0 })
}

func TestIndexedJobRunsEachIndexOnce(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.start()
	e.create(newJob(sized(2, 5), indexed))
	ran := map[string]int{}
	e.until("the Job is complete", func() bool {
		for _, pod := range e.activePods() {
			ran[pod.Labels[batch.JobCompletionIndexAnnotation]]++
			e.end(pod, 0)
		}
		return condition(e.job(), batchv1.JobComplete) != nil
	})
	for index, times := range ran {
		if times != 1 {
			t.Errorf("index %s ran %d times", index, times)
		}
	}
	if len(ran) != 5 || e.job().Status.CompletedIndexes != "0-4" {
		t.Errorf("indexes %v ran, completed %q, want 0-4", ran, e.job().Status.CompletedIndexes)
	}
}

func TestFailuresBackOffAndEndTheJob(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.start()
	e.create(newJob(backoffLimit(2)))
	e.until("the Job has failed", func() bool {
		for _, pod := range e.activePods() {
			e.end(pod, 1)
		}
		return condition(e.job(), batchv1.JobFailed) != nil
	})
	if got := condition(e.job(), batchv1.JobFailed).Reason; got != batch.ReasonBackoffLimitExceeded {
		t.Errorf("the Job failed by %s, want %s", got, batch.ReasonBackoffLimitExceeded)
	}
	pods := e.pods()
	if len(pods) != 3 || e.job().Status.Failed != 3 {
		t.Fatalf("%d Pods, %d counted as failed, want 3", len(pods), e.job().Status.Failed)
	}
	for i, want := range []float64{10, 20} {
		gap := pods[i+1].CreationTimestamp.Sub(pods[i].Status.ContainerStatuses[0].State.Terminated.FinishedAt.Time).Seconds()
		if gap < want || gap > want+5 {
			t.Errorf("Pod %d was replaced after %.1f s, want %.0f s", i, gap, want)
		}
	}
}

func TestSuspendDeletesPodsAndResumeMakesNew(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.start()
	e.create(newJob(sized(2, 4)))
	e.until("2 Pods are active", func() bool { return len(e.activePods()) == 2 })
	for _, pod := range e.activePods() {
		e.run(pod)
	}
	e.until("the status shows 2 ready Pods", func() bool { return e.job().Status.Ready != nil && *e.job().Status.Ready == 2 })

	e.change(func(job *batchv1.Job) { job.Spec.Suspend = new(true) })
	e.until("the Job is suspended", func() bool { return condition(e.job(), batchv1.JobSuspended) != nil })
	if e.job().Status.StartTime != nil {
		t.Error("a suspended Job keeps its start time")
	}
	if active := e.activePods(); len(active) != 0 {
		t.Errorf("%d Pods are active in a suspended Job", len(active))
	}
	for _, pod := range e.pods() {
		e.end(pod, 137) // as a kubelet ends a deleted Pod
	}
	e.until("the Pods are gone", func() bool { return len(e.pods()) == 0 })

	e.change(func(job *batchv1.Job) { job.Spec.Suspend = new(false) })
	e.until("2 new Pods are active", func() bool { return len(e.activePods()) == 2 })
	e.until("the Job is resumed", func() bool { return condition(e.job(), batchv1.JobSuspended) == nil })
	if status := e.job().Status; status.Failed != 0 || status.StartTime == nil {
		t.Errorf("status %+v, want no failure and a start time", status)
	}
}

func TestDeadlineEndsTheJob(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.start()
	e.create(newJob(func(job *batchv1.Job) { job.Spec.ActiveDeadlineSeconds = new(int64(5)) }))
	e.until("a Pod is active", func() bool { return len(e.activePods()) == 1 })
	e.run(e.activePods()[0])
	e.until("the Job is going to fail", func() bool { return condition(e.job(), batchv1.JobFailureTarget) != nil })
	if condition(e.job(), batchv1.JobFailed) != nil {
		t.Error("the Job has failed before its Pod ended")
	}
	e.until("the Pod is being deleted", func() bool { return len(e.activePods()) == 0 })
	e.end(e.pods()[0], 143)
	e.until("the Job has failed", func() bool { return condition(e.job(), batchv1.JobFailed) != nil })
	if got := condition(e.job(), batchv1.JobFailed).Reason; got != batch.ReasonDeadlineExceeded {
		t.Errorf("the Job failed by %s, want %s", got, batch.ReasonDeadlineExceeded)
	}
	if e.job().Status.Failed != 1 {
		t.Errorf("%d Pods are counted as failed, want 1", e.job().Status.Failed)
	}
}

func TestEventsRegardTheJob(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.start()
	job := e.create(newJob())
	e.until("a Pod is active", func() bool { return len(e.activePods()) == 1 })
	e.end(e.activePods()[0], 0)
	want := map[string]bool{"SuccessfulCreate": true, "Completed": true}
	e.until("the events are there", func() bool {
		events, err := e.api.pods.CoreV1().Events(namespace).List(e.ctx, metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, event := range events.Items {
			delete(want, event.Reason)
			about := event.InvolvedObject
			if about.UID != job.UID || about.Kind != "Job" || about.APIVersion != "batch/v1" || event.Source.Component != "job-controller" {
				t.Fatalf("event %s of %s regards %+v", event.Reason, event.Source.Component, about)
			}
			if event.Type != corev1.EventTypeNormal {
				t.Fatalf("event %s is a %s", event.Reason, event.Type)
			}
		}
		return len(want) == 0
	})
}

func TestOwnIdentityBesideAnotherJobController(t *testing.T) {
	t.Parallel()
	e := newEnv(t, func(c *Config) { c.Identity = OwnIdentity() })
	e.start()
	theirs := newJob()
	theirs.Name, theirs.UID = "theirs", "theirs"
	e.addPod("theirs", nil, ownedBy(theirs), func(pod *corev1.Pod) { pod.DeletionTimestamp = new(metav1.Now()) })
	e.create(newJob())
	e.until("a Pod is active", func() bool { return len(e.activePods()) == 1 })
	pod := e.activePods()[0]
	if ref := metav1.GetControllerOf(pod); ref.APIVersion != "batch.jobserver.dev/v1" || ref.Kind != "Job" {
		t.Errorf("the Pod is owned by %s %s", ref.APIVersion, ref.Kind)
	}
	if len(pod.Finalizers) != 1 || pod.Finalizers[0] != batch.TrackingFinalizer {
		t.Errorf("the Pod has the finalizers %v", pod.Finalizers)
	}
	e.end(pod, 0)
	e.until("the Job is complete", func() bool { return condition(e.job(), batchv1.JobComplete) != nil })
	e.until("the Pod is released", func() bool { return len(e.api.podNamed(namespace, pod.Name).Finalizers) == 0 })
	if left := e.api.podNamed(namespace, "theirs"); len(left.Finalizers) != 1 {
		t.Error("the finalizer of another Job controller's Pod was removed")
	}
}

func TestScaleDownDeletesWithoutCounting(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.start()
	e.create(newJob(sized(5, 10)))
	e.until("5 Pods are active", func() bool { return len(e.activePods()) == 5 })
	for _, pod := range e.activePods() {
		e.run(pod)
	}
	e.change(func(job *batchv1.Job) { job.Spec.Parallelism = new(int32(2)) })
	e.until("the status shows 2 active and 3 terminating", func() bool {
		status := e.job().Status
		return status.Active == 2 && status.Terminating != nil && *status.Terminating == 3
	})
	for _, pod := range e.pods() {
		if pod.DeletionTimestamp != nil {
			e.end(pod, 143)
		}
	}
	e.until("the deleted Pods are gone", func() bool { return len(e.pods()) == 2 })
	e.until("the status shows it", func() bool { return *e.job().Status.Terminating == 0 })
	if status := e.job().Status; status.Failed != 0 || status.Active != 2 {
		t.Errorf("status %+v, want 2 active and no failure", status)
	}
}

func TestLostPodIsReplaced(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.start()
	e.create(newJob(sized(2, 2), indexed))
	e.until("2 Pods are active", func() bool { return len(e.activePods()) == 2 })
	lost := e.activePods()[0]
	// Somebody forced it away, finalizer and all.
	if err := e.api.pods.Tracker().Delete(podsResource, namespace, lost.Name); err != nil {
		t.Fatal(err)
	}
	e.until("it is replaced", func() bool { return len(e.activePods()) == 2 })
	e.until("the Job completes", func() bool {
		for _, pod := range e.activePods() {
			e.end(pod, 0)
		}
		return condition(e.job(), batchv1.JobComplete) != nil
	})
	if status := e.job().Status; status.CompletedIndexes != "0,1" || status.Succeeded != 2 {
		t.Errorf("status %+v, want both indexes", status)
	}
}

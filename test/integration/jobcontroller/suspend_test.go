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
)

const (
	suspended = "Suspended True JobSuspended"
	resumed   = "Suspended False JobResumed"
)

// TestCreatedSuspended: nothing starts, not the deadline either, until the resume.
func TestCreatedSuspended(t *testing.T) {
	t.Parallel()
	job := start(t, sized(2, 2), func(spec *batchv1.JobSpec) {
		spec.Suspend, spec.ActiveDeadlineSeconds = new(true), new(int64(600))
	})
	job.wait(state{Conditions: []string{suspended}})
	if got := job.get().Status.StartTime; got != nil {
		t.Errorf("startTime %v of a Job that never started", got)
	}
	if pods := job.pods(); len(pods) != 0 {
		t.Errorf("a suspended Job has %d Pods", len(pods))
	}
	job.suspend(false)
	kubelet.Succeed(t, job.running(2)...)
	job.wait(state{Succeeded: 2, Conditions: append([]string{resumed}, complete("CompletionsReached")...)})
	if job.get().Status.StartTime == nil {
		t.Error("no startTime after the resume")
	}
	job.waitEvents(map[string]int{"Normal Suspended": 1, "Normal Resumed": 1, "Normal SuccessfulCreate": 2, "Normal Completed": 1})
}

// TestSuspendAndResume: a suspended batch/v1 Job loses its Pods, which are not counted, and its startTime; a resumed one starts anew.
func TestSuspendAndResume(t *testing.T) {
	t.Parallel()
	job := start(t, sized(2, 3))
	pods := job.running(2)
	kubelet.Succeed(t, pods[0])
	job.wait(state{Active: 2, Ready: 1, Succeeded: 1})
	first := job.get().Status.StartTime

	job.suspend(true)
	job.wait(state{Terminating: 1, Succeeded: 1, Conditions: []string{suspended}})
	if got := job.get().Status.StartTime; got != nil {
		t.Errorf("startTime %v of a suspended Job", got)
	}
	kubelet.LetGo(t, pods[1])
	job.wait(state{Succeeded: 1, Conditions: []string{suspended}})

	job.suspend(false)
	kubelet.Succeed(t, job.running(2)...)
	job.wait(state{Succeeded: 3, Conditions: append([]string{resumed}, complete("CompletionsReached")...)})
	if again := job.get().Status.StartTime; again == nil || again.Before(first) {
		t.Errorf("startTime after the resume is %v, and was %v", again, first)
	}
}

// TestDeadlineBeginsAnewWithTheResume: a suspended Job has no deadline.
func TestDeadlineBeginsAnewWithTheResume(t *testing.T) {
	t.Parallel()
	job := start(t, func(spec *batchv1.JobSpec) { spec.ActiveDeadlineSeconds = new(int64(2)) })
	pod := job.running(1)[0]
	job.suspend(true)
	job.waitPodsTerminate(pod)
	kubelet.LetGo(t, pod)
	job.wait(state{Conditions: []string{suspended}})
	job.suspend(false)
	pod = job.running(1)[0]
	job.waitPodsTerminate(pod)
	kubelet.LetGo(t, pod)
	job.wait(state{Failed: 1, Conditions: append([]string{resumed}, failed("DeadlineExceeded")...)})
	status := job.get().Status
	if ran := status.Conditions[1].LastTransitionTime.Sub(status.StartTime.Time); ran < 2*time.Second {
		t.Errorf("the deadline of 2 s came %v after the resume", ran)
	}
}

// TestSuspendedJobIsChanged: the Pods that a resumed Job makes are those of the template as it is then.
func TestSuspendedJobIsChanged(t *testing.T) {
	t.Parallel()
	job := start(t, func(spec *batchv1.JobSpec) { spec.Suspend = new(true) })
	job.wait(state{Conditions: []string{suspended}})
	job.update(func(spec *batchv1.JobSpec) { spec.Template.Spec.NodeSelector = map[string]string{"disk": "ssd"} })
	job.suspend(false)
	pod := job.running(1)[0]
	if pod.Spec.NodeSelector["disk"] != "ssd" {
		t.Errorf("the Pod selects nodes by %v, want disk=ssd", pod.Spec.NodeSelector)
	}
}

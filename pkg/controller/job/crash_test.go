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

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

func TestCrashAtEveryWrite(t *testing.T) {
	t.Parallel()
	for name, change := range completionModes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			crashes := 0
			for n := 0; ; n++ {
				if n > 200 {
					t.Fatal("the Job never completes without a crash")
				}
				if !runWithCrashAfter(t, n, change) {
					break
				}
				crashes++
			}
			if crashes < 15 {
				t.Errorf("only %d writes were interrupted", crashes)
			}
		})
	}
}

// runWithCrashAfter runs a Job of 4 completions and one failure to its end, with a controller that dies after n writes, and another
// after it. It returns whether there was a crash.
func runWithCrashAfter(t *testing.T, n int, change func(*batchv1.Job)) bool {
	t.Helper()
	e := newEnv(t)
	e.api.crash(n)
	e.create(newJob(sized(2, 4), change))
	stop := e.start()
	failed := false
	kubelet := func() {
		for _, pod := range e.activePods() {
			exitCode := int32(0)
			if !failed {
				failed, exitCode = true, 1
			}
			e.end(pod, exitCode)
		}
	}
	e.until("the controller crashes or the Job completes", func() bool {
		kubelet()
		return e.api.crashed() || condition(e.job(), batchv1.JobComplete) != nil
	})
	crashed := e.api.crashed()
	stop()
	e.api.crash(-1)
	e = newEnvOn(t, e.api, e.clock)
	stop = e.start()
	e.until("the Job completes", func() bool {
		kubelet()
		return condition(e.job(), batchv1.JobComplete) != nil
	})
	stop()
	status := e.job().Status
	if status.Succeeded != 4 || status.Failed != 1 || status.Active != 0 {
		t.Errorf("crash after %d writes: %d succeeded, %d failed, %d active; want 4, 1, 0%s", n, status.Succeeded, status.Failed, status.Active, e.summary())
	}
	if pods := len(e.pods()); pods != 5 {
		t.Errorf("crash after %d writes: %d Pods, want 5", n, pods)
	}
	for _, pod := range e.pods() {
		if len(pod.Finalizers) > 0 {
			t.Errorf("crash after %d writes: Pod %s still has %v", n, pod.Name, pod.Finalizers)
		}
	}
	return crashed
}

func TestEveryCallMayFail(t *testing.T) {
	t.Parallel()
	internal := apierrors.NewInternalError(errLost)
	conflict := apierrors.NewConflict(jobsResource.GroupResource(), jobName, errLost)
	for _, tc := range []struct {
		name  string
		fault fault
	}{
		{"status write refused", fault{verb: "update", resource: "jobs", subresource: "status", times: 3, err: internal}},
		{"status write conflicts", fault{verb: "update", resource: "jobs", subresource: "status", times: 3, err: conflict}},
		{"answer of status write lost", fault{verb: "update", resource: "jobs", subresource: "status", times: 3, err: errLost, lost: true}},
		{"creation refused", fault{verb: "create", resource: "pods", times: 3, err: internal}},
		{"answer of creation lost", fault{verb: "create", resource: "pods", times: 3, err: errLost, lost: true}},
		{"patch refused", fault{verb: "patch", resource: "pods", times: 3, err: internal}},
		{"patch conflicts", fault{verb: "patch", resource: "pods", times: 3, err: conflict}},
		{"answer of patch lost", fault{verb: "patch", resource: "pods", times: 3, err: errLost, lost: true}},
		{"deletion refused", fault{verb: "delete", resource: "pods", times: 1, err: internal}},
		{"answer of deletion lost", fault{verb: "delete", resource: "pods", times: 1, err: errLost, lost: true}},
	} {
		for name, change := range completionModes {
			t.Run(tc.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				runWithFault(t, tc.fault, change)
			})
		}
	}
}

// runWithFault runs a Job of 6 completions, one failure and a scaling down that deletes a Pod.
func runWithFault(t *testing.T, f fault, change func(*batchv1.Job)) {
	t.Helper()
	e := newEnv(t)
	e.start()
	e.create(newJob(sized(3, 6), change))
	e.until("3 Pods are active", func() bool { return len(e.activePods()) == 3 })
	injected := e.api.fail(f)
	e.change(func(job *batchv1.Job) { job.Spec.Parallelism = new(int32(2)) })
	e.until("2 Pods are active", func() bool { return len(e.activePods()) == 2 })
	e.end(e.activePods()[0], 1)
	e.until("the Job completes", func() bool {
		if e.job().Status.Failed > 0 {
			for _, pod := range e.activePods() {
				e.end(pod, 0)
			}
		}
		return condition(e.job(), batchv1.JobComplete) != nil
	})
	if e.api.hits(injected) == 0 {
		t.Error("the fault was never met")
	}
	status := e.job().Status
	if status.Succeeded != 6 || status.Failed != 1 {
		t.Errorf("%d succeeded, %d failed; want 6, 1%s", status.Succeeded, status.Failed, e.summary())
	}
	if *e.job().Spec.CompletionMode == batchv1.IndexedCompletion && status.CompletedIndexes != "0-5" {
		t.Errorf("completed indexes %q, want 0-5", status.CompletedIndexes)
	}
	e.until("no finalizer is left", func() bool {
		for _, pod := range e.pods() {
			if len(e.controller.config.Identity.OwnFinalizers(pod.Finalizers)) > 0 {
				return false
			}
		}
		return true
	})
}

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
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

// TestEndedPodIsNotGivenUp suspends a Job and scales one down while the cache doesn't show yet how one of the Pods has ended, or changed. A result
// that was there before the Pod became surplus counts.
func TestEndedPodIsNotGivenUp(t *testing.T) {
	t.Parallel()
	surplus := map[string]func(*batchv1.Job){
		"suspended":   func(job *batchv1.Job) { job.Spec.Suspend = new(true) },
		"scaled down": func(job *batchv1.Job) { job.Spec.Parallelism = new(int32(0)) },
	}
	type counts struct{ Succeeded, Failed int32 }
	for name, tc := range map[string]struct {
		unseen func(*env, *corev1.Pod)
		want   counts
	}{
		"succeeded":     {func(e *env, pod *corev1.Pod) { e.end(pod, 0) }, counts{Succeeded: 1}},
		"failed":        {func(e *env, pod *corev1.Pod) { e.end(pod, 1) }, counts{Failed: 1}},
		"still running": {func(e *env, pod *corev1.Pod) { e.run(pod) }, counts{}},
		"gone":          {removeByForce, counts{}},
	} {
		for why, change := range surplus {
			t.Run(name+" when "+why, func(t *testing.T) {
				t.Parallel()
				e := newEnv(t)
				e.create(newJob(sized(2, 4)))
				e.mustSync()
				for _, pod := range e.activePods() {
					e.run(pod)
				}
				e.mustSync()
				e.api.podWatch.close()
				tc.unseen(e, e.activePods()[0])
				e.change(change)
				e.jobSettled()
				if err := e.syncStale(); err != nil {
					t.Fatal(err)
				}
				for _, pod := range e.activePods() {
					t.Errorf("Pod %s is active and not being deleted", pod.Name)
				}
				e.api.podWatch.open()
				e.mustSync()
				status := e.job().Status
				if got := (counts{status.Succeeded, status.Failed}); got != tc.want {
					t.Errorf("counted %+v, want %+v", got, tc.want)
				}
			})
		}
	}
}

// removeByForce removes the Pod from the API, whatever holds it.
func removeByForce(e *env, pod *corev1.Pod) {
	e.t.Helper()
	if err := e.api.pods.Tracker().Delete(podsResource, pod.Namespace, pod.Name); err != nil {
		e.t.Fatal(err)
	}
}

// TestGivingUpAPodThatChangesAllTheTime fails, and is tried again later, rather than to go on for ever.
func TestGivingUpAPodThatChangesAllTheTime(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.create(newJob(sized(1, 1)))
	e.mustSync()
	changing := e.api.fail(fault{verb: "patch", resource: "pods", times: -1, err: apierrors.NewConflict(podsResource.GroupResource(), "work", errLost)})
	e.change(func(job *batchv1.Job) { job.Spec.Suspend = new(true) })
	if err := e.sync(); !apierrors.IsConflict(err) {
		t.Errorf("sync: %v, want a conflict", err)
	}
	if hits := e.api.hits(changing); hits != maxGiveUpAttempts {
		t.Errorf("tried %d times, want %d", hits, maxGiveUpAttempts)
	}
	if active := e.activePods(); len(active) != 1 || len(active[0].Finalizers) != 1 {
		t.Errorf("Pods %+v, want the one untouched", active)
	}
	e.api.heal()
	e.mustSync()
	if active := e.activePods(); len(active) != 0 {
		t.Errorf("%d Pods are active, want none", len(active))
	}
}

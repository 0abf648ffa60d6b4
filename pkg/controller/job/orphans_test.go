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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

func TestOrphanedPodsLoseTheFinalizer(t *testing.T) {
	t.Parallel()
	tracked := func(pod *corev1.Pod) { pod.Finalizers = []string{batch.KubeTrackingFinalizer} }
	for _, tc := range []struct {
		name string
		// pod makes the Pod, of a Job in the API.
		pod  func(job *batchv1.Job) func(*corev1.Pod)
		job  func(*batchv1.Job)
		keep bool
	}{
		{
			name: "no owner",
			pod:  func(*batchv1.Job) func(*corev1.Pod) { return tracked },
		},
		{
			name: "owner is gone, under our finalizer's other name",
			pod: func(*batchv1.Job) func(*corev1.Pod) {
				gone := newJob()
				gone.Name, gone.UID = "gone", "gone"
				return func(pod *corev1.Pod) {
					ownedBy(gone)(pod)
					pod.Finalizers, pod.DeletionTimestamp = []string{batch.TrackingFinalizer}, new(metav1.Now())
				}
			},
		},
		{
			name: "owner is another Job of the name",
			pod: func(job *batchv1.Job) func(*corev1.Pod) {
				earlier := job.DeepCopy()
				earlier.UID = "earlier"
				return func(pod *corev1.Pod) {
					ownedBy(earlier)(pod)
					pod.DeletionTimestamp = new(metav1.Now())
				}
			},
		},
		{
			name: "owner has finished",
			pod: func(job *batchv1.Job) func(*corev1.Pod) {
				return func(pod *corev1.Pod) {
					ownedBy(job)(pod)
					pod.DeletionTimestamp = new(metav1.Now())
				}
			},
			job: func(job *batchv1.Job) {
				job.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobComplete, Status: corev1.ConditionTrue}}
			},
		},
		{
			name: "owner had finished before the Pod was seen",
			pod:  func(job *batchv1.Job) func(*corev1.Pod) { return ownedBy(job) },
			job: func(job *batchv1.Job) {
				job.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobFailed, Status: corev1.ConditionTrue}}
			},
		},
		{
			name: "owner is left to another controller",
			pod: func(job *batchv1.Job) func(*corev1.Pod) {
				return func(pod *corev1.Pod) {
					ownedBy(job)(pod)
					pod.DeletionTimestamp = new(metav1.Now())
				}
			},
			job: func(job *batchv1.Job) {
				job.Spec.ManagedBy = new("example.com/other")
				job.Status.Conditions = []batchv1.JobCondition{{Type: batchv1.JobComplete, Status: corev1.ConditionTrue}}
			},
			keep: true,
		},
		{
			name: "owner is no Job",
			pod: func(*batchv1.Job) func(*corev1.Pod) {
				return func(pod *corev1.Pod) {
					tracked(pod)
					pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "example.com/v1", Kind: "Job", Name: "x", UID: "x", Controller: new(true)}}
					pod.DeletionTimestamp = new(metav1.Now())
				}
			},
			keep: true,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t)
			e.start()
			suspended := func(job *batchv1.Job) { job.Spec.Suspend = new(true) }
			if tc.job == nil {
				tc.job = func(*batchv1.Job) {}
			}
			job := e.create(newJob(suspended, tc.job))
			e.settled()
			// A second Pod without an owner shows when the queue has come so far.
			e.addPod("orphan", map[string]string{"a": "b"}, tc.pod(job))
			freed := func() bool {
				pod := e.api.podNamed(namespace, "orphan")
				return pod == nil || len(pod.Finalizers) == 0
			}
			if !tc.keep {
				e.until("the finalizer is off", freed)
				return
			}
			e.settled()
			if err := e.controller.syncOrphans(e.ctx, orphanKey{namespace: namespace, name: "orphan"}); err != nil {
				t.Fatal(err)
			}
			if freed() {
				t.Error("the finalizer was removed")
			}
		})
	}
}

func TestPodsOfADeletedJobLoseTheFinalizer(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.start()
	job := e.create(newJob(sized(5, 5)))
	e.until("5 Pods are active", func() bool { return len(e.activePods()) == 5 })
	fault := e.api.fail(fault{verb: "patch", resource: "pods", times: 3, err: apierrors.NewInternalError(errLost)})
	if err := e.api.jobs.Tracker().Delete(jobsResource, namespace, job.Name); err != nil {
		t.Fatal(err)
	}
	e.until("no Pod has a finalizer", func() bool {
		for _, pod := range e.pods() {
			if len(pod.Finalizers) > 0 {
				return false
			}
		}
		return true
	})
	if e.api.hits(fault) != 3 {
		t.Errorf("%d patches failed, want 3", e.api.hits(fault))
	}
	e.until("the state of the Job is dropped", func() bool { return e.controller.states.len() == 0 })
}

// The caches of Jobs and Pods advance separately: a Job that only the API has is no reason to lose a result.
func TestPodOfAJobThatOnlyTheAPIHasKeepsItsFinalizer(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.api.jobWatch.close()
	job := e.create(newJob())
	e.addPod("done", job.Spec.Template.Labels, ownedBy(job))
	e.until("the cache has the Pod", func() bool { return e.controller.pods.get(namespace, "done") != nil })
	if err := e.controller.syncOrphans(e.ctx, orphanKey{namespace: namespace, name: "done"}); err != nil {
		t.Fatal(err)
	}
	if pod := e.api.podNamed(namespace, "done"); len(pod.Finalizers) != 1 {
		t.Errorf("the Pod has the finalizers %v", pod.Finalizers)
	}
}

func TestRecreatedJobStartsAnew(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.start()
	first := e.create(newJob())
	e.until("a Pod is active", func() bool { return len(e.activePods()) == 1 })
	e.end(e.activePods()[0], 1)
	e.until("the failure is counted", func() bool { return e.job().Status.Failed == 1 })
	if err := e.api.jobs.Tracker().Delete(jobsResource, namespace, first.Name); err != nil {
		t.Fatal(err)
	}
	second := e.create(newJob())
	created := e.clock.Now()
	e.until("the new Job has a Pod", func() bool {
		for _, pod := range e.activePods() {
			if ref := metav1.GetControllerOf(pod); ref != nil && ref.UID == second.UID {
				return true
			}
		}
		return false
	})
	if waited := e.clock.Since(created).Seconds(); waited > 5 {
		t.Errorf("the new Job's first Pod came after %.1f s: it inherited the back-off", waited)
	}
	if status := e.job().Status; status.Failed != 0 {
		t.Errorf("the new Job inherited %+v", status)
	}
}

// TestPodOfAFinishedJobIsStopped lets a Job end while nobody knows that a Pod was created for it: neither did the answer arrive, nor has the
// watch told of it, nor was there time to ask again.
func TestPodOfAFinishedJobIsStopped(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.api.podWatch.close()
	e.api.fail(fault{verb: "create", resource: "pods", times: 1, lost: true, err: errLost})
	e.create(newJob(func(job *batchv1.Job) { job.Spec.ActiveDeadlineSeconds = new(int64(1)) }))
	e.start()
	e.until("the Job fails", func() bool { return condition(e.job(), batchv1.JobFailed) != nil })
	if active := e.activePods(); len(active) != 1 {
		t.Fatalf("%d Pods are active, want the one that nobody knows of", len(active))
	}
	e.api.podWatch.open()
	e.until("the Pod is gone", func() bool { return len(e.pods()) == 0 })
}

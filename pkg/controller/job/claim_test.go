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
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

// addPod puts a Pod of the labels into the API.
func (e *env) addPod(name string, labels map[string]string, change ...func(*corev1.Pod)) *corev1.Pod {
	e.t.Helper()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels}}
	for _, f := range change {
		f(pod)
	}
	created, err := e.api.pods.CoreV1().Pods(namespace).Create(e.ctx, pod, metav1.CreateOptions{})
	if err != nil {
		e.t.Fatalf("creating Pod: %v", err)
	}
	return created
}

// ownedBy makes the Job the Pod's controller, tracked.
func ownedBy(job *batchv1.Job) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.OwnerReferences = []metav1.OwnerReference{KubeIdentity().ownerReference(job)}
		pod.Finalizers = []string{batch.KubeTrackingFinalizer}
	}
}

func TestAdoption(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	job := e.create(newJob(sized(2, 2)))
	labels := job.Spec.Template.Labels
	e.addPod("matches", labels)
	e.addPod("other-labels", map[string]string{"a": "b"})
	e.addPod("going", labels, func(pod *corev1.Pod) {
		pod.DeletionTimestamp, pod.Finalizers = new(metav1.Now()), []string{"example.com/hold"}
	})
	e.addPod("owned", labels, func(pod *corev1.Pod) {
		pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "r", UID: "r", Controller: new(true)}}
	})
	e.mustSync()
	e.mustSync()

	adopted := e.api.podNamed(namespace, "matches")
	want := []metav1.OwnerReference{{
		APIVersion: "batch/v1", Kind: "Job", Name: job.Name, UID: job.UID, Controller: new(true), BlockOwnerDeletion: new(true),
	}}
	if diff := cmp.Diff(want, adopted.OwnerReferences); diff != "" {
		t.Errorf("owner references of the adopted Pod (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{batch.KubeTrackingFinalizer}, adopted.Finalizers); diff != "" {
		t.Errorf("finalizers of the adopted Pod (-want +got):\n%s", diff)
	}
	for _, name := range []string{"other-labels", "going"} {
		if pod := e.api.podNamed(namespace, name); len(pod.OwnerReferences) != 0 {
			t.Errorf("Pod %s was adopted", name)
		}
	}
	if pod := e.api.podNamed(namespace, "owned"); pod.OwnerReferences[0].Kind != "ReplicaSet" || len(pod.OwnerReferences) != 1 {
		t.Errorf("the Pod of a ReplicaSet has the owners %v", pod.OwnerReferences)
	}
	if active := e.job().Status.Active; active != 2 {
		t.Errorf("%d Pods are active, want the adopted and one more%s", active, e.summary())
	}
}

func TestAdoptedOnceFromAStaleCache(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	job := e.create(newJob(sized(1, 1), backoffLimit(0)))
	pod := e.addPod("done", job.Spec.Template.Labels)
	e.end(pod, 0)
	e.settled()
	e.api.podWatch.close()
	for range 3 {
		if err := e.syncStale(); err != nil {
			t.Fatal(err)
		}
		e.jobSettled()
	}
	e.api.podWatch.open()
	e.mustSync()
	if status := e.job().Status; status.Succeeded != 1 || condition(e.job(), batchv1.JobComplete) == nil {
		t.Errorf("status %+v, want one success and Complete", status)
	}
	if n := requests(e.api.pods, "patch", "pods", ""); n != 2 {
		t.Errorf("%d patches, want one that adopts and one that removes the finalizer", n)
	}
}

func TestNoAdoptionByAJobThatIsGoing(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		change func(e *env, job *batchv1.Job)
	}{
		{"deleted in the API", func(e *env, _ *batchv1.Job) {
			e.change(func(job *batchv1.Job) { job.DeletionTimestamp = new(metav1.Now()) })
		}},
		{"replaced in the API", func(e *env, job *batchv1.Job) {
			if err := e.api.jobs.Tracker().Delete(jobsResource, namespace, job.Name); err != nil {
				e.t.Fatal(err)
			}
			e.create(newJob())
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t)
			job := e.create(newJob())
			e.addPod("matches", job.Spec.Template.Labels)
			e.settled()
			e.api.jobWatch.close()
			tc.change(e, job)
			if err := e.syncStale(); err == nil {
				t.Error("sync of a Job that is going: no error")
			}
			if pods := e.pods(); len(pods) != 1 || len(pods[0].OwnerReferences) != 0 {
				t.Errorf("it acted: %s", e.summary())
			}
		})
	}
}

func TestRelease(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	job := e.create(newJob(sized(1, 1)))
	e.mustSync()
	pod := e.pods()[0]
	relabelled := pod.DeepCopy()
	relabelled.Labels = map[string]string{"a": "b"}
	relabelled.ResourceVersion = "1000"
	if err := e.api.pods.Tracker().Update(podsResource, relabelled, namespace); err != nil {
		t.Fatal(err)
	}
	e.api.mu.Lock()
	e.api.version = 1000
	e.api.mu.Unlock()
	e.mustSync()

	released := e.api.podNamed(namespace, pod.Name)
	if len(released.OwnerReferences) != 0 || len(released.Finalizers) != 0 {
		t.Errorf("the Pod still has owners %v, finalizers %v", released.OwnerReferences, released.Finalizers)
	}
	e.mustSync()
	if n := len(e.pods()); n != 2 {
		t.Errorf("%d Pods, want the released one and its replacement; Job %s", n, job.Name)
	}
	if status := e.job().Status; status.Failed != 0 {
		t.Errorf("the released Pod is counted as failed: %+v", status)
	}
}

func TestDeletedJobFreesItsPods(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.create(newJob(sized(3, 9)))
	e.mustSync()
	e.end(e.pods()[0], 0)
	e.run(e.pods()[1])
	e.change(func(job *batchv1.Job) {
		job.DeletionTimestamp, job.Finalizers = new(metav1.Now()), []string{metav1.FinalizerDeleteDependents}
	})
	e.mustSync()
	e.mustSync()
	if n := len(e.pods()); n != 3 {
		t.Errorf("%d Pods, want none created and none deleted", n)
	}
	for _, pod := range e.pods() {
		if len(pod.Finalizers) != 0 {
			t.Errorf("Pod %s of a Job that is being deleted keeps %v", pod.Name, pod.Finalizers)
		}
	}
}

func TestPatchForAnEarlierPodOfTheName(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	job := e.create(newJob())
	old := e.addPod("same", job.Spec.Template.Labels, ownedBy(job))
	if err := e.api.pods.Tracker().Delete(podsResource, namespace, old.Name); err != nil {
		t.Fatal(err)
	}
	e.addPod("same", job.Spec.Template.Labels, ownedBy(job))

	after, err := e.controller.removeFinalizers(e.ctx, old)
	if after != nil || err != nil {
		t.Errorf("removing the finalizer of a Pod that was replaced: %v, %v; want nil, nil", after, err)
	}
	if existed, err := e.controller.deletePod(e.ctx, old); existed || err != nil {
		t.Errorf("deleting a Pod that was replaced: %v", err)
	}
	if now := e.api.podNamed(namespace, "same"); len(now.Finalizers) != 1 || now.DeletionTimestamp != nil {
		t.Errorf("its successor was changed: %v", now.ObjectMeta)
	}
}

// The API takes a manual selector without requirements. It matches every Pod of the namespace, and so does Kubernetes'
// controller take it: Pods without a controller are adopted, others are not touched.
func TestEmptySelectorMatchesAllPods(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	job := e.create(newJob(sized(2, 2), func(job *batchv1.Job) {
		job.Spec.ManualSelector, job.Spec.Selector = new(true), &metav1.LabelSelector{}
	}))
	other := newJob()
	other.Name, other.UID = "other", "other"
	e.addPod("stray", map[string]string{"app": "stray"})
	e.addPod("theirs", nil, ownedBy(other))
	e.mustSync()
	if ref := metav1.GetControllerOf(e.api.podNamed(namespace, "stray")); ref == nil || ref.UID != job.UID {
		t.Errorf("the Pod without a controller is owned by %v", ref)
	}
	if ref := metav1.GetControllerOf(e.api.podNamed(namespace, "theirs")); ref.UID != other.UID {
		t.Errorf("another Job's Pod is owned by %v", ref)
	}
	if status := e.job().Status; status.Active != 2 || len(e.pods()) != 3 {
		t.Errorf("%d active, %d Pods; want the adopted one and one more%s", status.Active, len(e.pods()), e.summary())
	}
	// Once the Job is gone, its Pods are let go, and only those.
	e.settled()
	if err := e.api.jobs.BatchV1().Jobs(namespace).Delete(e.ctx, jobName, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	e.until("the Job is gone from the cache", func() bool {
		_, err := e.controller.jobs.Jobs(namespace).Get(jobName)
		return err != nil
	})
	e.until("its Pods are queued", func() bool { return e.controller.orphans.Len() > 0 })
	e.start()
	e.until("its Pods are free", func() bool {
		for _, pod := range e.pods() {
			if len(pod.Finalizers) > 0 && pod.Name != "theirs" {
				return false
			}
		}
		return true
	})
}

// TestAdoptionLabelsPods: where the cache holds labelled Pods only, an adopted one must not drop out of it.
func TestAdoptionLabelsPods(t *testing.T) {
	t.Parallel()
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "job", UID: "job-uid"}}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "pod-uid"}}
	for name, test := range map[string]struct {
		identity Identity
		want     map[string]string
	}{
		"beside a cluster": {OwnIdentity(), map[string]string{"batch.jobserver.dev/controller-uid": "job-uid"}},
		"alone":            {KubeIdentity(), nil},
	} {
		patch, err := test.identity.adoptPatch(job, pod)
		if err != nil {
			t.Fatal(err)
		}
		var got corev1.Pod
		if err := json.Unmarshal(patch, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, got.Labels); diff != "" {
			t.Errorf("%s: labels (-want +got):\n%s", name, diff)
		}
	}
}

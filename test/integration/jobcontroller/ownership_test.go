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
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func isTracked(pod *corev1.Pod) bool { return slices.Contains(pod.Finalizers, trackingFinalizer) }

// manualSelector selects Pods by a label that the user chose.
func manualSelector(spec *batchv1.JobSpec) {
	labels := map[string]string{"app": "mine"}
	spec.ManualSelector, spec.Selector = new(true), &metav1.LabelSelector{MatchLabels: labels}
	spec.Template.Labels = labels
}

// label sets a label of a Pod.
func (j *testJob) label(pod *corev1.Pod, name, value string) {
	j.t.Helper()
	patch := []byte(`{"metadata":{"labels":{"` + name + `":"` + value + `"}}}`)
	_, err := j.server.Kube.CoreV1().Pods(pod.Namespace).Patch(j.t.Context(), pod.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		j.t.Fatalf("label the Pod %s: %v", pod.Name, err)
	}
}

// TestAdoption: a Pod without an owner that a Job selects becomes its Pod, and its result the Job's.
func TestAdoption(t *testing.T) {
	t.Parallel()
	namespace := server.Namespace(t)
	job := newJob(manualSelector)
	orphan, err := server.Kube.CoreV1().Pods(namespace).Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "orphan", Labels: map[string]string{"app": "mine"}},
		Spec:       job.Spec.Template.Spec,
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// Who counts a later Pod has seen the earlier one: the controller learns of Pods in their order, but of Jobs by another watch.
	later := newJob()
	later.Name = "later"
	before := create(t, namespace, later)
	kubelet.Succeed(t, before.running(1)[0])
	before.wait(state{Succeeded: 1, Conditions: complete("CompletionsReached")})

	j := create(t, namespace, job)
	pods := j.running(1)
	if pods[0].UID != orphan.UID {
		t.Fatalf("the Job made the Pod %s, though there is %s", pods[0].Name, orphan.Name)
	}
	if ref := metav1.GetControllerOf(pods[0]); ref.APIVersion != "batch/v1" || ref.Kind != "Job" || ref.Name != j.name || !*ref.BlockOwnerDeletion || !isTracked(pods[0]) {
		t.Errorf("the adopted Pod has owner %+v, finalizers %v", ref, pods[0].Finalizers)
	}
	kubelet.Succeed(t, pods[0])
	j.wait(state{Succeeded: 1, Conditions: complete("CompletionsReached")})
	if made := j.pods(); len(made) != 1 {
		t.Errorf("%d Pods, want the adopted one", len(made))
	}
}

// TestRelease: a Pod that a Job doesn't select any more is let go, with its finalizer, and replaced.
func TestRelease(t *testing.T) {
	t.Parallel()
	job := start(t, manualSelector)
	pod := job.running(1)[0]
	job.label(pod, "app", "debug")
	job.waitPod(pod, "is released", func(pod *corev1.Pod) bool {
		return pod != nil && len(pod.OwnerReferences) == 0 && !isTracked(pod) && pod.DeletionTimestamp == nil
	})
	next := job.running(1)[0]
	// What the released Pod does is nothing to the Job; what it does once it is selected again, is.
	kubelet.Succeed(t, pod)
	job.wait(state{Active: 1, Ready: 1})
	job.label(pod, "app", "mine")
	job.waitPodsTerminate(next)
	kubelet.LetGo(t, next)
	job.wait(state{Succeeded: 1, Conditions: complete("CompletionsReached")})
}

// TestDeletion: what becomes of a Job's Pods, running and ended ones, with each propagation policy.
func TestDeletion(t *testing.T) {
	t.Parallel()
	for _, policy := range []metav1.DeletionPropagation{metav1.DeletePropagationForeground, metav1.DeletePropagationBackground} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			job := start(t, sized(2, 3))
			pods := job.running(2)
			kubelet.FailedLongAgo(t, 1, pods[0])
			next := job.replacement(-1, pods...)
			job.delete(policy)
			job.waitPodsTerminate(pods[1])
			job.waitPodsGone(pods[0], next)
			if policy == metav1.DeletePropagationForeground {
				if at := job.get().DeletionTimestamp; at == nil {
					t.Error("the Job is not being deleted")
				}
			} else {
				job.waitGone()
			}
			// The Pod doesn't keep its finalizer, so that its kubelet's word is the last.
			job.waitPod(pods[1], "has no finalizer", func(pod *corev1.Pod) bool { return !isTracked(pod) })
			kubelet.LetGo(t, pods[1])
			job.waitPodsGone(pods[1])
			job.waitGone()
		})
	}
	t.Run("Orphan", func(t *testing.T) {
		t.Parallel()
		job := start(t, sized(2, 3))
		pods := job.running(2)
		kubelet.FailedLongAgo(t, 1, pods[0])
		pods = append(pods, job.replacement(-1, pods...))
		job.delete(metav1.DeletePropagationOrphan)
		job.waitGone()
		for _, pod := range pods {
			job.waitPod(pod, "is free", func(pod *corev1.Pod) bool {
				return pod != nil && pod.DeletionTimestamp == nil && len(pod.OwnerReferences) == 0 && !isTracked(pod)
			})
		}
	})
}

// TestDeletedWhilePodsFinish: results that come while a Job is being deleted don't bring it back, and no new Pods.
func TestDeletedWhilePodsFinish(t *testing.T) {
	t.Parallel()
	job := start(t, sized(3, 9))
	pods := job.running(3)
	job.delete(metav1.DeletePropagationForeground)
	kubelet.End(t, pods[0], 0, now())
	kubelet.End(t, pods[1], 1, now())
	job.waitPodsTerminate(pods[2])
	if made := len(job.pods()); made > 3 {
		t.Errorf("a Job being deleted made %d Pods more", made-3)
	}
	kubelet.LetGo(t, pods...)
	job.waitPodsGone(pods...)
	job.waitGone()
}

// TestFinalizerOfAFinishedJob: a Pod that gets the tracking finalizer back when its Job has ended is freed of it.
func TestFinalizerOfAFinishedJob(t *testing.T) {
	t.Parallel()
	job := start(t)
	pod := job.running(1)[0]
	kubelet.Succeed(t, pod)
	job.wait(state{Succeeded: 1, Conditions: complete("CompletionsReached")})
	patch := []byte(`{"metadata":{"finalizers":["` + trackingFinalizer + `"]}}`)
	if _, err := server.Kube.CoreV1().Pods(pod.Namespace).Patch(t.Context(), pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	job.deletePods(pod)
	job.waitPodsGone(pod)
}

// TestOrphanedFinalizer: so is a Pod whose owner never was, or is gone.
func TestOrphanedFinalizer(t *testing.T) {
	t.Parallel()
	namespace := server.Namespace(t)
	for name, owners := range map[string][]metav1.OwnerReference{
		"no-owner":   nil,
		"gone-owner": {{APIVersion: "batch/v1", Kind: "Job", Name: "gone", UID: "11111111-2222-3333-4444-555555555555", Controller: new(true)}},
	} {
		pod, err := server.Kube.CoreV1().Pods(namespace).Create(t.Context(), &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: name, Finalizers: []string{trackingFinalizer}, OwnerReferences: owners},
			Spec:       newJob().Spec.Template.Spec,
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		j := &testJob{t: t, server: server, kubelet: kubelet, namespace: namespace}
		j.waitPod(pod, "is free", func(pod *corev1.Pod) bool { return pod == nil || !isTracked(pod) })
	}
}

// TestRecreatedAtOnce: a Job of the name of one that has just gone inherits nothing of it, and its Pods are freed.
func TestRecreatedAtOnce(t *testing.T) {
	t.Parallel()
	namespace := server.Namespace(t)
	first := create(t, namespace, newJob(backoffLimit(1)))
	old := first.running(1)[0]
	kubelet.FailedLongAgo(t, 1, old)
	old2 := first.replacement(-1, old)
	kubelet.Run(t, old2)
	first.delete(metav1.DeletePropagationBackground)
	second := create(t, namespace, newJob(backoffLimit(1)))
	pod := second.running(1)[0]
	second.wait(state{Active: 1, Ready: 1})
	first.waitPodsTerminate(old2)
	kubelet.LetGo(t, old2)
	first.waitPodsGone(old, old2)
	kubelet.FailedLongAgo(t, 1, pod)
	next := second.replacement(-1, pod)
	kubelet.Succeed(t, next)
	second.wait(state{Succeeded: 1, Failed: 1, Conditions: complete("CompletionsReached")})
}

// TestNamespaceTerminates: Jobs and Pods of a namespace that is deleted go with it, and no Job complains that it can't make Pods there.
func TestNamespaceTerminates(t *testing.T) {
	t.Parallel()
	namespaces := server.Kube.CoreV1().Namespaces()
	made, err := namespaces.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "goes-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	job := create(t, made.Name, newJob(sized(2, 9)))
	pods := job.running(2)
	if err := namespaces.Delete(t.Context(), made.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	kubelet.FailedLongAgo(t, 1, pods[0])
	job.waitPodsTerminate(pods[1])
	kubelet.LetGo(t, pods...)
	job.waitGone()
	job.waitPodsGone(pods...)
	waitNamespaceGone(t, server, made.Name)
}

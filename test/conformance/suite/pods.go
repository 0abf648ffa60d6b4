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

package suite

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// SchedulerName is the scheduler that the Pods of profile api ask for, so that none binds them but the suite.
const SchedulerName = "conformance.jobserver.dev"

// indexAnnotation is where the index of a Pod of an Indexed Job is.
const indexAnnotation = "batch.kubernetes.io/job-completion-index"

// Pods returns all the Pods that a Job made, ended and terminating ones too, the oldest first.
func (t *T) Pods(job *batchv1.Job) []corev1.Pod {
	pods, err := t.Kube.CoreV1().Pods(t.namespace).List(t.ctx, metav1.ListOptions{
		LabelSelector: "batch.kubernetes.io/controller-uid=" + string(job.UID),
	})
	if err != nil {
		t.Fatalf("list the Pods of the Job %q: %v", job.Name, err)
	}
	slices.SortFunc(pods.Items, func(a, b corev1.Pod) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	return pods.Items
}

// ActivePods returns the Pods of a Job that have not ended and are not being deleted, by index where they have one.
func (t *T) ActivePods(job *batchv1.Job) []corev1.Pod {
	active := slices.DeleteFunc(t.Pods(job), func(pod corev1.Pod) bool { return ended(pod) || pod.DeletionTimestamp != nil })
	slices.SortStableFunc(active, func(a, b corev1.Pod) int { return cmp.Compare(Index(a), Index(b)) })
	return active
}

func ended(pod corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// Index is the index of a Pod of an Indexed Job, -1 where it has none.
func Index(pod corev1.Pod) int {
	index, err := strconv.Atoi(pod.Annotations[indexAnnotation])
	if err != nil {
		return -1
	}
	return index
}

// WaitActive waits until a Job has exactly n active Pods and its status says so. It returns them, by index where they have one.
func (t *T) WaitActive(job *batchv1.Job, n int) (active []corev1.Pod) {
	t.Eventually(fmt.Sprintf("the Job has %d active Pods", n), func() error {
		active = t.ActivePods(job)
		status := t.Get(job).Status
		if len(active) != n || int(status.Active) != n {
			return fmt.Errorf("it has %d, status %s", len(active), show(status))
		}
		return nil
	})
	return active
}

// WaitPods waits until a Job has made n Pods, and returns them: for Jobs whose Pods may not be active for long.
func (t *T) WaitPods(job *batchv1.Job, n int) (pods []corev1.Pod) {
	t.Eventually(fmt.Sprintf("the Job has %d Pods", n), func() error {
		if pods = t.Pods(job); len(pods) != n {
			return fmt.Errorf("it has %d", len(pods))
		}
		return nil
	})
	return pods
}

// WaitActiveIndex waits until a Job has an active Pod of an index that is none of some others, and returns it.
func (t *T) WaitActiveIndex(job *batchv1.Job, index int, but ...corev1.Pod) (found corev1.Pod) {
	t.Eventually(fmt.Sprintf("a Pod of index %d is active", index), func() error {
		pods := t.ActivePods(job)
		at := slices.IndexFunc(pods, func(pod corev1.Pod) bool {
			return Index(pod) == index && !slices.ContainsFunc(but, func(other corev1.Pod) bool { return other.UID == pod.UID })
		})
		if at < 0 {
			return fmt.Errorf("none of the %d active Pods; status %s", len(pods), show(t.Get(job).Status))
		}
		found = pods[at]
		return nil
	})
	return found
}

// WaitPod waits until check accepts a Pod, or until the Pod is gone, which check is asked about with nil.
func (t *T) WaitPod(pod corev1.Pod, what string, check func(pod *corev1.Pod) bool) {
	t.Eventually("the Pod "+what, func() error {
		found, err := t.Kube.CoreV1().Pods(pod.Namespace).Get(t.ctx, pod.Name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err) || err == nil && found.UID != pod.UID:
			found = nil
		case err != nil:
			return err
		}
		if !check(found) {
			return fmt.Errorf("it is %s", show(found))
		}
		return nil
	})
}

// WaitPodGone waits until a Pod is no more.
func (t *T) WaitPodGone(pod corev1.Pod) {
	t.WaitPod(pod, "is gone", func(pod *corev1.Pod) bool { return pod == nil })
}

// PatchStatus changes the status of a Pod, as its kubelet would. While others write the Pod it tries again.
func (t *T) PatchStatus(pod corev1.Pod, change func(status *corev1.PodStatus)) {
	err := tolerate(func() error {
		found, err := t.Kube.CoreV1().Pods(pod.Namespace).Get(t.ctx, pod.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		change(&found.Status)
		_, err = t.Kube.CoreV1().Pods(pod.Namespace).UpdateStatus(t.ctx, found, metav1.UpdateOptions{})
		return err
	})
	if err != nil {
		t.Fatalf("write the status of the Pod %q: %v", pod.Name, err)
	}
}

// Bind binds Pods to a node that the suite plays the kubelet of. Bound Pods are deleted gracefully, others at once. It returns when the server's
// cache has the Pods bound: an API server takes the grace period of a deletion from its cache, even where that turns out to be old.
func (t *T) Bind(pods ...corev1.Pod) {
	node, err := t.run.places.node(t.ctx)
	t.Must(err)
	t.bind(node, pods...)
}

// BindToNew binds Pods to a node of their own, and returns its name: for tests that delete it.
func (t *T) BindToNew(pods ...corev1.Pod) string {
	node, err := t.run.places.lostNode(t.ctx)
	t.Must(err)
	t.bind(node, pods...)
	return node
}

// bind binds Pods to a node, and waits until the server acts on that.
func (t *T) bind(node string, pods ...corev1.Pod) {
	for _, pod := range pods {
		err := t.Kube.CoreV1().Pods(pod.Namespace).Bind(t.ctx, &corev1.Binding{
			ObjectMeta: metav1.ObjectMeta{Name: pod.Name, UID: pod.UID},
			Target:     corev1.ObjectReference{Kind: "Node", Name: node},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatalf("bind the Pod %q: %v", pod.Name, err)
		}
		t.waitCached(pod)
	}
}

// waitCached waits until the server's cache has a Pod as the server's storage has it now.
func (t *T) waitCached(pod corev1.Pod) {
	stored, err := t.Kube.CoreV1().Pods(pod.Namespace).Get(t.ctx, pod.Name, metav1.GetOptions{})
	t.Must(err)
	t.Eventually("the server's cache has the Pod "+pod.Name, func() error {
		_, err := t.Kube.CoreV1().Pods(pod.Namespace).Get(t.ctx, pod.Name, metav1.GetOptions{ResourceVersion: stored.ResourceVersion})
		return err
	})
}

// Start has Pods run, and be ready or not.
func (t *T) Start(ready bool, pods ...corev1.Pod) {
	for _, pod := range pods {
		t.PatchStatus(pod, func(status *corev1.PodStatus) {
			status.Phase = corev1.PodRunning
			status.StartTime = ptr.To(metav1.Now())
			setCondition(status, corev1.PodReady, ready)
			status.ContainerStatuses = nil
			for _, container := range pod.Spec.Containers {
				status.ContainerStatuses = append(status.ContainerStatuses, corev1.ContainerStatus{
					Name: container.Name, Ready: ready, Started: ptr.To(true), Image: container.Image,
					State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}},
				})
			}
		})
	}
}

// Restart counts restarts of the first container of a running Pod.
func (t *T) Restart(pod corev1.Pod, count int32) {
	t.PatchStatus(pod, func(status *corev1.PodStatus) { status.ContainerStatuses[0].RestartCount = count })
}

// Succeed has all containers of Pods exit with 0.
func (t *T) Succeed(pods ...corev1.Pod) {
	for _, pod := range pods {
		t.End(pod, corev1.PodSucceeded, 0)
	}
}

// Fail has all containers of Pods exit with a code.
func (t *T) Fail(code int32, pods ...corev1.Pod) {
	for _, pod := range pods {
		t.End(pod, corev1.PodFailed, code)
	}
}

// End has a Pod end in a phase, its containers with an exit code, with further changes of its status.
func (t *T) End(pod corev1.Pod, phase corev1.PodPhase, code int32, changes ...func(status *corev1.PodStatus)) {
	t.PatchStatus(pod, func(status *corev1.PodStatus) {
		status.Phase = phase
		setCondition(status, corev1.PodReady, false)
		status.ContainerStatuses = nil
		for _, container := range pod.Spec.Containers {
			status.ContainerStatuses = append(status.ContainerStatuses, corev1.ContainerStatus{
				Name: container.Name, Image: container.Image,
				State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
					ExitCode: code, StartedAt: metav1.Now(), FinishedAt: metav1.Now(),
				}},
			})
		}
		for _, change := range changes {
			change(status)
		}
	})
}

// Disrupted is a change for End: the Pod has been disrupted, for a reason.
func Disrupted(reason string) func(status *corev1.PodStatus) {
	return func(status *corev1.PodStatus) {
		setCondition(status, corev1.DisruptionTarget, true)
		status.Conditions[len(status.Conditions)-1].Reason = reason
	}
}

// setCondition replaces a condition of a Pod and puts it last.
func setCondition(status *corev1.PodStatus, kind corev1.PodConditionType, value bool) {
	status.Conditions = slices.DeleteFunc(status.Conditions, func(c corev1.PodCondition) bool { return c.Type == kind })
	condition := corev1.PodCondition{Type: kind, Status: corev1.ConditionFalse, LastTransitionTime: metav1.Now()}
	if value {
		condition.Status = corev1.ConditionTrue
	}
	status.Conditions = append(status.Conditions, condition)
}

// DeletePod deletes a Pod with its own grace period. A bound one terminates until EndDeleted.
func (t *T) DeletePod(pod corev1.Pod) {
	if err := t.Kube.CoreV1().Pods(pod.Namespace).Delete(t.ctx, pod.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatalf("delete the Pod %q: %v", pod.Name, err)
	}
}

// EndDeleted does what a kubelet does with a Pod that is being deleted: its containers exit with a code, and it lets go of the Pod.
func (t *T) EndDeleted(pod corev1.Pod, code int32) {
	phase := corev1.PodFailed
	if code == 0 {
		phase = corev1.PodSucceeded
	}
	t.End(pod, phase, code)
	t.LetGo(pod)
}

// LetGo deletes a Pod without any grace, as its kubelet does once its containers are gone.
func (t *T) LetGo(pod corev1.Pod) {
	err := t.Kube.CoreV1().Pods(pod.Namespace).Delete(t.ctx, pod.Name, metav1.DeleteOptions{
		GracePeriodSeconds: ptr.To[int64](0), Preconditions: &metav1.Preconditions{UID: &pod.UID},
	})
	if err != nil && !apierrors.IsNotFound(err) {
		t.Fatalf("let go of the Pod %q: %v", pod.Name, err)
	}
}

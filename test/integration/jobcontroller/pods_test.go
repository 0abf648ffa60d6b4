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
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jobserver-dev/jobserver/test/framework"
)

// pods returns all Pods that the Job controls, the oldest first; of a second, by name.
func (j *testJob) pods() []*corev1.Pod {
	j.t.Helper()
	list, err := j.server.Kube.CoreV1().Pods(j.namespace).List(j.t.Context(), metav1.ListOptions{})
	if err != nil {
		j.t.Fatalf("list Pods: %v", err)
	}
	var pods []*corev1.Pod
	for i := range list.Items {
		if ref := metav1.GetControllerOf(&list.Items[i]); ref != nil && string(ref.UID) == j.uid {
			pods = append(pods, &list.Items[i])
		}
	}
	slices.SortFunc(pods, func(a, b *corev1.Pod) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	return pods
}

// pod reads a Pod anew. nil: it is gone.
func (j *testJob) pod(pod *corev1.Pod) *corev1.Pod {
	j.t.Helper()
	found, err := j.server.Kube.CoreV1().Pods(pod.Namespace).Get(j.t.Context(), pod.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || err == nil && found.UID != pod.UID {
		return nil
	}
	if err != nil {
		j.t.Fatalf("get the Pod %s: %v", pod.Name, err)
	}
	return found
}

// deletePods deletes Pods as a user does.
func (j *testJob) deletePods(pods ...*corev1.Pod) {
	j.t.Helper()
	for _, pod := range pods {
		if err := j.server.Kube.CoreV1().Pods(pod.Namespace).Delete(j.t.Context(), pod.Name, metav1.DeleteOptions{}); err != nil {
			j.t.Fatalf("delete the Pod %s: %v", pod.Name, err)
		}
	}
}

// waitPod waits until check accepts a Pod, which is nil once it is gone.
func (j *testJob) waitPod(pod *corev1.Pod, what string, check func(*corev1.Pod) bool) {
	j.t.Helper()
	framework.Eventually(j.t, "the Pod "+what, func(context.Context) error {
		found := j.pod(pod)
		if check(found) {
			return nil
		}
		if found == nil {
			return errors.New("it is gone")
		}
		return fmt.Errorf("it is %s, owners %v, finalizers %v, deleted %v", found.Status.Phase, found.OwnerReferences, found.Finalizers, found.DeletionTimestamp)
	})
}

func (j *testJob) waitPodsGone(pods ...*corev1.Pod) {
	j.t.Helper()
	for _, pod := range pods {
		j.waitPod(pod, "is gone", func(pod *corev1.Pod) bool { return pod == nil })
	}
}

func (j *testJob) waitPodsTerminate(pods ...*corev1.Pod) {
	j.t.Helper()
	for _, pod := range pods {
		j.waitPod(pod, "terminates", func(pod *corev1.Pod) bool { return pod != nil && pod.DeletionTimestamp != nil })
	}
}

// active waits until the Job has exactly n active Pods and its status says so. It returns them by index, or age.
func (j *testJob) active(n int) (active []*corev1.Pod) {
	j.t.Helper()
	framework.Eventually(j.t, fmt.Sprintf("%d Pods are active", n), func(context.Context) error {
		active = slices.DeleteFunc(j.pods(), func(pod *corev1.Pod) bool { return ended(pod) || pod.DeletionTimestamp != nil })
		if status := j.get().Status; len(active) != n || int(status.Active) != n {
			return fmt.Errorf("%d are, the status is %+v", len(active), status)
		}
		return nil
	})
	slices.SortStableFunc(active, func(a, b *corev1.Pod) int { return cmp.Compare(index(a), index(b)) })
	return active
}

// running is active, with all Pods running and ready.
func (j *testJob) running(n int) []*corev1.Pod {
	j.t.Helper()
	pods := j.active(n)
	j.kubelet.Run(j.t, pods...)
	return pods
}

// replacement waits for an active Pod of the index, -1 for none, that is none of others.
func (j *testJob) replacement(of int, others ...*corev1.Pod) (found *corev1.Pod) {
	j.t.Helper()
	framework.Eventually(j.t, fmt.Sprintf("there is a new Pod of index %d", of), func(context.Context) error {
		pods := j.pods()
		at := slices.IndexFunc(pods, func(pod *corev1.Pod) bool {
			return index(pod) == of && !ended(pod) && pod.DeletionTimestamp == nil &&
				!slices.ContainsFunc(others, func(other *corev1.Pod) bool { return other.UID == pod.UID })
		})
		if at < 0 {
			return fmt.Errorf("it is none of %d Pods; the status is %+v", len(pods), j.get().Status)
		}
		found = pods[at]
		return nil
	})
	return found
}

func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// index is the index of a Pod, -1 where it has none.
func index(pod *corev1.Pod) int {
	index, err := strconv.Atoi(pod.Annotations[indexAnnotation])
	if err != nil {
		return -1
	}
	return index
}

func indexes(pods []*corev1.Pod) (all []int) {
	for _, pod := range pods {
		all = append(all, index(pod))
	}
	return all
}

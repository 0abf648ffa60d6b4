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

package plan

import (
	"time"

	corev1 "k8s.io/api/core/v1"
)

// finishTime says when the Pod ended, as well as its object tells (rule B57). The first of these that is known: when its last
// container ended; when it ceased to be ready; when its deletion was asked for; when it was created.
func finishTime(pod *corev1.Pod) time.Time {
	if ended := containersFinishTime(pod); !ended.IsZero() {
		return ended
	}
	if ready := podCondition(pod, corev1.PodReady); ready != nil && ready.Status == corev1.ConditionFalse && !ready.LastTransitionTime.IsZero() {
		return ready.LastTransitionTime.Time
	}
	if pod.DeletionTimestamp != nil {
		return deletionRequested(pod)
	}
	return pod.CreationTimestamp.Time
}

// deletionRequested says when the deletion of the Pod was asked for: its deletionTimestamp is the end of the grace period.
// The Pod must have one.
func deletionRequested(pod *corev1.Pod) time.Time {
	var grace time.Duration
	if pod.DeletionGracePeriodSeconds != nil {
		grace = time.Duration(*pod.DeletionGracePeriodSeconds) * time.Second
	}
	return pod.DeletionTimestamp.Add(-grace)
}

// containersFinishTime says when the last container of the Pod ended, sidecars included, which end after the others: zero
// while one of them has not, or if none is known.
func containersFinishTime(pod *corev1.Pod) time.Time {
	var latest time.Time
	for i := range pod.Status.ContainerStatuses {
		ended := containerFinishTime(&pod.Status.ContainerStatuses[i])
		if ended.IsZero() {
			return time.Time{}
		}
		latest = laterOf(latest, ended)
	}
	for i := range pod.Status.InitContainerStatuses {
		status := &pod.Status.InitContainerStatuses[i]
		if !isSidecar(pod, status.Name) {
			continue
		}
		ended := containerFinishTime(status)
		if ended.IsZero() {
			return time.Time{}
		}
		latest = laterOf(latest, ended)
	}
	return latest
}

func containerFinishTime(status *corev1.ContainerStatus) time.Time {
	if status.State.Terminated == nil {
		return time.Time{}
	}
	return status.State.Terminated.FinishedAt.Time
}

// isSidecar says whether the Pod's init container of that name runs beside the regular ones.
func isSidecar(pod *corev1.Pod, name string) bool {
	for i := range pod.Spec.InitContainers {
		container := &pod.Spec.InitContainers[i]
		if container.Name == name {
			return container.RestartPolicy != nil && *container.RestartPolicy == corev1.ContainerRestartPolicyAlways
		}
	}
	return false
}

func laterOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

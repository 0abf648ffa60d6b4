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
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
)

// readAnnotations are the annotations of a Pod that this package reads.
var readAnnotations = []string{
	batch.JobCompletionIndexAnnotation,
	batch.JobIndexFailureCountAnnotation,
	batch.JobIndexIgnoredFailureCountAnnotation,
}

// TrimPod returns a Pod that has only the fields that this package reads, and those that its caller needs to identify and
// claim it: labels and owner references. Computing a plan with trimmed Pods gives the same plan, so a cache need not hold
// more. The result shares slices and maps with pod, which stays as it is.
func TrimPod(pod *corev1.Pod) *corev1.Pod {
	return &corev1.Pod{
		TypeMeta: pod.TypeMeta,
		ObjectMeta: metav1.ObjectMeta{
			Name:                       pod.Name,
			Namespace:                  pod.Namespace,
			UID:                        pod.UID,
			ResourceVersion:            pod.ResourceVersion,
			CreationTimestamp:          pod.CreationTimestamp,
			DeletionTimestamp:          pod.DeletionTimestamp,
			DeletionGracePeriodSeconds: pod.DeletionGracePeriodSeconds,
			Labels:                     pod.Labels,
			Annotations:                trimAnnotations(pod.Annotations),
			OwnerReferences:            pod.OwnerReferences,
			Finalizers:                 pod.Finalizers,
		},
		Spec: corev1.PodSpec{
			NodeName:       pod.Spec.NodeName,
			InitContainers: trimSidecars(pod.Spec.InitContainers),
		},
		Status: corev1.PodStatus{
			Phase:                 pod.Status.Phase,
			Conditions:            trimConditions(pod.Status.Conditions),
			ContainerStatuses:     trimStatuses(pod.Status.ContainerStatuses),
			InitContainerStatuses: trimStatuses(pod.Status.InitContainerStatuses),
		},
	}
}

func trimAnnotations(annotations map[string]string) map[string]string {
	var kept map[string]string
	for _, name := range readAnnotations {
		if value, ok := annotations[name]; ok {
			set(&kept, name, value)
		}
	}
	return kept
}

// trimSidecars keeps which init containers run beside the regular ones.
func trimSidecars(containers []corev1.Container) []corev1.Container {
	var kept []corev1.Container
	for i := range containers {
		if containers[i].RestartPolicy != nil {
			kept = append(kept, corev1.Container{Name: containers[i].Name, RestartPolicy: containers[i].RestartPolicy})
		}
	}
	return kept
}

// trimConditions keeps conditions of all types, which a podFailurePolicy can name.
func trimConditions(conditions []corev1.PodCondition) []corev1.PodCondition {
	var kept []corev1.PodCondition
	for i := range conditions {
		kept = append(kept, corev1.PodCondition{
			Type:               conditions[i].Type,
			Status:             conditions[i].Status,
			LastTransitionTime: conditions[i].LastTransitionTime,
		})
	}
	return kept
}

func trimStatuses(statuses []corev1.ContainerStatus) []corev1.ContainerStatus {
	var kept []corev1.ContainerStatus
	for i := range statuses {
		status := corev1.ContainerStatus{Name: statuses[i].Name, RestartCount: statuses[i].RestartCount}
		if ended := statuses[i].State.Terminated; ended != nil {
			status.State.Terminated = &corev1.ContainerStateTerminated{ExitCode: ended.ExitCode, FinishedAt: ended.FinishedAt}
		}
		kept = append(kept, status)
	}
	return kept
}

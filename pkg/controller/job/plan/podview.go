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
	"slices"

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
// more. What is equal in many Pods they share. So the result is not to be modified; pod stays as it is.
func TrimPod(pod *corev1.Pod) *corev1.Pod {
	owners := shareOwners(pod.OwnerReferences)
	labels := shareLabelSet(shareLabels(pod.Labels, controllerIn(owners)))
	return &corev1.Pod{
		TypeMeta: pod.TypeMeta,
		ObjectMeta: metav1.ObjectMeta{
			Name:                       pod.Name,
			Namespace:                  shareString(pod.Namespace),
			UID:                        pod.UID,
			ResourceVersion:            pod.ResourceVersion,
			CreationTimestamp:          pod.CreationTimestamp,
			DeletionTimestamp:          pod.DeletionTimestamp,
			DeletionGracePeriodSeconds: pod.DeletionGracePeriodSeconds,
			Labels:                     labels,
			Annotations:                trimAnnotations(pod.Annotations, labels),
			OwnerReferences:            owners,
			Finalizers:                 shareFinalizers(pod.Finalizers),
		},
		Spec: corev1.PodSpec{
			NodeName:       shareString(pod.Spec.NodeName),
			InitContainers: trimSidecars(pod.Spec.InitContainers),
		},
		Status: corev1.PodStatus{
			Phase:                 shared(pod.Status.Phase),
			Conditions:            trimConditions(pod),
			ContainerStatuses:     trimStatuses(pod.Status.ContainerStatuses),
			InitContainerStatuses: trimStatuses(pod.Status.InitContainerStatuses),
		},
	}
}

// commonStrings are strings that nearly every Pod of a Job has. A decoder makes each Pod a copy of its own; here they are once for all.
var commonStrings = func() map[string]string {
	common := map[string]string{}
	for _, s := range []string{
		batch.JobNameLabel, batch.LegacyJobNameLabel, batch.ControllerUIDLabel, batch.LegacyControllerUIDLabel,
		batch.JobCompletionIndexAnnotation, batch.JobIndexFailureCountAnnotation, batch.JobIndexIgnoredFailureCountAnnotation,
		string(corev1.PodPending), string(corev1.PodRunning), string(corev1.PodSucceeded), string(corev1.PodFailed),
		string(corev1.ConditionTrue), string(corev1.ConditionFalse), string(corev1.ConditionUnknown),
		string(corev1.PodReady), string(corev1.PodScheduled), string(corev1.PodInitialized), string(corev1.ContainersReady),
		string(corev1.PodReadyToStartContainers), string(corev1.DisruptionTarget),
	} {
		common[s] = s
	}
	return common
}()

// shared returns the string that all Pods share, s itself if it is none of those.
func shared[T ~string](s T) T {
	if common, ok := commonStrings[string(s)]; ok {
		return T(common)
	}
	return s
}

// The finalizers of a Pod that has just one of ours, shared by all such Pods: reading them costs no memory access of its own.
var commonFinalizers = [][]string{{batch.KubeTrackingFinalizer}, {batch.TrackingFinalizer}}

func shareFinalizers(finalizers []string) []string {
	for _, common := range commonFinalizers {
		if slices.Equal(finalizers, common) {
			return common
		}
	}
	return finalizers
}

// shareLabels returns the labels with the strings that other Pods, or the reference to the owner, have too.
func shareLabels(labels map[string]string, owner *metav1.OwnerReference) map[string]string {
	if labels == nil {
		return nil
	}
	kept := make(map[string]string, len(labels))
	for key, value := range labels {
		switch {
		case key == batch.JobCompletionIndexAnnotation:
			value = shareIndex(value)
		case owner != nil && value == string(owner.UID):
			value = string(owner.UID)
		case owner != nil && value == owner.Name:
			value = owner.Name
		}
		kept[shared(key)] = value
	}
	return kept
}

// trimAnnotations keeps the annotations that this package reads. The one that most Pods have, their index, is a label too: such
// Pods get their labels once more, rather than a map for a single entry.
func trimAnnotations(annotations, labels map[string]string) map[string]string {
	read, likeLabels := 0, true
	for _, name := range readAnnotations {
		value, ok := annotations[name]
		label, labelled := labels[name]
		likeLabels = likeLabels && ok == labelled && value == label
		if ok {
			read++
		}
	}
	switch {
	case read == 0:
		return nil
	case likeLabels:
		return labels
	}
	kept := make(map[string]string, read)
	for _, name := range readAnnotations {
		if value, ok := annotations[name]; ok {
			kept[name] = shareIndex(value) // or a number of failures, which is one as well
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

// trimConditions keeps conditions of all types, which a podFailurePolicy can name. Those of a Pod that has succeeded are not asked, but for
// what tells of a disruption, which others ask. When the Pod was ready matters while it may run, and where nothing else says when it ended.
func trimConditions(pod *corev1.Pod) []corev1.PodCondition {
	conditions := pod.Status.Conditions
	endKnown := hasEnded(pod) && !containersFinishTime(pod).IsZero()
	kept := make([]corev1.PodCondition, 0, len(conditions))
	for i := range conditions {
		condition := corev1.PodCondition{Type: shared(conditions[i].Type), Status: shared(conditions[i].Status)}
		if endKnown && pod.Status.Phase == corev1.PodSucceeded && condition.Type != corev1.DisruptionTarget {
			continue
		}
		if condition.Type == corev1.PodReady && !endKnown {
			condition.LastTransitionTime = conditions[i].LastTransitionTime
		}
		kept = append(kept, condition)
	}
	return shareConditions(kept)
}

func trimStatuses(statuses []corev1.ContainerStatus) []corev1.ContainerStatus {
	if len(statuses) == 0 {
		return nil
	}
	kept := make([]corev1.ContainerStatus, len(statuses))
	for i := range statuses {
		kept[i].Name, kept[i].RestartCount = shareString(statuses[i].Name), statuses[i].RestartCount
		if ended := statuses[i].State.Terminated; ended != nil {
			kept[i].State.Terminated = &corev1.ContainerStateTerminated{ExitCode: ended.ExitCode, FinishedAt: ended.FinishedAt}
		}
	}
	return shareStatuses(kept)
}

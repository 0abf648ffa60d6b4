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
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

// noIndex is the completion index of a Pod that has none, or none that can be read.
const noIndex = -1

// hasEnded says whether the Pod has reached a phase that it never leaves.
func hasEnded(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// isActive says whether the Pod works for its Job: not ended, and not being deleted (rule B19).
func isActive(pod *corev1.Pod) bool {
	return !hasEnded(pod) && pod.DeletionTimestamp == nil
}

// isTerminating says whether the Pod is being deleted and may still run (rule B19).
func isTerminating(pod *corev1.Pod) bool {
	return !hasEnded(pod) && pod.DeletionTimestamp != nil
}

// isReady says whether the Pod's Ready condition is true.
func isReady(pod *corev1.Pod) bool {
	condition := podCondition(pod, corev1.PodReady)
	return condition != nil && condition.Status == corev1.ConditionTrue
}

// podCondition returns the Pod's condition of the type; nil if it has none.
func podCondition(pod *corev1.Pod, conditionType corev1.PodConditionType) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == conditionType {
			return &pod.Status.Conditions[i]
		}
	}
	return nil
}

// completionIndex returns the index that the Pod works on, from its annotation: noIndex if that is missing, negative or no
// number.
func completionIndex(pod *corev1.Pod) int {
	text, ok := pod.Annotations[batch.JobCompletionIndexAnnotation]
	if !ok {
		return noIndex
	}
	index, err := strconv.Atoi(text)
	if err != nil || index < 0 {
		return noIndex
	}
	return index
}

// countAnnotation returns the annotation of the Pod as a number: 0 if it is missing, negative, above the range of int32 or no
// number (rule B64). Users can write to it.
func countAnnotation(pod *corev1.Pod, name string) int32 {
	text, ok := pod.Annotations[name]
	if !ok {
		return 0 // before ParseInt makes an error of it, which costs more than all the rest
	}
	count, err := strconv.ParseInt(text, 10, 32)
	if err != nil || count < 0 {
		return 0
	}
	return int32(count)
}

// replacesOnlyEnded says whether a Pod may be replaced only once it has ended (KEP-3939), not as soon as it is being deleted.
func replacesOnlyEnded(job *batchv1.Job) bool {
	return job.Spec.PodReplacementPolicy != nil && *job.Spec.PodReplacementPolicy == batchv1.Failed
}

// isFailed says whether the Pod is taken for failed (rule B20): it has, or it is being deleted and need not end to be
// replaced. The latter keeps the Pods of a lost node from blocking their Job for ever.
func isFailed(job *batchv1.Job, pod *corev1.Pod) bool {
	if pod.Status.Phase == corev1.PodFailed {
		return true
	}
	return isTerminating(pod) && !replacesOnlyEnded(job)
}

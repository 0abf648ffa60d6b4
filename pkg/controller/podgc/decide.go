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

package podgc

import (
	"cmp"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
)

// hasEnded tells whether the Pod has reached a phase that it never leaves.
func hasEnded(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// isTracked tells whether a Job has yet to count the Pod.
func isTracked(pod *corev1.Pod) bool {
	return slices.Contains(pod.Finalizers, batch.KubeTrackingFinalizer) || slices.Contains(pod.Finalizers, batch.TrackingFinalizer)
}

// beyond returns the ended Pods that are to go where more than threshold have ended: disrupted ones first, which tell least, then the
// oldest. 0: none ever goes. Pods that a Job has not counted yet, or that are being deleted, are counted but stay.
func beyond(pods []*corev1.Pod, threshold int) []*corev1.Pod {
	if threshold <= 0 {
		return nil
	}
	ended := 0
	var candidates []*corev1.Pod
	for _, pod := range pods {
		if !hasEnded(pod) {
			continue
		}
		ended++
		if pod.DeletionTimestamp == nil && !isTracked(pod) {
			candidates = append(candidates, pod)
		}
	}
	surplus := min(ended-threshold, len(candidates))
	if surplus <= 0 {
		return nil
	}
	slices.SortFunc(candidates, compareForRemoval)
	return candidates[:surplus]
}

// compareForRemoval orders ended Pods: negative if a goes before b.
func compareForRemoval(a, b *corev1.Pod) int {
	if disrupted := isDisrupted(a); disrupted != isDisrupted(b) {
		if disrupted {
			return -1
		}
		return 1
	}
	return cmp.Or(
		a.CreationTimestamp.Time.Compare(b.CreationTimestamp.Time),
		cmp.Compare(a.Namespace, b.Namespace),
		cmp.Compare(a.Name, b.Name),
	)
}

func isDisrupted(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue
	})
}

// isAbandoned tells whether the Pod was deleted before it had a node: there is no agent to say that nothing of it runs.
func isAbandoned(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp != nil && pod.Spec.NodeName == ""
}

// isOutOfService tells whether an administrator has declared that the node runs nothing any more (KEP-2268).
func isOutOfService(node *corev1.Node) bool {
	ready := readyCondition(node)
	return (ready == nil || ready.Status != corev1.ConditionTrue) &&
		slices.ContainsFunc(node.Spec.Taints, func(taint corev1.Taint) bool { return taint.Key == corev1.TaintNodeOutOfService })
}

func readyCondition(node *corev1.Node) *corev1.NodeCondition {
	for i := range node.Status.Conditions {
		if node.Status.Conditions[i].Type == corev1.NodeReady {
			return &node.Status.Conditions[i]
		}
	}
	return nil
}

// toleration is for how long the Pod stays on an unreachable node, and false if for ever. Pods that say nothing about it get preset,
// which Kubernetes writes into each Pod at its creation.
func toleration(logger klog.Logger, pod *corev1.Pod, preset time.Duration) (time.Duration, bool) {
	unreachable := &corev1.Taint{Key: corev1.TaintNodeUnreachable, Effect: corev1.TaintEffectNoExecute}
	var shortest *int64
	tolerates := false
	for i := range pod.Spec.Tolerations {
		t := &pod.Spec.Tolerations[i]
		if !t.ToleratesTaint(logger, unreachable, false) {
			continue
		}
		tolerates = true
		if seconds := t.TolerationSeconds; seconds != nil && (shortest == nil || *seconds < *shortest) {
			shortest = seconds
		}
	}
	switch {
	case !tolerates:
		return preset, true
	case shortest == nil:
		return 0, false
	default:
		return time.Duration(max(0, *shortest)) * time.Second, true
	}
}

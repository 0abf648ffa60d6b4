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

package nodeagent

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Reasons of conditions, as of a kubelet.
const (
	reasonPodCompleted             = "PodCompleted"
	reasonPodFailed                = "PodFailed"
	reasonContainersNotReady       = "ContainersNotReady"
	reasonContainersNotInitialized = "ContainersNotInitialized"
	reasonReadinessGatesNotReady   = "ReadinessGatesNotReady"
	reasonUnknownStatuses          = "UnknownContainerStatuses"
	reasonSandboxNotReady          = "PodSandboxNotReady"
	messageSandboxNotReady         = "pod sandbox is not ready"
	messageNoSandbox               = "no pod sandbox exists"
)

// podConditions returns the conditions of a Pod whose status is otherwise complete: a kubelet's, and those of others unchanged.
func podConditions(o observation, a actions, status *corev1.PodStatus) []corev1.PodCondition {
	containersReady := containersReadyCondition(o, status)
	owned := []corev1.PodCondition{
		readyToStartCondition(o, a),
		initializedCondition(o, status),
		podReadyCondition(o, status, containersReady),
		containersReady,
		{Type: corev1.PodScheduled, Status: corev1.ConditionTrue},
	}
	if hasRounds(o.pod) {
		owned = append(owned, restartingCondition(o, status))
	}
	if status.Reason == reasonNodeLost {
		owned = append(owned, corev1.PodCondition{
			Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: reasonTerminated, Message: messageNodeLost,
		})
	}
	var conditions []corev1.PodCondition
	for _, condition := range status.Conditions {
		if !slices.ContainsFunc(owned, func(c corev1.PodCondition) bool { return c.Type == condition.Type }) {
			conditions = append(conditions, condition)
		}
	}
	for _, condition := range owned {
		condition.ObservedGeneration = o.pod.Generation
		condition.LastTransitionTime = seconds(o.now)
		if old := findCondition(status.Conditions, condition.Type); old != nil {
			condition.LastProbeTime = old.LastProbeTime
			if old.Status == condition.Status {
				condition.LastTransitionTime = old.LastTransitionTime
			}
		}
		conditions = append(conditions, condition)
	}
	return conditions
}

func findCondition(conditions []corev1.PodCondition, kind corev1.PodConditionType) *corev1.PodCondition {
	for i := range conditions {
		if conditions[i].Type == kind {
			return &conditions[i]
		}
	}
	return nil
}

// readyToStartCondition stands for the sandbox that a kubelet makes: there is one from the first look at the Pod to its end.
func readyToStartCondition(o observation, a actions) corev1.PodCondition {
	condition := corev1.PodCondition{Type: corev1.PodReadyToStartContainers, Status: corev1.ConditionTrue}
	if a.ended || isTerminal(o.pod.Status.Phase) || o.unsupported != nil {
		condition.Status = corev1.ConditionFalse
		condition.Reason, condition.Message = reasonSandboxNotReady, messageSandboxNotReady
		if o.unsupported != nil {
			condition.Message = messageNoSandbox
		}
	}
	return condition
}

func initializedCondition(o observation, status *corev1.PodStatus) corev1.PodCondition {
	condition := corev1.PodCondition{Type: corev1.PodInitialized, Status: corev1.ConditionTrue}
	before := findCondition(o.pod.Status.Conditions, corev1.PodInitialized)
	switch {
	case status.Phase == corev1.PodSucceeded:
		condition.Reason = reasonPodCompleted
	case before != nil && before.Status == corev1.ConditionTrue:
		// It stays so while a sidecar is down, and while init containers run again in a later round.
	case len(status.InitContainerStatuses) == 0 && len(o.pod.Spec.InitContainers) > 0:
		condition.Status, condition.Reason = corev1.ConditionFalse, reasonUnknownStatuses
	case !isInitialized(o):
		var incomplete []string
		for i := range o.pod.Spec.InitContainers {
			if container := &o.pod.Spec.InitContainers[i]; !isInitDone(o, container) {
				incomplete = append(incomplete, container.Name)
			}
		}
		condition.Status = corev1.ConditionFalse
		condition.Reason = reasonContainersNotInitialized
		condition.Message = fmt.Sprintf("containers with incomplete status: %s", incomplete)
	}
	return condition
}

func containersReadyCondition(o observation, status *corev1.PodStatus) corev1.PodCondition {
	condition := corev1.PodCondition{Type: corev1.ContainersReady, Status: corev1.ConditionFalse}
	switch {
	case status.Phase == corev1.PodSucceeded:
		condition.Reason = reasonPodCompleted
		return condition
	case status.Phase == corev1.PodFailed:
		condition.Reason = reasonPodFailed
		return condition
	case len(status.ContainerStatuses) == 0:
		condition.Reason = reasonUnknownStatuses
		return condition
	}
	var unready []string
	for i := range o.pod.Spec.InitContainers {
		if isSidecar(o.pod, &o.pod.Spec.InitContainers[i]) && !status.InitContainerStatuses[i].Ready {
			unready = append(unready, status.InitContainerStatuses[i].Name)
		}
	}
	for _, container := range status.ContainerStatuses {
		if !container.Ready {
			unready = append(unready, container.Name)
		}
	}
	if len(unready) > 0 {
		condition.Reason = reasonContainersNotReady
		condition.Message = fmt.Sprintf("containers with unready status: %s", unready)
		return condition
	}
	condition.Status = corev1.ConditionTrue
	return condition
}

// restartingCondition tells whether a round is being ended: see rounds.go.
func restartingCondition(o observation, status *corev1.PodStatus) corev1.PodCondition {
	condition := corev1.PodCondition{Type: corev1.AllContainersRestarting, Status: corev1.ConditionFalse}
	switch {
	case status.Phase == corev1.PodSucceeded:
		condition.Reason = reasonPodCompleted
	case status.Phase == corev1.PodFailed:
		condition.Reason = reasonPodFailed
	case o.round.ending, o.round.wait > 0:
		condition.Status = corev1.ConditionTrue
		condition.Reason, condition.Message = "RestartAllContainersStarted", "container exited with restart policy rule"
	}
	return condition
}

// podReadyCondition is ContainersReady and the Pod's readiness gates together.
func podReadyCondition(o observation, status *corev1.PodStatus, containersReady corev1.PodCondition) corev1.PodCondition {
	condition := containersReady
	condition.Type = corev1.PodReady
	if condition.Status != corev1.ConditionTrue {
		return condition
	}
	var unready []string
	for _, gate := range o.pod.Spec.ReadinessGates {
		switch met := findCondition(status.Conditions, gate.ConditionType); {
		case met == nil:
			unready = append(unready, fmt.Sprintf("corresponding condition of pod readiness gate %q does not exist.", gate.ConditionType))
		case met.Status != corev1.ConditionTrue:
			unready = append(unready, fmt.Sprintf("the status of pod readiness gate %q is not \"True\", but %v", gate.ConditionType, met.Status))
		}
	}
	if len(unready) > 0 {
		condition.Status = corev1.ConditionFalse
		condition.Reason = reasonReadinessGatesNotReady
		condition.Message = strings.Join(unready, ", ")
	}
	return condition
}

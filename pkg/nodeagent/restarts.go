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
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime"
)

// Delays between the end of a container and its next start, as of a kubelet: none before the first restart, then
// initialBackoff, doubled each time up to maxBackoff; a container that ran longer than backoffReset starts anew.
const (
	initialBackoff = 10 * time.Second
	maxBackoff     = 5 * time.Minute
	backoffReset   = 2 * maxBackoff
)

// isInit tells whether the container is one of the Pod's init containers.
func isInit(pod *corev1.Pod, container *corev1.Container) bool {
	return slices.ContainsFunc(pod.Spec.InitContainers, func(c corev1.Container) bool { return c.Name == container.Name })
}

// isSidecar tells whether the container is a restartable init container: one that runs beside the others until they have ended.
func isSidecar(pod *corev1.Pod, container *corev1.Container) bool {
	return container.RestartPolicy != nil && *container.RestartPolicy == corev1.ContainerRestartPolicyAlways && isInit(pod, container)
}

// restartsAfter tells whether a container is started again after an attempt that has ended: what its own rules and policy say (KEP-5307), or
// else its Pod's policy. Of one that was stopped for a failed probe, the exit code says nothing.
func restartsAfter(pod *corev1.Pod, container *corev1.Container, attempt *runtime.Container) bool {
	switch {
	case isSidecar(pod, container):
		return true
	case attempt.StopReason == stopLivenessProbe, attempt.StopReason == stopStartupProbe:
		return restartsAfterProbe(pod, container)
	}
	// RestartAllContainers restarts this container too.
	if rule := matchingRule(container, attempt.ExitCode); rule != nil &&
		(rule.Action == corev1.ContainerRestartRuleActionRestart || rule.Action == corev1.ContainerRestartRuleActionRestartAllContainers) {
		return true
	}
	switch restartPolicy(pod, container) {
	case corev1.RestartPolicyNever:
		return false
	case corev1.RestartPolicyOnFailure:
		return isFailed(attempt)
	default:
		return true
	}
}

// restartsAfterProbe tells whether a container is started again that was stopped because a probe failed.
func restartsAfterProbe(pod *corev1.Pod, container *corev1.Container) bool {
	return restartPolicy(pod, container) != corev1.RestartPolicyNever
}

// restartPolicy is the container's own restart policy or else the Pod's.
func restartPolicy(pod *corev1.Pod, container *corev1.Container) corev1.RestartPolicy {
	if container.RestartPolicy != nil {
		return corev1.RestartPolicy(*container.RestartPolicy)
	}
	return pod.Spec.RestartPolicy
}

// isFailed tells whether an attempt that has ended was no success.
func isFailed(attempt *runtime.Container) bool { return attempt.ExitCode != 0 }

// matchingRule returns the first of the container's restart rules that the exit code meets, or nil.
func matchingRule(container *corev1.Container, exitCode int) *corev1.ContainerRestartRule {
	for i := range container.RestartPolicyRules {
		rule := &container.RestartPolicyRules[i]
		if rule.ExitCodes == nil {
			continue
		}
		listed := slices.Contains(rule.ExitCodes.Values, int32(exitCode))
		switch rule.ExitCodes.Operator {
		case corev1.ContainerRestartRuleOnExitCodesOpIn:
			if listed {
				return rule
			}
		case corev1.ContainerRestartRuleOnExitCodesOpNotIn:
			if !listed {
				return rule
			}
		}
	}
	return nil
}

// restartDelay returns how long from now the container waits for its restart, and the delay that applies after that one.
func restartDelay(last *runtime.Container, now time.Time) (wait, next time.Duration) {
	if !last.StartedAt.IsZero() && last.FinishedAt.Sub(last.StartedAt) > backoffReset {
		return 0, initialBackoff
	}
	next = min(max(2*last.Backoff, initialBackoff), maxBackoff)
	return max(0, last.FinishedAt.Add(last.Backoff).Sub(now)), next
}

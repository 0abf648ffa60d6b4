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
	"cmp"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime"
)

// loopbackIP is the address of a node that is told no other, and of its Pods: containers share the machine's network.
const loopbackIP = "127.0.0.1"

// containerIDPrefix is the runtime's name in containerID.
const containerIDPrefix = "process://"

// seconds is a time as the API keeps it. A finer one would never equal what the server answers.
func seconds(t time.Time) metav1.Time { return metav1.NewTime(t).Rfc3339Copy() }

// computeStatus returns the status that a kubelet would write for what was observed and decided. It starts from the Pod's
// own status, so that what others wrote stays. A phase once final never changes.
func computeStatus(o observation, a actions) corev1.PodStatus {
	status := *o.pod.Status.DeepCopy()
	status.ObservedGeneration = o.pod.Generation
	status.StartTime = o.startTime.DeepCopy()
	ip := cmp.Or(o.nodeIP, loopbackIP)
	status.HostIP, status.HostIPs = ip, []corev1.HostIP{{IP: ip}}
	status.PodIP, status.PodIPs = ip, []corev1.PodIP{{IP: ip}}

	initialized := isInitialized(o)
	status.InitContainerStatuses, status.ContainerStatuses = nil, nil
	if o.unsupported == nil || len(o.containers) > 0 {
		addContainerStatuses(&status, o, a, initialized)
	}
	if !isTerminal(status.Phase) {
		phase := podPhase(o, a, status.ContainerStatuses, initialized)
		if phase != status.Phase {
			status.Reason, status.Message = "", ""
		}
		status.Phase = phase
		if a.ended && a.failure != nil {
			status.Reason, status.Message = a.failure.reason, a.failure.message
		}
	}
	status.Conditions = podConditions(o, a, &status, initialized)
	return status
}

// addContainerStatuses adds the status of every container. A Pod that the node refuses has none, as with a kubelet: kubectl would show that they
// are being created in the place of the reason.
func addContainerStatuses(status *corev1.PodStatus, o observation, a actions, initialized bool) {
	for i := range o.pod.Spec.InitContainers {
		status.InitContainerStatuses = append(status.InitContainerStatuses, containerStatus(o, a, &o.pod.Spec.InitContainers[i], true, initialized))
	}
	for i := range o.pod.Spec.Containers {
		status.ContainerStatuses = append(status.ContainerStatuses, containerStatus(o, a, &o.pod.Spec.Containers[i], false, initialized))
	}
}

// isInitialized tells whether every init container has succeeded. Once a main container was started they had.
func isInitialized(o observation) bool {
	for i := range o.pod.Spec.Containers {
		if o.containers[o.pod.Spec.Containers[i].Name].last() != nil {
			return true
		}
	}
	for i := range o.pod.Spec.InitContainers {
		last := o.containers[o.pod.Spec.InitContainers[i].Name].last()
		if last == nil || last.Running || last.ExitCode != 0 {
			return false
		}
	}
	return true
}

// podPhase computes the phase of a Pod that hasn't come to its end on record.
func podPhase(o observation, a actions, containers []corev1.ContainerStatus, initialized bool) corev1.PodPhase {
	if a.ended {
		if a.failure != nil || !initialized {
			return corev1.PodFailed
		}
		for i := range containers {
			if terminated := containers[i].State.Terminated; terminated == nil || terminated.ExitCode != 0 {
				return corev1.PodFailed
			}
		}
		return corev1.PodSucceeded
	}
	if !initialized {
		return corev1.PodPending
	}
	for i := range containers {
		if containers[i].State.Waiting != nil && containers[i].LastTerminationState.Terminated == nil {
			return corev1.PodPending
		}
	}
	return corev1.PodRunning
}

// containerStatus computes the status of one container.
func containerStatus(o observation, a actions, container *corev1.Container, isInit, initialized bool) corev1.ContainerStatus {
	attempts := o.containers[container.Name]
	status := corev1.ContainerStatus{Name: container.Name, Image: container.Image, Started: new(false)}
	last := attempts.last()
	if last == nil {
		status.State = unstartedState(o, a, container, isInit, initialized)
		return status
	}
	status.ContainerID = containerIDPrefix + last.ID.String()
	status.RestartCount = int32(last.ID.Attempt)
	if len(attempts) > 1 {
		status.LastTerminationState.Terminated = terminated(o, container, &attempts[len(attempts)-2])
	}
	if last.Running {
		status.State.Running = &corev1.ContainerStateRunning{StartedAt: seconds(last.StartedAt)}
		status.Started = new(true)
		status.Ready = !isInit
		return status
	}
	state := terminated(o, container, last)
	delay, inBackoff := a.backoff[container.Name]
	wait, isWaiting := o.waiting[container.Name]
	switch {
	case a.ended || isTerminal(o.pod.Status.Phase):
		status.State.Terminated = state
	case inBackoff:
		status.State.Waiting = &corev1.ContainerStateWaiting{Reason: reasonCrashLoopBackOff, Message: backoffMessage(o.pod, container.Name, delay.String())}
	case isWaiting:
		status.State.Waiting = &corev1.ContainerStateWaiting{Reason: wait.reason, Message: wait.message}
	default:
		status.State.Terminated = state
	}
	if status.State.Waiting != nil {
		status.LastTerminationState.Terminated = state
	}
	status.Ready = isInit && state.ExitCode == 0
	return status
}

// backoffMessage is a kubelet's message of CrashLoopBackOff.
func backoffMessage(pod *corev1.Pod, container, delay string) string {
	return fmt.Sprintf("back-off %s restarting failed container=%s pod=%s_%s(%s)", delay, container, pod.Name, pod.Namespace, pod.UID)
}

// unstartedState is the state of a container that was never started. When the Pod has ended, one that should have run can't tell
// success from failure and counts as failed; one whose turn had not come keeps waiting.
func unstartedState(o observation, a actions, container *corev1.Container, isInit, initialized bool) corev1.ContainerState {
	if a.ended && a.failure == nil && !isInit && initialized {
		return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			Reason: reasonStatusUnknown, Message: messageStatusUnknown, ExitCode: statusUnknownCode,
		}}
	}
	waiting := &corev1.ContainerStateWaiting{Reason: reasonContainerCreating}
	if len(o.pod.Spec.InitContainers) > 0 {
		waiting.Reason = reasonPodInitializing
	}
	if wait, ok := o.waiting[container.Name]; ok {
		waiting.Reason, waiting.Message = wait.reason, wait.message
	}
	return corev1.ContainerState{Waiting: waiting}
}

// terminated is the terminated state of an attempt that has ended. Of a command that couldn't be run it says what Kubernetes
// says with Docker as its runtime: ContainerCannotRun with the exit code of a shell, 127 or 126.
func terminated(o observation, container *corev1.Container, attempt *runtime.Container) *corev1.ContainerStateTerminated {
	state := &corev1.ContainerStateTerminated{
		ExitCode:    int32(attempt.ExitCode),
		Signal:      int32(attempt.Signal),
		Reason:      reasonError,
		Message:     attempt.Message,
		FinishedAt:  seconds(attempt.FinishedAt),
		ContainerID: containerIDPrefix + attempt.ID.String(),
	}
	if !attempt.StartedAt.IsZero() {
		state.StartedAt = seconds(attempt.StartedAt)
	}
	switch {
	case attempt.Failure == runtime.FailureStart:
		state.Reason = reasonContainerCannotRun
	case attempt.Failure == runtime.FailureLost:
		state.Reason = reasonStatusUnknown
	case attempt.ExitCode == 0:
		state.Reason = reasonCompleted
	}
	if state.Message == "" && wantsLogMessage(container, attempt) {
		state.Message = o.messages[attempt.ID]
	}
	return state
}

// wantsLogMessage tells whether the end of an attempt's log is its termination message.
func wantsLogMessage(container *corev1.Container, attempt *runtime.Container) bool {
	return container.TerminationMessagePolicy == corev1.TerminationMessageFallbackToLogsOnError &&
		!attempt.Running && attempt.ExitCode != 0 && attempt.Failure == runtime.FailureNone
}

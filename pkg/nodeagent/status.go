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

// neverStarted is startedAt of a command that couldn't be run: the zero of a container runtime's clock, which a kubelet passes on.
var neverStarted = seconds(time.Unix(0, 0))

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

	o.round = currentRound(o)
	status.InitContainerStatuses, status.ContainerStatuses, status.EphemeralContainerStatuses = nil, nil, nil
	if o.unsupported == nil || len(o.containers) > 0 {
		addContainerStatuses(&status, o, a)
	}
	if !isTerminal(status.Phase) {
		phase := podPhase(o, a, &status)
		if phase != status.Phase {
			status.Reason, status.Message = "", ""
		}
		status.Phase = phase
		if a.ended && a.failure != nil {
			status.Reason, status.Message = a.failure.reason, a.failure.message
		}
		if a.failure == nil && phase == corev1.PodFailed && wentWithMachine(o) {
			status.Reason, status.Message = reasonNodeLost, messageNodeLost
		}
	}
	status.Conditions = podConditions(o, a, &status)
	return status
}

// wentWithMachine tells whether a container of the Pod ended with the machine, and not by its own doing.
func wentWithMachine(o observation) bool {
	lost := false
	withoutEphemerals(o, func(last *runtime.Container) { lost = lost || last.Failure == runtime.FailureNodeLost })
	return lost
}

// addContainerStatuses adds the status of every container. A Pod that the node refuses has none, as with a kubelet: kubectl would show that they
// are being created in the place of the reason.
func addContainerStatuses(status *corev1.PodStatus, o observation, a actions) {
	for i := range o.pod.Spec.InitContainers {
		status.InitContainerStatuses = append(status.InitContainerStatuses, containerStatus(o, a, &o.pod.Spec.InitContainers[i]))
	}
	for i := range o.pod.Spec.Containers {
		status.ContainerStatuses = append(status.ContainerStatuses, containerStatus(o, a, &o.pod.Spec.Containers[i]))
	}
	for i := range o.pod.Spec.EphemeralContainers {
		status.EphemeralContainerStatuses = append(status.EphemeralContainerStatuses, ephemeralStatus(o, i))
	}
}

// podPhase computes the phase of a Pod that hasn't come to its end on record. Sidecars count as long as the Pod has not been initialized; how they
// end decides nothing.
func podPhase(o observation, a actions, status *corev1.PodStatus) corev1.PodPhase {
	if a.ended {
		if a.failure != nil || !isInitialized(o) {
			return corev1.PodFailed
		}
		for i := range status.ContainerStatuses {
			if terminated := status.ContainerStatuses[i].State.Terminated; terminated == nil || terminated.ExitCode != 0 {
				return corev1.PodFailed
			}
		}
		return corev1.PodSucceeded
	}
	for i := range status.ContainerStatuses {
		container := &status.ContainerStatuses[i]
		if container.State.Waiting != nil && container.LastTerminationState.Terminated == nil {
			return corev1.PodPending
		}
	}
	// In a later round, the main containers have ended before: the Pod stays Running while its init containers run again.
	if o.round.number == 0 && !isInitialized(o) {
		return corev1.PodPending
	}
	return corev1.PodRunning
}

// containerStatus computes the status of one container.
func containerStatus(o observation, a actions, container *corev1.Container) corev1.ContainerStatus {
	attempts := o.containers[container.Name]
	status := corev1.ContainerStatus{Name: container.Name, Image: container.Image, Started: new(false), VolumeMounts: mountStatuses(container)}
	last := attempts.last()
	if last == nil {
		status.State = unstartedState(o, a, container)
		return status
	}
	status.ContainerID = containerIDPrefix + last.ID.String()
	status.RestartCount = int32(last.ID.Attempt)
	status.User = containerUser(o.pod, container)
	describeAllocation(&status, container)
	if len(attempts) > 1 {
		status.LastTerminationState.Terminated = terminated(o, &attempts[len(attempts)-2])
	}
	regularInit := isInit(o.pod, container) && !isSidecar(o.pod, container)
	if last.Running {
		status.Started = new(hasStarted(o, container, last))
		status.Ready = !regularInit && isReady(o, container, last)
		if o.hooks[last.ID] == hookRunning && !last.Stopping {
			status.State = unstartedState(o, a, container)
		} else {
			status.State.Running = &corev1.ContainerStateRunning{StartedAt: seconds(last.StartedAt)}
		}
		return status
	}
	state := terminated(o, last)
	if waiting := waitingState(o, a, container, last); waiting != nil {
		status.State.Waiting, status.LastTerminationState.Terminated = waiting, state
	} else {
		status.State.Terminated = state
	}
	status.Ready = regularInit && !isFailed(last)
	return status
}

// mountStatuses are status.volumeMounts, which stay the same for as long as the Pod lives.
func mountStatuses(container *corev1.Container) []corev1.VolumeMountStatus {
	var statuses []corev1.VolumeMountStatus
	for i := range container.VolumeMounts {
		mount := &container.VolumeMounts[i]
		status := corev1.VolumeMountStatus{Name: mount.Name, MountPath: mount.MountPath, ReadOnly: mount.ReadOnly}
		if mount.ReadOnly {
			status.RecursiveReadOnly = new(corev1.RecursiveReadOnlyDisabled)
			if mode := mount.RecursiveReadOnly; mode != nil && *mode != corev1.RecursiveReadOnlyDisabled {
				status.RecursiveReadOnly = new(corev1.RecursiveReadOnlyEnabled) // what is mounted at all can be so, IfPossible too
			}
		}
		statuses = append(statuses, status)
	}
	return statuses
}

// describeAllocation fills in what the container has got of what it asks for: its resources, which are never resized here, and its signal to stop. Kubernetes only
// knows the latter where its feature ContainerStopSignals is on, and then keeps it in the spec.
func describeAllocation(status *corev1.ContainerStatus, container *corev1.Container) {
	if resources := &container.Resources; len(resources.Requests) > 0 || len(resources.Limits) > 0 {
		status.Resources = resources.DeepCopy()
		status.AllocatedResources = status.Resources.Requests
	}
	if container.Lifecycle != nil {
		status.StopSignal = container.Lifecycle.StopSignal
	}
}

// waitingState is the state of a container that has ended and is to be started again, where there is something to say about that.
func waitingState(o observation, a actions, container *corev1.Container, last *runtime.Container) *corev1.ContainerStateWaiting {
	if a.ended || isTerminal(o.pod.Status.Phase) || o.pod.DeletionTimestamp != nil {
		return nil
	}
	if last.Round != o.round.number {
		return &corev1.ContainerStateWaiting{Reason: reasonRestartingAll, Message: messageRestartingAll}
	}
	if delay, inBackoff := a.backoff[container.Name]; inBackoff {
		return &corev1.ContainerStateWaiting{Reason: reasonCrashLoopBackOff, Message: backoffMessage(o.pod, container.Name, delay.String())}
	}
	if wait, isWaiting := o.waiting[container.Name]; isWaiting {
		return &corev1.ContainerStateWaiting{Reason: wait.reason, Message: wait.message}
	}
	return nil
}

// backoffMessage is a kubelet's message of CrashLoopBackOff.
func backoffMessage(pod *corev1.Pod, container, delay string) string {
	return fmt.Sprintf("back-off %s restarting failed container=%s pod=%s_%s(%s)", delay, container, pod.Name, pod.Namespace, pod.UID)
}

// unstartedState is the state of a container that was never started. When the Pod has ended, one that should have run can't tell
// success from failure and counts as failed; one whose turn had not come keeps waiting.
func unstartedState(o observation, a actions, container *corev1.Container) corev1.ContainerState {
	if a.ended && a.failure == nil && !isInit(o.pod, container) && isInitialized(o) {
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
func terminated(o observation, attempt *runtime.Container) *corev1.ContainerStateTerminated {
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
		state.StartedAt = neverStarted
	case attempt.Failure == runtime.FailureLost:
		state.Reason = reasonStatusUnknown
	case attempt.Failure == runtime.FailureNodeLost:
		state.Reason = reasonNodeLost
	case attempt.ExitCode == 0:
		state.Reason = reasonCompleted
	case attempt.OOMKilled:
		state.Reason = reasonOOMKilled
	}
	if message := o.messages[attempt.ID]; message != "" {
		if state.Message != "" {
			state.Message += ": "
		}
		state.Message += message
	}
	state.Message = cutMessage(o.pod, state.Message)
	return state
}

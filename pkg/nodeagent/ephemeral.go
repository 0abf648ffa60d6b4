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

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime"
)

// Ephemeral containers (kubectl debug) are added to a Pod that there is already. Each is started once, whatever becomes of it, and even while init containers run. They
// decide nothing about the Pod: it ends without regard to them, and they are stopped with it.

// refusedCode is the exit code of an ephemeral container that this node can't run: that of container runtimes for what was never started.
const refusedCode = 128

// ephemeralContainer is the Pod's i-th ephemeral container, as the container that it is.
func ephemeralContainer(pod *corev1.Pod, i int) *corev1.Container {
	return (*corev1.Container)(&pod.Spec.EphemeralContainers[i].EphemeralContainerCommon)
}

// isEphemeral tells whether the Pod's container of that name is an ephemeral one.
func isEphemeral(pod *corev1.Pod, name string) bool {
	return slices.ContainsFunc(pod.Spec.EphemeralContainers, func(c corev1.EphemeralContainer) bool { return c.Name == name })
}

// planEphemeralContainers starts those that never were.
func planEphemeralContainers(o observation, a *actions) {
	for i := range o.pod.Spec.EphemeralContainers {
		container := ephemeralContainer(o.pod, i)
		if o.containers[container.Name].last() != nil || o.missesTarget(i) != "" || refusedEphemeral(o.pod, i) != nil {
			continue
		}
		a.start = append(a.start, startAction{container: container, round: o.round.number})
	}
}

// missesTarget says that the container which an ephemeral one is for has not been started yet, in a kubelet's words; empty: it has. Nothing else comes of
// naming it: containers see each other's processes here in any case.
func (o *observation) missesTarget(i int) string {
	target := o.pod.Spec.EphemeralContainers[i].TargetContainerName
	if target == "" || o.containers[target].last() != nil {
		return ""
	}
	return fmt.Sprintf("unable to find target container %v", target)
}

// refusedEphemeral returns why this node can't run an ephemeral container, or nil. Its Pod goes on: it came first.
func refusedEphemeral(pod *corev1.Pod, i int) *failure {
	refused := &refusals{}
	refused.container(ephemeralContainer(pod, i), field.NewPath("spec", "ephemeralContainers").Index(i))
	return refused.first
}

// ephemeralStatus computes the status of the Pod's i-th ephemeral container. As with a kubelet, such a one is never ready.
func ephemeralStatus(o observation, i int) corev1.ContainerStatus {
	container := ephemeralContainer(o.pod, i)
	status := corev1.ContainerStatus{Name: container.Name, Image: container.Image, VolumeMounts: mountStatuses(container)}
	last := o.containers[container.Name].last()
	switch {
	case last != nil:
		status.ContainerID = containerIDPrefix + last.ID.String()
		status.User = containerUser(o.pod, container)
		if last.Running {
			status.State.Running = &corev1.ContainerStateRunning{StartedAt: seconds(last.StartedAt)}
		} else {
			status.State.Terminated = terminated(o, last)
		}
	case refusedEphemeral(o.pod, i) != nil:
		status.State.Terminated = refusedState(o, i)
	default:
		waiting := &corev1.ContainerStateWaiting{Reason: reasonContainerCreating}
		if message := o.missesTarget(i); message != "" {
			waiting.Reason, waiting.Message = reasonCreateConfigError, message
		} else if wait, ok := o.waiting[container.Name]; ok {
			waiting.Reason, waiting.Message = wait.reason, wait.message
		}
		status.State.Waiting = waiting
	}
	return status
}

// refusedState is the state of an ephemeral container that this node can't run: it has ended, so that nobody waits for it.
func refusedState(o observation, i int) *corev1.ContainerStateTerminated {
	refused := refusedEphemeral(o.pod, i)
	state := &corev1.ContainerStateTerminated{
		ExitCode: refusedCode, Reason: refused.reason, Message: refused.message, StartedAt: neverStarted, FinishedAt: seconds(o.now),
	}
	if known := findStatus(o.pod, o.pod.Spec.EphemeralContainers[i].Name); known != nil && known.State.Terminated != nil {
		state.FinishedAt = known.State.Terminated.FinishedAt
	}
	return state
}

// sayRefusedEphemerals sends the events of ephemeral containers that this node can't run, once each.
func (a *Agent) sayRefusedEphemerals(pod *corev1.Pod, state *podState) {
	for i := range pod.Spec.EphemeralContainers {
		name := pod.Spec.EphemeralContainers[i].Name
		if known := findStatus(pod, name); known != nil && known.State.Terminated != nil {
			continue
		}
		if refused := refusedEphemeral(pod, i); refused != nil && state.sayOnce(reasonFailed+name) {
			a.recorder.Eventf(containerReference(pod, name), corev1.EventTypeWarning, reasonFailed, "Error: %s", refused.message)
		}
	}
}

// runningEphemerals returns the ephemeral containers that run.
func runningEphemerals(o observation) []*corev1.Container {
	var running []*corev1.Container
	for i := range o.pod.Spec.EphemeralContainers {
		container := ephemeralContainer(o.pod, i)
		if last := o.containers[container.Name].last(); last != nil && last.Running {
			running = append(running, container)
		}
	}
	return running
}

// withoutEphemerals calls do with the latest attempt at each container that counts for the Pod.
func withoutEphemerals(o observation, do func(last *runtime.Container)) {
	for name, attempts := range o.containers {
		if last := attempts.last(); last != nil && !isEphemeral(o.pod, name) {
			do(last)
		}
	}
}

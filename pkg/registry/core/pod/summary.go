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

package pod

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	podutil "k8s.io/kubernetes/pkg/api/pod"
	"k8s.io/kubernetes/pkg/apis/core"
)

// reasonNodeLost is the status.reason of a Pod whose node stopped answering.
const reasonNodeLost = "NodeLost"

// summary is what the table tells of a Pod's containers. The rules are those of kubectl get pods in Kubernetes.
type summary struct {
	// reason is the word in the column Status.
	reason string
	// ready and total count the ordinary containers and the sidecars (restartable init containers).
	ready, total int
	// restarts are those of init containers while these run, and of the containers that ready and total count later.
	restarts restartCount
}

// restartCount is a number of restarts and when the last container to be restarted had ended; zero if unknown.
type restartCount struct {
	count int
	last  time.Time
}

// add counts the restarts of a container.
func (r *restartCount) add(c *core.ContainerStatus) {
	r.count += int(c.RestartCount)
	if t := c.LastTerminationState.Terminated; t != nil && r.last.Before(t.FinishedAt.Time) {
		r.last = t.FinishedAt.Time
	}
}

// summarize sums up a Pod: the phase, overridden by status.reason, overridden by what init containers wait for or
// failed with, else by what containers do, overridden by the Pod's deletion.
func summarize(pod *core.Pod) summary {
	s := summary{reason: phaseReason(pod), total: len(pod.Spec.Containers)}
	sidecars := map[string]bool{}
	for i := range pod.Spec.InitContainers {
		if c := &pod.Spec.InitContainers[i]; podutil.IsRestartableInitContainer(c) {
			sidecars[c.Name] = true
			s.total++
		}
	}
	sidecarRestarts, initializing := s.addInitContainers(pod, sidecars)
	if !initializing || conditionTrue(pod, core.PodInitialized) {
		s.restarts = sidecarRestarts
		s.addContainers(pod)
	}
	switch {
	case pod.DeletionTimestamp == nil:
	case pod.Status.Reason == reasonNodeLost:
		s.reason = "Unknown"
	case pod.Status.Phase != core.PodSucceeded && pod.Status.Phase != core.PodFailed:
		s.reason = "Terminating"
	}
	return s
}

// phaseReason returns what the Pod as a whole says of itself.
func phaseReason(pod *core.Pod) string {
	gated := slices.ContainsFunc(pod.Status.Conditions, func(c core.PodCondition) bool {
		return c.Type == core.PodScheduled && c.Reason == corev1.PodReasonSchedulingGated
	})
	switch {
	case gated:
		return corev1.PodReasonSchedulingGated
	case pod.Status.Reason != "":
		return pod.Status.Reason
	}
	return string(pod.Status.Phase)
}

// addInitContainers takes in init containers up to the first that isn't done, which gives the reason. It returns the
// restarts of the sidecars among these and whether one wasn't done.
func (s *summary) addInitContainers(pod *core.Pod, sidecars map[string]bool) (sidecarRestarts restartCount, initializing bool) {
	for i := range pod.Status.InitContainerStatuses {
		c := &pod.Status.InitContainerStatuses[i]
		s.restarts.add(c)
		if sidecars[c.Name] {
			sidecarRestarts.add(c)
		}
		terminated, waiting := c.State.Terminated, c.State.Waiting
		switch {
		case terminated != nil && terminated.ExitCode == 0:
			continue
		case sidecars[c.Name] && c.Started != nil && *c.Started:
			if c.Ready {
				s.ready++
			}
			continue
		case terminated != nil:
			s.reason = "Init:" + terminationReason(terminated)
		case waiting != nil && waiting.Reason != "" && waiting.Reason != "PodInitializing":
			s.reason = "Init:" + waiting.Reason
		default:
			s.reason = fmt.Sprintf("Init:%d/%d", i, len(pod.Spec.InitContainers))
		}
		return sidecarRestarts, true
	}
	return sidecarRestarts, false
}

// addContainers takes in the ordinary containers, the last first, so that the first one with something to say wins.
func (s *summary) addContainers(pod *core.Pod) {
	running, failure := false, ""
	for i := range slices.Backward(pod.Status.ContainerStatuses) {
		c := &pod.Status.ContainerStatuses[i]
		s.restarts.add(c)
		terminated, waiting := c.State.Terminated, c.State.Waiting
		switch {
		case waiting != nil && waiting.Reason != "":
			s.reason = waiting.Reason
		case terminated != nil:
			s.reason = terminationReason(terminated)
			if terminated.ExitCode != 0 {
				failure = s.reason
			}
		case c.Ready && c.State.Running != nil:
			running = true
			s.ready++
		}
	}
	if s.reason != "Completed" {
		return
	}
	// One container's success isn't the Pod's while another runs or failed.
	switch {
	case running && ready(pod):
		s.reason = "Running"
	case failure != "":
		s.reason = failure
	case running:
		s.reason = "NotReady"
	}
}

// terminationReason returns why a container ended: its reason, else its signal, else its exit code.
func terminationReason(t *core.ContainerStateTerminated) string {
	switch {
	case t.Reason != "":
		return t.Reason
	case t.Signal != 0:
		return fmt.Sprintf("Signal:%d", t.Signal)
	}
	return fmt.Sprintf("ExitCode:%d", t.ExitCode)
}

// ready says whether any condition Ready is true.
func ready(pod *core.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c core.PodCondition) bool {
		return c.Type == core.PodReady && c.Status == core.ConditionTrue
	})
}

// conditionTrue says whether the first condition of that type is true.
func conditionTrue(pod *core.Pod, t core.PodConditionType) bool {
	_, c := podutil.GetPodCondition(&pod.Status, t)
	return c != nil && c.Status == core.ConditionTrue
}

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
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime"
)

// Reasons of its own to stop a container, beside the end of its Pod. They are kept with the attempt, since they decide whether there is a next one.
const (
	stopLivenessProbe = "LivenessProbe"
	stopStartupProbe  = "StartupProbe"
	stopPostStartHook = "PostStartHook"
	stopNextRound     = "RestartAllContainers"
)

// leastGrace is what the containers of a Pod that ends get at least, their hooks and their order included, as with a kubelet.
const leastGrace = time.Second

// evictionGrace is what the containers of a Pod get that is evicted, whatever the Pod says, as with a kubelet.
const evictionGrace = time.Second

// stopAction is one running container to be stopped.
type stopAction struct {
	container *corev1.Container
	// reason is one of the constants above, or empty where the Pod ends.
	reason string
	// message is that of the event.
	message string
	// grace is the time that the container gets to end in, hook and waiting included; zero: neither of them. The signal leaves 2 s in any case.
	grace time.Duration
	// after names the containers that end before this one gets its signal.
	after []string
}

// stopReason returns why a running container is to be stopped although its Pod goes on, or the empty string. Once asked for, the stop stays
// asked for, whatever a probe finds later and whichever agent looks.
func stopReason(o observation, container *corev1.Container, attempt *runtime.Container) string {
	found := o.probes[attempt.ID]
	switch {
	case attempt.StopReason != "":
		return attempt.StopReason
	case o.hooks[attempt.ID] == hookFailed:
		return stopPostStartHook
	case container.LivenessProbe != nil && found.liveness == probeFailure:
		return stopLivenessProbe
	case container.StartupProbe != nil && found.startup == probeFailure:
		return stopStartupProbe
	}
	return ""
}

// stopContainer stops one container of a Pod that goes on. Messages and grace periods are a kubelet's.
func stopContainer(o observation, container *corev1.Container, reason string) stopAction {
	stop := stopAction{container: container, reason: reason, grace: gracePeriod(o.pod)}
	kind := "Container"
	if isSidecar(o.pod, container) {
		kind = "Init container"
	}
	switch reason {
	case stopPostStartHook:
		stop.message = reasonFailedPostStartHook
		return stop
	case stopLivenessProbe:
		stop.message = fmt.Sprintf("%s %s failed liveness probe", kind, container.Name)
		stop.grace = probeGrace(container.LivenessProbe, stop.grace)
	case stopStartupProbe:
		stop.message = fmt.Sprintf("%s %s failed startup probe", kind, container.Name)
		stop.grace = probeGrace(container.StartupProbe, stop.grace)
	}
	if !isSidecar(o.pod, container) && restartsAfterProbe(o.pod, container) {
		stop.message += ", will be restarted"
	}
	return stop
}

// probeGrace is the grace period of a container whose probe failed: the probe's own, or else the Pod's.
func probeGrace(probe *corev1.Probe, grace time.Duration) time.Duration {
	if probe != nil && probe.TerminationGracePeriodSeconds != nil {
		return time.Duration(*probe.TerminationGracePeriodSeconds) * time.Second
	}
	return grace
}

// stopEveryContainer stops what runs of a Pod that is to end, in Kubernetes' order: sidecars after all main containers, and the last sidecar first.
// A container that is stopped for a reason of its own keeps it, unless the end of the Pod has come from outside.
func stopEveryContainer(o observation, a *actions) []stopAction {
	own := map[string]stopAction{}
	if a.failure == nil && o.pod.DeletionTimestamp == nil {
		for _, stop := range a.stop {
			own[stop.container.Name] = stop
		}
	}
	var stops []stopAction
	var before []string // what runs of main containers and later sidecars
	for _, container := range runningContainers(o) {
		stop, ok := own[container.Name]
		if !ok {
			stop = stopAction{container: container, message: "Stopping container " + container.Name, grace: max(gracePeriod(o.pod), leastGrace)}
			if o.evicted != nil {
				stop.grace = evictionGrace
			}
			if a.failure != nil {
				stop.message = fmt.Sprintf("%s: %s", stop.message, a.failure.message)
			}
		}
		if isSidecar(o.pod, container) {
			stop.after = append([]string(nil), before...)
			before = append(before, container.Name)
		} else if !isInit(o.pod, container) && !isEphemeral(o.pod, container.Name) {
			before = append(before, container.Name)
		}
		stops = append(stops, stop)
	}
	return stops
}

// runningContainers returns the containers that run: ephemeral ones, main ones, then init ones from the last to the first.
func runningContainers(o observation) []*corev1.Container {
	running := runningEphemerals(o)
	add := func(container *corev1.Container) {
		if last := o.containers[container.Name].last(); last != nil && last.Running {
			running = append(running, container)
		}
	}
	for i := range o.pod.Spec.Containers {
		add(&o.pod.Spec.Containers[i])
	}
	for i := len(o.pod.Spec.InitContainers) - 1; i >= 0; i-- {
		add(&o.pod.Spec.InitContainers[i])
	}
	return running
}

// gracePeriod is what the containers of a Pod get to end in: what its deletion says, or else its spec.
func gracePeriod(pod *corev1.Pod) time.Duration {
	switch {
	case pod.DeletionTimestamp != nil && pod.DeletionGracePeriodSeconds != nil:
		return time.Duration(*pod.DeletionGracePeriodSeconds) * time.Second
	case pod.Spec.TerminationGracePeriodSeconds != nil:
		return time.Duration(*pod.Spec.TerminationGracePeriodSeconds) * time.Second
	default:
		return defaultGrace
	}
}

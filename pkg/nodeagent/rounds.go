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

// A Pod runs its containers in rounds, nearly always one. A container that ends with an exit code for which its rules say
// RestartAllContainers (KEP-5532) ends the round: everything is killed and started again, init containers first, in a new round. What was attempted
// in earlier rounds counts as not attempted, but for the restart counts.

// round is where a Pod is in its rounds. It follows from the attempts alone, so that any agent finds the same.
type round struct {
	// number counts from 0.
	number int
	// ending is true while containers still run of a round that is to end.
	ending bool
	// wait is how long the next round waits for its start. A kubelet doesn't wait; here, where a round may last a millisecond, the delays
	// between two runs of the container that ended the round are those of any restart.
	wait time.Duration
}

// currentRound finds out which round the Pod is in.
func currentRound(o observation) round {
	var current round
	running := false
	withoutEphemerals(o, func(last *runtime.Container) {
		current.number = max(current.number, last.Round)
		running = running || last.Running
	})
	cause := roundEnd(o, current.number)
	switch {
	case cause == nil:
		return current
	case running:
		current.ending = true
		return current
	}
	current.number++
	current.wait, _ = restartDelay(cause, o.now)
	return current
}

// roundEnd returns the attempt that ended the round, the last one where there are several, or nil.
func roundEnd(o observation, number int) *runtime.Container {
	var cause *runtime.Container
	for name, attempts := range o.containers {
		container := findContainer(o.pod, name)
		last := attempts.last()
		if container == nil || last == nil || last.Round != number || !endsRound(container, last) {
			continue
		}
		if cause == nil || last.FinishedAt.Add(last.Backoff).After(cause.FinishedAt.Add(cause.Backoff)) {
			cause = last
		}
	}
	return cause
}

// endsRound tells whether an attempt has ended with an exit code that restarts all containers.
func endsRound(container *corev1.Container, attempt *runtime.Container) bool {
	if attempt.Running || attempt.StopReason == stopNextRound {
		return false
	}
	rule := matchingRule(container, attempt.ExitCode)
	return rule != nil && rule.Action == corev1.ContainerRestartRuleActionRestartAllContainers
}

// stopForNextRound kills what runs: a round that is to end gives no grace beyond what a signal leaves in any case. Ephemeral containers belong to no round, as with a kubelet.
func stopForNextRound(o observation, a *actions) {
	for _, container := range runningContainers(o) {
		if isEphemeral(o.pod, container.Name) {
			continue
		}
		a.stop = append(a.stop, stopAction{
			container: container, reason: stopNextRound,
			message: fmt.Sprintf("Container %s is killed since all containers of the Pod will be restarted", container.Name),
		})
	}
}

// attempt returns the latest attempt at a container in the current round, or nil.
func (o *observation) attempt(name string) *runtime.Container {
	last := o.containers[name].last()
	if last == nil || last.Round != o.round.number {
		return nil
	}
	return last
}

// hasRounds tells whether one of the Pod's containers may end a round.
func hasRounds(pod *corev1.Pod) bool {
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			for _, rule := range list[i].RestartPolicyRules {
				if rule.Action == corev1.ContainerRestartRuleActionRestartAllContainers {
					return true
				}
			}
		}
	}
	return false
}

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
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime"
)

// defaultGrace is the grace period of a Pod that doesn't say; API servers fill it in.
const defaultGrace = 30 * time.Second

// observation is all that the rules look at.
type observation struct {
	pod *corev1.Pod
	// startTime is when this node first saw the Pod.
	startTime metav1.Time
	// containers holds the attempts at each container, by name, oldest first.
	containers map[string]history
	// waiting says of containers that couldn't be started why, by name.
	waiting map[string]waitReason
	// messages are termination messages taken from files and logs.
	messages map[runtime.ID]string
	// probes holds what the probes of running attempts have found so far.
	probes map[runtime.ID]probeResults
	// hooks holds the attempts whose postStart hook runs or has failed.
	hooks map[runtime.ID]hookState
	// unsupported is why this node can't run the Pod, or nil.
	unsupported *failure
	// evicted is why the node ends the Pod, which takes too much of it, or nil.
	evicted *failure
	// startNothing is true while the agent is stopping every container.
	startNothing bool
	// nodeIP is the address of the node and of its Pods; empty: loopbackIP.
	nodeIP string
	now    time.Time

	// round is what computeActions and computeStatus find out first: see rounds.go.
	round round
}

// history is the attempts at one container, oldest first.
type history []runtime.Container

// last returns the latest attempt, or nil.
func (h history) last() *runtime.Container {
	if len(h) == 0 {
		return nil
	}
	return &h[len(h)-1]
}

// waitReason is why a container is not started: reason and message of its waiting state.
type waitReason struct{ reason, message string }

// failure is why a Pod failed as a whole: reason and message of its status.
type failure struct{ reason, message string }

// actions is what one look at a Pod leads to.
type actions struct {
	// failure is why the Pod fails as a whole, or nil.
	failure *failure
	// stop lists the running containers to be stopped.
	stop []stopAction
	// start lists the containers to be started, in this order.
	start []startAction
	// backoff holds the containers that wait for their restart, with the delay that applies.
	backoff map[string]time.Duration
	// ended is true once nothing runs and nothing will be started any more: the Pod's phase is final.
	ended bool
	// again is when to look again without being called, after observation.now; zero: not.
	again time.Duration
}

// startAction is one container to be started.
type startAction struct {
	container *corev1.Container
	// attempt is the restart count.
	attempt int
	// round is the Pod's round that the attempt belongs to.
	round int
	// backoff is the delay that will apply after this attempt.
	backoff time.Duration
}

// lookAgain moves the next look to at most after from now.
func (a *actions) lookAgain(after time.Duration) {
	if a.again == 0 || after < a.again {
		a.again = max(after, time.Millisecond)
	}
}

// computeActions decides what to do for a Pod. It performs no I/O and reads no clock: equal observations give equal actions.
func computeActions(o observation) actions {
	a := actions{backoff: map[string]time.Duration{}}
	o.round = currentRound(o)
	ending := planContainers(o, &a)
	a.ended = ending && len(runningContainers(o)) == 0
	a.failure = podFailure(o, &a)
	switch {
	case a.failure != nil, o.pod.DeletionTimestamp != nil, isTerminal(o.pod.Status.Phase), ending:
		// The Pod is to end, whatever its containers would do next.
		a.start, a.backoff = nil, map[string]time.Duration{}
		if a.failure != nil || !ending {
			a.again = 0
		}
		a.stop = stopEveryContainer(o, &a)
		a.ended = len(a.stop) == 0
	case o.startNothing, hookRuns(o):
		// A kubelet starts nothing else of the Pod while a postStart hook runs.
		a.start = nil
	}
	return a
}

// podFailure returns why the Pod fails as a whole, or nil. The first reason wins: once the Pod may not run, no deadline applies.
func podFailure(o observation, a *actions) *failure {
	if o.unsupported != nil {
		return o.unsupported
	}
	if o.evicted != nil {
		return o.evicted
	}
	if o.pod.Spec.ActiveDeadlineSeconds == nil {
		return nil
	}
	deadline := o.startTime.Add(time.Duration(*o.pod.Spec.ActiveDeadlineSeconds) * time.Second)
	// A Pod that was over in time stays so, however late it is looked at. One whose containers ended after the deadline
	// was ended by it, even if all of them made a success of it.
	over := o.now
	if a.ended {
		over = lastFinish(o)
	}
	if over.Before(deadline) {
		if !a.ended {
			a.lookAgain(deadline.Sub(o.now))
		}
		return nil
	}
	return &failure{reasonDeadlineExceeded, messageDeadlineExceeded}
}

// lastFinish is when the last container to end did so.
func lastFinish(o observation) time.Time {
	var last time.Time
	for _, attempts := range o.containers {
		if attempt := attempts.last(); attempt != nil && attempt.FinishedAt.After(last) {
			last = attempt.FinishedAt
		}
	}
	return last
}

// planContainers fills in what to start and to stop so that the Pod goes on, and returns whether it has come to its end: no
// container is to be started any more, and no container that still runs is worth waiting for.
func planContainers(o observation, a *actions) (ending bool) {
	if o.round.ending {
		stopForNextRound(o, a)
		return false
	}
	if o.round.wait > 0 {
		a.lookAgain(o.round.wait)
		return false
	}
	planEphemeralContainers(o, a)
	switch planInitContainers(o, a) {
	case initFailed:
		return true
	case initUnderWay:
		return false
	}
	ending = true
	for i := range o.pod.Spec.Containers {
		container := &o.pod.Spec.Containers[i]
		if goesOn := tendContainer(o, a, container); goesOn {
			ending = false
		}
	}
	return ending
}

// tendContainer starts a container that is to run and doesn't, and stops one that is to be stopped for a reason of its own. It returns
// whether the container runs on or will run again.
func tendContainer(o observation, a *actions, container *corev1.Container) (goesOn bool) {
	attempt := o.attempt(container.Name)
	switch {
	case attempt == nil:
		startContainer(o, a, container)
		return true
	case attempt.Running:
		reason := stopReason(o, container, attempt)
		if reason == "" {
			return true
		}
		a.stop = append(a.stop, stopContainer(o, container, reason))
		return reason == stopPostStartHook || restartsAfterProbe(o.pod, container)
	case restartsAfter(o.pod, container, attempt):
		startContainer(o, a, container)
		return true
	}
	return false
}

// startContainer starts a container that isn't running, or says how long it waits.
func startContainer(o observation, a *actions, container *corev1.Container) {
	last := o.containers[container.Name].last()
	action := startAction{container: container, round: o.round.number}
	if last != nil {
		wait, next := restartDelay(last, o.now)
		if wait > 0 && last.Round == o.round.number {
			a.backoff[container.Name] = last.Backoff
			a.lookAgain(wait)
			return
		}
		action.attempt, action.backoff = last.ID.Attempt+1, next
		if last.Round != o.round.number && !endsRound(container, last) {
			action.backoff = last.Backoff // it was killed for another's end
		}
	}
	a.start = append(a.start, action)
}

func isTerminal(phase corev1.PodPhase) bool {
	return phase == corev1.PodSucceeded || phase == corev1.PodFailed
}

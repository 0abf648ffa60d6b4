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

// Delays between the end of a container and its next start, as of a kubelet: none before the first restart, then
// initialBackoff, doubled each time up to maxBackoff; a container that ran longer than backoffReset starts anew.
const (
	initialBackoff = 10 * time.Second
	maxBackoff     = 5 * time.Minute
	backoffReset   = 2 * maxBackoff
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
	// messages are termination messages taken from logs.
	messages map[runtime.ID]string
	// unsupported is why this node can't run the Pod, or nil.
	unsupported *failure
	// startNothing is true while the agent is stopping every container.
	startNothing bool
	// nodeIP is the address of the node and of its Pods; empty: loopbackIP.
	nodeIP string
	now    time.Time
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
	// stop lists the running containers to be stopped, with stopGrace to end in.
	stop      []*corev1.Container
	stopGrace time.Duration
	// start lists the containers to be started.
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
	a.ended = startContainers(o, &a)
	a.failure = podFailure(o, &a)
	if a.failure == nil && o.pod.DeletionTimestamp == nil && !isTerminal(o.pod.Status.Phase) {
		if o.startNothing {
			a.start = nil
		}
		return a
	}
	// The Pod is to end, whatever its containers would do next.
	a.start, a.again, a.backoff = nil, 0, map[string]time.Duration{}
	a.stop = runningContainers(o)
	a.stopGrace = gracePeriod(o.pod)
	a.ended = len(a.stop) == 0
	return a
}

// podFailure returns why the Pod fails as a whole, or nil. The first reason wins: once the Pod may not run, no deadline applies.
func podFailure(o observation, a *actions) *failure {
	if o.unsupported != nil {
		return o.unsupported
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

// startContainers fills in what to start now, and returns whether everything has come to its end.
func startContainers(o observation, a *actions) bool {
	for i := range o.pod.Spec.InitContainers {
		container := &o.pod.Spec.InitContainers[i]
		last := o.containers[container.Name].last()
		switch {
		case last != nil && !last.Running && last.ExitCode == 0:
			continue
		case last != nil && !last.Running && o.pod.Spec.RestartPolicy == corev1.RestartPolicyNever:
			return len(runningContainers(o)) == 0
		}
		// Init containers run one after another, and before all others.
		startContainer(o, a, container)
		return false
	}
	ended := true
	for i := range o.pod.Spec.Containers {
		container := &o.pod.Spec.Containers[i]
		if last := o.containers[container.Name].last(); last != nil && !last.Running && !restarts(o.pod, last.ExitCode) {
			continue
		}
		ended = false
		startContainer(o, a, container)
	}
	return ended
}

// startContainer starts a container that isn't running, or says how long it waits.
func startContainer(o observation, a *actions, container *corev1.Container) {
	last := o.containers[container.Name].last()
	if last == nil {
		a.start = append(a.start, startAction{container: container})
		return
	}
	if last.Running {
		return
	}
	wait, next := restartDelay(last, o.now)
	if wait > 0 {
		a.backoff[container.Name] = last.Backoff
		a.lookAgain(wait)
		return
	}
	a.start = append(a.start, startAction{container: container, attempt: last.ID.Attempt + 1, backoff: next})
}

// restarts tells whether the Pod's restart policy has a container restarted that ended with the exit code.
func restarts(pod *corev1.Pod, exitCode int) bool {
	switch pod.Spec.RestartPolicy {
	case corev1.RestartPolicyNever:
		return false
	case corev1.RestartPolicyOnFailure:
		return exitCode != 0
	default:
		return true
	}
}

// restartDelay returns how long from now the container waits for its restart, and the delay that applies after that one.
func restartDelay(last *runtime.Container, now time.Time) (wait, next time.Duration) {
	if !last.StartedAt.IsZero() && last.FinishedAt.Sub(last.StartedAt) > backoffReset {
		return 0, initialBackoff
	}
	next = min(max(2*last.Backoff, initialBackoff), maxBackoff)
	return max(0, last.FinishedAt.Add(last.Backoff).Sub(now)), next
}

// runningContainers returns the containers that run, main ones before init ones.
func runningContainers(o observation) []*corev1.Container {
	var running []*corev1.Container
	for _, list := range [][]corev1.Container{o.pod.Spec.Containers, o.pod.Spec.InitContainers} {
		for i := range list {
			if last := o.containers[list[i].Name].last(); last != nil && last.Running {
				running = append(running, &list[i])
			}
		}
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

func isTerminal(phase corev1.PodPhase) bool {
	return phase == corev1.PodSucceeded || phase == corev1.PodFailed
}

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
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/klog/v2"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime"
)

// statusDelay is how long a container may have been running before that is written: one that ends sooner costs one write
// less. A kubelet takes longer to notice.
const statusDelay = 50 * time.Millisecond

// configRetry is the delay before a container is tried again that could not be set up, for want of a configMap say.
const configRetry = 10 * time.Second

// podState is what the agent remembers of a Pod between two looks. All but gone, which Agent.mu guards, and beside, belongs
// to the one worker that looks at the Pod at a time.
type podState struct {
	namespace, name string
	gone            bool
	beside          *beside

	prepared  bool
	startTime metav1.Time
	waiting   map[string]waitReason
	retryAt   map[string]time.Time
	messages  map[runtime.ID]string
	volumes   volumeState
	// reads is what was read for the Pod of configMaps and secrets; awaiting is true while these are watched.
	reads    configReads
	awaiting bool
	// said holds the events that are sent only once.
	said map[string]bool
	// written is the Pod as the server answered our last write; the informer may still show an older one.
	written *corev1.Pod
	// over is true once a final phase was written: whatever an informer that lags behind shows, nothing is started any more.
	over bool
	// deleted is true once the server accepted the final deletion. Finalizers may keep the object for long after.
	deleted bool
}

func newPodState(namespace, name string) *podState {
	return &podState{namespace: namespace, name: name, beside: newBeside()}
}

// syncPod looks at one Pod: it decides, acts, and writes the Pod's status. again says when to look again without being called.
func (a *Agent) syncPod(ctx context.Context, podUID types.UID) (again time.Duration, err error) {
	a.mu.Lock()
	state := a.states[podUID]
	gone := state != nil && state.gone
	a.mu.Unlock()
	if state == nil {
		return 0, nil
	}
	if gone {
		return 0, a.cleanUp(podUID, state)
	}
	pod, err := a.pods.Pods(state.namespace).Get(state.name)
	if err != nil || pod.UID != podUID {
		return 0, nil // the informer is about to call forgetPod
	}
	if pod = newer(pod, state.written); pod != state.written {
		state.written = nil // it has served its purpose
	}
	ctx = klog.NewContext(ctx, klog.FromContext(ctx).WithValues("pod", klog.KObj(pod), "podUID", podUID))
	if pod.Spec.NodeName == "" {
		return 0, a.collect(ctx, pod, state)
	}
	if state.over || (isTerminal(pod.Status.Phase) && !anyRunning(a.runtime.Containers(podUID)) && allTerminated(pod)) {
		return 0, a.retire(ctx, pod, state)
	}
	if admitted, again, err := a.admit(ctx, pod, state); !admitted {
		return again, err
	}
	if err := a.prepare(ctx, pod, state); err != nil {
		return 0, err
	}
	a.noticeConfigs(pod.UID, state)
	refreshAgain := a.refreshVolumes(ctx, pod, state)
	refreshAgain = sooner(refreshAgain, a.measureVolumes(pod, state))
	a.tend(ctx, pod, state)
	actions := computeActions(a.observe(pod, state))
	a.stopContainers(pod, state, actions.stop)
	a.sayRefusedEphemerals(pod, state)
	if len(actions.start) > 0 && !a.setUpVolumes(ctx, pod, state) {
		actions.start = nil
	}
	for _, start := range actions.start {
		if err := a.startContainer(ctx, pod, state, start); err != nil {
			return 0, err
		}
		if start.container.Lifecycle != nil && start.container.Lifecycle.PostStart != nil {
			break // the others wait for its hook
		}
	}
	if len(state.retryAt) == 0 && state.volumes.retryAt.IsZero() {
		a.forgetConfigs(pod.UID, state)
	}
	again, err = a.writeStatus(ctx, pod, state)
	return sooner(again, refreshAgain), err
}

// writeStatus computes the status from a fresh observation and writes it where it differs. A Pod that is at its end and being
// deleted is deleted for good after that, never before.
func (a *Agent) writeStatus(ctx context.Context, pod *corev1.Pod, state *podState) (again time.Duration, err error) {
	observed := a.observe(pod, state)
	actions := computeActions(observed)
	again = actions.again
	for _, start := range actions.start {
		retryAt := latest(state.retryAt[start.container.Name], state.volumes.retryAt)
		again = sooner(again, max(time.Millisecond, retryAt.Sub(observed.now)))
	}
	if wait := justStarted(observed); wait > 0 && !actions.ended && pod.DeletionTimestamp == nil {
		return sooner(again, wait), nil
	}
	a.sayFailure(pod, state, actions.failure)
	a.sayBackoff(pod, state, actions)
	status := computeStatus(observed, actions)
	if actions.ended && isTerminal(status.Phase) {
		a.admissions.release(pod.UID) // before anybody can learn of the end and send the next one
	}
	if !equality.Semantic.DeepEqual(pod.Status, status) {
		written, err := putStatus(ctx, a.config.Client, pod, status)
		if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			// Gone, or another Pod by now: the informer will tell. A conflict may also be the server's own; then we look again.
			return time.Second, nil
		}
		if err != nil {
			return 0, fmt.Errorf("write status of Pod %s/%s: %w", pod.Namespace, pod.Name, err)
		}
		klog.FromContext(ctx).V(3).Info("Wrote the status of a Pod", "phase", written.Status.Phase)
		state.written = written
		pod = written
	}
	if actions.ended && isTerminal(status.Phase) {
		state.over = true
		return 0, a.retire(ctx, pod, state)
	}
	return again, nil
}

// retire deals with a Pod whose end is on record in the API: what is in memory is dropped, and where it is being deleted, it is deleted for good.
func (a *Agent) retire(ctx context.Context, pod *corev1.Pod, state *podState) error {
	a.admissions.release(pod.UID)
	a.runtime.Forget(pod.UID)
	state.beside.keepOnly(nil)
	a.forgetConfigs(pod.UID, state)
	state.prepared, state.volumes = false, volumeState{}
	if err := a.tearDownVolumes(pod.UID); err != nil {
		return err
	}
	state.messages, state.waiting, state.retryAt, state.said = nil, nil, nil, nil
	if pod.DeletionTimestamp == nil {
		return nil
	}
	return a.deleteFinally(ctx, pod, state)
}

// deleteFinally deletes for good a Pod that is being deleted and has come to its end, once.
func (a *Agent) deleteFinally(ctx context.Context, pod *corev1.Pod, state *podState) error {
	if state.deleted {
		return nil
	}
	err := a.config.Client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{
		GracePeriodSeconds: new(int64(0)), Preconditions: &metav1.Preconditions{UID: &pod.UID},
	})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("delete Pod %s/%s at its end: %w", pod.Namespace, pod.Name, err)
	}
	state.deleted = true
	return nil
}

// cleanUp ends what still runs of a Pod whose object is gone, with the least grace that a container gets, and deletes its files. It is called again when a container has
// ended.
func (a *Agent) cleanUp(podUID types.UID, state *podState) error {
	state.beside.keepOnly(nil)
	a.forgetConfigs(podUID, state)
	running := false
	for _, container := range a.runtime.Containers(podUID) {
		if container.Running {
			running = true
			a.runtime.Stop(container.ID, runtime.StopOptions{})
		}
	}
	if running {
		return nil
	}
	a.tokens.forget(podUID)
	a.admissions.release(podUID)
	if err := a.runtime.Remove(podUID); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.states, podUID)
	return nil
}

// prepare makes the Pod's folder, once.
func (a *Agent) prepare(ctx context.Context, pod *corev1.Pod, state *podState) error {
	if state.prepared {
		return nil
	}
	startTime := metav1.NewTime(a.config.Clock.Now())
	if pod.Status.StartTime != nil {
		startTime = *pod.Status.StartTime
	}
	kept, err := a.runtime.Prepare(ctx, runtime.Pod{UID: pod.UID, Namespace: pod.Namespace, Name: pod.Name, StartTime: startTime.Rfc3339Copy()})
	if err != nil {
		return fmt.Errorf("prepare Pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	state.startTime = kept.StartTime
	state.waiting, state.retryAt = map[string]waitReason{}, map[string]time.Time{}
	state.messages, state.said = map[runtime.ID]string{}, map[string]bool{}
	state.prepared = true
	return nil
}

// observe gathers what the rules look at.
func (a *Agent) observe(pod *corev1.Pod, state *podState) observation {
	observed := observation{
		pod: pod, startTime: state.startTime, containers: histories(a.runtime.Containers(pod.UID)), waiting: state.waiting, messages: state.messages,
		unsupported: unsupportedField(pod), startNothing: a.stopping.Load(), nodeIP: a.nodeIP(), now: a.config.Clock.Now(),
	}
	observed.evicted = state.volumes.evicted
	state.beside.observe(&observed)
	if observed.unsupported == nil {
		observed.unsupported = state.volumes.failure
	}
	addLost(&observed)
	for name, attempts := range observed.containers {
		container := findContainer(pod, name)
		if container == nil {
			continue
		}
		for i := range attempts {
			if _, known := state.messages[attempts[i].ID]; !known && !attempts[i].Running {
				state.messages[attempts[i].ID] = a.terminationMessage(container, &attempts[i])
			}
		}
	}
	return observed
}

// histories sorts attempts by container.
func histories(attempts []runtime.Container) map[string]history {
	sorted := map[string]history{}
	for _, attempt := range attempts {
		sorted[attempt.ID.Container] = append(sorted[attempt.ID.Container], attempt)
	}
	return sorted
}

// addLost adds the containers that the API says were started and that no record here knows: the root folder was lost. None
// of them may be started a second time as if it were the first.
func addLost(observed *observation) {
	for _, list := range containerStatuses(observed.pod) {
		for i := range list {
			if list[i].ContainerID == "" || observed.containers[list[i].Name].last() != nil {
				continue
			}
			lost := runtime.Container{
				ID:       runtime.ID{PodUID: observed.pod.UID, Container: list[i].Name, Attempt: int(list[i].RestartCount)},
				ExitCode: statusUnknownCode, Failure: runtime.FailureLost, Message: "the node's record of the container was lost",
				FinishedAt: observed.now,
			}
			terminated := list[i].State.Terminated
			if list[i].State.Waiting != nil {
				terminated = list[i].LastTerminationState.Terminated
			}
			if terminated != nil {
				lost.ExitCode, lost.Signal = int(terminated.ExitCode), int(terminated.Signal)
				lost.StartedAt, lost.FinishedAt = terminated.StartedAt.Time, terminated.FinishedAt.Time
				lost.Message = terminated.Message
				switch terminated.Reason {
				case reasonStatusUnknown:
				case reasonNodeLost:
					lost.Failure = runtime.FailureNodeLost
				default:
					lost.Failure = runtime.FailureNone
				}
			}
			observed.containers[list[i].Name] = history{lost}
		}
	}
}

// newer returns the newer of the Pod that the informer shows and the one that our last write returned.
func newer(shown, written *corev1.Pod) *corev1.Pod {
	if written == nil {
		return shown
	}
	if order, err := resourceversion.CompareResourceVersion(shown.ResourceVersion, written.ResourceVersion); err != nil || order >= 0 {
		return shown
	}
	return written
}

func anyRunning(containers []runtime.Container) bool {
	for i := range containers {
		if containers[i].Running {
			return true
		}
	}
	return false
}

// allTerminated tells whether the Pod's status shows no running container.
func allTerminated(pod *corev1.Pod) bool {
	for _, list := range containerStatuses(pod) {
		for i := range list {
			if list[i].State.Running != nil {
				return false
			}
		}
	}
	return true
}

// justStarted returns how long to wait before a container that has just been started is written to be running; zero where
// there is none, or where its Pod is known to be running.
func justStarted(observed observation) time.Duration {
	var wait time.Duration
	for _, attempts := range observed.containers {
		if last := attempts.last(); last.Running {
			wait = max(wait, last.StartedAt.Add(statusDelay).Sub(observed.now))
		}
	}
	return min(wait, statusDelay)
}

// latest returns the later of two times.
func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// sooner returns the shorter of two waits; zero means none.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || (b > 0 && b < a) {
		return b
	}
	return a
}

// sayOnce returns whether the event of that key is still to be sent.
func (s *podState) sayOnce(key string) bool {
	if s.said[key] {
		return false
	}
	s.said[key] = true
	return true
}

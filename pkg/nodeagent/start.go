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
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/klog/v2"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime"
)

// startContainer starts one container of a Pod. A container that can't be set up is not an error: it waits, its status
// says why, and it is tried again.
func (a *Agent) startContainer(ctx context.Context, pod *corev1.Pod, state *podState, start startAction) error {
	container := start.container
	if now := a.config.Clock.Now(); now.Before(state.retryAt[container.Name]) {
		return nil
	}
	request, err := a.startRequest(ctx, pod, state, start)
	if err != nil {
		a.wait(pod, state, container.Name, waitReason{reasonCreateConfigError, err.Error()})
		a.awaitConfigs(ctx, pod.UID, state)
		return nil
	}
	a.sayAboutPod(pod, state, container)
	started, err := a.startProcess(ctx, request)
	if errors.Is(err, errStopping) {
		return nil
	}
	if err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("start container %s: %w", container.Name, err)
		}
		klog.FromContext(ctx).Error(err, "Failed to start a container, trying again", "container", container.Name)
		a.wait(pod, state, container.Name, waitReason{reasonCreateError, err.Error()})
		return nil
	}
	delete(state.waiting, container.Name)
	delete(state.retryAt, container.Name)
	delete(state.said, reasonBackOff+container.Name)
	reference := containerReference(pod, container.Name)
	if started.Failure == runtime.FailureStart {
		a.recorder.Eventf(reference, corev1.EventTypeWarning, reasonFailed, "Error: %s", started.Message)
		return nil
	}
	target := execTarget{pod: pod, container: container, id: request.ID, beside: state.beside}
	state.beside.add(request.ID, request.Env, probeResults{})
	a.startHook(ctx, target)
	a.recorder.Eventf(reference, corev1.EventTypeNormal, reasonCreated, "Container created")
	a.recorder.Eventf(reference, corev1.EventTypeNormal, reasonStarted, "Container started")
	return nil
}

// errStopping says that StopAll was called.
var errStopping = errors.New("the node agent is stopping its containers")

// startProcess starts a container unless StopAll was called. StopAll waits for those that are just being started.
func (a *Agent) startProcess(ctx context.Context, request runtime.StartRequest) (runtime.Container, error) {
	a.starting.RLock()
	defer a.starting.RUnlock()
	if a.stopping.Load() {
		return runtime.Container{}, errStopping
	}
	return a.runtime.Start(ctx, request)
}

// wait keeps why a container can't be started, and says it once per reason.
func (a *Agent) wait(pod *corev1.Pod, state *podState, container string, reason waitReason) {
	state.waiting[container] = reason
	state.retryAt[container] = a.config.Clock.Now().Add(a.configRetry)
	if state.sayOnce(reasonFailed + container + reason.message) {
		a.recorder.Eventf(containerReference(pod, container), corev1.EventTypeWarning, reasonFailed, "Error: %s", reason.message)
	}
}

// startRequest turns a container into a process to be started.
func (a *Agent) startRequest(ctx context.Context, pod *corev1.Pod, state *podState, start startAction) (runtime.StartRequest, error) {
	container := start.container
	environment, err := a.environment(ctx, pod, container, state.noteRead)
	if err != nil {
		return runtime.StartRequest{}, err
	}
	if err := checkNonRoot(pod, container); err != nil {
		return runtime.StartRequest{}, err
	}
	if len(environment.invalid) > 0 && state.sayOnce(reasonInvalidVariables+container.Name) {
		a.recorder.Eventf(pod, corev1.EventTypeWarning, reasonInvalidVariables,
			"Keys [%s] of the envFrom sources of container %s were skipped since they can't name environment variables.", strings.Join(environment.invalid, ", "), container.Name)
	}
	request := runtime.StartRequest{
		ID:         runtime.ID{PodUID: pod.UID, Container: container.Name, Attempt: start.attempt},
		Argv:       append(environment.expandAll(container.Command), environment.expandAll(container.Args)...),
		Env:        environment.list(),
		WorkingDir: a.workingDir(pod, container),
		Backoff:    start.backoff,
		Round:      start.round,
		StopSignal: stopSignal(container),
		Grace:      gracePeriod(pod),
		Stdin:      container.Stdin,
		TTY:        container.TTY,
		Rights:     rights(pod, container),
		Limits:     containerLimits(pod, container),
	}
	request.MessagePath = messagePath(container)
	if request.View, err = a.view(pod, state, container, environment); err != nil {
		return runtime.StartRequest{}, err
	}
	if request.Argv[0] == "" {
		return runtime.StartRequest{}, errors.New("the command is empty")
	}
	return request, nil
}

// workingDir is the container's, or the Pod's own folder. A relative one is within that folder.
func (a *Agent) workingDir(pod *corev1.Pod, container *corev1.Container) string {
	if filepath.IsAbs(container.WorkingDir) {
		return filepath.Clean(container.WorkingDir)
	}
	return filepath.Join(a.runtime.WorkingDir(pod.UID), container.WorkingDir)
}

// environment computes the environment of a container. note is told of each object that is read for it; nil: nobody is.
func (a *Agent) environment(ctx context.Context, pod *corev1.Pod, container *corev1.Container, note func(configKey, string)) (*environment, error) {
	e := &environment{pod: a.withAddress(pod), container: container, source: apiSource{a.config, note}, files: a.volumeSet(pod).FileKey}
	if node := a.node(); node != nil {
		e.allocatable = node.Status.Allocatable
	}
	return e, e.compute(ctx)
}

// singular says that an object isn't there in the words of a kubelet, which differ from an API server's by one letter.
func singular(err error, kind, name string) error {
	if apierrors.IsNotFound(err) {
		return apierrors.NewNotFound(corev1.Resource(kind), name)
	}
	return err
}

// stopContainers asks for the end of containers. It is called on every look at the Pod until they have ended.
func (a *Agent) stopContainers(pod *corev1.Pod, state *podState, stops []stopAction) {
	if len(stops) == 0 {
		return
	}
	running := map[string]runtime.Container{}
	for _, container := range a.runtime.Containers(pod.UID) {
		if container.Running {
			running[container.ID.Container] = container
		}
	}
	for _, stop := range stops {
		current, ok := running[stop.container.Name]
		if !ok {
			continue
		}
		options := runtime.StopOptions{Signal: stopSignal(stop.container), Grace: stop.grace, Reason: stop.reason}
		for _, name := range stop.after {
			if other, ok := running[name]; ok {
				options.After = append(options.After, other.ID)
			}
		}
		if !current.Stopping {
			a.recorder.Event(containerReference(pod, stop.container.Name), corev1.EventTypeNormal, reasonKilling, stop.message)
			options.Hook = a.preStop(execTarget{pod: pod, container: stop.container, id: current.ID, beside: state.beside})
		}
		a.runtime.Stop(current.ID, options)
	}
}

// sayAboutPod sends the events that a Pod gets once, when its first container is started.
func (a *Agent) sayAboutPod(pod *corev1.Pod, state *podState, container *corev1.Container) {
	if state.sayOnce(reasonImageNotPulled) && a.runtime.Containers(pod.UID) == nil {
		a.recorder.Eventf(pod, corev1.EventTypeNormal, reasonImageNotPulled,
			"Image %q is not pulled: containers run as processes of this machine, and their commands are looked up on it", container.Image)
	}
	if unenforced := a.unenforcedLimits(pod, container); unenforced != "" && state.sayOnce(reasonLimitsNotEnforced) {
		a.recorder.Event(containerReference(pod, container.Name), corev1.EventTypeWarning, reasonLimitsNotEnforced, unenforced)
	}
}

// sayFailure sends the event of a Pod that fails as a whole, once. That of an eviction is sent where it is decided.
func (a *Agent) sayFailure(pod *corev1.Pod, state *podState, why *failure) {
	if why == nil || why.reason == reasonEvicted || isTerminal(pod.Status.Phase) || !state.sayOnce(why.reason) {
		return
	}
	kind := corev1.EventTypeWarning
	if why.reason == reasonDeadlineExceeded {
		kind = corev1.EventTypeNormal // as with a kubelet
	}
	a.recorder.Event(pod, kind, why.reason, why.message)
}

// sayBackoff sends the events of containers that wait for their restart, once per wait.
func (a *Agent) sayBackoff(pod *corev1.Pod, state *podState, actions actions) {
	for name := range actions.backoff {
		if state.sayOnce(reasonBackOff + name) {
			a.recorder.Eventf(containerReference(pod, name), corev1.EventTypeWarning, reasonBackOff,
				"Back-off restarting failed container %s in pod %s_%s(%s)", name, pod.Name, pod.Namespace, pod.UID)
		}
	}
}

// containerReference is the object of an event about one container.
func containerReference(pod *corev1.Pod, container string) *corev1.ObjectReference {
	path := fmt.Sprintf("spec.containers{%s}", container)
	for i := range pod.Spec.InitContainers {
		if pod.Spec.InitContainers[i].Name == container {
			path = fmt.Sprintf("spec.initContainers{%s}", container)
		}
	}
	if isEphemeral(pod, container) {
		path = fmt.Sprintf("spec.ephemeralContainers{%s}", container)
	}
	return &corev1.ObjectReference{
		APIVersion: "v1", Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID, ResourceVersion: pod.ResourceVersion, FieldPath: path,
	}
}

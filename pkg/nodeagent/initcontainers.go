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

import corev1 "k8s.io/api/core/v1"

// initProgress says how far the init containers of a Pod are.
type initProgress int

const (
	// initUnderWay: the main containers have to wait.
	initUnderWay initProgress = iota
	// initDone: every init container has succeeded or, if it is a sidecar, has started.
	initDone
	// initFailed: one has failed for good.
	initFailed
)

// planInitContainers starts the next init container, and keeps the sidecars going that were started before. Init containers run in order, each
// after the one before it has succeeded; a sidecar (restartPolicy Always) only has to have started, by its startup probe where it has one.
func planInitContainers(o observation, a *actions) initProgress {
	containers := o.pod.Spec.InitContainers
	reached := lastReached(o) // those before it are done, whatever becomes of them later
	for i := range min(reached, len(containers)) {
		if isSidecar(o.pod, &containers[i]) {
			tendContainer(o, a, &containers[i])
		}
	}
	if reached == len(containers) {
		return initDone
	}
	container := &containers[reached]
	attempt := o.attempt(container.Name)
	switch {
	case attempt == nil, isSidecar(o.pod, container):
		tendContainer(o, a, container)
		if attempt == nil || !hasStarted(o, container, attempt) {
			return initUnderWay
		}
	case attempt.Running:
		return initUnderWay
	case isFailed(attempt):
		if !restartsAfter(o.pod, container, attempt) {
			return initFailed
		}
		startContainer(o, a, container)
		return initUnderWay
	}
	// The last one reached is done too.
	if reached+1 == len(containers) {
		return initDone
	}
	startContainer(o, a, &containers[reached+1])
	return initUnderWay
}

// lastReached is the index of the last init container that was attempted, 0 where none was, and their number once a main container was: the Pod
// has been initialized then, even while a sidecar is down.
func lastReached(o observation) int {
	if mainAttempted(o) {
		return len(o.pod.Spec.InitContainers)
	}
	for i := len(o.pod.Spec.InitContainers) - 1; i > 0; i-- {
		if o.attempt(o.pod.Spec.InitContainers[i].Name) != nil {
			return i
		}
	}
	return 0
}

// mainAttempted tells whether a main container has been started in this round.
func mainAttempted(o observation) bool {
	for i := range o.pod.Spec.Containers {
		if o.attempt(o.pod.Spec.Containers[i].Name) != nil {
			return true
		}
	}
	return false
}

// isInitialized tells whether every init container has succeeded or, if it is a sidecar, has started. Once a main container was started they had.
func isInitialized(o observation) bool {
	if mainAttempted(o) {
		return true
	}
	for i := range o.pod.Spec.InitContainers {
		if !isInitDone(o, &o.pod.Spec.InitContainers[i]) {
			return false
		}
	}
	return true
}

// isInitDone tells whether an init container has succeeded or, if it is a sidecar, has started.
func isInitDone(o observation, container *corev1.Container) bool {
	attempt := o.attempt(container.Name)
	switch {
	case attempt == nil:
		return false
	case isSidecar(o.pod, container):
		return hasStarted(o, container, attempt)
	}
	return !attempt.Running && !isFailed(attempt)
}

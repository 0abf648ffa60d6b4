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
	"math/rand/v2"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime"
	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime/supervisor"
	"github.com/jobserver-dev/jobserver/pkg/nodeagent/volumes"
)

// A volume that can't be made is tried again after volumeRetry, doubled each time up to configRetry. (A kubelet starts there and goes up to two minutes.)
const volumeRetry = 500 * time.Millisecond

// volumeMeasure is how often a kubelet looks at what volumes take.
const volumeMeasure = 10 * time.Second

// defaultVolumeRefresh is well below what a kubelet takes, which is up to a minute and a half.
const defaultVolumeRefresh = 20 * time.Second

// volumeState is what the agent remembers of a Pod's volumes between two looks.
type volumeState struct {
	// ready is true once they were made.
	ready bool
	// failure is why they never will be, or nil.
	failure *failure
	retryAt time.Time
	delay   time.Duration
	// measureAt is when it is measured next what they take; evicted is why the Pod is evicted for it, or nil.
	measureAt time.Time
	evicted   *failure
	// refreshAt is when their content is read again.
	refreshAt time.Time
}

// volumeSet is the volumes of a Pod.
func (a *Agent) volumeSet(pod *corev1.Pod) *volumes.Set {
	set := &volumes.Set{Pod: pod, Dir: a.runtime.VolumesDir(pod.UID), Source: volumeSource{apiSource{config: a.config}, a}}
	if limit, limited := podLimit(pod, corev1.ResourceMemory); limited {
		set.Memory = limit
	} else if node := a.node(); node != nil {
		set.Memory = node.Status.Allocatable[corev1.ResourceMemory]
	}
	return set
}

// setUpVolumes makes the volumes of a Pod before its first container is started by this agent, and tells whether all are there. Until then the
// containers wait, and an event says for what.
func (a *Agent) setUpVolumes(ctx context.Context, pod *corev1.Pod, state *podState) bool {
	made := &state.volumes
	now := a.config.Clock.Now()
	switch {
	case made.ready || len(pod.Spec.Volumes) == 0:
		return true
	case made.failure != nil || now.Before(made.retryAt):
		return false
	}
	set := a.volumeSet(pod)
	set.Source = volumeSource{apiSource{a.config, state.noteRead}, a}
	err := set.SetUp(ctx)
	if err == nil {
		*made = volumeState{ready: true}
		return true
	}
	if ctx.Err() != nil {
		return false
	}
	if errors.Is(err, errNoTokens) {
		made.failure = &failure{reasonUnsupportedField, err.Error()}
		return false
	}
	a.recorder.Event(pod, corev1.EventTypeWarning, reasonFailedMount, err.Error())
	made.delay = min(max(2*made.delay, a.volumeRetry), a.configRetry)
	made.retryAt = now.Add(made.delay)
	a.awaitConfigs(ctx, pod.UID, state)
	return false
}

// refreshVolumes brings the volumes of a Pod up to date while a container runs, and returns when to do so again; zero: not.
func (a *Agent) refreshVolumes(ctx context.Context, pod *corev1.Pod, state *podState) time.Duration {
	if !volumes.HasContent(pod) || !anyRunning(a.runtime.Containers(pod.UID)) {
		return 0
	}
	now := a.config.Clock.Now()
	if state.volumes.refreshAt.IsZero() {
		state.volumes.refreshAt = now.Add(jittered(a.config.VolumeRefresh))
	}
	if wait := state.volumes.refreshAt.Sub(now); wait > 0 {
		return wait
	}
	if err := a.volumeSet(pod).Refresh(ctx); err != nil && ctx.Err() == nil {
		a.recorder.Event(pod, corev1.EventTypeWarning, reasonFailedMount, err.Error())
	}
	next := jittered(a.config.VolumeRefresh)
	state.volumes.refreshAt = now.Add(next)
	return next
}

// measureVolumes evicts a Pod a volume of which takes more than its limit, as a kubelet does, and returns when to look again; zero: not.
func (a *Agent) measureVolumes(pod *corev1.Pod, state *podState) time.Duration {
	made := &state.volumes
	if made.evicted != nil || !volumes.HasSizeLimit(pod) || !anyRunning(a.runtime.Containers(pod.UID)) {
		return 0
	}
	now := a.config.Clock.Now()
	if wait := made.measureAt.Sub(now); wait > 0 {
		return wait
	}
	made.measureAt = now.Add(volumeMeasure)
	excess, err := a.volumeSet(pod).Excess()
	if err != nil {
		klog.Background().Error(err, "Failed to measure the volumes of a Pod, trying again", "pod", klog.KObj(pod))
	}
	if excess != "" {
		made.evicted = &failure{reasonEvicted, excess}
		a.recorder.Event(pod, corev1.EventTypeWarning, reasonEvicted, excess)
	}
	return volumeMeasure
}

// jittered is a duration within a quarter of d, so that Pods made at once don't ask the API server at once for ever.
func jittered(d time.Duration) time.Duration {
	return d*3/4 + rand.N(d/2)
}

// tearDownVolumes deletes the volumes of a Pod none of whose containers will run again, as a kubelet does, although the Pod may stay for long.
func (a *Agent) tearDownVolumes(podUID types.UID) error {
	a.tokens.forget(podUID)
	folder := a.runtime.VolumesDir(podUID)
	if err := runtime.UnmountBelow(folder); err != nil {
		return err
	}
	if err := os.RemoveAll(folder); err != nil {
		return fmt.Errorf("delete the volumes of a Pod: %w", err)
	}
	return nil
}

// unmountVolumes unmounts the volumes in memory of every Pod, none of which runs any more.
func (a *Agent) unmountVolumes() {
	for _, found := range a.runtime.Pods() {
		if err := runtime.UnmountBelow(a.runtime.VolumesDir(found.UID)); err != nil {
			klog.Background().Error(err, "Failed to unmount the volumes of a Pod", "podUID", found.UID)
		}
	}
}

// view is how a container sees the machine's files: with its volumes at their mount paths, and its own name resolution.
func (a *Agent) view(pod *corev1.Pod, state *podState, container *corev1.Container, environment *environment) (supervisor.View, error) {
	var view supervisor.View
	if security := container.SecurityContext; security != nil {
		view.ReadOnlyRoot = isTrue(security.ReadOnlyRootFilesystem)
	}
	var err error
	if len(container.VolumeMounts) > 0 {
		if view.Mounts, err = a.volumeSet(pod).Mounts(container, environment.expandStrictly); err != nil {
			return view, err
		}
	}
	names, omitted, err := a.nameFiles(pod, container)
	for _, message := range omitted {
		if state.sayOnce(reasonDNSConfigForming + message) {
			a.recorder.Event(pod, corev1.EventTypeWarning, reasonDNSConfigForming, message)
		}
	}
	view.Mounts = append(view.Mounts, names...)
	return view, err
}

// expandStrictly expands references to the container's variables and returns those that have no value, or an empty one.
func (e *environment) expandStrictly(text string) (expanded string, missing []string) {
	expanded = expand(text, func(name string) (string, bool) {
		value := e.values[name]
		if value == "" {
			missing = append(missing, name)
		}
		return value, true
	})
	return expanded, missing
}

// volumeSource reads what volumes show.
type volumeSource struct {
	apiSource
	agent *Agent
}

var _ volumes.Source = volumeSource{}

// Field implements volumes.Source.
func (s volumeSource) Field(pod *corev1.Pod, path string) (string, error) {
	return fieldValue(pod, path)
}

// Resource implements volumes.Source.
func (s volumeSource) Resource(pod *corev1.Pod, selector *corev1.ResourceFieldSelector) (string, error) {
	container := findContainer(pod, selector.ContainerName)
	if container == nil {
		return "", fmt.Errorf("container %s not found", selector.ContainerName)
	}
	var allocatable corev1.ResourceList
	if node := s.agent.node(); node != nil {
		allocatable = node.Status.Allocatable
	}
	return resourceValue(pod, container, selector, allocatable)
}

// Token implements volumes.Source.
func (s volumeSource) Token(ctx context.Context, pod *corev1.Pod, projection *corev1.ServiceAccountTokenProjection) (string, error) {
	return s.agent.tokens.token(ctx, pod, projection)
}

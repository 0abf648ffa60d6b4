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
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"
)

// A Pod may be bound to the node by others than the node's own scheduler: by that of a cluster, or by whoever wrote spec.nodeName into it. As a
// kubelet does, the agent checks once, before it starts anything, that the Pod may be here and that its requests fit, and fails it otherwise.

// admissions are the Pods that were let in, and what they take. The zero value is ready to use.
type admissions struct {
	mu   sync.Mutex
	pods map[types.UID]corev1.ResourceList
	used corev1.ResourceList
}

// admit lets the Pod in, or says why not. One that was let in stays so. Pods with a record on this machine were, whatever fits now.
func (a *admissions) admit(pod *corev1.Pod, node *corev1.Node, recorded bool) *failure {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := a.pods[pod.UID]; ok {
		return nil
	}
	wanted := demand(pod)
	if !recorded && node != nil {
		if rejection := rejection(pod, node, wanted, a.used); rejection != nil {
			return rejection
		}
	}
	if a.pods == nil {
		a.pods, a.used = map[types.UID]corev1.ResourceList{}, corev1.ResourceList{}
	}
	a.pods[pod.UID] = wanted
	add(a.used, wanted, 1)
	return nil
}

// release frees what a Pod takes, at its end.
func (a *admissions) release(podUID types.UID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if taken, ok := a.pods[podUID]; ok {
		add(a.used, taken, -1)
		delete(a.pods, podUID)
	}
}

// rejection returns why a kubelet would not run the Pod, in its words, or nil. Resources that the node doesn't have at all are not its business,
// nor are taints that only keep Pods from being scheduled.
func rejection(pod *corev1.Pod, node *corev1.Node, wanted, used corev1.ResourceList) *failure {
	for _, name := range []corev1.ResourceName{corev1.ResourcePods, corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
		capacity, amount := node.Status.Allocatable[name], wanted[name]
		free := capacity.DeepCopy()
		free.Sub(used[name])
		if amount.IsZero() || amount.Cmp(free) <= 0 {
			continue
		}
		count := (*resource.Quantity).Value
		if name == corev1.ResourceCPU {
			count = (*resource.Quantity).MilliValue
		}
		taken := used[name]
		return &failure{"OutOf" + string(name), fmt.Sprintf("Node didn't have enough resource: %s, requested: %d, used: %d, capacity: %d",
			name, count(&amount), count(&taken), count(&capacity))}
	}
	if matches, err := nodeaffinity.GetRequiredNodeAffinity(pod).Match(node); err != nil || !matches {
		return &failure{"NodeAffinity", "Predicate NodeAffinity failed: " + messageNodeAffinity}
	}
	for _, taint := range node.Spec.Taints {
		if taint.Effect == corev1.TaintEffectNoExecute && !tolerates(pod, taint) {
			return &failure{"TaintToleration", "Predicate TaintToleration failed: " + messageUntolerated}
		}
	}
	return nil
}

// readmit lets in the Pods that this machine has a record of, before any other.
func (a *Agent) readmit() {
	for _, found := range a.runtime.Pods() {
		pod, err := a.pods.Pods(found.Namespace).Get(found.Name)
		if err == nil && pod.UID == found.UID && pod.Spec.NodeName == a.config.NodeName && !isTerminal(pod.Status.Phase) {
			_ = a.admissions.admit(pod, nil, true) // what runs already is never refused
		}
	}
}

// admit lets the Pod in, or fails it and returns false. again says when to look again where that could not be written.
func (a *Agent) admit(ctx context.Context, pod *corev1.Pod, state *podState) (admitted bool, again time.Duration, err error) {
	if state.prepared || pod.DeletionTimestamp != nil {
		return true, 0, nil
	}
	refused := a.admissions.admit(pod, a.node(), anyStarted(pod))
	if refused == nil {
		return true, 0, nil
	}
	status := *pod.Status.DeepCopy()
	status.Phase, status.Reason, status.Message = corev1.PodFailed, refused.reason, "Pod was rejected: "+refused.message
	status.ObservedGeneration = pod.Generation
	if status.StartTime == nil {
		status.StartTime = new(seconds(a.config.Clock.Now()))
	}
	written, err := patchStatus(ctx, a.config.Client, pod, status)
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return false, time.Second, nil
	}
	if err != nil {
		return false, 0, fmt.Errorf("reject Pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	klog.FromContext(ctx).V(2).Info("Rejected a Pod", "reason", refused.reason)
	a.recorder.Event(pod, corev1.EventTypeWarning, refused.reason, refused.message)
	state.written, state.over = written, true
	return false, 0, a.retire(ctx, written, state)
}

// anyStarted tells whether the API knows of a container of the Pod that was started: then it was let in once, whatever became of the record.
func anyStarted(pod *corev1.Pod) bool {
	for _, list := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for i := range list {
			if list[i].ContainerID != "" {
				return true
			}
		}
	}
	return false
}

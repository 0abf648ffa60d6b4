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
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

// bindWorkers is how many Pods are bound at a time.
const bindWorkers = 8

// longPass is how long a look at the whole queue may take without a pause after it.
const longPass = 5 * time.Millisecond

// bindRetry is the delay before a Pod is looked at again that could not be bound.
const bindRetry = time.Second

// scheduler binds the Pods that no node has yet and that don't name another scheduler: by priority, then first come first served, as
// long as they fit. One that doesn't fit says so; fairness.go says what that means to those after it. Nothing is preempted.
type scheduler struct {
	nodeName   string
	kubeClient kubernetes.Interface
	clock      clock.Clock
	recorder   record.EventRecorderLogger
	// node returns the Node, or nil while there is none.
	node func() *corev1.Node

	wake   chan struct{} // holds one: there is something to look at
	bind   chan struct{} // holds a token for each binding under way
	saying chan struct{} // holds a token while Pods are told that they don't fit

	mu      sync.Mutex
	pending map[types.UID]*waiting
	// arrivals is how many Pods have come to pending so far.
	arrivals uint64
	// placed are the Pods on the node, used the sum of their demands. A Pod being bound counts.
	placed map[types.UID]*waiting
	used   corev1.ResourceList
	// binding are Pods that a binding was sent for, and whose binding the informer hasn't shown yet.
	binding map[types.UID]bool
}

func newScheduler(config Config, recorder record.EventRecorderLogger, node func() *corev1.Node) *scheduler {
	return &scheduler{
		nodeName: config.NodeName, kubeClient: config.Client, clock: config.Clock, recorder: recorder, node: node,
		wake: make(chan struct{}, 1), bind: make(chan struct{}, bindWorkers), saying: make(chan struct{}, 1),
		pending: map[types.UID]*waiting{}, placed: map[types.UID]*waiting{}, used: corev1.ResourceList{}, binding: map[types.UID]bool{},
	}
}

// trigger has the queue looked at again.
func (s *scheduler) trigger() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// triggerLater has the queue looked at again after a failure.
func (s *scheduler) triggerLater(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-s.clock.After(bindRetry):
		s.trigger()
	}
}

// observe takes in the state of a Pod as the informer shows it.
func (s *scheduler) observe(pod *corev1.Pod) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case isTerminal(pod.Status.Phase), isAbandoned(pod):
		// A binding still under way will be refused.
		s.drop(pod.UID)
	case pod.Spec.NodeName == s.nodeName:
		delete(s.pending, pod.UID)
		delete(s.binding, pod.UID)
		s.place(pod)
	case pod.Spec.NodeName != "" || len(pod.Spec.SchedulingGates) > 0 || !ownScheduler(pod):
		delete(s.pending, pod.UID)
	case !s.binding[pod.UID]:
		if s.enqueue(pod) {
			s.trigger()
		}
	}
}

// enqueue puts a Pod into the queue, or what it has become, and tells whether that may change what is decided: a new status, ours for the most part,
// doesn't. It needs s.mu.
func (s *scheduler) enqueue(pod *corev1.Pod) bool {
	entry := &waiting{pod: pod, demand: demand(pod)}
	before := s.pending[pod.UID]
	s.pending[pod.UID] = entry
	if before == nil {
		s.arrivals++
		entry.arrival = s.arrivals
		return true
	}
	entry.short, entry.arrival = before.short, before.arrival
	return before.pod.Generation != pod.Generation || !maps.Equal(before.pod.Labels, pod.Labels)
}

// ownScheduler tells whether the Pod leaves its scheduling to the default scheduler, whose place this one takes.
func ownScheduler(pod *corev1.Pod) bool {
	return pod.Spec.SchedulerName == "" || pod.Spec.SchedulerName == corev1.DefaultSchedulerName
}

// forget takes note that a Pod is gone.
func (s *scheduler) forget(podUID types.UID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(podUID)
}

// drop needs s.mu.
func (s *scheduler) drop(podUID types.UID) {
	delete(s.pending, podUID)
	delete(s.binding, podUID)
	s.unplace(podUID)
}

// place needs s.mu.
func (s *scheduler) place(pod *corev1.Pod) {
	before, ok := s.placed[pod.UID]
	if !ok {
		before = &waiting{demand: demand(pod)}
		s.placed[pod.UID] = before
		add(s.used, before.demand, 1)
	}
	before.pod = pod
}

// unplace needs s.mu. Room was made, so whoever waits is looked at again.
func (s *scheduler) unplace(podUID types.UID) {
	if placed, ok := s.placed[podUID]; ok {
		add(s.used, placed.demand, -1)
		delete(s.placed, podUID)
		if len(s.pending) > 0 {
			s.trigger()
		}
	}
}

// run looks at the queue whenever there is reason to, until ctx ends, and waits for the bindings under way.
func (s *scheduler) run(ctx context.Context) {
	var bindings sync.WaitGroup
	defer bindings.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-s.clock.After(requeuePeriod):
		}
		node := s.node()
		if node == nil {
			continue // the informer triggers when it comes
		}
		started := s.clock.Now()
		s.pass(ctx, node, &bindings)
		// A long queue takes time each time that a place becomes free: not more than half of it all.
		if took := s.clock.Since(started); took > longPass {
			select {
			case <-ctx.Done():
			case <-s.clock.After(took):
			}
		}
	}
}

// pass goes through the queue once.
func (s *scheduler) pass(ctx context.Context, node *corev1.Node, running *sync.WaitGroup) {
	fitting, refused := s.decide(node)
	for _, pod := range fitting {
		select {
		case <-ctx.Done():
			return
		case s.bind <- struct{}{}:
		}
		running.Go(func() {
			defer func() { <-s.bind }()
			s.bindPod(ctx, pod)
		})
	}
	s.refuseAll(ctx, refused, running)
}

// refuseAll tells Pods that they don't fit, beside the passes, which thousands of such Pods would hold up.
func (s *scheduler) refuseAll(ctx context.Context, refused []verdict, running *sync.WaitGroup) {
	if len(refused) == 0 {
		return
	}
	select {
	case s.saying <- struct{}{}:
	default:
		return // the next pass says what is true then
	}
	running.Go(func() {
		defer func() { <-s.saying }()
		for _, refusal := range refused {
			if ctx.Err() != nil {
				return
			}
			s.refuse(ctx, refusal.pod, unschedulableMessage(refusal.reasons))
		}
	})
}

// decide takes the Pods that fit out of the queue and gives them their place.
func (s *scheduler) decide(node *corev1.Node) (fitting []*corev1.Pod, refused []verdict) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.pending) == 0 {
		return nil, nil
	}
	queue := slices.SortedFunc(maps.Values(s.pending), byPrecedence)
	others := make([]*corev1.Pod, 0, len(s.placed)+len(queue))
	for _, placed := range s.placed {
		others = append(others, placed.pod)
	}
	for _, verdict := range schedule(queue, node, s.used.DeepCopy(), others, s.clock.Now()) {
		if len(verdict.reasons) > 0 {
			refused = append(refused, verdict)
			continue
		}
		delete(s.pending, verdict.pod.UID)
		s.binding[verdict.pod.UID] = true
		s.place(verdict.pod)
		fitting = append(fitting, verdict.pod)
	}
	return fitting, refused
}

func (s *scheduler) bindPod(ctx context.Context, pod *corev1.Pod) {
	logger := klog.FromContext(ctx).WithValues("pod", klog.KObj(pod))
	err := s.kubeClient.CoreV1().Pods(pod.Namespace).Bind(ctx, &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID},
		Target:     corev1.ObjectReference{Kind: "Node", Name: s.nodeName},
	}, metav1.CreateOptions{})
	if err == nil {
		logger.V(3).Info("Bound Pod")
		s.recorder.Eventf(pod, corev1.EventTypeNormal, reasonScheduled, "Successfully assigned %s/%s to %s", pod.Namespace, pod.Name, s.nodeName)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.binding[pod.UID] {
		return // the informer knows better by now
	}
	delete(s.binding, pod.UID)
	s.unplace(pod.UID)
	if apierrors.IsNotFound(err) {
		return
	}
	logger.Error(err, "Failed to bind Pod, trying again")
	s.enqueue(pod)
	go s.triggerLater(ctx)
}

// refuse says that a Pod doesn't fit, unless its status says so already.
func (s *scheduler) refuse(ctx context.Context, pod *corev1.Pod, message string) {
	condition := corev1.PodCondition{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: message,
		ObservedGeneration: pod.Generation, LastTransitionTime: metav1.NewTime(s.clock.Now()),
	}
	status := *pod.Status.DeepCopy()
	if old := findCondition(status.Conditions, corev1.PodScheduled); old != nil {
		if old.Status == condition.Status {
			condition.LastTransitionTime = old.LastTransitionTime
		}
		if old.Status == condition.Status && old.Reason == condition.Reason && old.Message == condition.Message {
			return
		}
		*old = condition
	} else {
		status.Conditions = append(status.Conditions, condition)
	}
	s.recorder.Event(pod, corev1.EventTypeWarning, reasonFailedScheduling, message)
	written, err := patchStatus(ctx, s.kubeClient, pod, status)
	if err != nil {
		if !apierrors.IsNotFound(err) && ctx.Err() == nil {
			klog.FromContext(ctx).Error(fmt.Errorf("write PodScheduled: %w", err), "Failed to say that a Pod doesn't fit, trying again", "pod", klog.KObj(pod))
			go s.triggerLater(ctx)
		}
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if entry, ok := s.pending[pod.UID]; ok && entry.pod == pod {
		entry.pod = written
	}
}

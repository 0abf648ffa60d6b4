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

package podgc

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/klog/v2"
)

// maxParallelRequests bounds the Pods that are dealt with at the same time.
const maxParallelRequests = 16

// task is something to be done with a Pod of the cache.
type task struct {
	pod *corev1.Pod
	// reason is what the metrics call it; empty where they don't.
	reason string
	do     func(context.Context, *corev1.Pod) error
}

// inParallel does the tasks, several at a time, and returns when all are done.
func (c *Controller) inParallel(ctx context.Context, tasks []task) {
	var running sync.WaitGroup
	slots := make(chan struct{}, maxParallelRequests)
	for _, t := range tasks {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			c.run(ctx, t)
		})
	}
	running.Wait()
}

func (c *Controller) run(ctx context.Context, t task) {
	logger := klog.LoggerWithValues(klog.FromContext(ctx), "pod", klog.KObj(t.pod), "node", t.pod.Spec.NodeName)
	err := t.do(klog.NewContext(ctx, logger), t.pod)
	if apierrors.IsNotFound(err) || ctx.Err() != nil {
		return
	}
	if t.reason != "" {
		forceDeleted.WithLabelValues(t.pod.Namespace, t.reason).Inc()
	}
	switch {
	case apierrors.IsConflict(err):
		// Another Pod has the name by now, or the Pod has changed.
		logger.V(2).Info("Left a Pod alone that has changed", "reason", err.Error())
	case err != nil:
		logger.Error(err, "Failed to end a Pod, will retry")
		if t.reason != "" {
			forceDeleteErrors.WithLabelValues(t.pod.Namespace, t.reason).Inc()
		}
	case t.reason != "":
		logger.V(2).Info("Ended a Pod", "reason", t.reason)
	}
}

// failOrphan fails and removes the Pod of a node that is gone: a disruption.
func (c *Controller) failOrphan(ctx context.Context, pod *corev1.Pod) error {
	if err := c.fail(ctx, pod, &corev1.PodCondition{
		Type: corev1.DisruptionTarget, Reason: "DeletionByPodGC", Message: "PodGC: node no longer exists",
	}); err != nil {
		return err
	}
	return c.removePod(ctx, pod)
}

// failPod fails and removes a Pod that is being deleted already.
func (c *Controller) failPod(ctx context.Context, pod *corev1.Pod) error {
	if err := c.fail(ctx, pod, nil); err != nil {
		return err
	}
	return c.removePod(ctx, pod)
}

// fail gives the Pod the phase Failed, and the condition if there is one, unless it has ended.
func (c *Controller) fail(ctx context.Context, cached *corev1.Pod, condition *corev1.PodCondition) error {
	if hasEnded(cached) {
		return nil
	}
	pod, err := c.live(ctx, cached)
	if err != nil || hasEnded(pod) {
		return err
	}
	return c.patchStatus(ctx, pod, func(status *corev1.PodStatus) {
		status.Phase = corev1.PodFailed
		if condition != nil {
			c.setTrue(pod, status, *condition)
		}
	})
}

// evict deletes the Pod if it has been on an unreachable node for as long as it tolerates. Only its agent can say that it has ended, or an
// administrator, by deleting the Node or declaring it out of service.
func (c *Controller) evict(ctx context.Context, cached *corev1.Pod, since time.Time) error {
	pod, err := c.live(ctx, cached)
	if err != nil || pod.DeletionTimestamp != nil || hasEnded(pod) {
		return err
	}
	tolerated, limited := toleration(klog.FromContext(ctx), pod, c.config.UnreachableToleration)
	if !limited || c.config.Clock.Since(since) < tolerated {
		return nil
	}
	err = c.patchStatus(ctx, pod, func(status *corev1.PodStatus) {
		c.setTrue(pod, status, corev1.PodCondition{
			Type: corev1.DisruptionTarget, Reason: "DeletionByTaintManager", Message: "Taint manager: deleting due to NoExecute taint",
		})
	})
	if err != nil {
		return err
	}
	err = c.config.Client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(pod.UID))})
	if err != nil {
		return fmt.Errorf("delete Pod: %w", err)
	}
	evictions.Inc()
	evictionDuration.Observe((c.config.Clock.Since(since) - tolerated).Seconds())
	klog.FromContext(ctx).Info("Evicted a Pod of a node that does not report", "since", since)
	return nil
}

// removePod deletes the Pod without a grace period. Its finalizers hold it still.
func (c *Controller) removePod(ctx context.Context, pod *corev1.Pod) error {
	err := c.config.Client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{
		GracePeriodSeconds: new(int64(0)),
		Preconditions:      metav1.NewUIDPreconditions(string(pod.UID)),
	})
	if err != nil {
		return fmt.Errorf("delete Pod: %w", err)
	}
	return nil
}

// live returns the Pod as the API has it; the error is NotFound where it is gone, whatever has its name now.
func (c *Controller) live(ctx context.Context, cached *corev1.Pod) (*corev1.Pod, error) {
	pod, err := c.config.Client.CoreV1().Pods(cached.Namespace).Get(ctx, cached.Name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("get Pod: %w", err)
	}
	if pod.UID != cached.UID {
		return nil, apierrors.NewNotFound(corev1.Resource("pods"), cached.Name)
	}
	return pod, nil
}

// setTrue gives the status a condition that is True.
func (c *Controller) setTrue(pod *corev1.Pod, status *corev1.PodStatus, condition corev1.PodCondition) {
	condition.Status = corev1.ConditionTrue
	condition.LastTransitionTime = metav1.NewTime(c.config.Clock.Now())
	condition.ObservedGeneration = pod.Generation
	for i := range status.Conditions {
		if old := &status.Conditions[i]; old.Type == condition.Type {
			if old.Status == condition.Status {
				condition.LastTransitionTime = old.LastTransitionTime
			}
			*old = condition
			return
		}
	}
	status.Conditions = append(status.Conditions, condition)
}

// patchStatus changes the Pod's status. The patch names its UID, so that it can't hit another Pod of the name, and only what differs, so
// that what others write meanwhile stays.
func (c *Controller) patchStatus(ctx context.Context, pod *corev1.Pod, change func(*corev1.PodStatus)) error {
	status := *pod.Status.DeepCopy()
	change(&status)
	status.ObservedGeneration = pod.Generation
	patch, err := mergePatch(
		corev1.Pod{Status: pod.Status},
		corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: pod.UID}, Status: status})
	if err != nil {
		return fmt.Errorf("patch status of Pod: %w", err)
	}
	if _, err := c.config.Client.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status"); err != nil {
		return fmt.Errorf("patch status of Pod: %w", err)
	}
	return nil
}

func mergePatch[T any](before, after T) ([]byte, error) {
	old, err := json.Marshal(before)
	if err != nil {
		return nil, err
	}
	next, err := json.Marshal(after)
	if err != nil {
		return nil, err
	}
	return strategicpatch.CreateTwoWayMergePatch(old, next, before)
}

// isGone asks the API whether there is no Node of the name. Where it doesn't answer, the Node is taken to exist.
func (c *Controller) isGone(ctx context.Context, name string) bool {
	_, err := c.config.Client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		klog.FromContext(ctx).Error(err, "Failed to look up a node that seems to be missing, will retry", "node", name)
	}
	return apierrors.IsNotFound(err)
}

// markUnreachable makes the Ready condition of the Node Unknown. Its agent puts it right with its next report.
func (c *Controller) markUnreachable(ctx context.Context, node *corev1.Node) error {
	now := metav1.NewTime(c.config.Clock.Now())
	condition := corev1.NodeCondition{
		Type: corev1.NodeReady, Status: corev1.ConditionUnknown, Reason: "NodeStatusUnknown", Message: "Kubelet stopped posting node status.",
		LastTransitionTime: now,
	}
	if ready := readyCondition(node); ready != nil {
		condition.LastHeartbeatTime = ready.LastHeartbeatTime
	}
	// The version sees to it that a report which the cache doesn't have yet is not overwritten.
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": node.UID, "resourceVersion": node.ResourceVersion},
		"status":   map[string]any{"conditions": []corev1.NodeCondition{condition}},
	})
	if err != nil {
		return fmt.Errorf("patch status of Node: %w", err)
	}
	_, err = c.config.Client.CoreV1().Nodes().Patch(ctx, node.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	switch {
	case apierrors.IsNotFound(err), apierrors.IsConflict(err):
		return nil
	case err != nil:
		return fmt.Errorf("patch status of Node: %w", err)
	}
	klog.FromContext(ctx).Info("Marked a node that does not report", "node", node.Name, "grace", c.config.NodeGracePeriod)
	return nil
}

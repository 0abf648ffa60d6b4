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
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
)

// Where the node is its own scheduler, there is no taint eviction controller either: taints.go does its work. A Pod that doesn't tolerate a NoExecute
// taint of the node is deleted, as a disruption, at once or when its tolerationSeconds are over.

// taintKey tells taints apart, as Kubernetes does; the value may change.
type taintKey struct {
	key, value string
	effect     corev1.TaintEffect
}

// evictions remembers since when the node has had its taints. kubectl doesn't write that into the taint.
type evictions struct {
	since map[taintKey]time.Time
	// sent are the Pods whose deletion was accepted.
	sent map[types.UID]bool
}

// tolerationEnd returns when the time is over for which the Pod tolerates the taints; false where it tolerates them for ever. Of several tolerations of one
// taint the shortest counts, as with Kubernetes.
func tolerationEnd(pod *corev1.Pod, taints map[taintKey]time.Time) (time.Time, bool) {
	var end time.Time
	limited := false
	for taint, since := range taints {
		until, forEver := toleratedUntil(pod, taint, since)
		if forEver {
			continue
		}
		if !limited || until.Before(end) {
			end = until
		}
		limited = true
	}
	return end, limited
}

func toleratedUntil(pod *corev1.Pod, taint taintKey, since time.Time) (until time.Time, forEver bool) {
	full := corev1.Taint{Key: taint.key, Value: taint.value, Effect: taint.effect}
	tolerated := false
	var shortest *int64
	for i := range pod.Spec.Tolerations {
		toleration := &pod.Spec.Tolerations[i]
		if !toleration.ToleratesTaint(klog.Background(), &full, true) {
			continue
		}
		tolerated = true
		if seconds := toleration.TolerationSeconds; seconds != nil && (shortest == nil || *seconds < *shortest) {
			shortest = seconds
		}
	}
	switch {
	case !tolerated:
		return since, false
	case shortest == nil:
		return time.Time{}, true
	}
	return since.Add(time.Duration(max(0, *shortest)) * time.Second), false
}

// observe takes in the node's taints and returns those that evict.
func (e *evictions) observe(taints []corev1.Taint, now time.Time) map[taintKey]time.Time {
	current := map[taintKey]time.Time{}
	for _, taint := range taints {
		if taint.Effect != corev1.TaintEffectNoExecute {
			continue
		}
		key := taintKey{taint.Key, taint.Value, taint.Effect}
		since, known := e.since[key]
		switch {
		case known:
		case taint.TimeAdded != nil:
			since = taint.TimeAdded.Time
		default:
			since = now
		}
		current[key] = since
	}
	e.since = current
	return current
}

// lookAtTaints has keepTaints look again.
func (a *Agent) lookAtTaints() {
	select {
	case a.tainted <- struct{}{}:
	default:
	}
}

// keepTaints evicts until ctx ends. It looks when the node or its Pods change, which wakes it, and when a time is over.
func (a *Agent) keepTaints(ctx context.Context) {
	evictions := evictions{sent: map[types.UID]bool{}}
	for {
		again := a.evictTainted(ctx, &evictions)
		select {
		case <-ctx.Done():
			return
		case <-a.tainted:
		case <-a.config.Clock.After(again):
		}
	}
}

// evictTainted evicts the Pods whose time is over, and returns when to look again.
func (a *Agent) evictTainted(ctx context.Context, evictions *evictions) time.Duration {
	again := time.Minute
	node := a.node()
	if node == nil {
		return again
	}
	now := a.config.Clock.Now()
	taints := evictions.observe(node.Spec.Taints, now)
	if len(taints) == 0 {
		clear(evictions.sent)
		return again
	}
	for _, pod := range a.Pods() {
		if pod.DeletionTimestamp != nil || isTerminal(pod.Status.Phase) || evictions.sent[pod.UID] {
			continue
		}
		end, limited := tolerationEnd(pod, taints)
		if !limited {
			continue
		}
		if wait := end.Sub(now); wait > 0 {
			again = min(again, wait)
			continue
		}
		if err := a.evictPod(ctx, pod); err != nil {
			if ctx.Err() == nil {
				klog.FromContext(ctx).Error(err, "Failed to evict a Pod from the tainted node, trying again", "pod", klog.KObj(pod))
			}
			again = min(again, bindRetry)
			continue
		}
		evictions.sent[pod.UID] = true
	}
	return again
}

// evictPod deletes a Pod that doesn't tolerate the node any more, as a disruption.
func (a *Agent) evictPod(ctx context.Context, pod *corev1.Pod) error {
	a.recorder.Event(pod, corev1.EventTypeNormal, "TaintManagerEviction", "Marking for deletion Pod "+pod.Namespace+"/"+pod.Name)
	status := *pod.Status.DeepCopy()
	condition := corev1.PodCondition{
		Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, ObservedGeneration: pod.Generation, LastTransitionTime: seconds(a.config.Clock.Now()),
		Reason: "DeletionByTaintManager", Message: "Taint manager: deleting due to NoExecute taint",
	}
	if old := findCondition(status.Conditions, condition.Type); old != nil {
		*old = condition
	} else {
		status.Conditions = append(status.Conditions, condition)
	}
	if _, err := patchStatus(ctx, a.config.Client, pod, status); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("mark Pod: %w", err)
	}
	err := a.config.Client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(pod.UID))})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("delete Pod: %w", err)
	}
	klog.FromContext(ctx).Info("Evicted a Pod that does not tolerate a taint of the node", "pod", klog.KObj(pod))
	return nil
}

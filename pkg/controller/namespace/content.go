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

package namespace

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/pager"
)

// finalizerEstimate is how long objects are assumed to wait for their finalizers, as upstream does.
const finalizerEstimate = 15 * time.Second

// terminationSlack is how long a node may take to kill and report a Pod whose deletionTimestamp, the end of its grace period, has passed.
const terminationSlack = 5 * time.Second

// pods are deleted gracefully, and nothing of what they may use goes before them.
var pods = corev1.SchemeGroupVersion.WithResource("pods")

// remainder is what is left of one resource after its deletion was asked for.
type remainder struct {
	resource schema.GroupVersionResource
	// count is how many objects are left; positive.
	count int
	// finalizers counts, for each finalizer, the objects that have it.
	finalizers map[string]int
	// estimate is how long they may take to go; positive.
	estimate time.Duration
}

// outcome is how far the deletion of a namespace's content has come.
type outcome struct {
	// remaining are the resources with objects left.
	remaining []remainder
	// failures are the errors, one a resource at most.
	failures []error
}

// estimate is how long the content may take to go.
func (o outcome) estimate() time.Duration {
	var longest time.Duration
	for _, r := range o.remaining {
		longest = max(longest, r.estimate)
	}
	return longest
}

// deleteContent deletes the objects of all resources in the namespace, and says what is left. What fails does not keep
// the rest from being tried; but as long as there may be Pods, the resources after them are left to them (KEP-5080).
func (c *Controller) deleteContent(ctx context.Context, ns *corev1.Namespace) outcome {
	var o outcome
	for _, resource := range c.resources {
		left, err := c.deleteResource(ctx, resource, ns)
		if err != nil {
			o.failures = append(o.failures, err)
		}
		if left.count > 0 {
			o.remaining = append(o.remaining, left)
		}
		if resource == pods && (err != nil || left.count > 0) {
			break
		}
	}
	return o
}

// deleteResource deletes all objects of the resource in the namespace and returns what is left then. It errs if objects
// are left without a reason to be.
func (c *Controller) deleteResource(ctx context.Context, resource schema.GroupVersionResource, ns *corev1.Namespace) (remainder, error) {
	client := c.metadata.Resource(resource).Namespace(ns.Name)
	// In the background, whatever the kind's default: nobody is left to own what would be orphaned.
	err := client.DeleteCollection(ctx, metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationBackground)}, metav1.ListOptions{})
	if err != nil {
		return remainder{}, fmt.Errorf("delete %s: %w", resource.GroupResource(), err)
	}
	left := remainder{resource: resource, finalizers: map[string]int{}}
	list := pager.New(pager.SimplePageFunc(func(options metav1.ListOptions) (runtime.Object, error) { return client.List(ctx, options) }))
	err = list.EachListItem(ctx, metav1.ListOptions{}, func(item runtime.Object) error {
		left.count++
		for _, finalizer := range item.(*metav1.PartialObjectMetadata).Finalizers {
			left.finalizers[finalizer]++
		}
		return nil
	})
	if err != nil {
		return remainder{}, fmt.Errorf("list %s: %w", resource.GroupResource(), err)
	}
	if left.count == 0 {
		return left, nil
	}
	if resource == pods {
		if left.estimate, err = c.gracefulTermination(ctx, ns); err != nil {
			return left, err
		}
	}
	if left.estimate == 0 && len(left.finalizers) > 0 {
		left.estimate = finalizerEstimate
	}
	if left.estimate == 0 {
		return left, fmt.Errorf("unexpected items still remain in namespace: %s for gvr: %v", ns.Name, resource)
	}
	return left, nil
}

// gracefulTermination is how long the namespace's Pods may still take to end: the longest grace period of those that have
// not, until that much time has passed since the namespace was deleted, as upstream has it; or as long as a Pod is within its own.
func (c *Controller) gracefulTermination(ctx context.Context, ns *corev1.Namespace) (time.Duration, error) {
	list, err := c.core.Pods(ns.Name).List(ctx, metav1.ListOptions{})
	if err != nil {
		return 0, fmt.Errorf("list pods for their grace periods: %w", err)
	}
	estimate := longestGracePeriod(list.Items)
	if c.clock.Since(ns.DeletionTimestamp.Time) >= estimate {
		estimate = 0
	}
	return max(estimate, longestTermination(list.Items, c.clock.Now())), nil
}

// longestGracePeriod is the longest grace period of the Pods that have not ended.
func longestGracePeriod(list []corev1.Pod) time.Duration {
	var seconds int64
	for i := range list {
		if pod := &list[i]; !ended(pod) && pod.Spec.TerminationGracePeriodSeconds != nil {
			seconds = max(seconds, *pod.Spec.TerminationGracePeriodSeconds)
		}
	}
	return time.Duration(seconds) * time.Second
}

// longestTermination is the time until the last of the Pods that are being deleted should be gone; 0 if that is past.
// Upstream has no such rule, and reports Pods as stuck that were only deleted a moment ago, as namespaces are emptied
// some time after their own deletion.
func longestTermination(list []corev1.Pod, now time.Time) time.Duration {
	var longest time.Duration
	for i := range list {
		if pod := &list[i]; !ended(pod) && pod.DeletionTimestamp != nil {
			longest = max(longest, pod.DeletionTimestamp.Sub(now)+terminationSlack)
		}
	}
	return longest
}

func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

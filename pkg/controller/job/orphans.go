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

package job

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

// orphanKey names Pods whose tracking finalizer nobody but the orphan workers will remove: one Pod by name, or all Pods that
// a selector matches, those of a Job that finished or is gone (rule B44): where name is empty, for an empty selector matches all.
// Of the Pods that a selector matches, those of other owners are left alone.
type orphanKey struct {
	namespace string
	name      string
	selector  string
}

func (c *Controller) queueOrphan(pod *corev1.Pod) {
	c.orphans.Add(orphanKey{namespace: pod.Namespace, name: pod.Name})
}

// queueOrphansOf queues the Pods of a Job that won't be synced any more.
func (c *Controller) queueOrphansOf(logger klog.Logger, job *batchv1.Job) {
	selector, err := metav1.LabelSelectorAsSelector(job.Spec.Selector)
	if err != nil {
		logger.Error(err, "Job has an invalid selector, its Pods may keep their finalizer", "job", klog.KObj(job))
		return
	}
	c.orphans.Add(orphanKey{namespace: job.Namespace, selector: selector.String()})
}

// syncOrphans removes our finalizer from those Pods of the key that are orphans.
func (c *Controller) syncOrphans(ctx context.Context, key orphanKey) error {
	if key.name != "" {
		if pod := c.pods.get(key.namespace, key.name); pod != nil {
			return c.freeOrphan(ctx, pod)
		}
		return nil
	}
	selector, err := labels.Parse(key.selector)
	if err != nil {
		return fmt.Errorf("parsing the selector of finished Job's Pods: %w", err)
	}
	var pods []*corev1.Pod
	err = cache.ListAllByNamespace(c.pods.indexer, key.namespace, selector, func(obj any) {
		if pod, ok := obj.(*corev1.Pod); ok {
			pods = append(pods, pod)
		}
	})
	if err != nil {
		return fmt.Errorf("listing the Pods of a finished Job: %w", err)
	}
	var errs []error
	for _, pod := range pods {
		if err := c.freeOrphan(ctx, pod); err != nil {
			errs = append(errs, err)
			c.orphans.AddRateLimited(orphanKey{namespace: pod.Namespace, name: pod.Name})
		}
	}
	if len(errs) > 0 && ctx.Err() == nil {
		// The failed ones are queued by name; the others need no second try.
		klog.FromContext(ctx).Error(errors.Join(errs...), "Failed to remove finalizers of orphaned Pods", "namespace", key.namespace, "selector", key.selector)
	}
	return nil
}

// freeOrphan removes our finalizer from the Pod unless a Job will account for it: an unfinished one that owns it, or one
// that another controller manages. Pods that something else than a Job owns are not ours.
//
// A Pod that still works for a Job that has finished is deleted: the Job ended while the answer to the Pod's creation was lost, and
// nobody else would stop it.
func (c *Controller) freeOrphan(ctx context.Context, pod *corev1.Pod) error {
	if !c.config.Identity.Tracks(pod) {
		return nil
	}
	if ref := metav1.GetControllerOfNoCopy(pod); ref != nil {
		if !c.config.Identity.owns(ref) {
			return nil
		}
		job, err := c.findOwner(ctx, pod, ref)
		if err != nil {
			return err
		}
		if job != nil {
			if _, other := managedByOther(job); other || !finished(job) {
				return nil
			}
			if err := c.stopLeftOver(ctx, job, pod); err != nil {
				return err
			}
		}
	}
	if _, err := c.removeFinalizers(ctx, pod); err != nil {
		return fmt.Errorf("freeing orphaned Pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	klog.FromContext(ctx).V(2).Info("Removed the finalizer of an orphaned Pod", "pod", klog.KObj(pod))
	return nil
}

// findOwner returns the Job of the reference, nil where there is none. A Job that the cache doesn't have is looked up in the API: the caches
// of Jobs and Pods advance separately, and a Pod whose finalizer is removed too early is a result lost.
func (c *Controller) findOwner(ctx context.Context, pod *corev1.Pod, ref *metav1.OwnerReference) (*batchv1.Job, error) {
	if job := c.ownerOf(pod); job != nil {
		return job, nil
	}
	job, err := c.config.JobClient.BatchV1().Jobs(pod.Namespace).Get(ctx, ref.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err), err == nil && job.UID != ref.UID:
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("looking up the owner of an orphaned Pod: %w", err)
	}
	return job, nil
}

// stopLeftOver deletes the Pod of a finished Job if it has not ended.
func (c *Controller) stopLeftOver(ctx context.Context, job *batchv1.Job, pod *corev1.Pod) error {
	if ended(pod) || pod.DeletionTimestamp != nil {
		return nil
	}
	existed, err := c.deletePod(ctx, pod)
	if err != nil {
		c.events.podDeleteFailed(job, err)
		return fmt.Errorf("stopping a Pod that its finished Job has left over: %w", err)
	}
	if existed {
		c.events.podDeleted(job, pod)
	}
	return nil
}

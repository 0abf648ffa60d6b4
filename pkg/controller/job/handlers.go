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
	"maps"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
	"github.com/jobserver-dev/jobserver/pkg/controller/job/metrics"
	"github.com/jobserver-dev/jobserver/pkg/controller/job/plan"
)

// TrimPod is the transform for the Pod informer: it keeps of a Pod what the controller reads (plan.TrimPod), so that memory
// does not grow with what users put into their Pods. Other objects pass unchanged. It never fails.
func TrimPod(obj any) (any, error) {
	if pod, ok := obj.(*corev1.Pod); ok {
		return plan.TrimPod(pod), nil
	}
	return obj, nil
}

// jobHandler queues Jobs as they change (rules B1 to B3).
func (c *Controller) jobHandler(ctx context.Context) cache.ResourceEventHandler {
	logger := klog.FromContext(ctx)
	return cache.ResourceEventHandlerFuncs{
		AddFunc: func(obj any) {
			if job, ok := obj.(*batchv1.Job); ok {
				c.jobAdded(job)
			}
		},
		UpdateFunc: func(before, after any) {
			old, okOld := before.(*batchv1.Job)
			job, ok := after.(*batchv1.Job)
			if ok && okOld {
				c.jobUpdated(logger, old, job)
			}
		},
		DeleteFunc: func(obj any) {
			if job, ok := lastKnown[*batchv1.Job](obj); ok {
				c.jobDeleted(logger, job)
			}
		},
	}
}

func (c *Controller) jobAdded(job *batchv1.Job) {
	if name, ok := managedByOther(job); ok {
		metrics.ByExternalControllerTotal.WithLabelValues(name).Inc()
		return
	}
	if !finished(job) {
		c.syncNow(job)
	}
}

func (c *Controller) jobUpdated(logger klog.Logger, old, job *batchv1.Job) {
	if old.UID != job.UID {
		// The watch missed that the Job was deleted and created anew.
		c.jobDeleted(logger, old)
		c.jobAdded(job)
		return
	}
	if _, ok := managedByOther(job); ok {
		return
	}
	switch {
	case finished(job):
		c.states.forget(job.UID)
		c.queueOrphansOf(logger, job)
	case old.Generation != job.Generation || old.DeletionTimestamp.IsZero() != job.DeletionTimestamp.IsZero():
		c.syncNow(job)
	default:
		c.podsChanged(job, false)
	}
}

func (c *Controller) jobDeleted(logger klog.Logger, job *batchv1.Job) {
	c.states.forget(job.UID)
	c.queueOrphansOf(logger, job)
}

// podHandler queues the Jobs of Pods as these change, and Pods that nobody will account for (rules B4 to B6).
func (c *Controller) podHandler(ctx context.Context) cache.ResourceEventHandler {
	logger := klog.FromContext(ctx)
	return cache.ResourceEventHandlerFuncs{
		AddFunc: func(obj any) {
			if pod, ok := obj.(*corev1.Pod); ok {
				c.countTerminated(nil, pod)
				c.podAdded(logger, pod)
			}
		},
		UpdateFunc: func(before, after any) {
			old, okOld := before.(*corev1.Pod)
			pod, ok := after.(*corev1.Pod)
			if ok && okOld {
				c.countTerminated(old, pod)
				c.podUpdated(logger, old, pod)
			}
		},
		DeleteFunc: func(obj any) {
			if pod, ok := lastKnown[*corev1.Pod](obj); ok {
				c.countTerminated(pod, nil)
				c.podDeleted(pod)
			}
		},
	}
}

func (c *Controller) podAdded(logger klog.Logger, pod *corev1.Pod) {
	if pod.DeletionTimestamp != nil {
		// The watch, or this process, began after the deletion did.
		c.podDeleted(pod)
		return
	}
	if metav1.GetControllerOfNoCopy(pod) != nil {
		c.podOfOwner(pod, ended(pod))
		return
	}
	c.podWithoutOwner(logger, pod)
}

func (c *Controller) podUpdated(logger klog.Logger, old, pod *corev1.Pod) {
	if old.ResourceVersion == pod.ResourceVersion && old.ResourceVersion != "" {
		return // a resync, or a relist without news
	}
	oldOwner, owner := c.ownerOf(old), c.ownerOf(pod)
	if oldOwner != nil && (owner == nil || oldOwner.UID != owner.UID) {
		c.podsChanged(oldOwner, true)
	}
	if pod.DeletionTimestamp != nil {
		c.podGoing(pod, old.DeletionTimestamp == nil || ended(pod) != ended(old))
		return
	}
	if metav1.GetControllerOfNoCopy(pod) != nil {
		c.podOfOwner(pod, ended(pod) != ended(old))
		return
	}
	if metav1.GetControllerOfNoCopy(old) != nil || !maps.Equal(old.Labels, pod.Labels) {
		c.podWithoutOwner(logger, pod)
	} else if c.config.Identity.Tracks(pod) {
		c.queueOrphan(pod)
	}
}

func (c *Controller) podDeleted(pod *corev1.Pod) {
	c.podGoing(pod, true)
}

// podOfOwner handles a Pod that has a controller and is not being deleted.
func (c *Controller) podOfOwner(pod *corev1.Pod, urgent bool) {
	if job := c.ownerOf(pod); job != nil && !finished(job) {
		c.podsChanged(job, urgent)
		return
	}
	// Of a Job that finished or was deleted before the cache had the Pod, say. The orphan worker looks closer.
	if c.config.Identity.controllerRef(pod) != nil && c.config.Identity.Tracks(pod) {
		c.queueOrphan(pod)
	}
}

// podGoing handles a Pod that is being deleted or is gone.
func (c *Controller) podGoing(pod *corev1.Pod, urgent bool) {
	job := c.ownerOf(pod)
	if job == nil || finished(job) {
		if c.config.Identity.Tracks(pod) {
			c.queueOrphan(pod)
		}
		return
	}
	c.podsChanged(job, urgent)
}

// podWithoutOwner handles a Pod that no controller owns: a Job whose selector it matches may adopt it, and a tracking
// finalizer on it holds up nothing but its deletion.
func (c *Controller) podWithoutOwner(logger klog.Logger, pod *corev1.Pod) {
	if c.config.Identity.Tracks(pod) {
		c.queueOrphan(pod)
	}
	jobs, err := c.jobs.Jobs(pod.Namespace).List(labels.Everything())
	if err != nil {
		logger.Error(err, "Failed to list Jobs that may adopt a Pod", "pod", klog.KObj(pod))
		return
	}
	for _, job := range jobs {
		selector, err := metav1.LabelSelectorAsSelector(job.Spec.Selector)
		if err != nil {
			logger.Error(err, "Job has an invalid selector", "job", klog.KObj(job))
			continue
		}
		if selector.Matches(labels.Set(pod.Labels)) {
			c.podsChanged(job, true)
		}
	}
}

// ownerOf returns the Job that owns the Pod, nil where none of the cache does.
func (c *Controller) ownerOf(pod *corev1.Pod) *batchv1.Job {
	ref := c.config.Identity.controllerRef(pod)
	if ref == nil {
		return nil
	}
	job, err := c.jobs.Jobs(pod.Namespace).Get(ref.Name)
	if err != nil || job.UID != ref.UID {
		return nil
	}
	return job
}

// countTerminated keeps the metric of ended Pods that still have a tracking finalizer. nil: there was or is no Pod.
func (c *Controller) countTerminated(old, pod *corev1.Pod) {
	was := old != nil && ended(old) && c.config.Identity.Tracks(old)
	is := pod != nil && ended(pod) && c.config.Identity.Tracks(pod)
	switch {
	case is && !was:
		metrics.TerminatedPodsTrackingFinalizerTotal.WithLabelValues(metrics.EventAdd).Inc()
	case was && !is:
		metrics.TerminatedPodsTrackingFinalizerTotal.WithLabelValues(metrics.EventDelete).Inc()
	}
}

// ended tells whether the Pod reached a terminal phase.
func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

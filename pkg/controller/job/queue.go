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

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

// work calls sync for the keys of the queue until stop is closed and the queue shut down; of what is queued then nothing is
// begun, although a queue hands it out. A key whose sync fails comes back with growing delays (rule B7).
func work[T comparable](ctx context.Context, stop <-chan struct{}, queue workqueue.TypedRateLimitingInterface[T], sync func(context.Context, T) error) {
	logger := klog.FromContext(ctx)
	for {
		key, shutdown := queue.Get()
		if shutdown {
			return
		}
		select {
		case <-stop:
			queue.Done(key)
			return
		default:
		}
		switch err := sync(ctx, key); {
		case err == nil:
			queue.Forget(key)
		case ctx.Err() != nil:
			logger.V(2).Info("Sync was interrupted by the stop of the controller", "key", key)
		case apierrors.IsConflict(err):
			// Somebody else wrote the object after our cache read it: to be expected.
			logger.V(2).Info("Sync was based on an outdated object and is repeated", "key", key, "reason", err.Error())
			queue.AddRateLimited(key)
		default:
			logger.Error(err, "Sync failed and is repeated", "key", key, "retries", queue.NumRequeues(key))
			queue.AddRateLimited(key)
		}
		queue.Done(key)
	}
}

// syncNow has the Job synced as soon as a worker is free.
func (c *Controller) syncNow(job *batchv1.Job) {
	// The pace notes since when the Job waits. Unlike for events of Pods, no delay follows: there are few such changes, each a
	// user's.
	c.states.of(job.UID).pace.event(c.clock.Now(), true, 0)
	c.queue.Add(jobKey(job))
}

// podsChanged has the Job synced at its pace.
func (c *Controller) podsChanged(job *batchv1.Job, urgent bool) {
	if finished(job) {
		return
	}
	state := c.states.peek(job.UID)
	if state == nil {
		c.queue.Add(jobKey(job)) // not synced yet: its first sync is due anyway
		return
	}
	if delay, wanted := state.pace.event(c.clock.Now(), urgent, c.config.SyncBatchPeriod); wanted {
		c.queue.AddAfter(jobKey(job), delay)
	}
}

func jobKey(job *batchv1.Job) string {
	return job.Namespace + "/" + job.Name
}

// managedByOther returns the name of the other controller that the Job is left to, and whether there is one (KEP-4368).
func managedByOther(job *batchv1.Job) (string, bool) {
	if job.Spec.ManagedBy == nil || *job.Spec.ManagedBy == batch.JobControllerName {
		return "", false
	}
	return *job.Spec.ManagedBy, true
}

// finished tells whether the Job is complete or has failed.
func finished(job *batchv1.Job) bool {
	for _, condition := range job.Status.Conditions {
		terminal := condition.Type == batchv1.JobComplete || condition.Type == batchv1.JobFailed
		if terminal && condition.Status == corev1.ConditionTrue {
			return true
		}
	}
	return false
}

// lastKnown returns the object of a delete event: where the watch missed the deletion, the event has the last object the
// cache knew.
func lastKnown[T any](obj any) (T, bool) {
	if tombstone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = tombstone.Obj
	}
	known, ok := obj.(T)
	return known, ok
}

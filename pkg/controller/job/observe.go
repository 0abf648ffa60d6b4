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
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
	"github.com/jobserver-dev/jobserver/pkg/controller/job/plan"
)

// podsByOwner is the index of the Pod cache: by namespace and the UID of the Job that controls the Pod, and by namespace
// alone for Pods without a controller (rule B31).
const podsByOwner = "jobOwner"

func (c *Controller) indexByOwner(obj any) ([]string, error) {
	pod, ok := obj.(*corev1.Pod)
	if !ok {
		return nil, nil
	}
	ref := metav1.GetControllerOfNoCopy(pod)
	switch {
	case ref == nil:
		return []string{ownerIndexKey(pod.Namespace, "")}, nil
	case c.config.Identity.owns(ref):
		return []string{ownerIndexKey(pod.Namespace, ref.UID)}, nil
	default:
		return nil, nil
	}
}

func ownerIndexKey(namespace string, uid types.UID) string {
	return namespace + "/" + string(uid)
}

// observe gathers what the plan of a sync is made from. The order matters: what the cache shows of our own writes is
// evaluated before the Pods are listed, or a Pod could be counted that was accounted for in between (rule B16).
func (c *Controller) observe(ctx context.Context, job *batchv1.Job, state *jobState) (plan.Input, error) {
	observed, err := c.expectationsMet(ctx, job, state)
	if err != nil {
		return plan.Input{}, err
	}
	released := state.released.unseen(job.Namespace, c.pods, c.config.Identity.Identity)
	pods, err := c.claimPods(ctx, job, state)
	if err != nil {
		return plan.Input{}, err
	}
	state.names.seen(pods)
	if !observed {
		// An event of the awaited Pods makes the Job sync at once. The delayed sync is for a watch that broke, and began anew
		// after one of them had gone: it tells nothing of that Pod.
		state.pace.wait()
		c.queue.AddAfter(jobKey(job), c.config.SyncBatchPeriod)
	}
	return plan.Input{
		Job:      job,
		Pods:     pods,
		Released: released,
		Observed: observed,
		Backoff:  state.backoff,
		Now:      c.clock.Now(),
		Limits:   c.config.Limits,
		Identity: c.config.Identity.Identity,
	}, nil
}

// expectationsMet tells whether the cache shows our creations and deletions of Pods. Of creations that it should have shown long ago, the
// API is asked whether the Pod is there at all.
func (c *Controller) expectationsMet(ctx context.Context, job *batchv1.Job, state *jobState) (bool, error) {
	if state.expected.observed(job.Namespace, c.pods) {
		return true, nil
	}
	overdue := state.expected.overdue(c.clock.Now())
	if len(overdue) == 0 {
		return false, nil
	}
	for uid, name := range overdue {
		pod, err := c.config.PodClient.CoreV1().Pods(job.Namespace).Get(ctx, name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err), err == nil && pod.UID != uid:
			state.expected.drop(uid)
		case err != nil:
			return false, fmt.Errorf("looking up a created Pod that the cache doesn't show: %w", err)
		}
	}
	return state.expected.observed(job.Namespace, c.pods), nil
}

// claimPods returns the Pods that belong to the Job, after it adopted Pods without a controller that its selector matches and
// let go of its own that it doesn't match any more (rules B31 to B35). A Job that is being deleted keeps the latter: nobody
// else would take the finalizer off them, which a foreground deletion of the Job waits for.
func (c *Controller) claimPods(ctx context.Context, job *batchv1.Job, state *jobState) ([]*corev1.Pod, error) {
	selector, err := metav1.LabelSelectorAsSelector(job.Spec.Selector)
	if err != nil {
		return nil, fmt.Errorf("selector of the Job: %w", err)
	}
	owned, err := c.podsAt(ownerIndexKey(job.Namespace, job.UID))
	if err != nil {
		return nil, err
	}
	claimed := owned[:0]
	for _, pod := range owned {
		if job.DeletionTimestamp != nil || selector.Matches(labels.Set(pod.Labels)) {
			claimed = append(claimed, pod)
			continue
		}
		if err := c.release(ctx, job, pod, state); err != nil {
			return nil, err
		}
	}
	adopted, err := c.adoptPods(ctx, job, selector, state)
	return append(claimed, adopted...), err
}

// adoptPods takes over the Pods without a controller that match. Before the first, it makes sure that the Job is still there and
// not being deleted: the cache may not know yet.
func (c *Controller) adoptPods(ctx context.Context, job *batchv1.Job, selector labels.Selector, state *jobState) ([]*corev1.Pod, error) {
	if job.DeletionTimestamp != nil {
		return nil, nil
	}
	orphans, err := c.podsAt(ownerIndexKey(job.Namespace, ""))
	if err != nil {
		return nil, err
	}
	var adopted []*corev1.Pod
	checked := false
	for _, pod := range orphans {
		if pod.DeletionTimestamp != nil || !selector.Matches(labels.Set(pod.Labels)) {
			continue
		}
		if !checked {
			if err := c.mayAdopt(ctx, job); err != nil {
				return nil, err
			}
			checked = true
		}
		after, err := c.adopt(ctx, job, pod, state)
		if err != nil {
			return nil, err
		}
		if after != nil {
			adopted = append(adopted, after)
		}
	}
	return adopted, nil
}

// mayAdopt asks the API whether the Job exists and is not being deleted.
func (c *Controller) mayAdopt(ctx context.Context, job *batchv1.Job) error {
	fresh, err := c.config.JobClient.BatchV1().Jobs(job.Namespace).Get(ctx, job.Name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("looking up the Job before it adopts Pods: %w", err)
	}
	if fresh.UID != job.UID {
		return fmt.Errorf("the Job %s/%s with UID %s is gone: there is one with UID %s", job.Namespace, job.Name, job.UID, fresh.UID)
	}
	if fresh.DeletionTimestamp != nil {
		return fmt.Errorf("the Job %s/%s has been deleted at %v and adopts no Pods", job.Namespace, job.Name, fresh.DeletionTimestamp)
	}
	return nil
}

// adopt makes the Job own the Pod. It returns the Pod as it is then, nil where it is gone.
func (c *Controller) adopt(ctx context.Context, job *batchv1.Job, pod *corev1.Pod, state *jobState) (*corev1.Pod, error) {
	patch, err := c.config.Identity.adoptPatch(job, pod)
	if err != nil {
		return nil, err
	}
	after, err := c.patchPod(ctx, pod, patch)
	if err != nil {
		return nil, fmt.Errorf("adopting Pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	if after == nil {
		return nil, nil
	}
	state.written.wrotePod(after)
	return plan.TrimPod(after), nil
}

// release makes the Job let go of a Pod that its selector doesn't match.
func (c *Controller) release(ctx context.Context, job *batchv1.Job, pod *corev1.Pod, state *jobState) error {
	patch, err := c.config.Identity.releasePatch(job, pod)
	if err != nil {
		return err
	}
	after, err := c.patchPod(ctx, pod, patch)
	if err != nil {
		return fmt.Errorf("releasing Pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	if after != nil {
		state.written.wrotePod(after)
	}
	return nil
}

// podsAt returns the Pods of a key of the index.
func (c *Controller) podsAt(key string) ([]*corev1.Pod, error) {
	objs, err := c.pods.indexer.ByIndex(podsByOwner, key)
	if err != nil {
		return nil, fmt.Errorf("listing Pods by %s: %w", podsByOwner, err)
	}
	pods := make([]*corev1.Pod, 0, len(objs))
	for _, obj := range objs {
		if pod, ok := obj.(*corev1.Pod); ok {
			pods = append(pods, pod)
		}
	}
	return pods, nil
}

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
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

// patchPod patches the Pod and returns it as it is then; nil where it is gone: because of the patch, or when another Pod has its name now.
func (c *Controller) patchPod(ctx context.Context, pod *corev1.Pod, patch []byte) (*corev1.Pod, error) {
	pods := c.config.PodClient.CoreV1().Pods(pod.Namespace)
	after, err := pods.Patch(ctx, pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
	switch {
	case err == nil && !isRemoved(after):
		return after, nil
	case err == nil, apierrors.IsNotFound(err):
		return nil, nil
	case apierrors.IsInvalid(err), apierrors.IsConflict(err):
		// That is how the API refuses the UID of a patch that is meant for an earlier Pod of the name.
		if c.podGone(ctx, pod) {
			return nil, nil
		}
	}
	return nil, err
}

// isRemoved tells whether the Pod that answers a patch is gone: nothing but a finalizer held it any more, and the patch took that off. Such an
// answer has the version from before the patch, in which the finalizer is still there, so it says nothing of what a cache has to show.
func isRemoved(after *corev1.Pod) bool {
	return after.DeletionTimestamp != nil && len(after.Finalizers) == 0 && ptr.Deref(after.DeletionGracePeriodSeconds, 0) == 0
}

// podGone asks the API whether the Pod is gone. False where it doesn't answer.
func (c *Controller) podGone(ctx context.Context, pod *corev1.Pod) bool {
	now, err := c.config.PodClient.CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
	return apierrors.IsNotFound(err) || err == nil && now.UID != pod.UID
}

// removeFinalizers takes our finalizers off the Pod. It returns the Pod as it is then, nil where it is gone.
func (c *Controller) removeFinalizers(ctx context.Context, pod *corev1.Pod) (*corev1.Pod, error) {
	patch, err := c.config.Identity.removeFinalizersPatch(pod)
	if err != nil {
		return nil, err
	}
	if patch == nil {
		return pod, nil
	}
	after, err := c.patchPod(ctx, pod, patch)
	if err != nil {
		return nil, fmt.Errorf("removing the tracking finalizer of Pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	return after, nil
}

// maxGiveUpAttempts is how often a Pod is looked at again that changes under the eyes of who gives it up.
const maxGiveUpAttempts = 4

// giveUp takes our finalizers off a Pod that is to be deleted without being counted. It returns the Pod as it is then, nil where it is gone;
// and false where the Pod turns out to have ended, which the cache does not show yet: that is a result to be counted, so the finalizers stay.
func (c *Controller) giveUp(ctx context.Context, pod *corev1.Pod) (after *corev1.Pod, given bool, err error) {
	for attempt := 1; ; attempt++ {
		patch, err := c.config.Identity.giveUpPatch(pod)
		if err != nil {
			return nil, false, err
		}
		if patch == nil {
			return pod, true, nil
		}
		after, err := c.patchPod(ctx, pod, patch)
		if err == nil {
			return after, true, nil
		}
		if !apierrors.IsConflict(err) || attempt == maxGiveUpAttempts {
			return nil, false, fmt.Errorf("removing the tracking finalizer of Pod %s/%s: %w", pod.Namespace, pod.Name, err)
		}
		now, err := c.config.PodClient.CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err), err == nil && now.UID != pod.UID:
			return nil, true, nil
		case err != nil:
			return nil, false, fmt.Errorf("looking up Pod %s/%s, which has changed: %w", pod.Namespace, pod.Name, err)
		case ended(now):
			return nil, false, nil
		}
		pod = now
	}
}

// deletePod deletes the Pod, with its own grace period. It returns false, and no error, where the Pod was gone already.
func (c *Controller) deletePod(ctx context.Context, pod *corev1.Pod) (bool, error) {
	err := c.config.PodClient.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &pod.UID},
	})
	switch {
	case err == nil:
		return true, nil
	case apierrors.IsNotFound(err), apierrors.IsConflict(err) && c.podGone(ctx, pod):
		return false, nil
	}
	return false, fmt.Errorf("deleting Pod %s/%s: %w", pod.Namespace, pod.Name, err)
}

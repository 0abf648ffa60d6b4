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

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/klog/v2"
)

// isAbandoned tells whether a Pod is being deleted that was never given a node: nothing runs of it, nothing ever will (a binding is refused by
// now), and there is no kubelet to say so. Only a finalizer still keeps its object.
func isAbandoned(pod *corev1.Pod) bool {
	return pod.Spec.NodeName == "" && pod.DeletionTimestamp != nil
}

// collect brings an abandoned Pod to its end as the Pod garbage collector of Kubernetes does, whichever scheduler the Pod names: it fails,
// and is then deleted for good. A Job that replaces its Pods only once they have failed waits for the phase.
func (a *Agent) collect(ctx context.Context, pod *corev1.Pod, state *podState) error {
	if !isAbandoned(pod) {
		return nil
	}
	if !isTerminal(pod.Status.Phase) {
		status := *pod.Status.DeepCopy()
		status.Phase = corev1.PodFailed
		status.ObservedGeneration = pod.Generation
		written, err := patchStatus(ctx, a.config.Client, pod, status)
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("fail Pod %s/%s, which was deleted before it had a node: %w", pod.Namespace, pod.Name, err)
		}
		klog.FromContext(ctx).V(3).Info("Failed a Pod that was deleted before it had a node")
		state.written = written
		pod = written
	}
	return a.deleteFinally(ctx, pod, state)
}

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
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Pods lists the Pods of this node, in no order. They must not be changed.
func (a *Agent) Pods() []*corev1.Pod {
	all, err := a.pods.List(labels.Everything())
	if err != nil {
		return nil // a cache has no errors
	}
	own := make([]*corev1.Pod, 0, len(all))
	for _, pod := range all {
		if pod.Spec.NodeName == a.config.NodeName {
			own = append(own, pod)
		}
	}
	return own
}

// Pod returns the Pod of that name on this node, or nil. It must not be changed.
func (a *Agent) Pod(namespace, name string) *corev1.Pod {
	pod, err := a.pods.Pods(namespace).Get(name)
	if err != nil || pod.Spec.NodeName != a.config.NodeName {
		return nil
	}
	return pod
}

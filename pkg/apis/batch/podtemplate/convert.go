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
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/apis/core"
	k8scorev1 "k8s.io/kubernetes/pkg/apis/core/v1"
)

// internalOf returns the template in the form that Kubernetes' own code works on; nil for nil. Both forms have the same memory layout, so
// the result shares all maps, slices and pointers with template: the callee must not write through them unless the caller
// owns the template.
func internalOf(template *corev1.PodTemplateSpec) *core.PodTemplateSpec {
	if template == nil {
		return nil
	}
	internal := &core.PodTemplateSpec{}
	if err := k8scorev1.Convert_v1_PodTemplateSpec_To_core_PodTemplateSpec(template, internal, nil); err != nil {
		// A copy of memory can't fail; were it to, going on with half a template would let an unchecked one be stored.
		panic(fmt.Sprintf("converting a Pod template to its internal form: %v", err))
	}
	return internal
}

// externalOf is the reverse of internalOf.
func externalOf(internal *core.PodTemplateSpec) corev1.PodTemplateSpec {
	template := corev1.PodTemplateSpec{}
	if err := k8scorev1.Convert_core_PodTemplateSpec_To_v1_PodTemplateSpec(internal, &template, nil); err != nil {
		panic(fmt.Sprintf("converting a Pod template from its internal form: %v", err))
	}
	return template
}

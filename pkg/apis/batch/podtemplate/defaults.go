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

// Package podtemplate is the one bridge from our Job API to Kubernetes' own handling of Pod templates: its defaults, its
// validation and its warnings.
package podtemplate

import (
	corev1 "k8s.io/api/core/v1"
	k8scorev1 "k8s.io/kubernetes/pkg/apis/core/v1"
)

// SetDefaults fills what the template leaves unset, in place, with the values that Kubernetes gives the template of any workload.
func SetDefaults(template *corev1.PodTemplateSpec) {
	// The exported defaults start at an object; a PodTemplate is nothing but a template with a name.
	wrapped := corev1.PodTemplate{Template: *template}
	k8scorev1.SetObjectDefaults_PodTemplate(&wrapped)
	*template = wrapped.Template
}

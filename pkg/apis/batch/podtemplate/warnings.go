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
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kubernetes/pkg/api/pod"
)

// Warnings returns what Kubernetes 1.37 warns of in template, each with its path below fldPath in front: deprecated labels and annotations,
// volume kinds that are gone, names and ports that shadow one another. old is the stored template, nil on create;
// a few warnings are left out where it already had the same.
func Warnings(ctx context.Context, fldPath *field.Path, template, old *corev1.PodTemplateSpec) []string {
	return pod.GetWarningsForPodTemplate(ctx, fldPath, internalOf(template), internalOf(old))
}

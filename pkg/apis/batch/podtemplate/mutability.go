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
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// ValidateImmutable refuses every change of the template, with one error at fldPath.
func ValidateImmutable(template, old *corev1.PodTemplateSpec, fldPath *field.Path) field.ErrorList {
	if apiequality.Semantic.DeepEqual(template, old) {
		return nil
	}
	// The value of an error is printed with its field names; upstream's has those of the internal form.
	return field.ErrorList{field.Invalid(fldPath, internalOf(template), apivalidation.FieldImmutableErrorMsg)}
}

// ValidateSuspendedUpdate allows what Kubernetes 1.37 lets change in the template of a suspended Job without active Pods (section 1.8 of
// the Job reference): the scheduling directives (node affinity, node selector, tolerations, scheduling gates), labels and
// annotations, and the resources of containers that keep their name and place. Every other change of the Pod
// spec is one error at <fldPath>.spec. The rest of the template's metadata means nothing to a Pod and is not looked at, as upstream.
func ValidateSuspendedUpdate(template, old *corev1.PodTemplateSpec, fldPath *field.Path) field.ErrorList {
	if apiequality.Semantic.DeepEqual(template.Spec, old.Spec) {
		return nil
	}
	allowed := old.Spec.DeepCopy()
	takeSchedulingDirectives(allowed, &template.Spec)
	takeResources(allowed.Containers, template.Spec.Containers)
	takeResources(allowed.InitContainers, template.Spec.InitContainers)
	if apiequality.Semantic.DeepEqual(template.Spec, *allowed) {
		return nil
	}
	return field.ErrorList{field.Invalid(fldPath.Child("spec"), internalOf(template).Spec, apivalidation.FieldImmutableErrorMsg)}
}

// takeSchedulingDirectives copies from edited into spec what decides on which node a Pod may run.
func takeSchedulingDirectives(spec, edited *corev1.PodSpec) {
	spec.NodeSelector = edited.NodeSelector
	spec.Tolerations = edited.Tolerations
	spec.SchedulingGates = edited.SchedulingGates
	takeNodeAffinity(spec, edited.Affinity)
}

// takeNodeAffinity copies the node affinity alone: Pod affinity and anti-affinity stay what they are, so that an affinity may come or go as a
// whole only where node affinity is all that it holds.
func takeNodeAffinity(spec *corev1.PodSpec, edited *corev1.Affinity) {
	if edited == nil && spec.Affinity == nil {
		return
	}
	if spec.Affinity == nil {
		spec.Affinity = &corev1.Affinity{}
	}
	if edited != nil {
		spec.Affinity.NodeAffinity = edited.NodeAffinity
		return
	}
	spec.Affinity.NodeAffinity = nil
	if *spec.Affinity == (corev1.Affinity{}) {
		spec.Affinity = nil
	}
}

// takeResources copies the resources of each edited container whose name and place are those of an old one. Containers that come or go change
// the number, which leaves a difference that the caller sees.
func takeResources(containers, edited []corev1.Container) {
	if len(containers) != len(edited) {
		return
	}
	for i := range containers {
		if containers[i].Name == edited[i].Name {
			containers[i].Resources = edited[i].Resources
		}
	}
}

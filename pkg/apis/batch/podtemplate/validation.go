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
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/kubernetes/pkg/api/pod"
	"k8s.io/kubernetes/pkg/apis/core"
	corevalidation "k8s.io/kubernetes/pkg/apis/core/validation"
)

// Options relax Validate for the sake of an object that is stored already.
type Options struct {
	// AllowInvalidSelectorValues accepts label values in the selectors of Pod affinity terms that are no valid label
	// values. What the old template itself had is accepted without it.
	AllowInvalidSelectorValues bool
}

// Validate checks template as Kubernetes 1.37 checks the template of any workload (rule J11 of the Job reference): labels, annotations, the
// whole Pod spec, no ephemeral containers. Errors lie below fldPath; those of labels and annotations are
// at <fldPath>.labels and <fldPath>.annotations, without "metadata", as upstream's.
//
// old is the stored template, nil on create: what it already had is borne even where today's rules would refuse it. Feature gates
// have the values of the process, upstream's defaults where nobody sets them. The template is expected to be defaulted.
func Validate(template, old *corev1.PodTemplateSpec, fldPath *field.Path, opts Options) field.ErrorList {
	internal, internalOld := internalOf(template), internalOf(old)
	podOptions := pod.GetValidationOptionsFromPodTemplate(internal, internalOld)
	podOptions.AllowInvalidLabelValueInSelector = podOptions.AllowInvalidLabelValueInSelector || opts.AllowInvalidSelectorValues
	return corevalidation.ValidatePodTemplateSpec(internal, fldPath, podOptions)
}

// HasInvalidSelectorValues says whether a Pod affinity term of a stored template selects by a value that is no valid label value, as was
// possible before Kubernetes refused it. nil has none.
func HasInvalidSelectorValues(old *corev1.PodTemplateSpec) bool {
	if old == nil {
		return false
	}
	return pod.GetValidationOptionsFromPodTemplate(&core.PodTemplateSpec{}, internalOf(old)).AllowInvalidLabelValueInSelector
}

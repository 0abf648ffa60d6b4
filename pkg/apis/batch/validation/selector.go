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

package validation

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
)

// validateSelector wants a selector (M3) that matches the Pods made from the template (M4). A missing one matches nothing, which is said too.
func validateSelector(spec *batch.JobSpec, path *field.Path, bearInvalidValues bool) field.ErrorList {
	var errs field.ErrorList
	if spec.Selector == nil {
		errs = append(errs, field.Required(path.Child("selector"), ""))
	} else {
		options := metav1validation.LabelSelectorValidationOptions{AllowInvalidLabelValueInSelector: bearInvalidValues}
		errs = append(errs, metav1validation.ValidateLabelSelector(spec.Selector, options, path.Child("selector"))...)
	}
	if selector, err := metav1.LabelSelectorAsSelector(spec.Selector); err == nil && !selector.Matches(labels.Set(spec.Template.Labels)) {
		errs = append(errs, field.Invalid(path.Child("template", "metadata", "labels"), spec.Template.Labels,
			"`selector` does not match template `labels`"))
	}
	return errs
}

// validateGeneratedSelector wants, of a Job that leaves its selector to the server, that selector and labels are what the server generates
// (M2): labels that the user set beforehand may contradict them. Only a new Job is looked at.
func validateGeneratedSelector(job *batch.Job) field.ErrorList {
	manual := job.Spec.ManualSelector != nil && *job.Spec.ManualSelector
	if manual || job.Spec.Selector == nil {
		return nil // A missing selector is M3's.
	}
	var errs field.ErrorList
	if job.UID == "" {
		errs = append(errs, field.Required(field.NewPath("metadata", "uid"), ""))
	}
	generated := labels.Set{}
	labelsPath := field.NewPath("spec", "template", "metadata", "labels")
	for _, label := range []struct{ key, value string }{
		{batch.LegacyControllerUIDLabel, string(job.UID)},
		{batch.LegacyJobNameLabel, job.Name},
		{batch.ControllerUIDLabel, string(job.UID)},
		{batch.JobNameLabel, job.Name},
	} {
		generated[label.key] = label.value
		errs = append(errs, validateHasLabel(job.Spec.Template.Labels, label.key, label.value, labelsPath)...)
	}
	if selector, err := metav1.LabelSelectorAsSelector(job.Spec.Selector); err == nil && !selector.Matches(generated) {
		errs = append(errs, field.Invalid(field.NewPath("spec", "selector"), job.Spec.Selector, "`selector` not auto-generated"))
	}
	return errs
}

func validateHasLabel(have map[string]string, key, value string, path *field.Path) field.ErrorList {
	detail := fmt.Sprintf("must be '%s'", value)
	switch got, found := have[key]; {
	case !found:
		return field.ErrorList{field.Required(path.Key(key), detail)}
	case got != value:
		return field.ErrorList{field.Invalid(path.Key(key), have, detail)}
	default:
		return nil
	}
}

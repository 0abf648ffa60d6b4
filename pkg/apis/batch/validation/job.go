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

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	"github.com/jobserver-dev/jobserver/pkg/apis/batch/podtemplate"
)

const (
	// maxParallelismIndexed bounds the parallelism of an Indexed Job, and with it the length of status.completedIndexes.
	maxParallelismIndexed = 100_000

	// maxFailedIndexesIndexed bounds maxFailedIndexes, and with it the length of both index lists of the status.
	maxFailedIndexesIndexed = 100_000

	// manyCompletions is the number above which an Indexed Job with a back-off limit per index is held to the two limits below: the failed
	// indexes could otherwise outgrow the object.
	manyCompletions                    = 100_000
	maxParallelismForManyCompletions   = 10_000
	maxFailedIndexesForManyCompletions = 10_000
	manyCompletionsDetail              = "must be less than or equal to %d when completions are above %d and used with backoff limit per index"

	// maxManagedByLength is in bytes.
	maxManagedByLength = 63

	requiresIndexed = "requires indexed completion mode"
)

// Options say which of two rules holds where the groups differ. The zero value is Kubernetes' batch/v1.
type Options struct {
	// AllowTemplateEditWhileSuspended lets every part of the Pod template of a suspended Job change, the images too and with Pods
	// still active; Pods made later use it. Without it only scheduling directives and resources may, as in Kubernetes.
	AllowTemplateEditWhileSuspended bool
}

// ValidateJobCreate returns why job can't be created; empty where it can. It expects what the strategy has prepared: name, UID, defaults, and
// the generated selector and labels. The groups don't differ here so far; the options are taken so that no caller relies on it.
func ValidateJobCreate(job *batch.Job, _ Options) field.ErrorList {
	metadata, spec := field.NewPath("metadata"), field.NewPath("spec")
	errs := validateObjectMeta(&job.ObjectMeta, metadata)
	errs = append(errs, validateGeneratedSelector(job)...)
	errs = append(errs, validateSpec(&job.Spec, nil, spec)...)
	return append(errs, validateNameFitsIndexes(job, metadata.Child("name"))...)
}

// validateSpec checks a whole spec, on create and on update. old is the stored one, nil on create: it is used only to bear what was
// allowed once, never to compare.
func validateSpec(spec, old *batch.JobSpec, path *field.Path) field.ErrorList {
	bearInvalidSelectorValues := old != nil &&
		(metav1validation.LabelSelectorHasInvalidLabelValue(old.Selector) || podtemplate.HasInvalidSelectorValues(&old.Template))

	errs := validateNumbers(spec, path)
	errs = append(errs, validateManagedBy(spec.ManagedBy, path.Child("managedBy"))...)
	errs = append(errs, validateCompletionMode(spec, path)...)
	errs = append(errs, validatePodFailurePolicy(spec, path.Child("podFailurePolicy"))...)
	errs = append(errs, validateSuccessPolicy(spec, path.Child("successPolicy"))...)
	errs = append(errs, validatePodReplacementPolicy(spec, path.Child("podReplacementPolicy"))...)
	errs = append(errs, validatePolicies(spec, path)...)
	errs = append(errs, validateTemplate(spec, old, path.Child("template"), bearInvalidSelectorValues)...)
	return append(errs, validateSelector(spec, path, bearInvalidSelectorValues)...)
}

// validateNumbers refuses negative numbers (J1) and a limit of failed indexes without one per index (J2).
func validateNumbers(spec *batch.JobSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, number := range []struct {
		name  string
		value *int64
	}{
		{"parallelism", widen(spec.Parallelism)},
		{"completions", widen(spec.Completions)},
		{"activeDeadlineSeconds", spec.ActiveDeadlineSeconds},
		{"backoffLimit", widen(spec.BackoffLimit)},
		{"ttlSecondsAfterFinished", widen(spec.TTLSecondsAfterFinished)},
		{"backoffLimitPerIndex", widen(spec.BackoffLimitPerIndex)},
		{"maxFailedIndexes", widen(spec.MaxFailedIndexes)},
	} {
		if number.value != nil {
			errs = append(errs, apivalidation.ValidateNonnegativeField(*number.value, path.Child(number.name))...)
		}
	}
	if spec.MaxFailedIndexes != nil && spec.BackoffLimitPerIndex == nil {
		errs = append(errs, field.Required(path.Child("backoffLimitPerIndex"), "when maxFailedIndexes is specified"))
	}
	return errs
}

func widen(number *int32) *int64 {
	if number == nil {
		return nil
	}
	return new(int64(*number))
}

// validateManagedBy wants a domain-prefixed path such as acme.io/foo (J3).
func validateManagedBy(managedBy *string, path *field.Path) field.ErrorList {
	if managedBy == nil {
		return nil
	}
	errs := validation.IsDomainPrefixedPath(path, *managedBy)
	if len(*managedBy) > maxManagedByLength {
		errs = append(errs, field.TooLong(path, "", maxManagedByLength))
	}
	return errs
}

// validateCompletionMode checks the mode (J4) and what each mode asks of the numbers (J5, J6).
func validateCompletionMode(spec *batch.JobSpec, path *field.Path) field.ErrorList {
	switch mode := spec.CompletionMode; {
	case isIndexed(spec):
		return append(validateIndexedNumbers(spec, path), validateManyCompletions(spec, path)...)
	case mode == nil, *mode == batch.NonIndexedCompletion:
		return validateNonIndexedNumbers(spec, path)
	default:
		return field.ErrorList{field.NotSupported(path.Child("completionMode"), *mode,
			[]batch.CompletionMode{batch.NonIndexedCompletion, batch.IndexedCompletion})}
	}
}

// isIndexed says whether the mode is Indexed; an unset one is NonIndexed.
func isIndexed(spec *batch.JobSpec) bool {
	return spec.CompletionMode != nil && *spec.CompletionMode == batch.IndexedCompletion
}

// validateIndexedNumbers is J5 for every Indexed Job.
func validateIndexedNumbers(spec *batch.JobSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	completions, parallelism, maxFailed := spec.Completions, spec.Parallelism, spec.MaxFailedIndexes
	if completions == nil {
		errs = append(errs, field.Required(path.Child("completions"), "when completion mode is Indexed"))
	}
	if parallelism != nil && *parallelism > maxParallelismIndexed {
		errs = append(errs, field.Invalid(path.Child("parallelism"), *parallelism,
			fmt.Sprintf("must be less than or equal to %d when completion mode is Indexed", maxParallelismIndexed)))
	}
	if completions != nil && maxFailed != nil && *maxFailed > *completions {
		errs = append(errs, field.Invalid(path.Child("maxFailedIndexes"), *maxFailed, "must be less than or equal to completions"))
	}
	if maxFailed != nil && *maxFailed > maxFailedIndexesIndexed {
		errs = append(errs, field.Invalid(path.Child("maxFailedIndexes"), *maxFailed,
			fmt.Sprintf("must be less than or equal to %d", maxFailedIndexesIndexed)))
	}
	return errs
}

// validateManyCompletions is J5 for an Indexed Job with a back-off limit per index and very many indexes.
func validateManyCompletions(spec *batch.JobSpec, path *field.Path) field.ErrorList {
	if spec.Completions == nil || *spec.Completions <= manyCompletions || spec.BackoffLimitPerIndex == nil {
		return nil
	}
	var errs field.ErrorList
	if spec.MaxFailedIndexes == nil {
		errs = append(errs, field.Required(path.Child("maxFailedIndexes"),
			fmt.Sprintf("must be specified when completions is above %d", manyCompletions)))
	}
	if parallelism := spec.Parallelism; parallelism != nil && *parallelism > maxParallelismForManyCompletions {
		errs = append(errs, field.Invalid(path.Child("parallelism"), *parallelism,
			fmt.Sprintf(manyCompletionsDetail, maxParallelismForManyCompletions, manyCompletions)))
	}
	if maxFailed := spec.MaxFailedIndexes; maxFailed != nil && *maxFailed > maxFailedIndexesForManyCompletions {
		errs = append(errs, field.Invalid(path.Child("maxFailedIndexes"), *maxFailed,
			fmt.Sprintf(manyCompletionsDetail, maxFailedIndexesForManyCompletions, manyCompletions)))
	}
	return errs
}

// validateNonIndexedNumbers refuses limits that only mean something with indexes (J6).
func validateNonIndexedNumbers(spec *batch.JobSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if spec.BackoffLimitPerIndex != nil {
		errs = append(errs, field.Invalid(path.Child("backoffLimitPerIndex"), *spec.BackoffLimitPerIndex, requiresIndexed))
	}
	if spec.MaxFailedIndexes != nil {
		errs = append(errs, field.Invalid(path.Child("maxFailedIndexes"), *spec.MaxFailedIndexes, requiresIndexed))
	}
	return errs
}

// validatePodReplacementPolicy allows Failed alone together with a podFailurePolicy, which can judge only a Pod that has ended (J9).
func validatePodReplacementPolicy(spec *batch.JobSpec, path *field.Path) field.ErrorList {
	allowed := []batch.PodReplacementPolicy{batch.Failed, batch.TerminatingOrFailed}
	if spec.PodFailurePolicy != nil {
		allowed = []batch.PodReplacementPolicy{batch.Failed}
	}
	return validateOneOf(spec.PodReplacementPolicy, allowed, path)
}

// validateTemplate checks the Pod template as such (J11) and its restartPolicy (J12).
func validateTemplate(spec, old *batch.JobSpec, path *field.Path, bearInvalidSelectorValues bool) field.ErrorList {
	var oldTemplate *corev1.PodTemplateSpec
	if old != nil {
		oldTemplate = &old.Template
	}
	errs := podtemplate.Validate(&spec.Template, oldTemplate, path, podtemplate.Options{AllowInvalidSelectorValues: bearInvalidSelectorValues})
	return append(errs, validateRestartPolicy(spec, path.Child("spec", "restartPolicy"))...)
}

// validateRestartPolicy is J12. Always is answered like an unset policy: it is what the defaults of a Pod make of one.
func validateRestartPolicy(spec *batch.JobSpec, path *field.Path) field.ErrorList {
	switch policy := spec.Template.Spec.RestartPolicy; {
	case policy == "", policy == corev1.RestartPolicyAlways:
		return field.ErrorList{field.Required(path,
			fmt.Sprintf("valid values: %q, %q", corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever))}
	case policy != corev1.RestartPolicyOnFailure && policy != corev1.RestartPolicyNever:
		return field.ErrorList{field.NotSupported(path, policy,
			[]corev1.RestartPolicy{corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever})}
	case spec.PodFailurePolicy != nil && policy != corev1.RestartPolicyNever:
		return field.ErrorList{field.Invalid(path, policy,
			fmt.Sprintf("only %q is supported when podFailurePolicy is specified", corev1.RestartPolicyNever))}
	default:
		return nil
	}
}

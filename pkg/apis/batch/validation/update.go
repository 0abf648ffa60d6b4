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
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
)

// ValidateJobUpdate returns why old can't become job; empty where it can. The new spec must hold as a whole, as on create, but for the
// generated labels and selector; then come the fields that must not change. Nothing depends on the Job having ended.
func ValidateJobUpdate(job, old *batch.Job, opts Options) field.ErrorList {
	metadata, spec := field.NewPath("metadata"), field.NewPath("spec")
	errs := validateObjectMetaUpdate(&job.ObjectMeta, &old.ObjectMeta, metadata)
	errs = append(errs, validateSpec(&job.Spec, &old.Spec, spec)...)
	errs = append(errs, validateSpecUpdate(job, old, opts, spec)...)
	return append(errs, validateNameFitsIndexes(job, metadata.Child("name"))...)
}

// validateSpecUpdate holds the new spec against the old one (section 1.7 of the Job reference). All other fields may change at any time.
func validateSpecUpdate(job, old *batch.Job, opts Options, path *field.Path) field.ErrorList {
	now, before := &job.Spec, &old.Spec
	errs := validateCompletionsUpdate(now, before, path)
	errs = append(errs, apivalidation.ValidateImmutableField(now.Selector, before.Selector, path.Child("selector"))...)
	errs = append(errs, validateTemplateUpdate(job, old, opts, path.Child("template"))...)
	for _, immutable := range []struct {
		name        string
		now, before any
	}{
		{"completionMode", now.CompletionMode, before.CompletionMode},
		{"podFailurePolicy", now.PodFailurePolicy, before.PodFailurePolicy},
		{"backoffLimitPerIndex", now.BackoffLimitPerIndex, before.BackoffLimitPerIndex},
		{"managedBy", now.ManagedBy, before.ManagedBy},
		{"successPolicy", now.SuccessPolicy, before.SuccessPolicy},
	} {
		errs = append(errs, apivalidation.ValidateImmutableField(immutable.now, immutable.before, path.Child(immutable.name))...)
	}
	return errs
}

// validateCompletionsUpdate lets an Indexed Job grow and shrink (KEP-2214), together with its parallelism; a NonIndexed one keeps its number.
func validateCompletionsUpdate(now, before *batch.JobSpec, path *field.Path) field.ErrorList {
	completionsPath := path.Child("completions")
	if !isIndexed(now) {
		return apivalidation.ValidateImmutableField(now.Completions, before.Completions, completionsPath)
	}
	if now.Completions == nil || apiequality.Semantic.DeepEqual(now.Completions, before.Completions) {
		return nil // That an Indexed Job has completions is J5's.
	}
	if now.Parallelism != nil && *now.Parallelism == *now.Completions {
		return nil
	}
	return field.ErrorList{field.Invalid(completionsPath, now.Completions, "can only be modified in tandem with spec.parallelism")}
}

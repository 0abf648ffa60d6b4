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
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
)

// Limits of a podFailurePolicy (KEP-3329): it is evaluated for every failed Pod.
const (
	maxPodFailurePolicyRules    = 20
	maxPodFailurePolicyPatterns = 20
	maxPodFailurePolicyValues   = 255

	// manyErrors are more than any client is told. A list of a million exit codes is not looked at to its end.
	manyErrors = 20_000
)

// The values of the policy's enumerations, in the order in which errors list them.
var (
	podFailurePolicyActions = []batch.PodFailurePolicyAction{
		batch.PodFailurePolicyActionCount,
		batch.PodFailurePolicyActionFailIndex,
		batch.PodFailurePolicyActionFailJob,
		batch.PodFailurePolicyActionIgnore,
	}
	exitCodeOperators = []batch.PodFailurePolicyOnExitCodesOperator{
		batch.PodFailurePolicyOnExitCodesOpIn,
		batch.PodFailurePolicyOnExitCodesOpNotIn,
	}
	podConditionStatuses = []corev1.ConditionStatus{corev1.ConditionFalse, corev1.ConditionTrue, corev1.ConditionUnknown}
)

// validatePodFailurePolicy checks spec.podFailurePolicy (J7); no policy and no rules are fine.
func validatePodFailurePolicy(spec *batch.JobSpec, path *field.Path) field.ErrorList {
	if spec.PodFailurePolicy == nil {
		return nil
	}
	var errs field.ErrorList
	rules, rulesPath := spec.PodFailurePolicy.Rules, path.Child("rules")
	if len(rules) > maxPodFailurePolicyRules {
		errs = append(errs, field.TooMany(rulesPath, len(rules), maxPodFailurePolicyRules))
	}
	containers := containerNames(&spec.Template.Spec)
	for i := range rules {
		errs = append(errs, validatePodFailurePolicyRule(spec, &rules[i], rulesPath.Index(i), containers)...)
	}
	return errs
}

// containerNames returns the names of the containers and init containers, whose exit codes a rule may be about.
func containerNames(spec *corev1.PodSpec) sets.Set[string] {
	names := sets.New[string]()
	for _, container := range slices.Concat(spec.Containers, spec.InitContainers) {
		names.Insert(container.Name)
	}
	return names
}

func validatePodFailurePolicyRule(spec *batch.JobSpec, rule *batch.PodFailurePolicyRule, path *field.Path, containers sets.Set[string]) field.ErrorList {
	errs := validateRequiredOneOf(rule.Action, podFailurePolicyActions, path.Child("action"))
	if rule.Action == batch.PodFailurePolicyActionFailIndex && spec.BackoffLimitPerIndex == nil {
		errs = append(errs, field.Invalid(path.Child("action"), rule.Action, "requires the backoffLimitPerIndex to be set"))
	}
	byExitCodes, byConditions := rule.OnExitCodes != nil, len(rule.OnPodConditions) > 0
	if byExitCodes {
		errs = append(errs, validateOnExitCodes(rule.OnExitCodes, path.Child("onExitCodes"), containers)...)
	}
	if byConditions {
		errs = append(errs, validateOnPodConditions(rule.OnPodConditions, path.Child("onPodConditions"))...)
	}
	switch {
	case byExitCodes && byConditions:
		errs = append(errs, field.Invalid(path, field.OmitValueType{}, "specifying both OnExitCodes and OnPodConditions is not supported"))
	case !byExitCodes && !byConditions:
		errs = append(errs, field.Invalid(path, field.OmitValueType{}, "specifying one of OnExitCodes and OnPodConditions is required"))
	}
	return errs
}

func validateOnPodConditions(patterns []batch.PodFailurePolicyOnPodConditionsPattern, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(patterns) > maxPodFailurePolicyPatterns {
		errs = append(errs, field.TooMany(path, len(patterns), maxPodFailurePolicyPatterns))
	}
	for i, pattern := range patterns {
		for _, problem := range validation.IsQualifiedName(string(pattern.Type)) {
			errs = append(errs, field.Invalid(path.Index(i).Child("type"), string(pattern.Type), problem))
		}
		errs = append(errs, validateRequiredOneOf(pattern.Status, podConditionStatuses, path.Index(i).Child("status"))...)
	}
	return errs
}

func validateOnExitCodes(requirement *batch.PodFailurePolicyOnExitCodesRequirement, path *field.Path, containers sets.Set[string]) field.ErrorList {
	errs := validateRequiredOneOf(requirement.Operator, exitCodeOperators, path.Child("operator"))
	if name := requirement.ContainerName; name != nil && !containers.Has(*name) {
		errs = append(errs, field.Invalid(path.Child("containerName"), *name,
			"must be one of the container or initContainer names in the pod template"))
	}
	return append(errs, validateExitCodes(requirement, path.Child("values"))...)
}

// validateExitCodes wants at least one value, ascending, each once. 0 is no failure, so In can't be about it.
func validateExitCodes(requirement *batch.PodFailurePolicyOnExitCodesRequirement, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	values := requirement.Values
	if len(values) == 0 {
		errs = append(errs, field.Invalid(path, values, "at least one value is required"))
	} else if len(values) > maxPodFailurePolicyValues {
		errs = append(errs, field.TooMany(path, len(values), maxPodFailurePolicyValues))
	}
	seen := sets.New[int32]()
	for i, value := range values {
		if len(errs) > manyErrors {
			break
		}
		if value == 0 && requirement.Operator == batch.PodFailurePolicyOnExitCodesOpIn {
			errs = append(errs, field.Invalid(path.Index(i), value, "must not be 0 for the In operator"))
		}
		if seen.Has(value) {
			errs = append(errs, field.Duplicate(path.Index(i), value))
		}
		seen.Insert(value)
	}
	if !slices.IsSorted(values) {
		errs = append(errs, field.Invalid(path, values, "must be ordered"))
	}
	return errs
}

// validateRequiredOneOf refuses an empty value as missing, and one that is none of the allowed as unknown.
func validateRequiredOneOf[T ~string](value T, allowed []T, path *field.Path) field.ErrorList {
	if value == "" {
		return field.ErrorList{field.Required(path, fmt.Sprintf("valid values: %q", allowed))}
	}
	return validateOneOf(&value, allowed, path)
}

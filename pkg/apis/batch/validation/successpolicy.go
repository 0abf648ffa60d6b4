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
	"math"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
)

// Limits of a successPolicy (KEP-3998).
const (
	maxSuccessPolicyRules = 20

	// maxSucceededIndexesLength is in bytes.
	maxSucceededIndexesLength = 64 * 1024
)

// validateSuccessPolicy checks spec.successPolicy (J8), which only Indexed Jobs have.
func validateSuccessPolicy(spec *batch.JobSpec, path *field.Path) field.ErrorList {
	if spec.SuccessPolicy == nil {
		return nil
	}
	if !isIndexed(spec) {
		return field.ErrorList{field.Invalid(path, *spec.SuccessPolicy, requiresIndexed)}
	}
	var errs field.ErrorList
	rules, rulesPath := spec.SuccessPolicy.Rules, path.Child("rules")
	if len(rules) == 0 {
		errs = append(errs, field.Required(rulesPath, "at least one rules must be specified when the successPolicy is specified"))
	}
	if len(rules) > maxSuccessPolicyRules {
		errs = append(errs, field.TooMany(rulesPath, len(rules), maxSuccessPolicyRules))
	}
	for i := range rules {
		errs = append(errs, validateSuccessPolicyRule(&rules[i], spec.Completions, rulesPath.Index(i))...)
	}
	return errs
}

// validateSuccessPolicyRule holds the rule against the completions. Where those are missing, which is an error of its own (J5), the rule is
// checked for all that doesn't depend on them; upstream fails with a nil dereference there.
func validateSuccessPolicyRule(rule *batch.SuccessPolicyRule, completions *int32, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if rule.SucceededCount == nil && rule.SucceededIndexes == nil {
		errs = append(errs, field.Required(path, "at least one of succeededCount or succeededIndexes must be specified"))
	}
	limit := int32(math.MaxInt32)
	if completions != nil {
		limit = *completions
	}
	indexes, indexErrs := validateSucceededIndexes(rule.SucceededIndexes, limit, path.Child("succeededIndexes"))
	errs = append(errs, indexErrs...)
	if rule.SucceededCount == nil {
		return errs
	}
	count, countPath := *rule.SucceededCount, path.Child("succeededCount")
	errs = append(errs, apivalidation.ValidateNonnegativeField(int64(count), countPath)...)
	if count > limit {
		errs = append(errs, field.Invalid(countPath, count,
			fmt.Sprintf("must be less than or equal to %d (the number of specified completions)", limit)))
	}
	if rule.SucceededIndexes != nil && count > indexes {
		errs = append(errs, field.Invalid(countPath, count,
			fmt.Sprintf("must be less than or equal to %d (the number of indexes in the specified succeededIndexes field)", indexes)))
	}
	return errs
}

// validateSucceededIndexes returns how many indexes the list names too: 0 for a list that is missing or wrong.
func validateSucceededIndexes(list *string, completions int32, path *field.Path) (int32, field.ErrorList) {
	if list == nil {
		return 0, nil
	}
	var errs field.ErrorList
	if len(*list) > maxSucceededIndexesLength {
		errs = append(errs, field.TooLong(path, "", maxSucceededIndexesLength))
	}
	count, err := countIndexes(*list, completions)
	if err != nil {
		errs = append(errs, field.Invalid(path, *list, "error parsing succeededIndexes: "+err.Error()))
	}
	return count, errs
}

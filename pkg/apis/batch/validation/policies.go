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
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
)

// validatePolicies checks the fields that only our own group has. Each may be nil: a batch/v1 object has none of them until the strategy
// fills them in.
//
// All three may change at any time, as parallelism and backoffLimit may. What a Job has been decided to end with does not change: a new
// value matters for the Pods that end, and for the suspensions that begin, after it was written.
func validatePolicies(spec *batch.JobSpec, path *field.Path) field.ErrorList {
	errs := validateOneOf(spec.DisruptionPolicy,
		[]batch.DisruptionPolicy{batch.DisruptionCount, batch.DisruptionIgnore}, path.Child("disruptionPolicy"))
	errs = append(errs, validateOneOf(spec.SuspendPolicy,
		[]batch.SuspendPolicy{batch.SuspendDeletePods, batch.SuspendKeepPods}, path.Child("suspendPolicy"))...)

	workQueuePath := path.Child("workQueuePolicy")
	if spec.WorkQueuePolicy != nil && spec.Completions != nil {
		// Its presence is wrong here, whatever its value: the Job ends by its completions. An Indexed Job without completions is refused for
		// those alone (J5), since the policy may be nothing but a default.
		return append(errs, field.Forbidden(workQueuePath, "only valid where completions is unset"))
	}
	return append(errs, validateOneOf(spec.WorkQueuePolicy,
		[]batch.WorkQueuePolicy{batch.WorkQueueCompleteOnFirstSuccess, batch.WorkQueueRunUntilDeleted}, workQueuePath)...)
}

// validateOneOf refuses a value that is none of the allowed; nil is no value.
func validateOneOf[T ~string](value *T, allowed []T, path *field.Path) field.ErrorList {
	if value == nil || slices.Contains(allowed, *value) {
		return nil
	}
	return field.ErrorList{field.NotSupported(path, *value, allowed)}
}

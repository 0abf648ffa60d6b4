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
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	"github.com/jobserver-dev/jobserver/pkg/apis/batch/podtemplate"
)

// WarningsOnCreate returns what is questionable about a new Job, as sentences for the client; the Job is stored all the same.
func WarningsOnCreate(ctx context.Context, job *batch.Job) []string {
	var warnings []string
	if problems := validation.IsDNS1123Label(job.Name); len(problems) > 0 {
		warnings = append(warnings, fmt.Sprintf(
			"metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: %v", problems))
	}
	return append(warnings, warningsForSpec(ctx, field.NewPath("spec"), &job.Spec, nil)...)
}

// WarningsOnUpdate does the same for a changed Job. It looks at the spec alone, and only where that has changed, which the generation tells:
// the strategy must have set it.
func WarningsOnUpdate(ctx context.Context, job, old *batch.Job) []string {
	if job.Generation == old.Generation {
		return nil
	}
	return warningsForSpec(ctx, field.NewPath("spec"), &job.Spec, &old.Spec)
}

// warningsForSpec warns of index lists that may outgrow the object, and of what the Pod template has. old is nil on create.
func warningsForSpec(ctx context.Context, path *field.Path, spec, old *batch.JobSpec) []string {
	var warnings []string
	if isIndexed(spec) && exceeds(spec.Completions, manyCompletions) && exceeds(spec.Parallelism, maxParallelismForManyCompletions) {
		warnings = append(warnings, fmt.Sprintf("%s: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, "+
			"Kubernetes might not be able to track completedIndexes when a big number of indexes fail", path))
	}
	var oldTemplate *corev1.PodTemplateSpec
	if old != nil {
		oldTemplate = &old.Template
	}
	return append(warnings, podtemplate.Warnings(ctx, path.Child("template"), &spec.Template, oldTemplate)...)
}

func exceeds(number *int32, limit int32) bool {
	return number != nil && *number > limit
}

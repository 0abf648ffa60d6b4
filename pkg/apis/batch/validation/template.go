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
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	"github.com/jobserver-dev/jobserver/pkg/apis/batch/podtemplate"
)

// validateTemplateUpdate says what of the Pod template may change. The old Job alone decides, so one write may both edit the template and
// resume the Job. That the new template is a valid one, with the right restartPolicy and labels that the selector matches, is
// checked with the whole spec.
//
// Running Jobs may change nothing, so that all their Pods are made from one template. A suspended one may change what Kubernetes lets change
// as long as no Pod made from the old template is left (section 1.8 of the Job reference); with AllowTemplateEditWhileSuspended,
// everything and with Pods left.
func validateTemplateUpdate(job, old *batch.Job, opts Options, path *field.Path) field.ErrorList {
	template, oldTemplate := &job.Spec.Template, &old.Spec.Template
	switch {
	case opts.AllowTemplateEditWhileSuspended && isSuspended(&old.Spec):
		return nil
	case isSettledSuspended(old):
		return podtemplate.ValidateSuspendedUpdate(template, oldTemplate, path)
	default:
		return podtemplate.ValidateImmutable(template, oldTemplate, path)
	}
}

func isSuspended(spec *batch.JobSpec) bool {
	return spec.Suspend != nil && *spec.Suspend
}

// isSettledSuspended says whether a suspended Job has no Pods and will get none: it was never started, or the controller has recorded the
// suspension; and no Pod is active.
func isSettledSuspended(job *batch.Job) bool {
	recorded := job.Status.StartTime == nil || hasCondition(&job.Status, batch.JobSuspended, corev1.ConditionTrue)
	return isSuspended(&job.Spec) && recorded && job.Status.Active == 0
}

// hasCondition says whether any condition of the type has the status.
func hasCondition(status *batch.JobStatus, conditionType batch.JobConditionType, want corev1.ConditionStatus) bool {
	for i := range status.Conditions {
		if condition := &status.Conditions[i]; condition.Type == conditionType && condition.Status == want {
			return true
		}
	}
	return false
}

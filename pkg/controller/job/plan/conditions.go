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

package plan

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

// findCondition returns the condition of the type, nil if there is none.
func findCondition(conditions []batchv1.JobCondition, conditionType batchv1.JobConditionType) *batchv1.JobCondition {
	for i := range conditions {
		if conditions[i].Type == conditionType {
			return &conditions[i]
		}
	}
	return nil
}

// trueCondition returns the condition of the type if its status is True, else nil.
func trueCondition(conditions []batchv1.JobCondition, conditionType batchv1.JobConditionType) *batchv1.JobCondition {
	if condition := findCondition(conditions, conditionType); condition != nil && condition.Status == corev1.ConditionTrue {
		return condition
	}
	return nil
}

// setCondition gives the condition of the type its status, reason and message, and says whether its status changed thereby.
// Where it did not, the condition stays as it is: the first reason stands. A condition that does not exist is not added to be
// False, which would say nothing (rule B28).
func setCondition(
	conditions *[]batchv1.JobCondition, conditionType batchv1.JobConditionType, status corev1.ConditionStatus,
	reason, message string, now metav1.Time,
) bool {
	condition := findCondition(*conditions, conditionType)
	if condition == nil {
		if status == corev1.ConditionFalse {
			return false
		}
		*conditions = append(*conditions, batchv1.JobCondition{Type: conditionType})
		condition = &(*conditions)[len(*conditions)-1]
	} else if condition.Status == status {
		return false
	}
	condition.Status = status
	condition.Reason = reason
	condition.Message = message
	condition.LastProbeTime = now
	condition.LastTransitionTime = now
	return true
}

// terminalCondition returns the condition that ended the Job, nil while it has not.
func terminalCondition(status *batchv1.JobStatus) *batchv1.JobCondition {
	if complete := trueCondition(status.Conditions, batchv1.JobComplete); complete != nil {
		return complete
	}
	return trueCondition(status.Conditions, batchv1.JobFailed)
}

// interimCondition returns the condition that says how the Job is going to end, nil while nothing is decided.
func interimCondition(status *batchv1.JobStatus) *batchv1.JobCondition {
	if met := trueCondition(status.Conditions, batchv1.JobSuccessCriteriaMet); met != nil {
		return met
	}
	return trueCondition(status.Conditions, batchv1.JobFailureTarget)
}

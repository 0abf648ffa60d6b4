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
	"k8s.io/utils/ptr"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

// ruleBackoffLimit fails the Job once more Pods have failed than backoffLimit bears, or their containers were restarted too
// often.
func ruleBackoffLimit(s *state) *Verdict {
	if s.tally.failed <= backoffLimit(s.job) && !restartedTooOften(s) {
		return nil
	}
	return failure(batch.ReasonBackoffLimitExceeded, "Job has reached the specified backoff limit")
}

func backoffLimit(job *batchv1.Job) int32 {
	return ptr.Deref(job.Spec.BackoffLimit, kubernetesBackoffLimit)
}

// restartedTooOften says whether the containers of Pods that have not ended were restarted backoffLimit times in all, or at
// all where it is 0 (rule B26). Only with restartPolicy OnFailure are there restarts instead of new Pods.
func restartedTooOften(s *state) bool {
	if s.job.Spec.Template.Spec.RestartPolicy != corev1.RestartPolicyOnFailure {
		return false
	}
	var restarts int64
	for _, pods := range [][]*podState{s.active, s.terminating} {
		for _, p := range pods {
			if p.Status.Phase == corev1.PodRunning || p.Status.Phase == corev1.PodPending {
				restarts += sumRestarts(p.Status.InitContainerStatuses) + sumRestarts(p.Status.ContainerStatuses)
			}
		}
	}
	return restarts >= max(1, int64(backoffLimit(s.job)))
}

func sumRestarts(statuses []corev1.ContainerStatus) int64 {
	var sum int64
	for i := range statuses {
		sum += int64(statuses[i].RestartCount)
	}
	return sum
}

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

package v1

import (
	"math"

	corev1 "k8s.io/api/core/v1"
)

// defaultBackoffLimit is the guide's number of retries; Kubernetes' batch/v1 has 6.
const defaultBackoffLimit = 4

// SetDefaults_Job fills what a Job of our group leaves unset. The Pod template's own defaults are not filled here.
func SetDefaults_Job(job *Job) {
	if len(job.Labels) == 0 && job.Spec.Template.Labels != nil {
		// The same map, as upstream: a Job without labels of its own shows the labels that the strategy generates for
		// its template too, and tools select Jobs by them.
		job.Labels = job.Spec.Template.Labels
	}
	setDefaultCounts(&job.Spec)
	setDefaultPolicies(&job.Spec)
	if job.Spec.CompletionMode == nil {
		job.Spec.CompletionMode = new(NonIndexedCompletion)
	}
	if job.Spec.Suspend == nil {
		job.Spec.Suspend = new(false)
	}
	if job.Spec.ManualSelector == nil {
		job.Spec.ManualSelector = new(false)
	}
}

func setDefaultCounts(spec *JobSpec) {
	if spec.Completions == nil && spec.Parallelism == nil {
		spec.Completions = new(int32(1))
	}
	if spec.Parallelism == nil {
		spec.Parallelism = new(int32(1))
	}
	if spec.BackoffLimit == nil {
		limit := int32(defaultBackoffLimit)
		if spec.BackoffLimitPerIndex != nil {
			// Each index has a limit of its own: the Job's must not end it first.
			limit = math.MaxInt32
		}
		spec.BackoffLimit = &limit
	}
}

func setDefaultPolicies(spec *JobSpec) {
	if spec.PodReplacementPolicy == nil {
		policy := TerminatingOrFailed
		if spec.PodFailurePolicy != nil {
			// A Pod's failure can be judged by its exit codes and conditions only once it has ended.
			policy = Failed
		}
		spec.PodReplacementPolicy = &policy
	}
	if spec.DisruptionPolicy == nil {
		spec.DisruptionPolicy = new(DisruptionIgnore)
	}
	if spec.SuspendPolicy == nil {
		spec.SuspendPolicy = new(SuspendKeepPods)
	}
	if spec.WorkQueuePolicy == nil && spec.Completions == nil {
		spec.WorkQueuePolicy = new(WorkQueueRunUntilDeleted)
	}
}

// SetDefaults_PodFailurePolicyOnPodConditionsPattern makes a pattern without a status match the status True.
func SetDefaults_PodFailurePolicyOnPodConditionsPattern(pattern *PodFailurePolicyOnPodConditionsPattern) {
	if pattern.Status == "" {
		pattern.Status = corev1.ConditionTrue
	}
}

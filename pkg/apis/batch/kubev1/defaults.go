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

package kubev1

import (
	"math"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// defaultBackoffLimit is Kubernetes' number of retries; our group has the guide's 4.
const defaultBackoffLimit = 6

// SetDefaults_Job fills what a batch/v1 Job leaves unset, as Kubernetes 1.37 does. The Pod template's own defaults are
// not filled here.
func SetDefaults_Job(job *batchv1.Job) {
	if len(job.Labels) == 0 && job.Spec.Template.Labels != nil {
		// The same map, as upstream: a Job without labels of its own shows the labels that the strategy generates for
		// its template too, and tools select Jobs by them.
		job.Labels = job.Spec.Template.Labels
	}
	spec := &job.Spec
	if spec.Completions == nil && spec.Parallelism == nil {
		spec.Completions = new(int32(1))
	}
	if spec.Parallelism == nil {
		spec.Parallelism = new(int32(1))
	}
	if spec.BackoffLimit == nil {
		spec.BackoffLimit = new(int32(defaultBackoffLimit))
		if spec.BackoffLimitPerIndex != nil {
			*spec.BackoffLimit = math.MaxInt32
		}
	}
	if spec.PodReplacementPolicy == nil {
		spec.PodReplacementPolicy = new(batchv1.TerminatingOrFailed)
		if spec.PodFailurePolicy != nil {
			*spec.PodReplacementPolicy = batchv1.Failed
		}
	}
	if spec.CompletionMode == nil {
		spec.CompletionMode = new(batchv1.NonIndexedCompletion)
	}
	if spec.Suspend == nil {
		spec.Suspend = new(false)
	}
	if spec.ManualSelector == nil {
		spec.ManualSelector = new(false)
	}
}

// SetDefaults_PodFailurePolicyOnPodConditionsPattern makes a pattern without a status match the status True.
func SetDefaults_PodFailurePolicyOnPodConditionsPattern(pattern *batchv1.PodFailurePolicyOnPodConditionsPattern) {
	if pattern.Status == "" {
		pattern.Status = corev1.ConditionTrue
	}
}

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

package tests

import (
	"github.com/jobserver-dev/jobserver/test/conformance/suite"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// edit changes a Job that a test is about to create.
type edit = func(job *batchv1.Job)

// newJob returns the smallest Job, named "job", with some edits. No scheduler looks at its Pods: the suite plays the kubelet.
func newJob(edits ...edit) *batchv1.Job {
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: "job"},
		Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			RestartPolicy:                 corev1.RestartPolicyNever,
			SchedulerName:                 suite.SchedulerName,
			TerminationGracePeriodSeconds: ptr.To(int64(suite.GracePeriod.Seconds())),
			Containers:                    []corev1.Container{{Name: "main", Image: "busybox:1.36", Command: []string{"true"}}},
		}}},
	}
	for _, change := range edits {
		change(job)
	}
	return job
}

// runningJob returns a Job whose Pods really run a shell script.
func runningJob(script string, edits ...edit) *batchv1.Job {
	return newJob(append([]edit{func(job *batchv1.Job) {
		spec := &job.Spec.Template.Spec
		spec.SchedulerName, spec.TerminationGracePeriodSeconds = "", ptr.To[int64](5)
		// Nothing here needs a token, and not every server has accounts.
		spec.AutomountServiceAccountToken = ptr.To(false)
		spec.Containers[0].Command = []string{"sh", "-c", script}
	}}, edits...)...)
}

func named(name string) edit { return func(job *batchv1.Job) { job.Name = name } }

func spec(change func(spec *batchv1.JobSpec)) edit {
	return func(job *batchv1.Job) { change(&job.Spec) }
}

func podSpec(change func(spec *corev1.PodSpec)) edit {
	return func(job *batchv1.Job) { change(&job.Spec.Template.Spec) }
}

func parallelism(n int32) edit { return func(job *batchv1.Job) { job.Spec.Parallelism = &n } }

func completions(n int32) edit { return func(job *batchv1.Job) { job.Spec.Completions = &n } }

// indexed makes a Job Indexed, with so many completions, all of them at a time.
func indexed(n int32) edit {
	return func(job *batchv1.Job) {
		job.Spec.CompletionMode = ptr.To(batchv1.IndexedCompletion)
		job.Spec.Completions, job.Spec.Parallelism = &n, ptr.To(n)
	}
}

func backoffLimit(n int32) edit { return func(job *batchv1.Job) { job.Spec.BackoffLimit = &n } }

func backoffLimitPerIndex(n int32) edit {
	return func(job *batchv1.Job) { job.Spec.BackoffLimitPerIndex = &n }
}

func maxFailedIndexes(n int32) edit {
	return func(job *batchv1.Job) { job.Spec.MaxFailedIndexes = &n }
}

func activeDeadline(seconds int64) edit {
	return func(job *batchv1.Job) { job.Spec.ActiveDeadlineSeconds = &seconds }
}

func ttl(seconds int32) edit {
	return func(job *batchv1.Job) { job.Spec.TTLSecondsAfterFinished = &seconds }
}

func suspended(job *batchv1.Job) { job.Spec.Suspend = ptr.To(true) }

func managedBy(name string) edit { return func(job *batchv1.Job) { job.Spec.ManagedBy = &name } }

func restartPolicy(policy corev1.RestartPolicy) edit {
	return func(job *batchv1.Job) { job.Spec.Template.Spec.RestartPolicy = policy }
}

func podFailurePolicy(rules ...batchv1.PodFailurePolicyRule) edit {
	return func(job *batchv1.Job) { job.Spec.PodFailurePolicy = &batchv1.PodFailurePolicy{Rules: rules} }
}

// The actions of a podFailurePolicy.
const (
	failJob       = batchv1.PodFailurePolicyActionFailJob
	failIndex     = batchv1.PodFailurePolicyActionFailIndex
	ignoreFailure = batchv1.PodFailurePolicyActionIgnore
	countFailure  = batchv1.PodFailurePolicyActionCount
)

// onExitCodes is a rule of a podFailurePolicy for containers that exit with one of some codes.
func onExitCodes(action batchv1.PodFailurePolicyAction, codes ...int32) batchv1.PodFailurePolicyRule {
	return batchv1.PodFailurePolicyRule{Action: action, OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{
		Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: codes,
	}}
}

// onCondition is a rule of a podFailurePolicy for Pods with a condition that is True.
func onCondition(action batchv1.PodFailurePolicyAction, kind corev1.PodConditionType) batchv1.PodFailurePolicyRule {
	return batchv1.PodFailurePolicyRule{Action: action, OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{
		{Type: kind, Status: corev1.ConditionTrue},
	}}
}

func successPolicy(rules ...batchv1.SuccessPolicyRule) edit {
	return func(job *batchv1.Job) { job.Spec.SuccessPolicy = &batchv1.SuccessPolicy{Rules: rules} }
}

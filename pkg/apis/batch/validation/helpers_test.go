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
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	"github.com/jobserver-dev/jobserver/pkg/apis/batch/podtemplate"
)

const testUID = types.UID("1a2b3c")

// edit is a change of a valid Job.
type edit func(*batch.Job)

// newJob returns a NonIndexed Job as the strategy hands one to validation: defaulted, with generated selector and labels. The edits
// come last.
func newJob(edits ...edit) *batch.Job {
	job := &batch.Job{
		ObjectMeta: metav1.ObjectMeta{Name: "myjob", Namespace: "default", UID: testUID, ResourceVersion: "1", Generation: 1},
		Spec: batch.JobSpec{
			Parallelism:          new(int32(1)),
			Completions:          new(int32(1)),
			BackoffLimit:         new(int32(6)),
			CompletionMode:       new(batch.NonIndexedCompletion),
			Suspend:              new(false),
			ManualSelector:       new(false),
			PodReplacementPolicy: new(batch.TerminatingOrFailed),
			Selector:             &metav1.LabelSelector{MatchLabels: map[string]string{"batch.kubernetes.io/controller-uid": "1a2b3c"}},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{
					"controller-uid": "1a2b3c", "batch.kubernetes.io/controller-uid": "1a2b3c",
					"job-name": "myjob", "batch.kubernetes.io/job-name": "myjob",
				}},
				Spec: corev1.PodSpec{
					RestartPolicy: corev1.RestartPolicyNever,
					Containers:    []corev1.Container{{Name: "main", Image: "image"}},
				},
			},
		},
	}
	podtemplate.SetDefaults(&job.Spec.Template)
	for _, edit := range edits {
		edit(job)
	}
	return job
}

// indexed makes the Job an Indexed one; parallelism equals completions.
func indexed(completions int32) edit {
	return func(job *batch.Job) {
		job.Spec.CompletionMode = new(batch.IndexedCompletion)
		job.Spec.Completions = new(completions)
		job.Spec.Parallelism = new(completions)
	}
}

func perIndexBackoff(limit int32) edit {
	return func(job *batch.Job) { job.Spec.BackoffLimitPerIndex = new(limit) }
}

func suspended(job *batch.Job) { job.Spec.Suspend = new(true) }

// failurePolicy gives the Job a podFailurePolicy, and the podReplacementPolicy that goes with one.
func failurePolicy(rules ...batch.PodFailurePolicyRule) edit {
	return func(job *batch.Job) {
		job.Spec.PodFailurePolicy = &batch.PodFailurePolicy{Rules: rules}
		job.Spec.PodReplacementPolicy = new(batch.Failed)
	}
}

func successPolicy(rules ...batch.SuccessPolicyRule) edit {
	return func(job *batch.Job) { job.Spec.SuccessPolicy = &batch.SuccessPolicy{Rules: rules} }
}

// checkErrors compares type, field and detail of each error, in order.
func checkErrors(t *testing.T, got field.ErrorList, want []string) {
	t.Helper()
	var lines []string
	for _, err := range got {
		lines = append(lines, fmt.Sprintf("%s %s: %s", err.Type, err.Field, err.Detail))
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("errors differ (-want +got):\n%s", diff)
	}
}

// createCase is a new Job and the errors that it must get, none where want is nil.
type createCase struct {
	name  string
	edits []edit
	want  []string
}

func runCreateCases(t *testing.T, cases []createCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			checkErrors(t, ValidateJobCreate(newJob(c.edits...), Options{}), c.want)
		})
	}
}

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

package job

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	"github.com/jobserver-dev/jobserver/pkg/apis/batch/podtemplate"
)

type edit func(*batch.Job)

// newJob returns a Job as a client of batch/v1 sends it, after defaulting: without policies, one completion.
func newJob(edits ...edit) *batch.Job {
	job := &batch.Job{
		ObjectMeta: metav1.ObjectMeta{Name: "job", Namespace: "default"},
		Spec: batch.JobSpec{
			Parallelism:          new(int32(1)),
			Completions:          new(int32(1)),
			BackoffLimit:         new(int32(6)),
			CompletionMode:       new(batch.NonIndexedCompletion),
			Suspend:              new(false),
			ManualSelector:       new(false),
			PodReplacementPolicy: new(batch.TerminatingOrFailed),
			Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
				RestartPolicy: corev1.RestartPolicyNever,
				Containers:    []corev1.Container{{Name: "main", Image: "busybox"}},
			}},
		},
	}
	podtemplate.SetDefaults(&job.Spec.Template)
	for _, edit := range edits {
		edit(job)
	}
	return job
}

// stored returns a Job as it is in the store after it was created through our group with policies of its own.
func stored(t *testing.T, edits ...edit) *batch.Job {
	t.Helper()
	job := newJob(withPolicies(batch.DisruptionCount, batch.SuspendDeletePods, ""))
	if err := create(t, OurGroup(), job); err != nil {
		t.Fatal(err)
	}
	job.ResourceVersion = "1"
	for _, edit := range edits {
		edit(job)
	}
	return job
}

// withPolicies sets the policies; an empty one is unset.
func withPolicies(disruption batch.DisruptionPolicy, suspend batch.SuspendPolicy, workQueue batch.WorkQueuePolicy) edit {
	return func(job *batch.Job) {
		job.Spec.DisruptionPolicy = nonEmpty(disruption)
		job.Spec.SuspendPolicy = nonEmpty(suspend)
		job.Spec.WorkQueuePolicy = nonEmpty(workQueue)
	}
}

func nonEmpty[T ~string](value T) *T {
	if value == "" {
		return nil
	}
	return &value
}

func requestContext(t *testing.T) context.Context {
	return genericapirequest.WithNamespace(t.Context(), "default")
}

// create does what the store does before it writes a new object.
func create(t *testing.T, group Group, job *batch.Job) error {
	t.Helper()
	rest.FillObjectMetaSystemFields(job)
	return rest.BeforeCreate(NewStrategy(group), requestContext(t), job)
}

// update does what the store does before it writes a changed object.
func update(t *testing.T, strategy rest.RESTUpdateStrategy, job, old runtime.Object) error {
	t.Helper()
	return rest.BeforeUpdate(strategy, requestContext(t), job, old)
}

// bothGroups runs a test once for each group.
func bothGroups(t *testing.T, test func(*testing.T, Group)) {
	for _, group := range []Group{OurGroup(), KubeGroup(ProfileKubernetes)} {
		t.Run(group.Version.Group, func(t *testing.T) {
			t.Parallel()
			test(t, group)
		})
	}
}

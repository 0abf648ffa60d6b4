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

package kubev1_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	"github.com/jobserver-dev/jobserver/pkg/apis/batch/kubev1"
)

// TestConversionDropsScheduling: the alpha field is dropped, as by Kubernetes with its gate off, and all else arrives.
func TestConversionDropsScheduling(t *testing.T) {
	t.Parallel()
	in := &batchv1.JobSpec{Parallelism: new(int32(2)), ManagedBy: new("acme.io/x"), Scheduling: &batchv1.JobSchedulingConfiguration{}}
	got := &batch.JobSpec{}
	if err := kubev1.Convert_v1_JobSpec_To_batch_JobSpec(in, got, nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&batch.JobSpec{Parallelism: new(int32(2)), ManagedBy: new("acme.io/x")}, got); diff != "" {
		t.Errorf("the hub's spec differs (-want +got):\n%s", diff)
	}
}

// TestConversionHidesPolicies: batch/v1 has no place for our fields.
func TestConversionHidesPolicies(t *testing.T) {
	t.Parallel()
	in := &batch.JobSpec{
		Parallelism:      new(int32(2)),
		DisruptionPolicy: new(batch.DisruptionIgnore),
		SuspendPolicy:    new(batch.SuspendKeepPods),
		WorkQueuePolicy:  new(batch.WorkQueueRunUntilDeleted),
	}
	got := &batchv1.JobSpec{}
	if err := kubev1.Convert_batch_JobSpec_To_v1_JobSpec(in, got, nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&batchv1.JobSpec{Parallelism: new(int32(2))}, got); diff != "" {
		t.Errorf("the batch/v1 spec differs (-want +got):\n%s", diff)
	}
}

// TestUpstreamSchemeIsLeftAlone: importing this package must not add our defaults to schemes of other programs in the same process, whose
// batch/v1 Jobs would change by being decoded.
func TestUpstreamSchemeIsLeftAlone(t *testing.T) {
	t.Parallel()
	job := &batchv1.Job{}
	scheme.Scheme.Default(job)
	if diff := cmp.Diff(&batchv1.Job{}, job); diff != "" {
		t.Errorf("client-go's scheme has our defaults:\n%s", diff)
	}
}

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
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/conversion"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
)

// Convert_v1_JobSpec_To_batch_JobSpec drops spec.scheduling, which is alpha and off in Kubernetes 1.37, as Kubernetes itself does
// with the feature gate off. The fields of our group stay nil: a batch/v1 object says nothing of them.
func Convert_v1_JobSpec_To_batch_JobSpec(in *batchv1.JobSpec, out *batch.JobSpec, s conversion.Scope) error {
	return autoConvert_v1_JobSpec_To_batch_JobSpec(in, out, s)
}

// Convert_batch_JobSpec_To_v1_JobSpec leaves out the fields that batch/v1 does not have.
func Convert_batch_JobSpec_To_v1_JobSpec(in *batch.JobSpec, out *batchv1.JobSpec, s conversion.Scope) error {
	return autoConvert_batch_JobSpec_To_v1_JobSpec(in, out, s)
}

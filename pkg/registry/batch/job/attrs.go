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
	"fmt"
	"strconv"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/storage"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
)

// SelectableFields returns the fields that a field selector may name: those of the metadata and status.successful, the number of
// succeeded Pods.
func SelectableFields(job *batch.Job) fields.Set {
	return generic.AddObjectMetaFieldsSet(fields.Set{
		"status.successful": strconv.Itoa(int(job.Status.Succeeded)),
	}, &job.ObjectMeta, true)
}

// GetAttrs returns the labels and fields that selectors look at.
func GetAttrs(obj runtime.Object) (labels.Set, fields.Set, error) {
	job, ok := obj.(*batch.Job)
	if !ok {
		return nil, nil, fmt.Errorf("%T is not a Job", obj)
	}
	return job.Labels, SelectableFields(job), nil
}

// MatchJob returns the predicate of the two selectors, for lists and watches.
func MatchJob(label labels.Selector, field fields.Selector) storage.SelectionPredicate {
	return storage.SelectionPredicate{Label: label, Field: field, GetAttrs: GetAttrs}
}

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
	"fmt"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/operation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage/names"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	"github.com/jobserver-dev/jobserver/pkg/apis/batch/kubev1"
	"github.com/jobserver-dev/jobserver/pkg/apis/batch/podtemplate"
	ourv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
	"github.com/jobserver-dev/jobserver/pkg/apis/batch/validation"
)

// Strategy is what happens to a Job that is created, updated or deleted through one group.
type Strategy struct {
	typer
	names.NameGenerator
	group Group
}

var (
	_ rest.RESTCreateStrategy              = Strategy{}
	_ rest.RESTUpdateStrategy              = Strategy{}
	_ rest.RESTDeleteStrategy              = Strategy{}
	_ rest.GarbageCollectionDeleteStrategy = Strategy{}
	_ rest.ResetFieldsStrategy             = Strategy{}
	_ rest.DeclarativeValidationStrategy   = Strategy{}
)

// NewStrategy returns the strategy of group.
func NewStrategy(group Group) Strategy {
	return Strategy{typer: newTyper(group), NameGenerator: names.SimpleNameGenerator, group: group}
}

// NamespaceScoped is true: a Job lives in a namespace.
func (Strategy) NamespaceScoped() bool {
	return true
}

// DefaultGarbageCollectionPolicy says what happens to the Pods where the delete request doesn't.
func (s Strategy) DefaultGarbageCollectionPolicy(context.Context) rest.GarbageCollectionPolicy {
	return s.group.GarbageCollection
}

// GetResetFields names the fields that a write to the main resource can't set, for server-side apply.
func (Strategy) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return resetFields("status")
}

// resetFields names a field for the versions of both groups. A write's own fields are compared under the version of its group, those of
// every other manager under the version of its entry, which recordOwnership makes ours. Without that one a write through batch/v1 would take
// from its manager, or conflict over, what it can't set.
func resetFields(field string) map[fieldpath.APIVersion]*fieldpath.Set {
	set := fieldpath.NewSet(fieldpath.MakePathOrDie(field))
	return map[fieldpath.APIVersion]*fieldpath.Set{
		fieldpath.APIVersion(ourv1.SchemeGroupVersion.String()):  set,
		fieldpath.APIVersion(kubev1.SchemeGroupVersion.String()): set,
	}
}

// PrepareForCreate clears the status and sets what the server generates.
func (s Strategy) PrepareForCreate(_ context.Context, obj runtime.Object) {
	job := obj.(*batch.Job)
	generateSelector(job)
	if s.group.HidesPolicies {
		s.group.Profile.fillPolicies(&job.Spec)
	}
	job.Status = batch.JobStatus{}
	job.Generation = 1
	podtemplate.DropDisabledFields(&job.Spec.Template, nil)
	recordOwnership(job)
}

// Validate checks a new Job.
func (s Strategy) Validate(_ context.Context, obj runtime.Object) field.ErrorList {
	job := obj.(*batch.Job)
	return validation.ValidateJobCreate(job, s.validationOptions())
}

// WarningsOnCreate returns what a client should know of a new Job that is valid all the same.
func (Strategy) WarningsOnCreate(ctx context.Context, obj runtime.Object) []string {
	return validation.WarningsOnCreate(ctx, obj.(*batch.Job))
}

// AllowCreateOnUpdate is false: a Job is created by POST or apply, never by PUT.
func (Strategy) AllowCreateOnUpdate(context.Context) bool {
	return false
}

// AllowUnconditionalUpdate is true: a PUT without resourceVersion overwrites, as upstream.
func (Strategy) AllowUnconditionalUpdate(context.Context) bool {
	return true
}

// PrepareForUpdate keeps the status, carries over what the client can't see and counts changes of the spec.
func (s Strategy) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	job, oldJob := obj.(*batch.Job), old.(*batch.Job)
	job.Status = oldJob.Status
	if s.group.HidesPolicies {
		carryPolicies(&job.Spec, &oldJob.Spec)
	}
	podtemplate.DropDisabledFields(&job.Spec.Template, &oldJob.Spec.Template)
	if !apiequality.Semantic.DeepEqual(job.Spec, oldJob.Spec) {
		job.Generation = oldJob.Generation + 1
	}
	recordOwnership(job)
}

// ValidateUpdate checks a changed Job.
func (s Strategy) ValidateUpdate(_ context.Context, obj, old runtime.Object) field.ErrorList {
	job, oldJob := obj.(*batch.Job), old.(*batch.Job)
	return validation.ValidateJobUpdate(job, oldJob, s.validationOptions())
}

// WarningsOnUpdate returns what a client should know of a changed Job; nothing where the spec is as it was.
func (Strategy) WarningsOnUpdate(ctx context.Context, obj, old runtime.Object) []string {
	return validation.WarningsOnUpdate(ctx, obj.(*batch.Job), old.(*batch.Job))
}

// Canonicalize gives a valid Job without labels those of its template. Not before: they would be checked as if the client had set them.
func (Strategy) Canonicalize(obj runtime.Object) {
	labelAsTemplate(obj.(*batch.Job))
}

// ValidateDeclaratively is the last step of validation in the generic registry. There are no declarative rules here, but as in Kubernetes it
// folds errors that say the same: the generic checks of metadata and the strategy's own find most of them twice.
func (Strategy) ValidateDeclaratively(_ context.Context, _, _ runtime.Object, errs field.ErrorList, _ operation.Type, _ rest.DeclarativeValidationConfig) field.ErrorList {
	return boundErrors(errs).Filter()
}

// maxErrors bounds how many mistakes of one Job are told. A body of 3 MiB can have a million, and the answer would be a hundred times as long as the
// request. Kubernetes has no bound, so this one lies above what a Job of reasonable size can reach: 256 elements in a list, all of them wrong
// in 20 ways, are 5,120.
const maxErrors = 10_000

// boundErrors returns the first errors and, where that is not all, one that says so, about the field of the first that is left out. How many there are
// it can't say: validation stops counting, too.
func boundErrors(errs field.ErrorList) field.ErrorList {
	if len(errs) <= maxErrors {
		return errs
	}
	// A copy: the rest would stay in memory with the answer.
	bounded := append(make(field.ErrorList, 0, maxErrors+1), errs[:maxErrors]...)
	return append(bounded, &field.Error{
		Type: field.ErrorTypeTooMany, Field: errs[maxErrors].Field, BadValue: field.OmitValueType{},
		Detail: fmt.Sprintf("only the first %d errors are shown", maxErrors),
	})
}

// DeclarativeValidationConfig has nothing to configure.
func (Strategy) DeclarativeValidationConfig(context.Context, runtime.Object, runtime.Object) rest.DeclarativeValidationConfig {
	return rest.DeclarativeValidationConfig{}
}

func (s Strategy) validationOptions() validation.Options {
	return validation.Options{AllowTemplateEditWhileSuspended: s.group.TemplateEditable}
}

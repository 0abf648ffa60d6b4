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
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/operation"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/registry/rest"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
)

func TestCreateSetsWhatTheServerDecides(t *testing.T) {
	t.Parallel()
	bothGroups(t, func(t *testing.T, group Group) {
		job := newJob(func(job *batch.Job) {
			job.Status = batch.JobStatus{Active: 3, Succeeded: 2}
			job.Generation = 7
		})
		if err := create(t, group, job); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(batch.JobStatus{}, job.Status); diff != "" {
			t.Errorf("status of a new Job (-want +got):\n%s", diff)
		}
		if job.Generation != 1 {
			t.Errorf("generation %d, want 1", job.Generation)
		}
	})
}

func TestCreateFillsPolicies(t *testing.T) {
	t.Parallel()
	noCompletions := func(job *batch.Job) { job.Spec.Completions = nil }
	tests := map[string]struct {
		group Group
		edits []edit
		want  edit
	}{
		"kubernetes": {
			group: KubeGroup(ProfileKubernetes),
			want:  withPolicies(batch.DisruptionCount, batch.SuspendDeletePods, ""),
		},
		"kubernetes, work queue": {
			group: KubeGroup(ProfileKubernetes),
			edits: []edit{noCompletions},
			want:  withPolicies(batch.DisruptionCount, batch.SuspendDeletePods, batch.WorkQueueCompleteOnFirstSuccess),
		},
		"guide": {
			group: KubeGroup(ProfileGuide),
			want:  withPolicies(batch.DisruptionIgnore, batch.SuspendKeepPods, ""),
		},
		"guide, work queue": {
			group: KubeGroup(ProfileGuide),
			edits: []edit{noCompletions},
			want:  withPolicies(batch.DisruptionIgnore, batch.SuspendKeepPods, batch.WorkQueueRunUntilDeleted),
		},
		"what is set stays": {
			group: KubeGroup(ProfileGuide),
			edits: []edit{noCompletions, withPolicies(batch.DisruptionCount, batch.SuspendDeletePods, batch.WorkQueueCompleteOnFirstSuccess)},
			want:  withPolicies(batch.DisruptionCount, batch.SuspendDeletePods, batch.WorkQueueCompleteOnFirstSuccess),
		},
		"our group has defaults instead": {
			group: OurGroup(),
			edits: []edit{noCompletions},
			want:  withPolicies("", "", ""),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			job := newJob(test.edits...)
			if err := create(t, test.group, job); err != nil {
				t.Fatal(err)
			}
			expectPolicies(t, job, newJob(test.want))
		})
	}
}

func expectPolicies(t *testing.T, got, want *batch.Job) {
	t.Helper()
	type policies struct {
		Disruption *batch.DisruptionPolicy
		Suspend    *batch.SuspendPolicy
		WorkQueue  *batch.WorkQueuePolicy
	}
	of := func(spec batch.JobSpec) policies {
		return policies{spec.DisruptionPolicy, spec.SuspendPolicy, spec.WorkQueuePolicy}
	}
	if diff := cmp.Diff(of(want.Spec), of(got.Spec)); diff != "" {
		t.Errorf("policies (-want +got):\n%s", diff)
	}
}

func TestUpdateOfPolicies(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		group Group
		sent  edit
		want  edit
	}{
		"batch/v1 sends none": {
			group: KubeGroup(ProfileKubernetes),
			sent:  withPolicies("", "", ""),
			want:  withPolicies(batch.DisruptionCount, batch.SuspendDeletePods, ""),
		},
		"batch/v1 of the guide's profile sends none": {
			group: KubeGroup(ProfileGuide),
			sent:  withPolicies("", "", ""),
			want:  withPolicies(batch.DisruptionCount, batch.SuspendDeletePods, ""),
		},
		"our group changes them": {
			group: OurGroup(),
			sent:  withPolicies(batch.DisruptionIgnore, batch.SuspendKeepPods, ""),
			want:  withPolicies(batch.DisruptionIgnore, batch.SuspendKeepPods, ""),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			old := stored(t)
			job := old.DeepCopy()
			test.sent(job)
			if err := update(t, NewStrategy(test.group), job, old); err != nil {
				t.Fatal(err)
			}
			expectPolicies(t, job, newJob(test.want))
		})
	}
}

// TestCompletionsForAWorkQueue: a client of batch/v1 is told what Kubernetes tells it, and nothing about a field that it doesn't know.
func TestCompletionsForAWorkQueue(t *testing.T) {
	t.Parallel()
	old := stored(t, withPolicies(batch.DisruptionCount, batch.SuspendDeletePods, batch.WorkQueueCompleteOnFirstSuccess))
	old.Spec.Completions = nil
	job := old.DeepCopy()
	job.Spec.Completions = new(int32(1))
	err := update(t, NewStrategy(KubeGroup(ProfileKubernetes)), job, old)
	if want := "spec.completions: Invalid value: 1: field is immutable"; err == nil || !strings.HasSuffix(err.Error(), "is invalid: "+want) {
		t.Errorf("error %v, want %s alone", err, want)
	}
}

func TestGenerationCountsChangesOfTheSpec(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change edit
		want   int64
	}{
		"nothing":            {change: func(*batch.Job) {}, want: 1},
		"the metadata":       {change: func(job *batch.Job) { job.Labels = map[string]string{"a": "b"} }, want: 1},
		"the status":         {change: func(job *batch.Job) { job.Status.Active = 1 }, want: 1},
		"a sent generation":  {change: func(job *batch.Job) { job.Generation = 9 }, want: 1},
		"the spec":           {change: func(job *batch.Job) { job.Spec.Parallelism = new(int32(2)) }, want: 2},
		"the spec, suspends": {change: func(job *batch.Job) { job.Spec.Suspend = new(true) }, want: 2},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bothGroups(t, func(t *testing.T, group Group) {
				old := stored(t)
				job := old.DeepCopy()
				test.change(job)
				if err := update(t, NewStrategy(group), job, old); err != nil {
					t.Fatal(err)
				}
				if job.Generation != test.want {
					t.Errorf("generation %d, want %d", job.Generation, test.want)
				}
				if diff := cmp.Diff(old.Status, job.Status); diff != "" {
					t.Errorf("the update changed the status (-old +new):\n%s", diff)
				}
			})
		})
	}
}

func TestStatusUpdateKeepsTheSpec(t *testing.T) {
	t.Parallel()
	bothGroups(t, func(t *testing.T, group Group) {
		old := stored(t)
		job := old.DeepCopy()
		job.Spec.Parallelism = new(int32(9))
		job.Spec.DisruptionPolicy = nil
		job.Status.Active = 1
		job.Annotations = map[string]string{"kept": "yes"}
		if err := update(t, NewStatusStrategy(group), job, old); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(old.Spec, job.Spec); diff != "" {
			t.Errorf("the status update changed the spec (-old +new):\n%s", diff)
		}
		if job.Status.Active != 1 || job.Annotations["kept"] != "yes" || job.Generation != 1 {
			t.Errorf("active %d, annotations %v, generation %d; want 1, the one sent, 1", job.Status.Active, job.Annotations, job.Generation)
		}
	})
}

func TestStatusUpdateIsValidated(t *testing.T) {
	t.Parallel()
	old := stored(t)
	job := old.DeepCopy()
	job.Status.Active = -1
	err := update(t, NewStatusStrategy(OurGroup()), job, old)
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "status.active") {
		t.Errorf("error %v, want one about status.active", err)
	}
}

// TestErrorsNameTheGroup: the one hub type is known under both groups, and each must show its own.
func TestErrorsNameTheGroup(t *testing.T) {
	t.Parallel()
	want := map[string]string{"batch": "Job.batch ", "batch.jobserver.dev": "Job.batch.jobserver.dev "}
	bothGroups(t, func(t *testing.T, group Group) {
		err := create(t, group, newJob(func(job *batch.Job) { job.Spec.Parallelism = new(int32(-1)) }))
		if !apierrors.IsInvalid(err) || !strings.HasPrefix(err.Error(), want[group.Version.Group]) {
			t.Errorf("error of a create %v, want %q in front", err, want[group.Version.Group])
		}
		old := stored(t)
		job := old.DeepCopy()
		job.Spec.CompletionMode = new(batch.IndexedCompletion)
		err = update(t, NewStrategy(group), job, old)
		if !apierrors.IsInvalid(err) || !strings.HasPrefix(err.Error(), want[group.Version.Group]) {
			t.Errorf("error of an update %v, want %q in front", err, want[group.Version.Group])
		}
	})
}

func TestTyper(t *testing.T) {
	t.Parallel()
	bothGroups(t, func(t *testing.T, group Group) {
		strategy := NewStrategy(group)
		kinds, unversioned, err := strategy.ObjectKinds(&batch.Job{})
		if err != nil || unversioned || len(kinds) != 1 || kinds[0].Group != group.Version.Group || kinds[0].Kind != "Job" {
			t.Fatalf("kinds %v, unversioned %v, error %v; want the group's Job", kinds, unversioned, err)
		}
		if !strategy.Recognizes(kinds[0]) || strategy.Recognizes(schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Job"}) {
			t.Error("the typer must recognize the Job of its group only")
		}
		if _, _, err := strategy.ObjectKinds(&corev1.Pod{}); err == nil || !strings.Contains(err.Error(), "v1.Pod") {
			t.Errorf("error %v of a Pod, want one that names its type", err)
		}
	})
}

func TestGroupsDiffer(t *testing.T) {
	t.Parallel()
	ctx := requestContext(t)
	if got := NewStrategy(OurGroup()).DefaultGarbageCollectionPolicy(ctx); got != rest.DeleteDependents {
		t.Errorf("our group's default is to %s, want the dependents deleted", got)
	}
	if got := NewStrategy(KubeGroup(ProfileKubernetes)).DefaultGarbageCollectionPolicy(ctx); got != rest.OrphanDependents {
		t.Errorf("the default of batch is to %s, want the dependents orphaned", got)
	}

	// The guide lets the image of a suspended Job be changed; Kubernetes does not.
	for group, allowed := range map[*Group]bool{new(OurGroup()): true, new(KubeGroup(ProfileGuide)): false} {
		old := stored(t, func(job *batch.Job) { job.Spec.Suspend = new(true) })
		job := old.DeepCopy()
		job.Spec.Template.Spec.Containers[0].Image = "other"
		if err := update(t, NewStrategy(*group), job, old); (err == nil) != allowed {
			t.Errorf("changing the image of a suspended Job through %s: %v", group.Version.Group, err)
		}
	}
}

// TestResetFields: every version that an entry of managedFields may name needs its key; one that is missing lets a write take what it can't set.
func TestResetFields(t *testing.T) {
	t.Parallel()
	bothGroups(t, func(t *testing.T, group Group) {
		for field, strategy := range map[string]rest.ResetFieldsStrategy{"status": NewStrategy(group), "spec": NewStatusStrategy(group)} {
			got := strategy.GetResetFields()
			for _, version := range []fieldpath.APIVersion{"batch/v1", "batch.jobserver.dev/v1"} {
				if want := fieldpath.NewSet(fieldpath.MakePathOrDie(field)); got[version] == nil || !want.Equals(got[version]) {
					t.Errorf("%T resets %v of %s, want %s", strategy, got[version], version, field)
				}
			}
		}
	})
}

func TestUpdateRules(t *testing.T) {
	t.Parallel()
	strategy := NewStrategy(OurGroup())
	if !strategy.NamespaceScoped() || strategy.AllowCreateOnUpdate(t.Context()) || !strategy.AllowUnconditionalUpdate(t.Context()) {
		t.Error("a Job lives in a namespace, is never created by PUT, and may be overwritten without a resourceVersion")
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	ctx := requestContext(t)
	strategy, statusStrategy := NewStrategy(OurGroup()), NewStatusStrategy(OurGroup())
	dotted := newJob(func(job *batch.Job) { job.Name = "a.b" })
	if got := strategy.WarningsOnCreate(ctx, dotted); len(got) != 1 || !strings.HasPrefix(got[0], "metadata.name: ") {
		t.Errorf("warnings %q of a name that is no DNS label, want one about it", got)
	}
	if got := strategy.WarningsOnCreate(ctx, newJob()); len(got) > 0 {
		t.Errorf("warnings %q of a plain Job", got)
	}

	old := stored(t)
	job := old.DeepCopy()
	job.Spec.Template.Spec.NodeSelector = map[string]string{"beta.kubernetes.io/os": "linux"}
	if got := strategy.WarningsOnUpdate(ctx, job, old); len(got) > 0 {
		t.Errorf("warnings %q where the generation is the same", got)
	}
	job.Generation++
	deprecated := func(warning string) bool { return strings.Contains(warning, "beta.kubernetes.io/os") }
	if got := strategy.WarningsOnUpdate(ctx, job, old); !slices.ContainsFunc(got, deprecated) {
		t.Errorf("warnings %q, want one about the deprecated node label", got)
	}
	if got := statusStrategy.WarningsOnUpdate(ctx, job, old); len(got) > 0 {
		t.Errorf("warnings %q of a status update", got)
	}
}

// TestErrorsAreBounded: a Job with a hundred thousand mistakes gets an answer of reasonable length, which says so.
func TestErrorsAreBounded(t *testing.T) {
	t.Parallel()
	var errs field.ErrorList
	for i := range 100_000 {
		errs = append(errs, field.Duplicate(field.NewPath("spec").Index(i), i))
	}
	validate := func(errs field.ErrorList) field.ErrorList {
		return NewStrategy(OurGroup()).ValidateDeclaratively(t.Context(), nil, nil, errs, operation.Create, rest.DeclarativeValidationConfig{})
	}
	got := validate(errs)
	if len(got) != 10_001 || got[9_999].Field != "spec[9999]" {
		t.Fatalf("%d errors, the last but one about %s; want 10001 and spec[9999]", len(got), got[len(got)-2].Field)
	}
	if want := "spec[10000]: Too many: only the first 10000 errors are shown"; got[10_000].Error() != want {
		t.Errorf("the last is %q, want %q", got[10_000], want)
	}
	if got := validate(errs[:10_000]); len(got) != 10_000 {
		t.Errorf("%d errors of 10000, want all", len(got))
	}
}

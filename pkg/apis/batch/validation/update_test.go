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
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
)

// updateCase is a stored Job, a change of it, and the errors that the change must get.
type updateCase struct {
	name string
	old  []edit
	edit edit
	want []string
}

func runUpdateCases(t *testing.T, opts Options, cases []updateCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			old := newJob(c.old...)
			job := old.DeepCopy()
			c.edit(job)
			before := old.DeepCopy()
			checkErrors(t, ValidateJobUpdate(job, old, opts), c.want)
			checkUntouched(t, before, old)
		})
	}
}

const immutable = ": field is immutable"

func TestFieldsThatMayChange(t *testing.T) {
	t.Parallel()
	runUpdateCases(t, Options{}, []updateCase{
		{name: "nothing", edit: func(*batch.Job) {}},
		{name: "parallelism", edit: parallelism(7)},
		{name: "activeDeadlineSeconds", edit: func(job *batch.Job) { job.Spec.ActiveDeadlineSeconds = new(int64(7)) }},
		{name: "backoffLimit", edit: func(job *batch.Job) { job.Spec.BackoffLimit = new(int32(7)) }},
		{name: "ttlSecondsAfterFinished", edit: func(job *batch.Job) { job.Spec.TTLSecondsAfterFinished = new(int32(7)) }},
		{name: "suspend", edit: suspended},
		{name: "manualSelector", edit: func(job *batch.Job) { job.Spec.ManualSelector = new(true) }},
		{name: "podReplacementPolicy", edit: func(job *batch.Job) { job.Spec.PodReplacementPolicy = new(batch.Failed) }},
		{name: "maxFailedIndexes", old: []edit{indexed(3), perIndexBackoff(1)}, edit: maxFailedIndexes(2)},
		{name: "disruptionPolicy", edit: func(job *batch.Job) { job.Spec.DisruptionPolicy = new(batch.DisruptionCount) }},
		{name: "suspendPolicy", edit: func(job *batch.Job) { job.Spec.SuspendPolicy = new(batch.SuspendDeletePods) }},
		{name: "workQueuePolicy", old: []edit{workQueue(batch.WorkQueueRunUntilDeleted)}, edit: workQueue(batch.WorkQueueCompleteOnFirstSuccess)},
		{name: "labels", edit: func(job *batch.Job) { job.Labels = map[string]string{"a": "b"} }},
		{name: "ttlSecondsAfterFinished of a finished Job",
			old: []edit{withConditions(batch.JobComplete)}, edit: func(job *batch.Job) { job.Spec.TTLSecondsAfterFinished = new(int32(0)) }},
	})
}

func TestFieldsThatMayNotChange(t *testing.T) {
	t.Parallel()
	rule := onCondition("DisruptionTarget", corev1.ConditionTrue)
	runUpdateCases(t, Options{}, []updateCase{
		{name: "1.2 completions of a NonIndexed Job", edit: func(job *batch.Job) { job.Spec.Completions = new(int32(2)) },
			want: []string{"Invalid value spec.completions" + immutable}},
		{name: "1.2 completions of a NonIndexed Job with parallelism", edit: func(job *batch.Job) {
			job.Spec.Completions, job.Spec.Parallelism = new(int32(2)), new(int32(2))
		}, want: []string{"Invalid value spec.completions" + immutable}},
		{name: "1.2 completions of a work queue", old: []edit{workQueue(batch.WorkQueueRunUntilDeleted)},
			edit: func(job *batch.Job) { job.Spec.Completions = new(int32(2)) },
			want: []string{
				"Forbidden spec.workQueuePolicy: only valid where completions is unset",
				"Invalid value spec.completions" + immutable,
			}},
		{name: "1.2 selector", old: []edit{manual}, edit: func(job *batch.Job) {
			job.Spec.Selector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
				{Key: "app", Operator: metav1.LabelSelectorOpExists},
			}}
		}, want: []string{"Invalid value spec.selector" + immutable}},
		{name: "1.2 no selector", edit: func(job *batch.Job) { job.Spec.Selector = nil },
			want: []string{"Required value spec.selector: ", notMatching, "Invalid value spec.selector" + immutable}},
		{name: "1.2 completionMode", edit: indexed(1), want: []string{"Invalid value spec.completionMode" + immutable}},
		{name: "1.2 podFailurePolicy", edit: failurePolicy(rule), want: []string{"Invalid value spec.podFailurePolicy" + immutable}},
		{name: "1.2 podFailurePolicy taken away", old: []edit{failurePolicy(rule)}, edit: func(job *batch.Job) { job.Spec.PodFailurePolicy = nil },
			want: []string{"Invalid value spec.podFailurePolicy" + immutable}},
		{name: "1.2 backoffLimitPerIndex", old: []edit{indexed(2), perIndexBackoff(1)}, edit: perIndexBackoff(2),
			want: []string{"Invalid value spec.backoffLimitPerIndex" + immutable}},
		{name: "1.2 managedBy", edit: func(job *batch.Job) { job.Spec.ManagedBy = new("acme.io/foo") },
			want: []string{"Invalid value spec.managedBy" + immutable}},
		{name: "1.2 successPolicy", old: []edit{indexed(2)}, edit: successPolicy(succeededCount(1)),
			want: []string{"Invalid value spec.successPolicy" + immutable}},
		{name: "1.7 name", edit: func(job *batch.Job) { job.Name = "other" }, want: []string{"Invalid value metadata.name" + immutable}},
		{name: "1.7 UID", edit: func(job *batch.Job) { job.UID = "other" }, want: []string{"Invalid value metadata.uid" + immutable}},
		{name: "1.7 finalizer without a domain", edit: func(job *batch.Job) { job.Finalizers = []string{"mine"} },
			want: []string{"Invalid value metadata.finalizers[0]: name is neither a standard finalizer name nor is it fully qualified"}},
		{name: "1.7 finalizer on a Job that is being deleted", old: []edit{deleted}, edit: func(job *batch.Job) {
			job.Finalizers = append(job.Finalizers, "example.com/new")
		}, want: []string{`Forbidden metadata.finalizers: no new finalizers can be added if the object is being deleted, ` +
			`found new finalizers []string{"example.com/new"}`}},
		{name: "1.7 the whole spec is checked", edit: parallelism(-1), want: []string{"Invalid value spec.parallelism: " + notNegative}},
	})
}

func deleted(job *batch.Job) {
	job.DeletionTimestamp = &metav1.Time{Time: time.Unix(1000, 0)}
	job.DeletionGracePeriodSeconds = new(int64(0))
	job.Finalizers = []string{"example.com/old"}
}

func TestElasticIndexedJobs(t *testing.T) {
	t.Parallel()
	completions := func(number *int32) edit {
		return func(job *batch.Job) { job.Spec.Completions = number }
	}
	const tandem = "Invalid value spec.completions: can only be modified in tandem with spec.parallelism"
	runUpdateCases(t, Options{}, []updateCase{
		{name: "1.2 grow", old: []edit{indexed(3)}, edit: indexed(5)},
		{name: "1.2 shrink", old: []edit{indexed(3)}, edit: indexed(1)},
		{name: "1.2 to 0", old: []edit{indexed(3)}, edit: indexed(0)},
		{name: "1.2 completions meet parallelism", old: []edit{indexed(3), parallelism(2)}, edit: completions(new(int32(2)))},
		{name: "1.2 completions alone", old: []edit{indexed(3)}, edit: completions(new(int32(5))), want: []string{tandem}},
		{name: "1.2 completions without parallelism", old: []edit{indexed(3)}, edit: func(job *batch.Job) {
			job.Spec.Completions, job.Spec.Parallelism = new(int32(5)), nil
		}, want: []string{tandem}},
		{name: "1.2 parallelism alone", old: []edit{indexed(3)}, edit: parallelism(2)},
		{name: "1.2 completions taken away", old: []edit{indexed(3)}, edit: completions(nil),
			want: []string{"Required value spec.completions: when completion mode is Indexed"}},
		{name: "M5 grow beyond the name", old: []edit{named("n123456789n123456789n123456789n123456789n123456789n123456789n"), indexed(3)},
			edit: indexed(101), want: []string{"Invalid value metadata.name: will not able to create pod with invalid DNS label: " +
				"n123456789n123456789n123456789n123456789n123456789n123456789n-100"}},
	})
}

func TestRulesNotAskedAgain(t *testing.T) {
	t.Parallel()
	badValue := selectAppNotIn("-")
	runUpdateCases(t, Options{}, []updateCase{
		// The labels of Jobs made by old versions.
		{name: "M2 missing label", old: []edit{func(job *batch.Job) { delete(job.Spec.Template.Labels, "job-name") }}, edit: parallelism(2)},
		{name: "M3 invalid value that the selector had", old: []edit{manual, badValue}, edit: parallelism(2)},
		// What the selector had is borne in Pod affinity too, and the reverse, as upstream.
		{name: "M3 invalid value that a Pod affinity had", old: []edit{suspended, manual, affineToInvalidValue},
			edit: func(job *batch.Job) { badValue(job) }, want: []string{"Invalid value spec.selector" + immutable}},
		{name: "J11 invalid value in a Pod affinity that the selector had", old: []edit{suspended, manual, badValue},
			edit: affineToInvalidValue, want: []string{"Invalid value spec.template.spec" + immutable}},
	})
}

// affineToInvalidValue gives the template a Pod affinity to Pods with a label value that can't be.
func affineToInvalidValue(job *batch.Job) {
	job.Spec.Template.Spec.Affinity = &corev1.Affinity{PodAffinity: &corev1.PodAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
			TopologyKey: "zone",
			LabelSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
				{Key: "app", Operator: metav1.LabelSelectorOpIn, Values: []string{"-"}},
			}},
		}},
	}}
}

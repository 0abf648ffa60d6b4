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

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
)

func workQueue(policy batch.WorkQueuePolicy) edit {
	return func(job *batch.Job) {
		job.Spec.Completions = nil
		job.Spec.WorkQueuePolicy = &policy
	}
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	disruption := func(policy batch.DisruptionPolicy) []edit {
		return []edit{func(job *batch.Job) { job.Spec.DisruptionPolicy = &policy }}
	}
	suspend := func(policy batch.SuspendPolicy) []edit {
		return []edit{func(job *batch.Job) { job.Spec.SuspendPolicy = &policy }}
	}
	completions := func(job *batch.Job) { job.Spec.Completions = new(int32(0)) }
	runCreateCases(t, []createCase{
		{name: "disruptionPolicy Ignore", edits: disruption(batch.DisruptionIgnore)},
		{name: "disruptionPolicy Count", edits: disruption(batch.DisruptionCount)},
		{name: "disruptionPolicy unknown", edits: disruption("Replace"),
			want: []string{`Unsupported value spec.disruptionPolicy: supported values: "Count", "Ignore"`}},
		{name: "disruptionPolicy empty", edits: disruption(""),
			want: []string{`Unsupported value spec.disruptionPolicy: supported values: "Count", "Ignore"`}},
		{name: "suspendPolicy KeepPods", edits: suspend(batch.SuspendKeepPods)},
		{name: "suspendPolicy DeletePods", edits: suspend(batch.SuspendDeletePods)},
		{name: "suspendPolicy unknown", edits: suspend("Freeze"),
			want: []string{`Unsupported value spec.suspendPolicy: supported values: "DeletePods", "KeepPods"`}},
		{name: "workQueuePolicy RunUntilDeleted", edits: []edit{workQueue(batch.WorkQueueRunUntilDeleted)}},
		{name: "workQueuePolicy CompleteOnFirstSuccess", edits: []edit{workQueue(batch.WorkQueueCompleteOnFirstSuccess)}},
		{name: "workQueuePolicy unknown", edits: []edit{workQueue("Drain")},
			want: []string{`Unsupported value spec.workQueuePolicy: supported values: "CompleteOnFirstSuccess", "RunUntilDeleted"`}},
		{name: "workQueuePolicy with completions", edits: []edit{workQueue(batch.WorkQueueRunUntilDeleted), completions},
			want: []string{"Forbidden spec.workQueuePolicy: only valid where completions is unset"}},
		{name: "workQueuePolicy unknown with completions", edits: []edit{workQueue("Drain"), completions},
			want: []string{"Forbidden spec.workQueuePolicy: only valid where completions is unset"}},
		{name: "all wrong", edits: []edit{disruption("x")[0], suspend("y")[0], workQueue("z"), completions}, want: []string{
			`Unsupported value spec.disruptionPolicy: supported values: "Count", "Ignore"`,
			`Unsupported value spec.suspendPolicy: supported values: "DeletePods", "KeepPods"`,
			"Forbidden spec.workQueuePolicy: only valid where completions is unset",
		}},
		// A default of our group fills the policy of every Job without completions: only what the user wrote is complained about.
		{name: "workQueuePolicy of an Indexed Job without completions", edits: []edit{indexed(1), workQueue(batch.WorkQueueRunUntilDeleted)},
			want: []string{"Required value spec.completions: when completion mode is Indexed"}},
	})
}

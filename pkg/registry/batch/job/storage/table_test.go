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

package storage

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
)

var now = time.Date(2026, time.March, 4, 12, 0, 0, 0, time.UTC)

func ago(duration time.Duration) *metav1.Time {
	return new(metav1.NewTime(now.Add(-duration)))
}

func testConvertor() tableConvertor {
	return tableConvertor{clock: clocktesting.NewFakePassiveClock(now)}
}

// condition returns a condition of the type; it is True unless said otherwise.
func condition(conditionType batch.JobConditionType, status ...corev1.ConditionStatus) batch.JobCondition {
	return batch.JobCondition{Type: conditionType, Status: append(status, corev1.ConditionTrue)[0]}
}

func TestStatusCell(t *testing.T) {
	t.Parallel()
	type conditions = []batch.JobCondition
	tests := map[string]struct {
		conditions conditions
		deleting   bool
		want       string
	}{
		"new":                         {want: "Running"},
		"complete":                    {conditions: conditions{condition(batch.JobComplete)}, want: "Complete"},
		"failed":                      {conditions: conditions{condition(batch.JobFailed)}, want: "Failed"},
		"suspended":                   {conditions: conditions{condition(batch.JobSuspended)}, want: "Suspended"},
		"about to fail":               {conditions: conditions{condition(batch.JobFailureTarget)}, want: "FailureTarget"},
		"about to complete":           {conditions: conditions{condition(batch.JobSuccessCriteriaMet)}, want: "SuccessCriteriaMet"},
		"resumed":                     {conditions: conditions{condition(batch.JobSuspended, corev1.ConditionFalse)}, want: "Running"},
		"not known":                   {conditions: conditions{condition(batch.JobFailed, corev1.ConditionUnknown)}, want: "Running"},
		"of another's":                {conditions: conditions{condition("Custom")}, want: "Running"},
		"failed, after it had to":     {conditions: conditions{condition(batch.JobFailureTarget), condition(batch.JobFailed)}, want: "Failed"},
		"complete before failed":      {conditions: conditions{condition(batch.JobFailed), condition(batch.JobComplete)}, want: "Complete"},
		"suspended before the rest":   {conditions: conditions{condition(batch.JobFailureTarget), condition(batch.JobSuspended)}, want: "Suspended"},
		"deleting":                    {deleting: true, want: "Terminating"},
		"deleting, suspended":         {conditions: conditions{condition(batch.JobSuspended)}, deleting: true, want: "Terminating"},
		"deleting, complete":          {conditions: conditions{condition(batch.JobComplete)}, deleting: true, want: "Complete"},
		"deleting, failed":            {conditions: conditions{condition(batch.JobFailed)}, deleting: true, want: "Failed"},
		"the first of a type decides": {conditions: conditions{condition(batch.JobFailed, corev1.ConditionFalse), condition(batch.JobFailed)}, want: "Running"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			job := &batch.Job{Status: batch.JobStatus{Conditions: test.conditions}}
			if test.deleting {
				job.DeletionTimestamp = ago(0)
			}
			if got := statusCell(job); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestCompletionsCell(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		completions, parallelism *int32
		succeeded                int32
		want                     string
	}{
		"fixed count":           {completions: new(int32(5)), parallelism: new(int32(2)), succeeded: 3, want: "3/5"},
		"none wanted":           {completions: new(int32(0)), want: "0/0"},
		"work queue":            {parallelism: new(int32(4)), succeeded: 2, want: "2/1 of 4"},
		"work queue of one":     {parallelism: new(int32(1)), succeeded: 1, want: "1/1"},
		"work queue of nothing": {parallelism: new(int32(0)), want: "0/1"},
		"nothing known":         {want: "0/1"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			job := &batch.Job{
				Spec:   batch.JobSpec{Completions: test.completions, Parallelism: test.parallelism},
				Status: batch.JobStatus{Succeeded: test.succeeded},
			}
			if got := completionsCell(job); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestDurationCell(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		started, completed *metav1.Time
		want               string
	}{
		"not started":         {},
		"just started":        {started: ago(0), want: "0s"},
		"running":             {started: ago(90 * time.Second), want: "90s"},
		"complete":            {started: ago(time.Hour), completed: ago(50 * time.Minute), want: "10m"},
		"complete at once":    {started: ago(time.Hour), completed: ago(time.Hour), want: "0s"},
		"running for long":    {started: ago(50 * time.Hour), want: "2d2h"},
		"completed, no start": {completed: ago(time.Hour)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			job := &batch.Job{Status: batch.JobStatus{StartTime: test.started, CompletionTime: test.completed}}
			if got := testConvertor().durationCell(job); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// shards is a Job with something in every column.
func shards() batch.Job {
	job := batch.Job{
		ObjectMeta: metav1.ObjectMeta{Name: "shards", ResourceVersion: "7", CreationTimestamp: *ago(2 * time.Hour)},
		Spec: batch.JobSpec{
			Completions: new(int32(3)),
			Selector:    &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}},
		},
		Status: batch.JobStatus{Succeeded: 1, StartTime: ago(time.Minute)},
	}
	job.Spec.Template.Spec.InitContainers = []corev1.Container{{Name: "not", Image: "shown"}}
	job.Spec.Template.Spec.Containers = []corev1.Container{{Name: "main", Image: "busybox"}, {Name: "side", Image: "alpine"}}
	return job
}

func TestTable(t *testing.T) {
	t.Parallel()
	job := shards()
	table, err := testConvertor().ConvertToTable(t.Context(), &job, nil)
	if err != nil {
		t.Fatal(err)
	}
	type column struct {
		Name, Type, Format string
		Priority           int32
	}
	want := []column{
		{Name: "Name", Type: "string", Format: "name"},
		{Name: "Status", Type: "string"},
		{Name: "Completions", Type: "string"},
		{Name: "Duration", Type: "string"},
		{Name: "Age", Type: "string"},
		{Name: "Containers", Type: "string", Priority: 1},
		{Name: "Images", Type: "string", Priority: 1},
		{Name: "Selector", Type: "string", Priority: 1},
	}
	var got []column
	for _, definition := range table.ColumnDefinitions {
		got = append(got, column{definition.Name, definition.Type, definition.Format, definition.Priority})
		if definition.Description == "" {
			t.Errorf("column %s has no description", definition.Name)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
	cells := []any{"shards", "Running", "1/3", "60s", "120m", "main,side", "busybox,alpine", "a=b"}
	if diff := cmp.Diff(cells, table.Rows[0].Cells); diff != "" || len(table.Rows) != 1 {
		t.Errorf("%d rows, cells (-want +got):\n%s", len(table.Rows), diff)
	}
	if table.Rows[0].Object.Object != &job || table.ResourceVersion != "7" {
		t.Error("the table lacks the object or its resourceVersion")
	}
}

func TestTableOfList(t *testing.T) {
	t.Parallel()
	list := &batch.JobList{
		ListMeta: metav1.ListMeta{ResourceVersion: "9", Continue: "token", RemainingItemCount: new(int64(4))},
		Items:    []batch.Job{shards(), {ObjectMeta: metav1.ObjectMeta{Name: "empty"}}},
	}
	table, err := testConvertor().ConvertToTable(t.Context(), list, &metav1.TableOptions{NoHeaders: true})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(list.ListMeta, table.ListMeta); diff != "" {
		t.Errorf("list metadata (-want +got):\n%s", diff)
	}
	if len(table.ColumnDefinitions) > 0 {
		t.Error("there are headers although none were wanted")
	}
	want := []any{"empty", "Running", "0/1", "", "<unknown>", "", "", "<none>"}
	if diff := cmp.Diff(want, table.Rows[1].Cells); diff != "" || len(table.Rows) != 2 {
		t.Errorf("%d rows, cells of an empty Job (-want +got):\n%s", len(table.Rows), diff)
	}
	// Rows point into the list, not at one variable.
	for i := range list.Items {
		if table.Rows[i].Object.Object != &list.Items[i] {
			t.Errorf("row %d shows another object", i)
		}
	}
	if table, err := testConvertor().ConvertToTable(t.Context(), &batch.JobList{}, nil); err != nil || table.Rows == nil || len(table.Rows) > 0 {
		t.Errorf("an empty list makes the table %+v, error %v; want rows that are there and none", table, err)
	}
}

func TestTableOfAnotherKind(t *testing.T) {
	t.Parallel()
	if _, err := testConvertor().ConvertToTable(t.Context(), &corev1.Pod{}, nil); err == nil {
		t.Error("a Pod was printed as a Job")
	}
}

// TestTableOptions has the forms in which options come; a nil of their type is none, as in Kubernetes.
func TestTableOptions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		options runtime.Object
		headers bool
		fails   bool
	}{
		{name: "none", options: nil, headers: true},
		{name: "typed nil", options: (*metav1.TableOptions)(nil), headers: true},
		{name: "headers", options: &metav1.TableOptions{}, headers: true},
		{name: "no headers", options: &metav1.TableOptions{NoHeaders: true}},
		{name: "of another kind", options: &metav1.ListOptions{}, fails: true},
	} {
		job := shards()
		table, err := testConvertor().ConvertToTable(t.Context(), &job, c.options)
		if (err != nil) != c.fails {
			t.Errorf("%s: error %v, want one: %t", c.name, err, c.fails)
			continue
		}
		if err == nil && (len(table.ColumnDefinitions) > 0) != c.headers {
			t.Errorf("%s: %d columns, want some: %t", c.name, len(table.ColumnDefinitions), c.headers)
		}
	}
}

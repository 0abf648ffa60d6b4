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
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/utils/clock"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
)

// columns are upstream's, with its descriptions, which come from the documentation of batch/v1.
var columns = []metav1.TableColumnDefinition{
	{Name: "Name", Type: "string", Format: "name", Description: metav1.ObjectMeta{}.SwaggerDoc()["name"]},
	{Name: "Status", Type: "string", Description: "Status of the job."},
	{Name: "Completions", Type: "string", Description: batchv1.JobStatus{}.SwaggerDoc()["succeeded"]},
	{Name: "Duration", Type: "string", Description: "Time required to complete the job."},
	{Name: "Age", Type: "string", Description: metav1.ObjectMeta{}.SwaggerDoc()["creationTimestamp"]},
	{Name: "Containers", Type: "string", Priority: 1, Description: "Names of each container in the template."},
	{Name: "Images", Type: "string", Priority: 1, Description: "Images referenced by each container in the template."},
	{Name: "Selector", Type: "string", Priority: 1, Description: batchv1.JobSpec{}.SwaggerDoc()["selector"]},
}

// These are the conditions that the column Status may show, first match first. A Job that is being deleted shows as
// Terminating unless it has ended.
var (
	endedConditions      = []batch.JobConditionType{batch.JobComplete, batch.JobFailed}
	inProgressConditions = []batch.JobConditionType{batch.JobSuspended, batch.JobFailureTarget, batch.JobSuccessCriteriaMet}
)

// tableConvertor prints Jobs as rows for kubectl get.
type tableConvertor struct {
	clock clock.PassiveClock
}

func newTableConvertor() tableConvertor {
	return tableConvertor{clock: clock.RealClock{}}
}

// ConvertToTable prints a Job or a list of them. Any other object is an error, and so are options that are not
// *metav1.TableOptions; nil ones, typed or not, ask for headers.
func (c tableConvertor) ConvertToTable(_ context.Context, object, tableOptions runtime.Object) (*metav1.Table, error) {
	options, ok := tableOptions.(*metav1.TableOptions)
	if tableOptions != nil && !ok {
		return nil, fmt.Errorf("can't print a table with options of type %T", tableOptions)
	}
	table := &metav1.Table{}
	switch obj := object.(type) {
	case *batch.Job:
		table.ResourceVersion = obj.ResourceVersion
		table.Rows = []metav1.TableRow{c.row(obj)}
	case *batch.JobList:
		table.ListMeta = obj.ListMeta
		table.Rows = make([]metav1.TableRow, 0, len(obj.Items))
		for i := range obj.Items {
			table.Rows = append(table.Rows, c.row(&obj.Items[i]))
		}
	default:
		return nil, fmt.Errorf("can't print %T as a row of Jobs", object)
	}
	if options == nil || !options.NoHeaders {
		table.ColumnDefinitions = columns
	}
	return table, nil
}

func (c tableConvertor) row(job *batch.Job) metav1.TableRow {
	names, images := containerCells(job.Spec.Template.Spec.Containers)
	return metav1.TableRow{
		Object: runtime.RawExtension{Object: job},
		Cells: []any{
			job.Name, statusCell(job), completionsCell(job), c.durationCell(job), c.ageCell(job),
			names, images, metav1.FormatLabelSelector(job.Spec.Selector),
		},
	}
}

func statusCell(job *batch.Job) string {
	if condition, ok := firstTrue(job, endedConditions); ok {
		return condition
	}
	if job.DeletionTimestamp != nil {
		return "Terminating"
	}
	if condition, ok := firstTrue(job, inProgressConditions); ok {
		return condition
	}
	return "Running"
}

func firstTrue(job *batch.Job, types []batch.JobConditionType) (string, bool) {
	for _, conditionType := range types {
		for _, condition := range job.Status.Conditions {
			if condition.Type != conditionType {
				continue
			}
			if condition.Status == corev1.ConditionTrue {
				return string(conditionType), true
			}
			break // the first condition of a type decides
		}
	}
	return "", false
}

func completionsCell(job *batch.Job) string {
	succeeded := job.Status.Succeeded
	if job.Spec.Completions != nil {
		return fmt.Sprintf("%d/%d", succeeded, *job.Spec.Completions)
	}
	if job.Spec.Parallelism != nil && *job.Spec.Parallelism > 1 {
		return fmt.Sprintf("%d/1 of %d", succeeded, *job.Spec.Parallelism)
	}
	return fmt.Sprintf("%d/1", succeeded)
}

func (c tableConvertor) durationCell(job *batch.Job) string {
	switch status := job.Status; {
	case status.StartTime == nil:
		return ""
	case status.CompletionTime == nil:
		return duration.HumanDuration(c.clock.Since(status.StartTime.Time))
	default:
		return duration.HumanDuration(status.CompletionTime.Sub(status.StartTime.Time))
	}
}

func (c tableConvertor) ageCell(job *batch.Job) string {
	if job.CreationTimestamp.IsZero() {
		return "<unknown>"
	}
	return duration.HumanDuration(c.clock.Since(job.CreationTimestamp.Time))
}

func containerCells(containers []corev1.Container) (names, images string) {
	nameList := make([]string, 0, len(containers))
	imageList := make([]string, 0, len(containers))
	for _, container := range containers {
		nameList = append(nameList, container.Name)
		imageList = append(imageList, container.Image)
	}
	return strings.Join(nameList, ","), strings.Join(imageList, ",")
}

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

package tests

import (
	"fmt"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jobserver-dev/jobserver/test/conformance/suite"
)

// tableOf are the columns and the cells of the table of a path, each column as its name, type, format and priority.
func tableOf(t *suite.T, path string) (columns []string, rows [][]any) {
	response := t.Do(suite.Request{Path: path, Accept: "application/json;as=Table;v=v1;g=meta.k8s.io"})
	var table metav1.Table
	t.JSON(response, &table)
	for _, column := range table.ColumnDefinitions {
		columns = append(columns, fmt.Sprintf("%s/%s/%s/%d", column.Name, column.Type, column.Format, column.Priority))
	}
	for _, row := range table.Rows {
		rows = append(rows, row.Cells)
	}
	return columns, rows
}

// rowOf are the cells of a Job.
func rowOf(t *suite.T, job *batchv1.Job) []any {
	_, rows := tableOf(t, job.Name)
	if len(rows) != 1 || len(rows[0]) != 8 {
		t.Fatalf("the table has the rows %v", rows)
	}
	return rows[0]
}

// The columns, and how many Pods and how much time a row tells of.
func init() {
	subject("Table",
		suite.Test{
			Name: "Columns", Description: "A table of Jobs has the columns that kubectl get shows.", Source: "reference 1.13",
			Run: func(t *suite.T) {
				names, _ := tableOf(t, "")
				suite.Equal(t, "columns", names, []string{
					"Name/string/name/0", "Status/string//0", "Completions/string//0", "Duration/string//0", "Age/string//0",
					"Containers/string//1", "Images/string//1", "Selector/string//1",
				})
			},
		},
		suite.Test{
			Name: "Row", Description: "A row of a Job has its name, status, completions, containers, images and selector.", Source: "reference 1.13; guide 11",
			Run: func(t *suite.T) {
				job := t.Create(newJob(completions(3), parallelism(1), twoContainers))
				t.Succeed(t.WaitActive(job, 1)...)
				t.WaitStatus(job, 1, 1, 0)
				cells := rowOf(t, job)
				suite.Equal(t, "cells", []any{cells[0], cells[1], cells[2], cells[5], cells[6], cells[7]}, []any{
					"job", "Running", "1/3", "main,side", "busybox:1.36,busybox:1.36", "batch.kubernetes.io/controller-uid=" + string(job.UID),
				})
			},
		},
		suite.Test{
			Name: "Completions", Description: "The completions in a table are of as many as there are to be; of a work queue, of one of parallelism.", Source: "reference 1.13",
			Run: func(t *suite.T) {
				for n, want := range []string{"0/1", "0/1", "0/1 of 2"} {
					edits := []edit{named(fmt.Sprint("job", n)), suspended}
					if n > 0 {
						edits = append(edits, parallelism(int32(n)))
					}
					suite.Equal(t, "completions", rowOf(t, t.Create(newJob(edits...)))[2], any(want))
				}
			},
		},
		suite.Test{
			Name: "Duration", Description: "The duration in a table is from startTime to completionTime.", Source: "reference 1.13",
			Run: func(t *suite.T) {
				job := t.Create(newJob(managedBy("example.com/controller")))
				suite.Equal(t, "before the start", rowOf(t, job)[3], any(""))
				t.UpdateStatus(job, func(job *batchv1.Job) { completed(&job.Status) })
				suite.Equal(t, "after the end", rowOf(t, job)[3], any("60m"))
			},
		},
	)
}

// The column Status.
func init() {
	subject("Table",
		suite.Test{
			Name: "Statuses", Description: "The status of a Job in a table is Running, Suspended, Complete or Failed.", Source: "reference 1.13",
			Run: func(t *suite.T) {
				job := t.Create(newJob(suspended))
				t.WaitCondition(job, batchv1.JobSuspended, corev1.ConditionTrue)
				suite.Equal(t, "of a suspended Job", rowOf(t, job)[1], any("Suspended"))
				t.Suspend(job, false)
				pods := t.WaitActive(job, 1)
				t.WaitCondition(job, batchv1.JobSuspended, corev1.ConditionFalse)
				suite.Equal(t, "of a running Job", rowOf(t, job)[1], any("Running"))
				t.Succeed(pods...)
				t.WaitComplete(job, "CompletionsReached")
				suite.Equal(t, "of a complete Job", rowOf(t, job)[1], any("Complete"))
				failing := t.Create(newJob(named("failing"), backoffLimit(0)))
				t.Fail(1, t.WaitActive(failing, 1)...)
				t.WaitFailed(failing, "BackoffLimitExceeded")
				suite.Equal(t, "of a failed Job", rowOf(t, failing)[1], any("Failed"))
			},
		},
		suite.Test{
			Name: "EndingStatuses", Description: "The status of a Job in a table is FailureTarget or SuccessCriteriaMet while it waits for its Pods, and Terminating while it is deleted.",
			Source: "reference 1.13",
			Run: func(t *suite.T) {
				status := func(job *batchv1.Job, want string) { suite.Equal(t, "status", rowOf(t, job)[1], any(want)) }
				conditions := func(name string, kind batchv1.JobConditionType) *batchv1.Job {
					job := t.Create(newJob(named(name), managedBy("example.com/controller"), func(job *batchv1.Job) { job.Finalizers = []string{"example.com/hold"} }))
					return t.UpdateStatus(job, func(job *batchv1.Job) {
						job.Status.Conditions = []batchv1.JobCondition{{Type: kind, Status: corev1.ConditionTrue}}
					})
				}
				failing, succeeding := conditions("failing", batchv1.JobFailureTarget), conditions("succeeding", batchv1.JobSuccessCriteriaMet)
				status(failing, "FailureTarget")
				status(succeeding, "SuccessCriteriaMet")
				t.Delete(failing, metav1.DeletePropagationBackground)
				status(failing, "Terminating")
				t.Update(failing, func(job *batchv1.Job) { job.Finalizers = nil })
				t.Update(succeeding, func(job *batchv1.Job) { job.Finalizers = nil })
			},
		},
	)
}

// What is discovered.
func init() {
	subject("Discovery",
		suite.Test{
			Name: "Resource", Description: "Jobs are discovered as a namespaced resource with a singular, a kind and all verbs.", Source: "reference 1.1",
			Run: func(t *suite.T) {
				var list metav1.APIResourceList
				t.JSON(t.Do(suite.Request{Path: "/apis/" + t.Target().Jobs.GroupVersion().String()}), &list)
				found := map[string]metav1.APIResource{}
				for _, resource := range list.APIResources {
					found[resource.Name] = resource
				}
				jobs := found["jobs"]
				slices.Sort(jobs.Verbs)
				suite.Equal(t, "resource", []any{jobs.SingularName, jobs.Namespaced, jobs.Kind, strings.Join(jobs.Verbs, " ")},
					[]any{"job", true, "Job", "create delete deletecollection get list patch update watch"})
				status := found["jobs/status"]
				slices.Sort(status.Verbs)
				suite.Equal(t, "status", strings.Join(status.Verbs, " "), "get patch update")
			},
		},
		suite.Test{
			Name: "Category", Description: "Kubectl get all shows Jobs once, through batch/v1.", Source: "reference 1.1", Group: suite.GroupKubernetes,
			Run: func(t *suite.T) {
				var list metav1.APIResourceList
				t.JSON(t.Do(suite.Request{Path: "/apis/batch/v1"}), &list)
				at := slices.IndexFunc(list.APIResources, func(r metav1.APIResource) bool { return r.Name == "jobs" })
				suite.Equal(t, "categories", list.APIResources[at].Categories, []string{"all"})
			},
		},
		suite.Test{
			Name: "NoScale", Description: "Jobs have no subresource scale.", Source: "guide 13; reference 1.1",
			Run: func(t *suite.T) {
				job := t.Create(newJob(suspended))
				suite.Equal(t, "code", t.Do(suite.Request{Path: job.Name + "/scale"}).Code, 404)
			},
		},
		suite.Test{
			Name: "Schema", Description: "OpenAPI describes the fields of a Job's spec.", Source: "API conventions",
			Run: func(t *suite.T) {
				group := t.Target().Jobs.GroupVersion().String()
				response := t.Do(suite.Request{Path: "/openapi/v3/apis/" + group})
				suite.Equal(t, "code", response.Code, 200)
				for _, word := range []string{"JobSpec", "backoffLimitPerIndex", "x-kubernetes-group-version-kind", "/apis/" + group + "/namespaces/{namespace}/jobs/{name}/status"} {
					if !strings.Contains(string(response.Body), word) {
						t.Errorf("the schema does not contain %s", word)
					}
				}
			},
		},
	)
}

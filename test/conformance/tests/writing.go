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
	"encoding/json"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/jobserver-dev/jobserver/test/conformance/suite"
)

// raw is a Job of the test's group in JSON, with further fields of its spec.
func raw(t *suite.T, job *batchv1.Job, spec ...suite.Fields) []byte {
	text, err := json.Marshal(t.Object(job, spec...))
	t.Must(err)
	return text
}

// warned returns the texts of the warnings in an answer.
func warned(response suite.Response) string {
	return strings.Join(response.Header.Values("Warning"), "\n")
}

// post is the answer to a creation from a body in a media type; JSON where that is empty.
func post(t *suite.T, query, contentType string, body []byte) suite.Response {
	return t.Do(suite.Request{Method: "POST", Path: query, ContentType: contentType, Body: body})
}

// What a new Job is given.
func init() {
	subject("Create",
		suite.Test{
			Name: "Metadata", Description: "A new Job gets a UID, a resourceVersion, a creationTimestamp and an owner of its fields.", Source: "API conventions",
			Run: func(t *suite.T) {
				job := t.Create(newJob(suspended))
				if job.UID == "" || job.ResourceVersion == "" || job.CreationTimestamp.IsZero() || len(job.ManagedFields) != 1 {
					t.Errorf("metadata: %v", job.ObjectMeta)
				}
				suite.Equal(t, "operation", job.ManagedFields[0].Operation, metav1.ManagedFieldsOperationUpdate)
			},
		},
		suite.Test{
			Name: "Selector", Description: "A new Job gets a selector of its UID, and its Pod template the labels.", Source: "guide 2; reference 1.5",
			Run: func(t *suite.T) {
				job := t.Create(newJob(suspended))
				uid := string(job.UID)
				suite.Equal(t, "selector", job.Spec.Selector, &metav1.LabelSelector{MatchLabels: map[string]string{"batch.kubernetes.io/controller-uid": uid}})
				suite.Equal(t, "labels", job.Spec.Template.Labels, map[string]string{
					"job-name": "job", "batch.kubernetes.io/job-name": "job", "controller-uid": uid, "batch.kubernetes.io/controller-uid": uid,
				})
			},
		},
		suite.Test{
			Name: "ManualSelector", Description: "A Job with manualSelector keeps its selector, and its Pod template gets no labels.", Source: "guide 2; reference 1.5",
			Run: func(t *suite.T) {
				app := map[string]string{"app": "manual"}
				job := t.Create(newJob(suspended, selecting(app)))
				suite.Equal(t, "selector", job.Spec.Selector, &metav1.LabelSelector{MatchLabels: app})
				suite.Equal(t, "labels", job.Spec.Template.Labels, app)
			},
		},
		suite.Test{
			Name: "LabelsOfTemplate", Description: "A Job without labels gets those of its Pod template.", Source: "reference 1.2",
			Run: func(t *suite.T) {
				job := t.Create(newJob(suspended, spec(func(spec *batchv1.JobSpec) { spec.Template.Labels = map[string]string{"app": "one"} })))
				suite.Equal(t, "label", job.Labels["app"], "one")
			},
		},
	)
}

// The names of new Jobs.
func init() {
	subject("Create",
		suite.Test{
			Name: "Exists", Description: "A Job of a name that is taken can't be created.", Source: "API conventions",
			Run: func(t *suite.T) {
				t.Create(newJob(suspended))
				_, err := t.TryCreate(newJob(suspended))
				t.RefusedFor(err, metav1.StatusReasonAlreadyExists, `"job" already exists`)
			},
		},
		suite.Test{
			Name: "GenerateName", Description: "A Job may have a name made for it.", Source: "API conventions",
			Run: func(t *suite.T) {
				job := t.Create(newJob(suspended, func(job *batchv1.Job) { job.Name, job.GenerateName = "", "made-" }))
				if !strings.HasPrefix(job.Name, "made-") || len(job.Name) != len("made-")+5 {
					t.Errorf("the Job has the name %q", job.Name)
				}
				suite.Equal(t, "label", job.Spec.Template.Labels["job-name"], job.Name)
			},
		},
		suite.Test{
			Name: "NoName", Description: "A Job without a name is refused.", Source: "guide 2",
			Run: func(t *suite.T) {
				_, err := t.TryCreate(newJob(named("")))
				t.RefusedFor(err, metav1.StatusReasonInvalid, "metadata.name: Required value: name or generateName is required")
			},
		},
	)
}

// How a creation is asked for.
func init() {
	subject("Create",
		suite.Test{
			Name: "DryRun", Description: "A creation that is a dry run answers with the Job, and creates none.", Source: "API conventions",
			Run: func(t *suite.T) {
				response := post(t, "?dryRun=All", "", raw(t, newJob()))
				suite.Equal(t, "code", response.Code, 201)
				_, err := t.TryGet("job")
				t.RefusedFor(err, metav1.StatusReasonNotFound, "")
			},
		},
		suite.Test{
			Name: "YAML", Description: "A Job may be sent in YAML.", Source: "API conventions; guide 2",
			Run: func(t *suite.T) {
				text, err := yaml.JSONToYAML(raw(t, newJob(suspended)))
				t.Must(err)
				suite.Equal(t, "code", post(t, "", "application/yaml", text).Code, 201)
			},
		},
		suite.Test{
			Name: "UnknownFieldIsRefused", Description: "With strict validation, a Job with a field that there is not is refused.", Source: "API conventions; guide 2",
			Run: func(t *suite.T) {
				response := post(t, "?fieldValidation=Strict", "", raw(t, newJob(), suite.Fields{"paralelism": 3}))
				suite.Equal(t, "code", response.Code, 400)
				if !strings.Contains(string(response.Body), `unknown field \"spec.paralelism\"`) {
					t.Errorf("the answer is %s", response.Body)
				}
			},
		},
		suite.Test{
			Name: "UnknownFieldWarns", Description: "With lenient validation, a field that there is not leads to a warning.", Source: "API conventions; guide 2",
			Run: func(t *suite.T) {
				response := post(t, "?fieldValidation=Warn", "", raw(t, newJob(suspended), suite.Fields{"paralelism": 3}))
				suite.Equal(t, "code", response.Code, 201)
				suite.Equal(t, "warning", warned(response), `299 - "unknown field \"spec.paralelism\""`)
			},
		},
		suite.Test{
			Name: "WrongType", Description: "A Job with a field of a wrong type is refused.", Source: "API conventions",
			Run: func(t *suite.T) {
				suite.Equal(t, "code", post(t, "", "", raw(t, newJob(), suite.Fields{"parallelism": "three"})).Code, 400)
			},
		},
		suite.Test{
			Name: "Media", Description: "A Job in a media type that there is not is refused.", Source: "API conventions",
			Run: func(t *suite.T) {
				suite.Equal(t, "code", post(t, "", "text/plain", raw(t, newJob())).Code, 415)
			},
		},
	)
}

// What leads to warnings.
func init() {
	subject("Warning",
		suite.Test{
			Name: "Name", Description: "A name that is no DNS label leads to a warning.", Source: "reference 1.11",
			Run: func(t *suite.T) {
				t.Create(newJob(named("a.b"), suspended))
				suite.Equal(t, "warnings", t.Warnings(), []string{"metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; " +
					"a DNS label is recommended: [must not contain dots]"})
			},
		},
		suite.Test{
			Name: "ManyCompletions", Description: "Very many completions beside a very high parallelism lead to a warning, at creation and update.", Source: "reference 1.11",
			Run: func(t *suite.T) {
				const many = "spec: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, " +
					"Kubernetes might not be able to track completedIndexes when a big number of indexes fail"
				job := t.Create(newJob(indexed(100001), parallelism(10001), suspended))
				suite.Equal(t, "warnings", t.Warnings(), []string{many})
				t.PatchSpec(job, suite.Fields{"parallelism": 10002})
				suite.Equal(t, "warnings of the update", t.Warnings(), []string{many})
				t.Update(job, func(job *batchv1.Job) { job.Annotations = map[string]string{"a": "b"} })
				suite.Equal(t, "warnings of an update of metadata", t.Warnings(), nil)
			},
		},
		suite.Test{
			Name: "Template", Description: "What a Pod would be warned of, a Job's Pod template is.", Source: "reference 1.11",
			Run: func(t *suite.T) {
				t.Create(newJob(suspended, podSpec(func(spec *corev1.PodSpec) {
					spec.Containers[0].Env = []corev1.EnvVar{{Name: "A", Value: "1"}, {Name: "A", Value: "2"}}
				})))
				suite.Equal(t, "warnings", t.Warnings(), []string{`spec.template.spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply`})
			},
		},
		suite.Test{
			Name: "None", Description: "An ordinary Job leads to no warning.", Source: "reference 1.11",
			Run: func(t *suite.T) {
				job := t.Create(newJob(suspended))
				t.PatchSpec(job, suite.Fields{"parallelism": 2})
				t.Delete(job, metav1.DeletePropagationBackground)
				suite.Equal(t, "warnings", t.Warnings(), nil)
			},
		},
	)
}

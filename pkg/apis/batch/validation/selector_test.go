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
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
)

const (
	badSubdomain = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an " +
		"alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
	notMatching  = "Invalid value spec.template.metadata.labels: `selector` does not match template `labels`"
	notGenerated = "Invalid value spec.selector: `selector` not auto-generated"
)

// named renames the Job together with its generated labels.
func named(name string) edit {
	return func(job *batch.Job) {
		job.Name = name
		job.Spec.Template.Labels["job-name"] = name
		job.Spec.Template.Labels["batch.kubernetes.io/job-name"] = name
	}
}

// manual makes the Job select by the label app alone.
func manual(job *batch.Job) {
	job.Spec.ManualSelector = new(true)
	job.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "mine"}}
	job.Spec.Template.Labels = map[string]string{"app": "mine"}
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	const longLabel = "must be no more than 63 bytes"
	runCreateCases(t, []createCase{
		{name: "M1 name with dots", edits: []edit{named("my.job")}},
		{name: "M1 name in capitals", edits: []edit{named("MyJob")}, want: []string{"Invalid value metadata.name: " + badSubdomain}},
		{name: "M1 no name", edits: []edit{named("")}, want: []string{"Required value metadata.name: name or generateName is required"}},
		{name: "M1 name of 253 with manualSelector", edits: []edit{named(strings.Repeat("n", 253)), manual}},
		{name: "M1 name of 254 with manualSelector", edits: []edit{named(strings.Repeat("n", 254)), manual},
			want: []string{"Invalid value metadata.name: must be no more than 253 characters"}},
		// The name becomes the value of two labels.
		{name: "M1 name of 64 with generated labels", edits: []edit{named(strings.Repeat("n", 64))},
			want: []string{"Invalid value spec.template.labels: " + longLabel, "Invalid value spec.template.labels: " + longLabel}},
		{name: "M1 no namespace", edits: []edit{func(job *batch.Job) { job.Namespace = "" }}, want: []string{"Required value metadata.namespace: "}},
		{name: "M1 standard finalizers", edits: []edit{func(job *batch.Job) { job.Finalizers = []string{"orphan", "kubernetes", "example.com/f"} }}},
		{name: "M1 finalizer without a domain", edits: []edit{func(job *batch.Job) { job.Finalizers = []string{"example.com/f", "mine"} }},
			want: []string{"Invalid value metadata.finalizers[1]: name is neither a standard finalizer name nor is it fully qualified"}},

		{name: "M5 longest host name", edits: []edit{named(strings.Repeat("n", 60)), indexed(100), parallelism(1)}},
		{name: "M5 host name too long", edits: []edit{named(strings.Repeat("n", 60)), indexed(101), parallelism(1)},
			want: []string{"Invalid value metadata.name: will not able to create pod with invalid DNS label: " + strings.Repeat("n", 60) + "-100"}},
		{name: "M5 no host name without completions", edits: []edit{named(strings.Repeat("n", 63)), indexed(0)}},
		{name: "M5 dots make no label", edits: []edit{named("my.job"), indexed(1)},
			want: []string{"Invalid value metadata.name: will not able to create pod with invalid DNS label: my.job-0"}},
	})
}

func TestGeneratedSelector(t *testing.T) {
	t.Parallel()
	label := func(key, value string) []edit {
		return []edit{func(job *batch.Job) { job.Spec.Template.Labels[key] = value }}
	}
	without := func(key string) []edit {
		return []edit{func(job *batch.Job) { delete(job.Spec.Template.Labels, key) }}
	}
	const path = "spec.template.metadata.labels"
	runCreateCases(t, []createCase{
		{name: "M2 no UID", edits: []edit{func(job *batch.Job) { job.UID = "" }}, want: []string{
			"Required value metadata.uid: ",
			"Invalid value " + path + "[controller-uid]: must be ''",
			"Invalid value " + path + "[batch.kubernetes.io/controller-uid]: must be ''",
			notGenerated,
		}},
		{name: "M2 legacy UID label missing", edits: without("controller-uid"),
			want: []string{"Required value " + path + "[controller-uid]: must be '1a2b3c'"}},
		{name: "M2 legacy name label missing", edits: without("job-name"),
			want: []string{"Required value " + path + "[job-name]: must be 'myjob'"}},
		{name: "M2 UID label missing", edits: without("batch.kubernetes.io/controller-uid"),
			want: []string{"Required value " + path + "[batch.kubernetes.io/controller-uid]: must be '1a2b3c'", notMatching}},
		{name: "M2 name label missing", edits: without("batch.kubernetes.io/job-name"),
			want: []string{"Required value " + path + "[batch.kubernetes.io/job-name]: must be 'myjob'"}},
		{name: "M2 another Job's name label", edits: label("job-name", "other"),
			want: []string{"Invalid value " + path + "[job-name]: must be 'myjob'"}},
		{name: "M2 another Job's UID label", edits: label("batch.kubernetes.io/controller-uid", "other"),
			want: []string{"Invalid value " + path + "[batch.kubernetes.io/controller-uid]: must be '1a2b3c'", notMatching}},
		{name: "M2 selector of one's own beside", edits: []edit{func(job *batch.Job) {
			job.Spec.Selector.MatchLabels["app"] = "mine"
			job.Spec.Template.Labels["app"] = "mine"
		}}, want: []string{notGenerated}},
		{name: "M2 no manualSelector", edits: []edit{func(job *batch.Job) { job.Spec.ManualSelector = nil }, func(job *batch.Job) {
			delete(job.Spec.Template.Labels, "job-name")
		}}, want: []string{"Required value " + path + "[job-name]: must be 'myjob'"}},
		{name: "M2 manual selector is not looked at", edits: []edit{manual, func(job *batch.Job) { job.UID = types.UID("other") }}},
	})
}

func TestSelector(t *testing.T) {
	t.Parallel()
	runCreateCases(t, []createCase{
		{name: "M3 no selector", edits: []edit{manual, func(job *batch.Job) { job.Spec.Selector = nil }},
			want: []string{"Required value spec.selector: ", notMatching}},
		{name: "M3 unknown operator", edits: []edit{manual, func(job *batch.Job) {
			job.Spec.Selector.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "app", Operator: "Like"}}
		}}, want: []string{"Invalid value spec.selector.matchExpressions[0].operator: not a valid selector operator"}},
		{name: "M3 invalid value", edits: []edit{manual, selectAppNotIn("-")},
			want: []string{"Invalid value spec.selector.matchExpressions[0].values[0]: a valid label must be an empty string or consist of alphanumeric " +
				"characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', " +
				"regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"}},
		{name: "M4 no match", edits: []edit{manual, func(job *batch.Job) { job.Spec.Template.Labels["app"] = "other" }}, want: []string{notMatching}},
		{name: "M4 match by expression", edits: []edit{manual, selectAppNotIn("other")}},
	})
}

// selectAppNotIn adds the requirement that the label app has another value.
func selectAppNotIn(value string) edit {
	return func(job *batch.Job) {
		job.Spec.Selector.MatchExpressions = []metav1.LabelSelectorRequirement{
			{Key: "app", Operator: metav1.LabelSelectorOpNotIn, Values: []string{value}},
		}
	}
}

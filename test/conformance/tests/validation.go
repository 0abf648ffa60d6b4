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
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/jobserver-dev/jobserver/test/conformance/suite"
)

// invalid is a test that tries to create a Job with some edits and compares the causes of the refusal with those that there should be.
func invalid(name, description, source string, causes []string, edits ...edit) suite.Test {
	return suite.Test{Name: name, Description: description, Source: source, Run: func(t *suite.T) {
		_, err := t.TryCreate(newJob(edits...))
		t.Refused(err, causes...)
	}}
}

// valid is a test that creates a Job with some edits, which must be possible.
func valid(name, description, source string, edits ...edit) suite.Test {
	return suite.Test{Name: name, Description: description, Source: source, Run: func(t *suite.T) {
		// Suspended, for nothing is to come of it.
		t.Create(newJob(append(edits, suspended)...))
	}}
}

// notNegative is the end of the causes that lie in a number below 0.
const notNegative = "must be greater than or equal to 0"

func completionMode(mode batchv1.CompletionMode) edit {
	return func(job *batchv1.Job) { job.Spec.CompletionMode = &mode }
}

// Numbers.
func init() {
	subject("Validation",
		invalid("NegativeParallelism", "Parallelism is not negative.", "reference J1",
			[]string{"spec.parallelism: Invalid value: -1: " + notNegative}, parallelism(-1)),
		invalid("NegativeCompletions", "Completions is not negative.", "reference J1",
			[]string{"spec.completions: Invalid value: -1: " + notNegative}, completions(-1)),
		invalid("NegativeDeadline", "ActiveDeadlineSeconds is not negative.", "reference J1",
			[]string{"spec.activeDeadlineSeconds: Invalid value: -1: " + notNegative}, activeDeadline(-1)),
		invalid("NegativeBackoffLimit", "BackoffLimit is not negative.", "reference J1",
			[]string{"spec.backoffLimit: Invalid value: -1: " + notNegative}, backoffLimit(-1)),
		invalid("NegativeTTL", "TtlSecondsAfterFinished is not negative.", "reference J1",
			[]string{"spec.ttlSecondsAfterFinished: Invalid value: -1: " + notNegative}, ttl(-1)),
		invalid("NegativeBackoffLimitPerIndex", "BackoffLimitPerIndex is not negative.", "reference J1",
			[]string{"spec.backoffLimitPerIndex: Invalid value: -1: " + notNegative}, indexed(2), backoffLimitPerIndex(-1)),
		invalid("NegativeMaxFailedIndexes", "MaxFailedIndexes is not negative.", "reference J1",
			[]string{"spec.maxFailedIndexes: Invalid value: -1: " + notNegative}, indexed(2), backoffLimitPerIndex(1), maxFailedIndexes(-1)),
		invalid("AllErrorsAtOnce", "A refusal names everything that is wrong, not the first error only.", "API conventions",
			[]string{
				"spec.parallelism: Invalid value: -1: " + notNegative,
				"spec.completions: Invalid value: -2: " + notNegative,
				"spec.backoffLimit: Invalid value: -3: " + notNegative,
			}, parallelism(-1), completions(-2), backoffLimit(-3)),
		valid("Zeros", "Zero is a value of parallelism, completions, backoffLimit, activeDeadlineSeconds and ttlSecondsAfterFinished.", "guide 3; reference J1",
			parallelism(0), completions(0), backoffLimit(0), activeDeadline(0), ttl(0)),
	)
}

// Fields that have a form, or need or exclude each other.
func init() {
	subject("Validation",
		invalid("MaxFailedIndexesAlone", "MaxFailedIndexes requires backoffLimitPerIndex.", "reference J2",
			[]string{"spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified"}, indexed(2), maxFailedIndexes(1)),
		invalid("ManagedByWithoutDomain", "ManagedBy is prefixed with a domain.", "reference J3; KEP-4368",
			[]string{"spec.managedBy: Invalid value: \"me\": must be a domain-prefixed path (such as \"acme.io/foo\")"}, managedBy("me")),
		invalid("ManagedByTooLong", "ManagedBy has at most 63 characters.", "reference J3; KEP-4368",
			[]string{"spec.managedBy: Too long: may not be more than 63 bytes"}, managedBy("example.com/"+strings.Repeat("x", 52))),
		invalid("UnknownCompletionMode", "CompletionMode is NonIndexed or Indexed.", "guide 2; reference J4",
			[]string{`spec.completionMode: Unsupported value: "Random": supported values: "NonIndexed", "Indexed"`}, completionMode("Random"), completions(1)),

		invalid("ReplacementPolicyBesideFailurePolicy", "With a podFailurePolicy, only Pods that have failed are replaced.", "reference J9; KEP-3939",
			[]string{`spec.podReplacementPolicy: Unsupported value: "TerminatingOrFailed": supported values: "Failed"`},
			podFailurePolicy(onExitCodes(failJob, 1)),
			spec(func(spec *batchv1.JobSpec) { spec.PodReplacementPolicy = ptr.To(batchv1.TerminatingOrFailed) })),
		invalid("UnknownReplacementPolicy", "PodReplacementPolicy is Failed or TerminatingOrFailed.", "reference J9; KEP-3939",
			[]string{`spec.podReplacementPolicy: Unsupported value: "Never": supported values: "Failed", "TerminatingOrFailed"`},
			spec(func(spec *batchv1.JobSpec) { spec.PodReplacementPolicy = ptr.To[batchv1.PodReplacementPolicy]("Never") })),
	)
}

// Fields of Indexed Jobs.
func init() {
	subject("Validation",
		invalid("IndexedWithoutCompletions", "An Indexed Job has completions.", "reference J5",
			[]string{"spec.completions: Required value: when completion mode is Indexed"}, completionMode(batchv1.IndexedCompletion), parallelism(2)),
		invalid("IndexedParallelism", "The parallelism of an Indexed Job is at most 100000.", "reference J5",
			[]string{"spec.parallelism: Invalid value: 100001: must be less than or equal to 100000 when completion mode is Indexed"},
			indexed(3), parallelism(100001)),
		invalid("MaxFailedIndexesOverCompletions", "MaxFailedIndexes is at most completions.", "reference J5",
			[]string{"spec.maxFailedIndexes: Invalid value: 3: must be less than or equal to completions"},
			indexed(2), backoffLimitPerIndex(1), maxFailedIndexes(3)),
		invalid("ManyCompletionsWithoutMaxFailedIndexes", "With more than 100000 completions, backoffLimitPerIndex requires maxFailedIndexes.", "reference J5; KEP-3850",
			[]string{"spec.maxFailedIndexes: Required value: must be specified when completions is above 100000"},
			indexed(100001), parallelism(1), backoffLimitPerIndex(1)),
		invalid("ManyCompletionsBesideParallelism", "With more than 100000 completions and backoffLimitPerIndex, parallelism is at most 10000.", "reference J5; KEP-3850",
			[]string{"spec.parallelism: Invalid value: 10001: must be less than or equal to 10000 when completions are above 100000 and used with backoff limit per index"},
			indexed(100001), parallelism(10001), backoffLimitPerIndex(1), maxFailedIndexes(1)),
		invalid("ManyCompletionsBesideMaxFailedIndexes", "With more than 100000 completions, maxFailedIndexes is at most 10000.", "reference J5; KEP-3850",
			[]string{"spec.maxFailedIndexes: Invalid value: 10001: must be less than or equal to 10000 when completions are above 100000 and used with backoff limit per index"},
			indexed(100001), parallelism(1), backoffLimitPerIndex(1), maxFailedIndexes(10001)),
		invalid("MaxFailedIndexesLimit", "MaxFailedIndexes is at most 100000.", "reference J5; KEP-3850",
			[]string{
				"spec.maxFailedIndexes: Invalid value: 100001: must be less than or equal to 100000",
				"spec.maxFailedIndexes: Invalid value: 100001: must be less than or equal to 10000 when completions are above 100000 and used with backoff limit per index",
			}, indexed(100001), parallelism(1), backoffLimitPerIndex(1), maxFailedIndexes(100001)),
		valid("ManyCompletions", "An Indexed Job may have a billion completions.", "reference J5", indexed(1_000_000_000), parallelism(2)),
		invalid("NonIndexedBackoffLimitPerIndex", "BackoffLimitPerIndex requires an Indexed Job.", "reference J6",
			[]string{"spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode"}, backoffLimitPerIndex(1)),
		invalid("NonIndexedMaxFailedIndexes", "MaxFailedIndexes requires an Indexed Job.", "reference J6",
			[]string{
				"spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode",
				"spec.maxFailedIndexes: Invalid value: 1: requires indexed completion mode",
			}, backoffLimitPerIndex(1), maxFailedIndexes(1)),
	)
}

// The Pod template.
func init() {
	subject("Validation",
		invalid("RestartPolicyAlways", "A Job's Pods may not be restarted always.", "guide 2, 4 and 13; reference J12",
			[]string{`spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"`}, restartPolicy(corev1.RestartPolicyAlways)),
		invalid("RestartPolicyDefault", "A Job's Pod template must say its restartPolicy: the default of Pods is none for Jobs.", "guide 2 and 13; reference J12",
			[]string{`spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"`}, restartPolicy("")),
		invalid("RestartPolicyBesideFailurePolicy", "With a podFailurePolicy, restartPolicy is Never.", "reference J12; KEP-3329",
			[]string{`spec.template.spec.restartPolicy: Invalid value: "OnFailure": only "Never" is supported when podFailurePolicy is specified`},
			restartPolicy(corev1.RestartPolicyOnFailure), podFailurePolicy(onExitCodes(failJob, 1))),
		valid("BackoffLimitPerIndexOnFailure", "BackoffLimitPerIndex does not require restartPolicy Never.", "reference J12",
			indexed(2), backoffLimitPerIndex(1), restartPolicy(corev1.RestartPolicyOnFailure)),
		invalid("NoContainers", "A Job's Pod template has at least one container.", "reference J11",
			[]string{"spec.template.spec.containers: Required value"}, podSpec(func(spec *corev1.PodSpec) { spec.Containers = nil })),
		invalid("ContainerName", "The containers of a Job's Pod template are validated as those of Pods.", "reference J11",
			[]string{"spec.template.spec.containers[0].name: Invalid value: \"Main\": …"}, podSpec(func(spec *corev1.PodSpec) { spec.Containers[0].Name = "Main" })),
	)
}

// Names, selectors and labels.
func init() {
	subject("Validation",
		invalid("Name", "The name of a Job is a DNS subdomain.", "guide 2; reference M1",
			[]string{"metadata.name: Invalid value: \"No_Name\": …"}, named("No_Name"), spec(func(spec *batchv1.JobSpec) {
				spec.ManualSelector = ptr.To(true)
				spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "one"}}
				spec.Template.Labels = map[string]string{"app": "one"}
			})),
		invalid("IndexedName", "The name of an Indexed Job leaves room for the indexes in host names.", "reference M5",
			[]string{"metadata.name: Invalid value: \"" + strings.Repeat("x", 62) + "\": will not able to create pod with invalid DNS label: " + strings.Repeat("x", 62) + "-9"},
			named(strings.Repeat("x", 62)), indexed(10)),
		valid("IndexedLongestName", "The name of an Indexed Job may have as many characters as host names with indexes allow.", "reference M5",
			named(strings.Repeat("x", 61)), indexed(10)),
		invalid("ForeignSelector", "A selector that was not generated requires manualSelector.", "guide 2 and 13; reference M2",
			[]string{
				"spec.selector: Invalid value: …`selector` not auto-generated",
				"spec.template.metadata.labels: Invalid value: …`selector` does not match template `labels`",
			}, spec(func(spec *batchv1.JobSpec) {
				spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "one"}}
			})),
		invalid("ManualSelectorMissing", "A Job with manualSelector has a selector.", "guide 2; reference M3",
			[]string{"spec.selector: Required value", "spec.template.metadata.labels: Invalid value: …`selector` does not match template `labels`"}, spec(func(spec *batchv1.JobSpec) { spec.ManualSelector = ptr.To(true) })),
		invalid("SelectorBesideLabels", "The selector matches the labels of the Pod template.", "reference M4",
			[]string{"spec.template.metadata.labels: Invalid value: …`selector` does not match template `labels`"}, func(job *batchv1.Job) {
				job.Spec.ManualSelector = ptr.To(true)
				job.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "one"}}
				job.Spec.Template.Labels = map[string]string{"app": "two"}
			}),
		invalid("LabelsOfAnotherJob", "A Pod template can't claim to be another Job's.", "reference M2",
			[]string{"spec.template.metadata.labels[job-name]: Invalid value: …must be 'job'"}, spec(func(spec *batchv1.JobSpec) { spec.Template.Labels = map[string]string{"job-name": "another"} })),
	)
}

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
	"math"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
)

const notNegative = "must be greater than or equal to 0"

func TestValidNewJobs(t *testing.T) {
	t.Parallel()
	runCreateCases(t, []createCase{
		{name: "NonIndexed"},
		{name: "work queue", edits: []edit{func(job *batch.Job) { job.Spec.Completions = nil }}},
		{name: "Indexed", edits: []edit{indexed(5)}},
		{name: "Indexed, 0 completions", edits: []edit{indexed(0)}},
		{name: "restartPolicy OnFailure", edits: []edit{restartPolicy(corev1.RestartPolicyOnFailure)}},
		// The field comment asks for Never here; Kubernetes does not enforce it.
		{name: "backoffLimitPerIndex with OnFailure", edits: []edit{indexed(5), perIndexBackoff(1), restartPolicy(corev1.RestartPolicyOnFailure)}},
		{name: "every optional field nil", edits: []edit{func(job *batch.Job) {
			job.Spec = batch.JobSpec{Selector: job.Spec.Selector, Template: job.Spec.Template}
		}}},
	})
}

func restartPolicy(policy corev1.RestartPolicy) edit {
	return func(job *batch.Job) { job.Spec.Template.Spec.RestartPolicy = policy }
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	spec := func(set func(*batch.JobSpec)) []edit {
		return []edit{func(job *batch.Job) { set(&job.Spec) }}
	}
	runCreateCases(t, []createCase{
		{name: "J1 parallelism", edits: spec(func(s *batch.JobSpec) { s.Parallelism = new(int32(-1)) }),
			want: []string{"Invalid value spec.parallelism: " + notNegative}},
		{name: "J1 completions", edits: spec(func(s *batch.JobSpec) { s.Completions = new(int32(-1)) }),
			want: []string{"Invalid value spec.completions: " + notNegative}},
		{name: "J1 activeDeadlineSeconds", edits: spec(func(s *batch.JobSpec) { s.ActiveDeadlineSeconds = new(int64(-1)) }),
			want: []string{"Invalid value spec.activeDeadlineSeconds: " + notNegative}},
		{name: "J1 backoffLimit", edits: spec(func(s *batch.JobSpec) { s.BackoffLimit = new(int32(-1)) }),
			want: []string{"Invalid value spec.backoffLimit: " + notNegative}},
		{name: "J1 ttlSecondsAfterFinished", edits: spec(func(s *batch.JobSpec) { s.TTLSecondsAfterFinished = new(int32(-1)) }),
			want: []string{"Invalid value spec.ttlSecondsAfterFinished: " + notNegative}},
		{name: "J1 backoffLimitPerIndex", edits: []edit{indexed(2), perIndexBackoff(-1)},
			want: []string{"Invalid value spec.backoffLimitPerIndex: " + notNegative}},
		{name: "J1 maxFailedIndexes", edits: []edit{indexed(2), perIndexBackoff(1), maxFailedIndexes(-1)},
			want: []string{"Invalid value spec.maxFailedIndexes: " + notNegative}},
		{name: "J1 the lowest number", edits: spec(func(s *batch.JobSpec) { s.ActiveDeadlineSeconds = new(int64(math.MinInt64)) }),
			want: []string{"Invalid value spec.activeDeadlineSeconds: " + notNegative}},
		{name: "J1 zeros are fine", edits: spec(func(s *batch.JobSpec) {
			s.Parallelism, s.Completions, s.BackoffLimit = new(int32(0)), new(int32(0)), new(int32(0))
			s.ActiveDeadlineSeconds, s.TTLSecondsAfterFinished = new(int64(0)), new(int32(0))
		})},
		{name: "J2", edits: []edit{indexed(2), maxFailedIndexes(1)},
			want: []string{"Required value spec.backoffLimitPerIndex: when maxFailedIndexes is specified"}},
	})
}

func maxFailedIndexes(limit int32) edit {
	return func(job *batch.Job) { job.Spec.MaxFailedIndexes = new(limit) }
}

func TestManagedBy(t *testing.T) {
	t.Parallel()
	managedBy := func(name string) []edit {
		return []edit{func(job *batch.Job) { job.Spec.ManagedBy = &name }}
	}
	runCreateCases(t, []createCase{
		{name: "J3 built-in controller", edits: managedBy("kubernetes.io/job-controller")},
		{name: "J3 longest", edits: managedBy("acme.io/" + strings.Repeat("x", 55))},
		{name: "J3 empty", edits: managedBy(""), want: []string{"Required value spec.managedBy: "}},
		{name: "J3 no domain", edits: managedBy("controller"),
			want: []string{`Invalid value spec.managedBy: must be a domain-prefixed path (such as "acme.io/foo")`}},
		{name: "J3 domain in capitals", edits: managedBy("ACME.io/foo"),
			want: []string{"Invalid value spec.managedBy: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, " +
				"'-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is " +
				"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"}},
		{name: "J3 too long", edits: managedBy("acme.io/" + strings.Repeat("x", 56)),
			want: []string{"Too long spec.managedBy: may not be more than 63 bytes"}},
	})
}

func TestCompletionMode(t *testing.T) {
	t.Parallel()
	const perIndexDetail = "must be less than or equal to 10000 when completions are above 100000 and used with backoff limit per index"
	runCreateCases(t, []createCase{
		{name: "J4 unknown", edits: []edit{func(job *batch.Job) { job.Spec.CompletionMode = new(batch.CompletionMode("Sorted")) }},
			want: []string{`Unsupported value spec.completionMode: supported values: "NonIndexed", "Indexed"`}},
		{name: "J4 empty", edits: []edit{func(job *batch.Job) { job.Spec.CompletionMode = new(batch.CompletionMode("")) }},
			want: []string{`Unsupported value spec.completionMode: supported values: "NonIndexed", "Indexed"`}},

		{name: "J5 no completions", edits: []edit{indexed(1), func(job *batch.Job) { job.Spec.Completions = nil }},
			want: []string{"Required value spec.completions: when completion mode is Indexed"}},
		{name: "J5 parallelism at its limit", edits: []edit{indexed(100_000)}},
		{name: "J5 parallelism above", edits: []edit{indexed(100_001)},
			want: []string{"Invalid value spec.parallelism: must be less than or equal to 100000 when completion mode is Indexed"}},
		{name: "J5 maxFailedIndexes equals completions", edits: []edit{indexed(3), perIndexBackoff(0), maxFailedIndexes(3)}},
		{name: "J5 maxFailedIndexes above completions", edits: []edit{indexed(3), perIndexBackoff(0), maxFailedIndexes(4)},
			want: []string{"Invalid value spec.maxFailedIndexes: must be less than or equal to completions"}},
		{name: "J5 maxFailedIndexes above its limit", edits: []edit{indexed(200_000), parallelism(1), perIndexBackoff(0), maxFailedIndexes(100_001)},
			want: []string{
				"Invalid value spec.maxFailedIndexes: must be less than or equal to 100000",
				"Invalid value spec.maxFailedIndexes: " + perIndexDetail,
			}},
		{name: "J5 many completions at all limits", edits: []edit{indexed(100_001), parallelism(10_000), perIndexBackoff(0), maxFailedIndexes(10_000)}},
		{name: "J5 many completions, no maxFailedIndexes", edits: []edit{indexed(100_001), parallelism(10_000), perIndexBackoff(0)},
			want: []string{"Required value spec.maxFailedIndexes: must be specified when completions is above 100000"}},
		{name: "J5 many completions, parallelism", edits: []edit{indexed(100_001), parallelism(10_001), perIndexBackoff(0), maxFailedIndexes(1)},
			want: []string{"Invalid value spec.parallelism: " + perIndexDetail}},
		{name: "J5 many completions, maxFailedIndexes", edits: []edit{indexed(100_001), parallelism(1), perIndexBackoff(0), maxFailedIndexes(10_001)},
			want: []string{"Invalid value spec.maxFailedIndexes: " + perIndexDetail}},
		{name: "J5 many completions, all wrong", edits: []edit{indexed(100_001), perIndexBackoff(0)}, want: []string{
			"Invalid value spec.parallelism: must be less than or equal to 100000 when completion mode is Indexed",
			"Required value spec.maxFailedIndexes: must be specified when completions is above 100000",
			"Invalid value spec.parallelism: " + perIndexDetail,
		}},
		{name: "J5 many completions, all above", edits: []edit{indexed(100_001), perIndexBackoff(0), maxFailedIndexes(100_002)}, want: []string{
			"Invalid value spec.parallelism: must be less than or equal to 100000 when completion mode is Indexed",
			"Invalid value spec.maxFailedIndexes: must be less than or equal to completions",
			"Invalid value spec.maxFailedIndexes: must be less than or equal to 100000",
			"Invalid value spec.parallelism: " + perIndexDetail,
			"Invalid value spec.maxFailedIndexes: " + perIndexDetail,
		}},
		{name: "J5 many completions without backoffLimitPerIndex", edits: []edit{indexed(100_001), parallelism(10_001)}},

		{name: "J6 NonIndexed", edits: []edit{perIndexBackoff(1), maxFailedIndexes(1)}, want: []string{
			"Invalid value spec.backoffLimitPerIndex: requires indexed completion mode",
			"Invalid value spec.maxFailedIndexes: requires indexed completion mode",
		}},
		{name: "J6 no mode", edits: []edit{perIndexBackoff(1), func(job *batch.Job) { job.Spec.CompletionMode = nil }},
			want: []string{"Invalid value spec.backoffLimitPerIndex: requires indexed completion mode"}},
	})
}

func parallelism(number int32) edit {
	return func(job *batch.Job) { job.Spec.Parallelism = new(number) }
}

func TestPodReplacementPolicy(t *testing.T) {
	t.Parallel()
	replacement := func(policy batch.PodReplacementPolicy) edit {
		return func(job *batch.Job) { job.Spec.PodReplacementPolicy = &policy }
	}
	runCreateCases(t, []createCase{
		{name: "J9 Failed", edits: []edit{replacement(batch.Failed)}},
		{name: "J9 unknown", edits: []edit{replacement("Never")},
			want: []string{`Unsupported value spec.podReplacementPolicy: supported values: "Failed", "TerminatingOrFailed"`}},
		{name: "J9 empty", edits: []edit{replacement("")},
			want: []string{`Unsupported value spec.podReplacementPolicy: supported values: "Failed", "TerminatingOrFailed"`}},
		{name: "J9 with podFailurePolicy", edits: []edit{failurePolicy(), replacement(batch.TerminatingOrFailed)},
			want: []string{`Unsupported value spec.podReplacementPolicy: supported values: "Failed"`}},
	})
}

func TestTemplate(t *testing.T) {
	t.Parallel()
	runCreateCases(t, []createCase{
		{name: "J11 no containers", edits: []edit{func(job *batch.Job) { job.Spec.Template.Spec.Containers = nil }},
			want: []string{"Required value spec.template.spec.containers: "}},
		{name: "J11 no image", edits: []edit{func(job *batch.Job) { job.Spec.Template.Spec.Containers[0].Image = "" }},
			want: []string{"Required value spec.template.spec.containers[0].image: "}},
		{name: "J11 label path has no metadata", edits: []edit{func(job *batch.Job) { job.Spec.Template.Labels["x"] = "-" }},
			want: []string{"Invalid value spec.template.labels: a valid label must be an empty string or consist of alphanumeric characters, " +
				"'-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', " +
				"regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"}},
		{name: "J11 ephemeral containers", edits: []edit{func(job *batch.Job) {
			job.Spec.Template.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{
				Name: "debug", Image: "image", ImagePullPolicy: corev1.PullAlways, TerminationMessagePolicy: corev1.TerminationMessageReadFile,
			}}}
		}}, want: []string{"Forbidden spec.template.spec.ephemeralContainers: ephemeral containers not allowed in pod template"}},
		// Kubernetes does not look at the rest of the template's metadata.
		{name: "J11 finalizers of the template", edits: []edit{func(job *batch.Job) { job.Spec.Template.Finalizers = []string{"no domain"} }}},

		{name: "J12 unset", edits: []edit{restartPolicy("")}, want: []string{
			"Required value spec.template.spec.restartPolicy: ",
			`Required value spec.template.spec.restartPolicy: valid values: "OnFailure", "Never"`,
		}},
		{name: "J12 Always", edits: []edit{restartPolicy(corev1.RestartPolicyAlways)},
			want: []string{`Required value spec.template.spec.restartPolicy: valid values: "OnFailure", "Never"`}},
		{name: "J12 unknown", edits: []edit{restartPolicy("Sometimes")}, want: []string{
			`Unsupported value spec.template.spec.restartPolicy: supported values: "Always", "OnFailure", "Never"`,
			`Unsupported value spec.template.spec.restartPolicy: supported values: "OnFailure", "Never"`,
		}},
		{name: "J12 OnFailure with podFailurePolicy", edits: []edit{failurePolicy(), restartPolicy(corev1.RestartPolicyOnFailure)},
			want: []string{`Invalid value spec.template.spec.restartPolicy: only "Never" is supported when podFailurePolicy is specified`}},
	})
}

// TestOrderOfErrors breaks a rule of each kind at once: errors come in upstream's order, which clients see.
func TestOrderOfErrors(t *testing.T) {
	t.Parallel()
	runCreateCases(t, []createCase{{
		name: "many",
		edits: []edit{indexed(5), failurePolicy(batch.PodFailurePolicyRule{}), successPolicy(), restartPolicy(corev1.RestartPolicyAlways),
			func(job *batch.Job) {
				job.Name = strings.Repeat("n", 62)
				job.UID = ""
				job.Spec.TTLSecondsAfterFinished = new(int32(-1))
				job.Spec.Parallelism = new(int32(-1))
				job.Spec.ManagedBy = new("")
				job.Spec.PodReplacementPolicy = new(batch.PodReplacementPolicy("x"))
				job.Spec.DisruptionPolicy = new(batch.DisruptionPolicy("x"))
				job.Spec.Selector = nil
			}},
		want: []string{
			"Invalid value spec.parallelism: " + notNegative,
			"Invalid value spec.ttlSecondsAfterFinished: " + notNegative,
			"Required value spec.managedBy: ",
			`Required value spec.podFailurePolicy.rules[0].action: valid values: ["Count" "FailIndex" "FailJob" "Ignore"]`,
			"Invalid value spec.podFailurePolicy.rules[0]: specifying one of OnExitCodes and OnPodConditions is required",
			"Required value spec.successPolicy.rules: at least one rules must be specified when the successPolicy is specified",
			`Unsupported value spec.podReplacementPolicy: supported values: "Failed"`,
			`Unsupported value spec.disruptionPolicy: supported values: "Count", "Ignore"`,
			`Required value spec.template.spec.restartPolicy: valid values: "OnFailure", "Never"`,
			"Required value spec.selector: ",
			"Invalid value spec.template.metadata.labels: `selector` does not match template `labels`",
			"Invalid value metadata.name: will not able to create pod with invalid DNS label: " + strings.Repeat("n", 62) + "-4",
		},
	}})
}

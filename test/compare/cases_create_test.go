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

package compare

import (
	"slices"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestCreateMetadata(t *testing.T) {
	testRules(t, create, []rule{
		{name: "none", edit: all()},
		{name: "M1 name", edit: func(job *batchv1.Job) { job.Name = "A" },
			want: []string{invalid + "metadata.name: "}},
		{name: "M1 name with dots: pods get it too", edit: func(job *batchv1.Job) { job.Name = "a.b" }, warns: true},
		{name: "M1 long name, selector by hand", edit: all(manualSelector, func(job *batchv1.Job) { job.Name = strings.Repeat("n", 253) }), warns: true},
		{name: "M1 too long a name, selector by hand", edit: all(manualSelector, func(job *batchv1.Job) { job.Name = strings.Repeat("n", 254) }),
			want: []string{invalid + "metadata.name: "}},
		{name: "M1 long name becomes a label", edit: func(job *batchv1.Job) { job.Name = strings.Repeat("n", 64) },
			want: []string{invalid + "spec.template.labels: "}},
		{name: "M1 finalizer", edit: func(job *batchv1.Job) { job.Finalizers = []string{"mine"} },
			want: []string{invalid + "metadata.finalizers[0]: "}},
		{name: "M1 finalizer that exists", edit: func(job *batchv1.Job) { job.Finalizers = []string{"orphan", "example.com/x"} }},
		{name: "M1 label", edit: func(job *batchv1.Job) { job.Labels = map[string]string{"a b": "c"} },
			want: []string{invalid + "metadata.labels: "}},
		{name: "M1 annotation", edit: func(job *batchv1.Job) { job.Annotations = map[string]string{"a b": "c"} },
			want: []string{invalid + "metadata.annotations: "}},
		{name: "M2 no UID", edit: func(job *batchv1.Job) { job.UID = "" }, want: []string{required + "metadata.uid: "}},
		{name: "M2 other job-name label", edit: templateLabel("job-name", "other"),
			want: []string{invalid + "spec.template.metadata.labels[job-name]: "}},
		{name: "M2 other prefixed job-name label", edit: templateLabel(batchv1.JobNameLabel, "other"),
			want: []string{invalid + "spec.template.metadata.labels[batch.kubernetes.io/job-name]: "}},
		{name: "M2 other controller-uid label", edit: templateLabel("controller-uid", "other"),
			want: []string{invalid + "spec.template.metadata.labels[controller-uid]: "}},
		{name: "M2 other prefixed controller-uid label", edit: templateLabel(batchv1.ControllerUidLabel, "other"),
			want: []string{invalid + "spec.template.metadata.labels[batch.kubernetes.io/controller-uid]: ", invalid + "spec.template.metadata.labels: "}},
		{name: "M2 labels as generated", edit: templateLabel("job-name", jobName)},
		{name: "M2 other selector", edit: selector(batchv1.ControllerUidLabel, "other"),
			want: []string{invalid + "spec.selector: ", invalid + "spec.template.metadata.labels: "}},
		{name: "M2 narrower selector", edit: selector("app", "mine"),
			want: []string{invalid + "spec.selector: ", invalid + "spec.template.metadata.labels: "}},
		{name: "M2 selector by hand, manualSelector false", edit: all(manualSelector, func(job *batchv1.Job) { job.Spec.ManualSelector = new(false) }),
			want: []string{invalid + "spec.selector: "}},
		{name: "M3 manual without selector", edit: func(job *batchv1.Job) { job.Spec.ManualSelector = new(true) },
			want: []string{required + "spec.selector: ", invalid + "spec.template.metadata.labels: "}},
		{name: "M3 bad selector", edit: all(manualSelector, selector("a b", "x")),
			want: []string{invalid + "spec.selector.matchLabels: "}},
		{name: "M3 selector operator", edit: all(manualSelector, func(job *batchv1.Job) {
			job.Spec.Selector.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "app", Operator: "Like"}}
		}), want: []string{invalid + "spec.selector.matchExpressions[0].operator: "}},
		{name: "M3 empty selector matches all", edit: all(manualSelector, func(job *batchv1.Job) { job.Spec.Selector = &metav1.LabelSelector{} })},
		{name: "M4 other labels", edit: all(manualSelector, templateLabel("app", "other")), want: []string{invalid + "spec.template.metadata.labels: "}},
		{name: "M5 name of the last index", edit: all(indexed(1000, 1), func(job *batchv1.Job) { job.Name = strings.Repeat("n", 60) }),
			want: []string{invalid + "metadata.name: "}},
		{name: "M5 that just fits", edit: all(indexed(1000, 1), func(job *batchv1.Job) { job.Name = strings.Repeat("n", 59) })},
		{name: "M5 no index", edit: all(indexed(0, 1), func(job *batchv1.Job) { job.Name = strings.Repeat("n", 63) })},
		{name: "M5 name with dots", edit: all(indexed(1, 1), func(job *batchv1.Job) { job.Name = "a.b" }), want: []string{invalid + "metadata.name: "}},
		{name: "status is cleared", edit: all(complete, running)},
		{name: "labels come from the template", edit: templateLabel("app", "mine")},
		{name: "generation is set", edit: func(job *batchv1.Job) { job.Generation = 9 }},
	})
}

func TestCreateNumbers(t *testing.T) {
	testRules(t, create, []rule{
		{name: "J1 parallelism", edit: func(job *batchv1.Job) { job.Spec.Parallelism = new(int32(-1)) }, want: []string{invalid + "spec.parallelism: "}},
		{name: "J1 completions", edit: func(job *batchv1.Job) { job.Spec.Completions = new(int32(-1)) }, want: []string{invalid + "spec.completions: "}},
		{name: "J1 activeDeadlineSeconds", edit: func(job *batchv1.Job) { job.Spec.ActiveDeadlineSeconds = new(int64(-1)) },
			want: []string{invalid + "spec.activeDeadlineSeconds: "}},
		{name: "J1 no deadline at all", edit: func(job *batchv1.Job) { job.Spec.ActiveDeadlineSeconds = new(int64(0)) }},
		{name: "J1 backoffLimit", edit: func(job *batchv1.Job) { job.Spec.BackoffLimit = new(int32(-1)) }, want: []string{invalid + "spec.backoffLimit: "}},
		{name: "J1 ttlSecondsAfterFinished", edit: func(job *batchv1.Job) { job.Spec.TTLSecondsAfterFinished = new(int32(-1)) },
			want: []string{invalid + "spec.ttlSecondsAfterFinished: "}},
		{name: "J1 backoffLimitPerIndex", edit: all(perIndex, func(job *batchv1.Job) { job.Spec.BackoffLimitPerIndex = new(int32(-1)) }),
			want: []string{invalid + "spec.backoffLimitPerIndex: "}},
		{name: "J1 maxFailedIndexes", edit: all(perIndex, func(job *batchv1.Job) { job.Spec.MaxFailedIndexes = new(int32(-1)) }),
			want: []string{invalid + "spec.maxFailedIndexes: "}},
		{name: "J1 all zero", edit: all(perIndex, func(job *batchv1.Job) {
			zero := new(int32)
			job.Spec.Parallelism, job.Spec.Completions, job.Spec.BackoffLimit, job.Spec.TTLSecondsAfterFinished = zero, zero, zero, zero
			job.Spec.BackoffLimitPerIndex, job.Spec.MaxFailedIndexes = zero, zero
		})},
		{name: "J2", edit: all(perIndex, func(job *batchv1.Job) { job.Spec.BackoffLimitPerIndex = nil }), want: []string{required + "spec.backoffLimitPerIndex: "}},
		{name: "J3 empty", edit: managedBy(""), want: []string{required + "spec.managedBy: "}},
		{name: "J3 no domain", edit: managedBy("mine"), want: []string{invalid + "spec.managedBy: "}},
		{name: "J3 no path", edit: managedBy("example.com/"), want: []string{invalid + "spec.managedBy: "}},
		{name: "J3 just fits", edit: managedBy("example.com/" + strings.Repeat("m", 51))},
		{name: "J3 too long", edit: managedBy("example.com/" + strings.Repeat("m", 52)), want: []string{tooLong + "spec.managedBy: "}},
		{name: "J3 too long and bad", edit: managedBy(strings.Repeat("m", 64)), want: []string{invalid + "spec.managedBy: ", tooLong + "spec.managedBy: "}},
		{name: "J3 the reserved one", edit: managedBy(batchv1.JobControllerName)},
		{name: "J4", edit: func(job *batchv1.Job) { job.Spec.CompletionMode = new(batchv1.CompletionMode("indexed")) },
			want: []string{notSupported + "spec.completionMode: "}},
		{name: "J5 completions", edit: func(job *batchv1.Job) {
			job.Spec.CompletionMode, job.Spec.Parallelism = new(batchv1.IndexedCompletion), new(int32(2))
		}, want: []string{required + "spec.completions: "}},
		{name: "J5 completions default", edit: func(job *batchv1.Job) { job.Spec.CompletionMode = new(batchv1.IndexedCompletion) }},
		{name: "J5 most parallelism", edit: indexed(1, 100_000)},
		{name: "J5 more parallelism", edit: indexed(1, 100_001), want: []string{invalid + "spec.parallelism: "}},
		{name: "J5 more failed than completions", edit: all(perIndex, func(job *batchv1.Job) { job.Spec.MaxFailedIndexes = new(int32(6)) }),
			want: []string{invalid + "spec.maxFailedIndexes: "}},
		{name: "J5 most failed", edit: all(perIndex, indexed(100_000, 1), func(job *batchv1.Job) { job.Spec.MaxFailedIndexes = new(int32(100_000)) })},
		{name: "J5 more failed", edit: all(perIndex, indexed(200_000, 1), func(job *batchv1.Job) { job.Spec.MaxFailedIndexes = new(int32(100_001)) }),
			want: []string{invalid + "spec.maxFailedIndexes: Invalid value: 100001: must be less than or equal to 100000",
				invalid + "spec.maxFailedIndexes: Invalid value: 100001: must be less than or equal to 10000 "}},
		{name: "J5 many completions, failed unset", edit: all(perIndex, indexed(100_001, 1), func(job *batchv1.Job) { job.Spec.MaxFailedIndexes = nil }),
			want: []string{required + "spec.maxFailedIndexes: "}},
		{name: "J5 many completions, parallelism", edit: all(perIndex, indexed(100_001, 10_001)), want: []string{invalid + "spec.parallelism: "}},
		{name: "J5 many completions, failed", edit: all(perIndex, indexed(100_001, 1), func(job *batchv1.Job) { job.Spec.MaxFailedIndexes = new(int32(10_001)) }),
			want: []string{invalid + "spec.maxFailedIndexes: "}},
		{name: "J5 many completions, at the limits", edit: all(perIndex, indexed(100_001, 10_000), func(job *batchv1.Job) { job.Spec.MaxFailedIndexes = new(int32(10_000)) })},
		{name: "1.11 many completions without a limit per index", edit: indexed(100_001, 10_001), warns: true},
		{name: "J6 backoffLimitPerIndex", edit: func(job *batchv1.Job) { job.Spec.BackoffLimitPerIndex = new(int32(1)) },
			want: []string{invalid + "spec.backoffLimitPerIndex: "}},
		{name: "J6 both", edit: all(perIndex, func(job *batchv1.Job) { job.Spec.CompletionMode = nil }),
			want: []string{invalid + "spec.backoffLimitPerIndex: ", invalid + "spec.maxFailedIndexes: "}},
		{name: "J9 unknown", edit: replace("Never"), want: []string{notSupported + "spec.podReplacementPolicy: "}},
		{name: "J9 empty", edit: replace(""), want: []string{notSupported + "spec.podReplacementPolicy: "}},
		{name: "J9 with podFailurePolicy", edit: all(failurePolicy, replace(batchv1.TerminatingOrFailed)), want: []string{notSupported + "spec.podReplacementPolicy: "}},
		{name: "J9 Failed", edit: replace(batchv1.Failed)},
	})
}

func TestCreateTemplate(t *testing.T) {
	testRules(t, create, []rule{
		{name: "rich", edit: richTemplate},
		{name: "J11 no containers", edit: podSpec(func(spec *corev1.PodSpec) { spec.Containers = nil }), want: []string{required + "spec.template.spec.containers: "}},
		{name: "J11 label", edit: templateLabel("a b", "c"), want: []string{invalid + "spec.template.labels: ", invalid + "metadata.labels: "}},
		{name: "J11 annotation", edit: func(job *batchv1.Job) { job.Spec.Template.Annotations = map[string]string{"a b": "c"} },
			want: []string{invalid + "spec.template.annotations: "}},
		{name: "J11 other metadata is not looked at", edit: func(job *batchv1.Job) {
			job.Spec.Template.Name, job.Spec.Template.Finalizers = "A b", []string{"x"}
			job.Spec.Template.OwnerReferences = []metav1.OwnerReference{{}}
		}},
		{name: "J11 ephemeral containers", edit: podSpec(func(spec *corev1.PodSpec) {
			spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug", Image: "i",
				ImagePullPolicy: "Always", TerminationMessagePolicy: "File"}}}
		}), want: []string{forbidden + "spec.template.spec.ephemeralContainers: "}},
		{name: "J11 a field whose gate is off", edit: podSpec(func(spec *corev1.PodSpec) {
			spec.EvictionResponders = []corev1.EvictionResponder{{Name: "example.com/a"}}
		})},
		{name: "J12 Always", edit: restart(corev1.RestartPolicyAlways), want: []string{required + `spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"`}},
		{name: "J12 empty", edit: restart(""), want: []string{required + "spec.template.spec.restartPolicy: "}},
		{name: "J12 unknown", edit: restart("Once"), want: []string{
			notSupported + `spec.template.spec.restartPolicy: Unsupported value: "Once": supported values: "Always"`,
			notSupported + `spec.template.spec.restartPolicy: Unsupported value: "Once": supported values: "OnFailure"`}},
		{name: "J12 OnFailure", edit: restart(corev1.RestartPolicyOnFailure)},
		{name: "J12 OnFailure with podFailurePolicy", edit: all(failurePolicy, restart(corev1.RestartPolicyOnFailure)),
			want: []string{invalid + "spec.template.spec.restartPolicy: "}},
		{name: "J12 OnFailure with backoffLimitPerIndex", edit: all(perIndex, restart(corev1.RestartPolicyOnFailure))},
		{name: "1.11 deprecated label", edit: podSpec(func(spec *corev1.PodSpec) { spec.NodeSelector = map[string]string{"beta.kubernetes.io/os": "linux"} }), warns: true},
		{name: "1.11 duplicate env", edit: podSpec(func(spec *corev1.PodSpec) { spec.Containers[0].Env = []corev1.EnvVar{{Name: "A"}, {Name: "A"}} }), warns: true},
		{name: "1.11 negative grace period", edit: podSpec(func(spec *corev1.PodSpec) { spec.TerminationGracePeriodSeconds = new(int64(-1)) }), warns: true},
	})
}

func TestCreateFailurePolicy(t *testing.T) {
	const rules = "spec.podFailurePolicy.rules"
	// with changes the three rules that failurePolicy makes: an exit code, a Pod condition, an exit code that is not.
	with := func(change func([]batchv1.PodFailurePolicyRule)) edit {
		return all(failurePolicy, func(job *batchv1.Job) { change(job.Spec.PodFailurePolicy.Rules) })
	}
	codes := func(values ...int32) edit {
		return with(func(rules []batchv1.PodFailurePolicyRule) { rules[0].OnExitCodes.Values = values })
	}
	testRules(t, create, []rule{
		{name: "J7 fine", edit: failurePolicy},
		{name: "J7 no rules", edit: func(job *batchv1.Job) { job.Spec.PodFailurePolicy = &batchv1.PodFailurePolicy{} }},
		{name: "J7 21 rules", edit: all(failurePolicy, func(job *batchv1.Job) {
			job.Spec.PodFailurePolicy.Rules = slices.Repeat(job.Spec.PodFailurePolicy.Rules[1:2], 21)
		}), want: []string{tooMany + rules + ": "}},
		{name: "J7 no action", edit: with(func(rules []batchv1.PodFailurePolicyRule) { rules[0].Action = "" }), want: []string{required + rules + "[0].action: "}},
		{name: "J7 unknown action", edit: with(func(rules []batchv1.PodFailurePolicyRule) { rules[0].Action = "Retry" }), want: []string{notSupported + rules + "[0].action: "}},
		{name: "J7 FailIndex", edit: with(func(rules []batchv1.PodFailurePolicyRule) { rules[1].Action = batchv1.PodFailurePolicyActionFailIndex }),
			want: []string{invalid + rules + "[1].action: "}},
		{name: "J7 FailIndex with a limit per index", edit: all(perIndex, with(func(rules []batchv1.PodFailurePolicyRule) {
			rules[1].Action = batchv1.PodFailurePolicyActionFailIndex
		}))},
		{name: "J7 both", edit: with(func(rules []batchv1.PodFailurePolicyRule) { rules[0].OnPodConditions = rules[1].OnPodConditions }),
			want: []string{invalid + rules + "[0]: "}},
		{name: "J7 neither", edit: with(func(rules []batchv1.PodFailurePolicyRule) { rules[0].OnExitCodes = nil }), want: []string{invalid + rules + "[0]: "}},
		{name: "J7 21 conditions", edit: with(func(rules []batchv1.PodFailurePolicyRule) {
			rules[1].OnPodConditions = slices.Repeat(rules[1].OnPodConditions, 21)
		}), want: []string{tooMany + rules + "[1].onPodConditions: "}},
		{name: "J7 condition type", edit: with(func(rules []batchv1.PodFailurePolicyRule) { rules[1].OnPodConditions[0].Type = "a b" }),
			want: []string{invalid + rules + "[1].onPodConditions[0].type: "}},
		{name: "J7 condition status default", edit: with(func(rules []batchv1.PodFailurePolicyRule) { rules[1].OnPodConditions[0].Status = "" })},
		{name: "J7 condition status", edit: with(func(rules []batchv1.PodFailurePolicyRule) { rules[1].OnPodConditions[0].Status = "true" }),
			want: []string{notSupported + rules + "[1].onPodConditions[0].status: "}},
		{name: "J7 no operator", edit: with(func(rules []batchv1.PodFailurePolicyRule) { rules[0].OnExitCodes.Operator = "" }),
			want: []string{required + rules + "[0].onExitCodes.operator: "}},
		{name: "J7 unknown operator", edit: with(func(rules []batchv1.PodFailurePolicyRule) { rules[0].OnExitCodes.Operator = "Gt" }),
			want: []string{notSupported + rules + "[0].onExitCodes.operator: "}},
		{name: "J7 unknown container", edit: with(func(rules []batchv1.PodFailurePolicyRule) { rules[0].OnExitCodes.ContainerName = new("other") }),
			want: []string{invalid + rules + "[0].onExitCodes.containerName: "}},
		{name: "J7 init container", edit: all(richTemplate, with(func(rules []batchv1.PodFailurePolicyRule) { rules[0].OnExitCodes.ContainerName = new("first") }))},
		{name: "J7 no values", edit: codes(), want: []string{invalid + rules + "[0].onExitCodes.values: "}},
		{name: "J7 256 values", edit: codes(upTo(256)...), want: []string{tooMany + rules + "[0].onExitCodes.values: "}},
		{name: "J7 255 values", edit: codes(upTo(255)...)},
		{name: "J7 0 with In", edit: codes(0, 1), want: []string{invalid + rules + "[0].onExitCodes.values[0]: "}},
		{name: "J7 0 with NotIn", edit: with(func(rules []batchv1.PodFailurePolicyRule) { rules[2].OnExitCodes.Values = []int32{0, 1} })},
		{name: "J7 duplicate", edit: codes(1, 1), want: []string{duplicate + rules + "[0].onExitCodes.values[1]: "}},
		{name: "J7 unordered", edit: codes(2, 1), want: []string{invalid + rules + "[0].onExitCodes.values: "}},
		{name: "J7 negative", edit: codes(-1, 1)},
	})
}

func TestCreateSuccessPolicy(t *testing.T) {
	const rules = "spec.successPolicy.rules"
	with := func(rules ...batchv1.SuccessPolicyRule) edit {
		return all(indexed(6, 3), func(job *batchv1.Job) { job.Spec.SuccessPolicy = &batchv1.SuccessPolicy{Rules: rules} })
	}
	indexes := func(list string) edit { return with(batchv1.SuccessPolicyRule{SucceededIndexes: &list}) }
	count := func(number int32) edit { return with(batchv1.SuccessPolicyRule{SucceededCount: &number}) }
	var cases []rule
	for _, list := range []string{"", "0", "5", "0-5", "0,2-3,5", "0,1"} {
		cases = append(cases, rule{name: "J8 list " + list, edit: indexes(list)})
	}
	for _, list := range []string{"6", "0-6", "-1", "1-", "a", "1-2-3", "2-2", "3-2", "1,1", "2,1", "0-2,2", ",", "1,", " 1", "+1", "01,1", "1.0", "99999999999999999999"} {
		want := []string{invalid + rules + "[0].succeededIndexes: "}
		if list == "+1" { // an integer to strconv
			want = nil
		}
		cases = append(cases, rule{name: "J8 list " + list, edit: indexes(list), want: want})
	}
	testRules(t, create, append(cases,
		rule{name: "J8 fine", edit: successPolicy},
		rule{name: "J8 NonIndexed", edit: all(successPolicy, func(job *batchv1.Job) { job.Spec.CompletionMode = nil }), want: []string{invalid + "spec.successPolicy: "}},
		rule{name: "J8 no rules", edit: with(), want: []string{required + rules + ": "}},
		rule{name: "J8 21 rules", edit: with(slices.Repeat([]batchv1.SuccessPolicyRule{{SucceededCount: new(int32(1))}}, 21)...), want: []string{tooMany + rules + ": "}},
		rule{name: "J8 empty rule", edit: with(batchv1.SuccessPolicyRule{}), want: []string{required + rules + "[0]: "}},
		rule{name: "J8 long list", edit: indexes(strings.Repeat("1,", 32_769)), want: []string{tooLong + rules + "[0].succeededIndexes: ", invalid + rules + "[0].succeededIndexes: "}},
		rule{name: "J8 no count", edit: count(0)},
		rule{name: "J8 negative count", edit: count(-1), want: []string{invalid + rules + "[0].succeededCount: "}},
		rule{name: "J8 all of them", edit: count(6)},
		rule{name: "J8 more than there are", edit: count(7), want: []string{invalid + rules + "[0].succeededCount: "}},
		rule{name: "J8 more than listed", edit: with(batchv1.SuccessPolicyRule{SucceededIndexes: new("0-1"), SucceededCount: new(int32(3))}),
			want: []string{invalid + rules + "[0].succeededCount: "}},
		rule{name: "J8 as many as listed", edit: with(batchv1.SuccessPolicyRule{SucceededIndexes: new("0-1"), SucceededCount: new(int32(2))})},
		rule{name: "J8 no completions: a panic upstream", edit: all(count(1), func(job *batchv1.Job) { job.Spec.Completions = nil })},
	))
}

func upTo(most int32) []int32 {
	var numbers []int32
	for number := int32(1); number <= most; number++ {
		numbers = append(numbers, number)
	}
	return numbers
}

func templateLabel(key, value string) edit {
	return func(job *batchv1.Job) {
		if job.Spec.Template.Labels == nil {
			job.Spec.Template.Labels = map[string]string{}
		}
		job.Spec.Template.Labels[key] = value
	}
}

func selector(key, value string) edit {
	return func(job *batchv1.Job) {
		job.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{key: value}}
	}
}

func managedBy(name string) edit {
	return func(job *batchv1.Job) { job.Spec.ManagedBy = &name }
}

func replace(policy batchv1.PodReplacementPolicy) edit {
	return func(job *batchv1.Job) { job.Spec.PodReplacementPolicy = &policy }
}

func restart(policy corev1.RestartPolicy) edit {
	return podSpec(func(spec *corev1.PodSpec) { spec.RestartPolicy = policy })
}

func podSpec(change func(*corev1.PodSpec)) edit {
	return func(job *batchv1.Job) { change(&job.Spec.Template.Spec) }
}

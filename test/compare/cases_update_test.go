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
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestUpdateMetadata(t *testing.T) {
	start := stored(newJob())
	testRules(t, update, []rule{
		{name: "none", start: start, edit: all()},
		{name: "1.7 labels and annotations", start: start, edit: func(job *batchv1.Job) {
			job.Labels, job.Annotations = map[string]string{"a": "b"}, map[string]string{"c": "d"}
		}},
		{name: "1.7 no resourceVersion", start: start, edit: func(job *batchv1.Job) { job.ResourceVersion = "" },
			want: []string{invalid + "metadata.resourceVersion: "}},
		{name: "1.7 UID", start: start, edit: func(job *batchv1.Job) { job.UID = types.UID("other") }, want: []string{invalid + "metadata.uid: "}},
		{name: "1.7 no UID", start: start, edit: func(job *batchv1.Job) { job.UID = "" }},
		{name: "1.7 name", start: start, edit: func(job *batchv1.Job) { job.Name = "other" }, want: []string{invalid + "metadata.name: "}},
		{name: "1.7 creation time is kept", start: start, edit: func(job *batchv1.Job) { job.CreationTimestamp = metav1.Time{} }},
		{name: "1.7 generation is kept", start: start, edit: func(job *batchv1.Job) { job.Generation = 8 }},
		{name: "1.7 deletion time", start: start, edit: func(job *batchv1.Job) { job.DeletionTimestamp = new(at(3)) }, want: []string{invalid + "metadata.deletionTimestamp: "}},
		{name: "1.7 new finalizer", start: start, edit: func(job *batchv1.Job) { job.Finalizers = []string{"example.com/x"} }},
		{name: "1.7 new finalizer on a deleted Job", start: stored(newJob(), deleted),
			edit: func(job *batchv1.Job) { job.Finalizers = append(job.Finalizers, "example.com/x") }, want: []string{forbidden + "metadata.finalizers: "}},
		{name: "1.7 finalizer taken from a deleted Job", start: stored(newJob(), deleted), edit: func(job *batchv1.Job) { job.Finalizers = nil }},
		{name: "1.4 status is kept", start: stored(newJob(), running), edit: complete},
	})
}

func TestUpdateSpec(t *testing.T) {
	start, five := stored(newJob()), stored(newJob(indexed(5, 5)))
	const completions = invalid + "spec.completions: "
	testRules(t, update, []rule{
		{name: "1.2 what is mutable", start: start, edit: func(job *batchv1.Job) {
			job.Spec.Parallelism, job.Spec.ActiveDeadlineSeconds, job.Spec.ManualSelector = new(int32(7)), new(int64(9)), new(true)
			job.Spec.BackoffLimit, job.Spec.TTLSecondsAfterFinished, job.Spec.Suspend = new(int32(2)), new(int32(0)), new(true)
			job.Spec.PodReplacementPolicy = new(batchv1.Failed)
		}},
		{name: "1.2 maxFailedIndexes is mutable", start: stored(newJob(perIndex)), edit: func(job *batchv1.Job) { job.Spec.MaxFailedIndexes = nil }},
		{name: "1.2 on a finished Job", start: stored(newJob(), complete), edit: func(job *batchv1.Job) { job.Spec.TTLSecondsAfterFinished = new(int32(5)) }},
		{name: "1.7 rules of create hold", start: start, edit: func(job *batchv1.Job) { job.Spec.Parallelism = new(int32(-1)) }, want: []string{invalid + "spec.parallelism: "}},
		{name: "1.7 completions", start: start, edit: func(job *batchv1.Job) { job.Spec.Completions = new(int32(2)) }, want: []string{completions}},
		{name: "1.7 completions of a work queue", start: stored(newJob(workQueue)), edit: func(job *batchv1.Job) { job.Spec.Completions = new(int32(2)) }, want: []string{completions}},
		{name: "1.7 completions and parallelism, NonIndexed", start: start, edit: func(job *batchv1.Job) {
			job.Spec.Completions, job.Spec.Parallelism = new(int32(2)), new(int32(2))
		}, want: []string{completions}},
		{name: "1.7 elastic", start: five, edit: indexed(7, 7)},
		{name: "1.7 elastic, smaller", start: five, edit: indexed(2, 2)},
		{name: "1.7 elastic, not in tandem", start: five, edit: indexed(7, 5), want: []string{completions + "Invalid value: 7: can only be modified in tandem"}},
		{name: "1.7 elastic, from other parallelism", start: stored(newJob(indexed(5, 2))), edit: indexed(4, 4)},
		{name: "1.7 Indexed, completions gone", start: five, edit: func(job *batchv1.Job) { job.Spec.Completions = nil }, want: []string{required + "spec.completions: "}},
		{name: "M5 elastic, a name too long", start: stored(newJob(indexed(5, 5), func(job *batchv1.Job) { job.Name = "n-123456789-123456789-123456789-123456789-123456789-123456789" })),
			edit: indexed(50, 50), want: []string{invalid + "metadata.name: "}},
		{name: "1.2 selector", start: stored(newJob(manualSelector)), edit: selector("app", "other"),
			want: []string{invalid + "spec.selector: ", invalid + "spec.template.metadata.labels: "}},
		{name: "1.2 selector gone", start: start, edit: func(job *batchv1.Job) { job.Spec.Selector = nil },
			want: []string{invalid + "spec.selector: ", required + "spec.selector: ", invalid + "spec.template.metadata.labels: "}},
		{name: "1.2 completionMode", start: start, edit: func(job *batchv1.Job) { job.Spec.CompletionMode = new(batchv1.IndexedCompletion) },
			want: []string{invalid + "spec.completionMode: "}},
		{name: "1.2 podFailurePolicy", start: stored(newJob(failurePolicy)), edit: func(job *batchv1.Job) { job.Spec.PodFailurePolicy.Rules = nil },
			want: []string{invalid + "spec.podFailurePolicy: "}},
		{name: "1.2 backoffLimitPerIndex", start: stored(newJob(perIndex)), edit: func(job *batchv1.Job) { job.Spec.BackoffLimitPerIndex = new(int32(9)) },
			want: []string{invalid + "spec.backoffLimitPerIndex: "}},
		{name: "1.2 managedBy", start: start, edit: managedBy("example.com/x"), want: []string{invalid + "spec.managedBy: "}},
		{name: "1.2 successPolicy", start: stored(newJob(successPolicy)), edit: func(job *batchv1.Job) { job.Spec.SuccessPolicy = nil },
			want: []string{invalid + "spec.successPolicy: "}},
		{name: "J8 completions gone, with a successPolicy: a panic upstream", start: stored(newJob(successPolicy)), edit: func(job *batchv1.Job) { job.Spec.Completions = nil }},
		{name: "1.11 warning", start: stored(newJob(indexed(100_001, 10_000))), edit: func(job *batchv1.Job) { job.Spec.Parallelism = new(int32(10_001)) }, warns: true},
		{name: "1.11 no warning without a change", start: stored(newJob(indexed(100_001, 10_001))), edit: func(job *batchv1.Job) { job.Labels = map[string]string{"a": "b"} }},
	})
}

// TestUpdateTemplate has each state of the table of section 1.8 with edits of each kind.
func TestUpdateTemplate(t *testing.T) {
	const whole, podSpecOnly = invalid + "spec.template: ", invalid + "spec.template.spec: "
	states := []struct {
		name  string
		start *batchv1.Job
		fixed []string // the error for edits that a suspended Job allows
		other []string // the error for all others
	}{
		{"not suspended", stored(newJob(richTemplate)), []string{whole}, []string{whole}},
		{"not suspended, never started", stored(newJob(richTemplate), conditions(batchv1.JobSuspended)), []string{whole}, []string{whole}},
		{"suspended, never started", stored(newJob(richTemplate, suspended)), nil, []string{podSpecOnly}},
		{"suspended, started, recorded", stored(newJob(richTemplate, suspended), started, conditions(batchv1.JobSuspended)), nil, []string{podSpecOnly}},
		{"suspended, started, not recorded", stored(newJob(richTemplate, suspended), started), []string{whole}, []string{whole}},
		{"suspended, recorded, Pods active", stored(newJob(richTemplate, suspended), running, conditions(batchv1.JobSuspended)), []string{whole}, []string{whole}},
		{"suspended, never started, Pods active", stored(newJob(richTemplate, suspended), func(job *batchv1.Job) { job.Status.Active = 1 }), []string{whole}, []string{whole}},
	}
	var rules []rule
	for _, state := range states {
		for name, edit := range allowedTemplateEdits() {
			rules = append(rules, rule{name: "1.8 " + state.name + ": " + name, start: state.start, edit: edit, want: state.fixed})
		}
		for name, edit := range otherTemplateEdits() {
			rules = append(rules, rule{name: "1.8 " + state.name + ": " + name, start: state.start, edit: edit, want: state.other})
		}
	}
	testRules(t, update, rules)
}

// TestUpdateAffinity has the affinities that may come and go as a whole: the ones with nothing but node affinity.
func TestUpdateAffinity(t *testing.T) {
	const immutable = invalid + "spec.template.spec: "
	nodes := &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{
		{Weight: 1, Preference: corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "a", Operator: corev1.NodeSelectorOpExists}}}}}}}
	pods := &corev1.Affinity{PodAffinity: &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{
		{TopologyKey: "zone", LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "mine"}}}}}}
	both := &corev1.Affinity{NodeAffinity: nodes.NodeAffinity, PodAffinity: pods.PodAffinity}
	affinities := []struct {
		name  string
		value *corev1.Affinity
		pods  bool
	}{{"none", nil, false}, {"empty", &corev1.Affinity{}, false}, {"nodes", nodes, false}, {"pods", pods, true}, {"both", both, true}}
	var rules []rule
	for _, before := range affinities {
		for _, after := range affinities {
			var want []string
			if before.pods != after.pods {
				want = []string{immutable}
			}
			// An empty affinity is neither none nor one of nodes alone: only the comparison can say.
			if before.name != after.name && (before.name == "empty" || after.name == "empty") {
				continue
			}
			rules = append(rules, rule{name: "1.8 affinity from " + before.name + " to " + after.name,
				start: stored(newJob(suspended, func(job *batchv1.Job) { job.Spec.Template.Spec.Affinity = before.value.DeepCopy() })),
				edit:  func(job *batchv1.Job) { job.Spec.Template.Spec.Affinity = after.value.DeepCopy() }, want: want})
		}
	}
	testRules(t, update, rules)
}

// TestScheduling shows what becomes of spec.scheduling, whose gate is off in 1.37: both sides drop it from what is written. That upstream keeps
// what is stored already, from a time when the gate was on, is one of the differences.
func TestScheduling(t *testing.T) {
	upstream, ours := sides(t)
	for name, req := range map[string]request{
		"create": {verb: create, job: newJob(scheduling)},
		"update": {verb: update, job: stored(newJob(scheduling)), old: stored(newJob())},
		"status": {verb: statusUpdate, job: stored(newJob(scheduling), started), old: stored(newJob())},
	} {
		theirs, here := upstream.run(req), ours.run(req)
		if len(theirs.Errors) > 0 || strings.Contains(theirs.Accepted, "scheduling") {
			t.Errorf("%s: Kubernetes answers %+v", name, theirs)
		}
		theirs.Decoded = here.Decoded // there the strategy drops it, here the hub
		if !equal(theirs, here) {
			t.Errorf("%s: %s", name, explain(theirs, here))
		}
	}
}

func allowedTemplateEdits() map[string]edit {
	return map[string]edit{
		"nodeSelector": podSpec(func(spec *corev1.PodSpec) { spec.NodeSelector = nil }),
		"tolerations": podSpec(func(spec *corev1.PodSpec) {
			spec.Tolerations = append(spec.Tolerations, corev1.Toleration{Operator: corev1.TolerationOpExists})
		}),
		"gates": podSpec(func(spec *corev1.PodSpec) {
			spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "example.com/new"}}
		}),
		"node affinity": podSpec(func(spec *corev1.PodSpec) { spec.Affinity.NodeAffinity = nil }),
		"new label":     templateLabel("new", "label"),
		"annotations":   func(job *batchv1.Job) { job.Spec.Template.Annotations = nil },
		"requests": podSpec(func(spec *corev1.PodSpec) {
			spec.Containers[0].Resources.Requests[corev1.ResourceCPU] = resource.MustParse("200m")
		}),
		"resources of init": podSpec(func(spec *corev1.PodSpec) {
			spec.InitContainers[1].Resources.Limits = corev1.ResourceList{"memory": resource.MustParse("1Gi")}
		}),
		"and resume": func(job *batchv1.Job) {
			job.Spec.Suspend, job.Spec.Template.Spec.NodeSelector = new(false), map[string]string{"a": "b"}
		},
	}
}

func otherTemplateEdits() map[string]edit {
	return map[string]edit{
		"image": podSpec(func(spec *corev1.PodSpec) { spec.Containers[0].Image = "other" }),
		"env":   podSpec(func(spec *corev1.PodSpec) { spec.Containers[0].Env = nil }),
		"one more": podSpec(func(spec *corev1.PodSpec) {
			spec.Containers = append(spec.Containers, spec.Containers[1])
			spec.Containers[2].Name = "third"
		}),
		"one less": podSpec(func(spec *corev1.PodSpec) { spec.Containers = spec.Containers[:1] }),
		"swapped": podSpec(func(spec *corev1.PodSpec) {
			spec.Containers[0], spec.Containers[1] = spec.Containers[1], spec.Containers[0]
		}),
		"grace period":  podSpec(func(spec *corev1.PodSpec) { spec.TerminationGracePeriodSeconds = new(int64(1)) }),
		"restartPolicy": restart(corev1.RestartPolicyOnFailure),
		"spread":        podSpec(func(spec *corev1.PodSpec) { spec.TopologySpreadConstraints = nil }),
		"anti-affinity": podSpec(func(spec *corev1.PodSpec) { spec.Affinity.PodAntiAffinity = nil }),
		"affinity":      podSpec(func(spec *corev1.PodSpec) { spec.Affinity = nil }),
		"runtime class": podSpec(func(spec *corev1.PodSpec) { spec.RuntimeClassName = new("gvisor") }),
	}
}

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
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
)

// checkUntouched fails where validation wrote to the stored object, which the watch cache owns.
func checkUntouched(t *testing.T, before, after *batch.Job) {
	t.Helper()
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("validation changed the old object (-before +after):\n%s", diff)
	}
}

func withConditions(types ...batch.JobConditionType) edit {
	return func(job *batch.Job) {
		for _, conditionType := range types {
			job.Status.Conditions = append(job.Status.Conditions, batch.JobCondition{Type: conditionType, Status: corev1.ConditionTrue})
		}
	}
}

func started(job *batch.Job) {
	job.Status.StartTime = &metav1.Time{Time: time.Unix(1000, 0)}
}

func active(number int32) edit {
	return func(job *batch.Job) { job.Status.Active = number }
}

// ofTemplate makes an edit of the Pod template's spec.
func ofTemplate(set func(*corev1.PodSpec)) edit {
	return func(job *batch.Job) { set(&job.Spec.Template.Spec) }
}

func nodeSelector(job *batch.Job) {
	job.Spec.Template.Spec.NodeSelector = map[string]string{"disk": "ssd"}
}

func image(job *batch.Job) { job.Spec.Template.Spec.Containers[0].Image = "other" }

const (
	templateImmutable = "Invalid value spec.template" + immutable
	podSpecImmutable  = "Invalid value spec.template.spec" + immutable
)

// TestStatesOfTemplates is the table of section 1.8: which state of the old Job lets the template change at all.
func TestStatesOfTemplates(t *testing.T) {
	t.Parallel()
	runUpdateCases(t, Options{}, []updateCase{
		{name: "1.8 running", edit: nodeSelector, want: []string{templateImmutable}},
		{name: "1.8 no suspend", old: []edit{func(job *batch.Job) { job.Spec.Suspend = nil }}, edit: nodeSelector, want: []string{templateImmutable}},
		{name: "1.8 running, annotation", edit: func(job *batch.Job) { job.Spec.Template.Annotations = map[string]string{"a": "b"} },
			want: []string{templateImmutable}},
		{name: "1.8 being suspended by this write", edit: func(job *batch.Job) { suspended(job); nodeSelector(job) }, want: []string{templateImmutable}},
		{name: "1.8 never started", old: []edit{suspended}, edit: nodeSelector},
		{name: "1.8 never started, with active Pods", old: []edit{suspended, active(1)}, edit: nodeSelector, want: []string{templateImmutable}},
		{name: "1.8 started, suspension recorded", old: []edit{suspended, started, withConditions(batch.JobSuspended)}, edit: nodeSelector},
		{name: "1.8 started, suspension not recorded", old: []edit{suspended, started}, edit: nodeSelector, want: []string{templateImmutable}},
		{name: "1.8 started, suspension recorded, with active Pods",
			old: []edit{suspended, started, active(1), withConditions(batch.JobSuspended)}, edit: nodeSelector, want: []string{templateImmutable}},
		{name: "1.8 resumed by this write", old: []edit{suspended}, edit: func(job *batch.Job) {
			nodeSelector(job)
			job.Spec.Suspend = new(false)
		}},
	})
}

// TestChangesOfSuspendedTemplates is the right-hand column of section 1.8.
func TestChangesOfSuspendedTemplates(t *testing.T) {
	t.Parallel()
	limit := func(container *corev1.Container) {
		container.Resources.Limits = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2")}
	}
	for _, c := range []struct {
		name    string
		old     edit
		edit    edit
		refused bool
	}{
		{name: "nodeSelector", edit: nodeSelector},
		{name: "tolerations", edit: ofTemplate(func(spec *corev1.PodSpec) {
			spec.Tolerations = []corev1.Toleration{{Key: "k", Operator: corev1.TolerationOpExists}}
		})},
		{name: "schedulingGates", edit: ofTemplate(func(spec *corev1.PodSpec) { spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "example.com/g"}} })},
		{name: "annotations", edit: func(job *batch.Job) { job.Spec.Template.Annotations = map[string]string{"a": "b"} }},
		{name: "labels", edit: func(job *batch.Job) { job.Spec.Template.Labels["a"] = "b" }},
		{name: "resources", edit: ofTemplate(func(spec *corev1.PodSpec) { limit(&spec.Containers[0]) })},
		{name: "resources of an init container", old: withInitContainer("first"), edit: ofTemplate(func(spec *corev1.PodSpec) { limit(&spec.InitContainers[0]) })},
		{name: "finalizers of the template", edit: func(job *batch.Job) { job.Spec.Template.Finalizers = []string{"example.com/f"} }},
		{name: "image", edit: image, refused: true},
		{name: "environment", edit: ofTemplate(func(spec *corev1.PodSpec) { spec.Containers[0].Env = []corev1.EnvVar{{Name: "A", Value: "b"}} }), refused: true},
		{name: "restartPolicy", edit: restartPolicy(corev1.RestartPolicyOnFailure), refused: true},
		{name: "a container more", edit: ofTemplate(func(spec *corev1.PodSpec) {
			container := *spec.Containers[0].DeepCopy()
			container.Name = "second"
			spec.Containers = append(spec.Containers, container)
		}), refused: true},
		{name: "a container by another name", edit: ofTemplate(func(spec *corev1.PodSpec) {
			spec.Containers[0].Name = "other"
			limit(&spec.Containers[0])
		}), refused: true},
		{name: "an init container more", edit: withInitContainer("first"), refused: true},
		{name: "resources and image", edit: ofTemplate(func(spec *corev1.PodSpec) {
			limit(&spec.Containers[0])
			spec.Containers[0].Image = "other"
		}), refused: true},
	} {
		t.Run("1.8 "+c.name, func(t *testing.T) {
			t.Parallel()
			old := newJob(suspended)
			if c.old != nil {
				c.old(old)
			}
			job := old.DeepCopy()
			c.edit(job)
			var want []string
			if c.refused {
				want = []string{podSpecImmutable}
			}
			before := old.DeepCopy()
			checkErrors(t, ValidateJobUpdate(job, old, Options{}), want)
			checkUntouched(t, before, old)
			checkErrors(t, ValidateJobUpdate(job, old, Options{AllowTemplateEditWhileSuspended: true}), nil)
		})
	}
}

// TestAffinityOfSuspendedTemplates covers each way for an affinity to come, go and change.
func TestAffinityOfSuspendedTemplates(t *testing.T) {
	t.Parallel()
	node := func(key string) *corev1.NodeAffinity {
		return &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{
				{Key: key, Operator: corev1.NodeSelectorOpExists},
			}}},
		}}
	}
	pods := &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{TopologyKey: "zone"}}}
	for _, c := range []struct {
		name     string
		old, now *corev1.Affinity
		refused  bool
	}{
		{name: "none"},
		{name: "node affinity comes", now: &corev1.Affinity{NodeAffinity: node("a")}},
		{name: "node affinity goes", old: &corev1.Affinity{NodeAffinity: node("a")}},
		{name: "node affinity changes", old: &corev1.Affinity{NodeAffinity: node("a")}, now: &corev1.Affinity{NodeAffinity: node("b")}},
		{name: "empty affinity comes", now: &corev1.Affinity{}},
		{name: "empty affinity goes", old: &corev1.Affinity{}},
		{name: "node affinity goes, empty stays", old: &corev1.Affinity{NodeAffinity: node("a")}, now: &corev1.Affinity{}},
		{name: "beside Pod affinity", old: &corev1.Affinity{NodeAffinity: node("a"), PodAffinity: pods}, now: &corev1.Affinity{PodAffinity: pods}},
		{name: "Pod affinity comes", now: &corev1.Affinity{PodAffinity: pods}, refused: true},
		{name: "Pod affinity goes", old: &corev1.Affinity{PodAffinity: pods}, refused: true},
		{name: "both go", old: &corev1.Affinity{NodeAffinity: node("a"), PodAffinity: pods}, refused: true},
		{name: "Pod affinity for node affinity", old: &corev1.Affinity{PodAffinity: pods}, now: &corev1.Affinity{NodeAffinity: node("a")}, refused: true},
	} {
		t.Run("1.8 "+c.name, func(t *testing.T) {
			t.Parallel()
			old := newJob(suspended)
			old.Spec.Template.Spec.Affinity = c.old
			job := old.DeepCopy()
			job.Spec.Template.Spec.Affinity = c.now.DeepCopy()
			var want []string
			if c.refused {
				want = []string{podSpecImmutable}
			}
			before := old.DeepCopy()
			checkErrors(t, ValidateJobUpdate(job, old, Options{}), want)
			checkUntouched(t, before, old)
		})
	}
}

// TestTemplateEditsOfOurGroup is what AllowTemplateEditWhileSuspended allows, and what it doesn't.
func TestTemplateEditsOfOurGroup(t *testing.T) {
	t.Parallel()
	runUpdateCases(t, Options{AllowTemplateEditWhileSuspended: true}, []updateCase{
		{name: "image", old: []edit{suspended}, edit: image},
		{name: "image with active Pods", old: []edit{suspended, started, active(3)}, edit: image},
		{name: "image and resume", old: []edit{suspended}, edit: func(job *batch.Job) {
			image(job)
			job.Spec.Suspend = new(false)
		}},
		{name: "running", edit: image, want: []string{templateImmutable}},
		{name: "being suspended by this write", edit: func(job *batch.Job) { suspended(job); image(job) }, want: []string{templateImmutable}},
		{name: "labels that the selector misses", old: []edit{suspended},
			edit: func(job *batch.Job) { delete(job.Spec.Template.Labels, "batch.kubernetes.io/controller-uid") }, want: []string{notMatching}},
		{name: "restartPolicy Always", old: []edit{suspended}, edit: restartPolicy(corev1.RestartPolicyAlways),
			want: []string{`Required value spec.template.spec.restartPolicy: valid values: "OnFailure", "Never"`}},
		{name: "a container that podFailurePolicy names goes",
			old:  []edit{suspended, failurePolicy(ofContainer("main", onExitCodes(batch.PodFailurePolicyOnExitCodesOpIn, 1)))},
			edit: ofTemplate(func(spec *corev1.PodSpec) { spec.Containers[0].Name = "other" }),
			want: []string{"Invalid value spec.podFailurePolicy.rules[0].onExitCodes.containerName: " +
				"must be one of the container or initContainer names in the pod template"}},
		{name: "no template at all", old: []edit{suspended},
			edit: ofTemplate(func(spec *corev1.PodSpec) { spec.Containers = nil }), want: []string{"Required value spec.template.spec.containers: "}},
		{name: "selector", old: []edit{suspended, manual}, edit: func(job *batch.Job) {
			job.Spec.Selector.MatchLabels["app"] = "other"
			job.Spec.Template.Labels["app"] = "other"
		}, want: []string{"Invalid value spec.selector" + immutable}},
	})
}

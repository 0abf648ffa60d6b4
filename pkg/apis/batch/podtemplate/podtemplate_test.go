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

package podtemplate

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// newTemplate returns a defaulted template with one container; the edits come before the defaults.
func newTemplate(edits ...func(*corev1.PodTemplateSpec)) *corev1.PodTemplateSpec {
	template := &corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "mine"}},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever,
			Containers:    []corev1.Container{{Name: "main", Image: "image"}},
		},
	}
	for _, edit := range edits {
		edit(template)
	}
	SetDefaults(template)
	return template
}

func lines(errs field.ErrorList) []string {
	var lines []string
	for _, err := range errs {
		lines = append(lines, fmt.Sprintf("%s %s: %s", err.Type, err.Field, err.Detail))
	}
	return lines
}

// affineTo adds a Pod affinity to Pods whose label app has the value.
func affineTo(value string) func(*corev1.PodTemplateSpec) {
	return func(template *corev1.PodTemplateSpec) {
		template.Spec.Affinity = &corev1.Affinity{PodAffinity: &corev1.PodAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
				TopologyKey: "zone",
				LabelSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
					{Key: "app", Operator: metav1.LabelSelectorOpIn, Values: []string{value}},
				}},
			}},
		}}
	}
}

const invalidAffinity = "Invalid value spec.template.spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0]" +
	".labelSelector.matchExpressions[0].values[0]: "

func TestValidate(t *testing.T) {
	t.Parallel()
	var (
		valid   = newTemplate()
		invalid = newTemplate(affineTo("-"))
	)
	for _, c := range []struct {
		name          string
		template, old *corev1.PodTemplateSpec
		opts          Options
		want          []string // the beginning of each error
	}{
		{name: "valid", template: valid},
		{name: "annotation", template: newTemplate(func(template *corev1.PodTemplateSpec) { template.Annotations = map[string]string{"a b": ""} }),
			want: []string{"Invalid value spec.template.annotations: "}},
		{name: "Pod spec", template: newTemplate(func(template *corev1.PodTemplateSpec) { template.Spec.Containers[0].Name = "-" }),
			want: []string{"Invalid value spec.template.spec.containers[0].name: "}},
		{name: "new invalid selector value", template: invalid, want: []string{invalidAffinity}},
		{name: "selector value invalid from now on", template: invalid, old: valid, want: []string{invalidAffinity}},
		{name: "selector value invalid before", template: invalid, old: invalid},
		{name: "invalid selector value allowed", template: invalid, opts: Options{AllowInvalidSelectorValues: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := lines(Validate(c.template, c.old, field.NewPath("spec", "template"), c.opts))
			if len(got) != len(c.want) {
				t.Fatalf("got %d errors, want %d:\n%s", len(got), len(c.want), strings.Join(got, "\n"))
			}
			for i := range got {
				if !strings.HasPrefix(got[i], c.want[i]) {
					t.Errorf("got %q, want %q", got[i], c.want[i])
				}
			}
		})
	}
}

func TestHasInvalidSelectorValues(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		template *corev1.PodTemplateSpec
		want     bool
	}{
		"no template":  {template: nil},
		"no affinity":  {template: newTemplate()},
		"valid":        {template: newTemplate(affineTo("mine"))},
		"invalid":      {template: newTemplate(affineTo("-")), want: true},
		"not on terms": {template: newTemplate(func(template *corev1.PodTemplateSpec) { template.Labels["app"] = "-" })},
	} {
		if got := HasInvalidSelectorValues(c.template); got != c.want {
			t.Errorf("%s: got %t, want %t", name, got, c.want)
		}
	}
}

// TestDropDisabledFields uses a field whose gate is off in 1.37: evictionResponders (EvictionRequestAPI).
func TestDropDisabledFields(t *testing.T) {
	t.Parallel()
	disabled := func(template *corev1.PodTemplateSpec) {
		template.Spec.EvictionResponders = []corev1.EvictionResponder{{Name: "example.com/a"}}
	}
	t.Run("new", func(t *testing.T) {
		t.Parallel()
		template := newTemplate(disabled)
		DropDisabledFields(template, nil)
		if diff := cmp.Diff(newTemplate(), template); diff != "" {
			t.Errorf("the template differs (-want +got):\n%s", diff)
		}
	})
	t.Run("new on update", func(t *testing.T) {
		t.Parallel()
		old, template := newTemplate(), newTemplate(disabled)
		DropDisabledFields(template, old)
		if diff := cmp.Diff(newTemplate(), template); diff != "" {
			t.Errorf("the template differs (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(newTemplate(), old); diff != "" {
			t.Errorf("the old template was changed (-want +got):\n%s", diff)
		}
	})
	t.Run("in use already", func(t *testing.T) {
		t.Parallel()
		template := newTemplate(disabled)
		DropDisabledFields(template, newTemplate(disabled))
		if diff := cmp.Diff(newTemplate(disabled), template); diff != "" {
			t.Errorf("the template differs (-want +got):\n%s", diff)
		}
	})
	t.Run("enabled fields stay", func(t *testing.T) {
		t.Parallel()
		template := newTemplate(affineTo("mine"))
		DropDisabledFields(template, nil)
		if diff := cmp.Diff(newTemplate(affineTo("mine")), template); diff != "" {
			t.Errorf("the template differs (-want +got):\n%s", diff)
		}
	})
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	deprecated := func(template *corev1.PodTemplateSpec) {
		template.Spec.NodeSelector = map[string]string{"beta.kubernetes.io/arch": "amd64"}
		template.Spec.TerminationGracePeriodSeconds = new(int64(-1))
	}
	want := []string{
		`spec.template.spec.nodeSelector[beta.kubernetes.io/arch]: deprecated since v1.14; use "kubernetes.io/arch" instead`,
		`spec.template.spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1`,
	}
	got := Warnings(t.Context(), field.NewPath("spec", "template"), newTemplate(deprecated), nil)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("warnings differ (-want +got):\n%s", diff)
	}
	if got := Warnings(t.Context(), field.NewPath("spec", "template"), newTemplate(), nil); len(got) > 0 {
		t.Errorf("warnings of a fine template: %q", got)
	}
}

// TestSetDefaults checks a few defaults of each depth, and that a second time changes nothing.
func TestSetDefaults(t *testing.T) {
	t.Parallel()
	template := &corev1.PodTemplateSpec{Spec: corev1.PodSpec{
		Containers: []corev1.Container{{Name: "main", Image: "image:latest", Ports: []corev1.ContainerPort{{ContainerPort: 80}}}},
		Volumes:    []corev1.Volume{{Name: "v"}},
	}}
	SetDefaults(template)
	spec := &template.Spec
	for name, ok := range map[string]bool{
		"restartPolicy":                 spec.RestartPolicy == corev1.RestartPolicyAlways,
		"terminationGracePeriodSeconds": spec.TerminationGracePeriodSeconds != nil && *spec.TerminationGracePeriodSeconds == 30,
		"imagePullPolicy":               spec.Containers[0].ImagePullPolicy == corev1.PullAlways,
		"ports[0].protocol":             spec.Containers[0].Ports[0].Protocol == corev1.ProtocolTCP,
		"volumes[0].emptyDir":           spec.Volumes[0].EmptyDir != nil,
	} {
		if !ok {
			t.Errorf("%s has no default, or another one", name)
		}
	}
	again := template.DeepCopy()
	SetDefaults(again)
	if diff := cmp.Diff(template, again); diff != "" {
		t.Errorf("defaulting twice differs from once:\n%s", diff)
	}
}

// TestMutability shows where the two errors point; which edits get them is tested with the states of a Job in package validation.
func TestMutability(t *testing.T) {
	t.Parallel()
	path := field.NewPath("spec", "template")
	old := newTemplate()
	image := newTemplate(func(template *corev1.PodTemplateSpec) { template.Spec.Containers[0].Image = "other" })
	label := newTemplate(func(template *corev1.PodTemplateSpec) { template.Labels["b"] = "c" })
	for _, c := range []struct {
		name string
		got  field.ErrorList
		want []string
	}{
		{name: "immutable, same", got: ValidateImmutable(old.DeepCopy(), old, path)},
		{name: "immutable, image", got: ValidateImmutable(image, old, path), want: []string{"Invalid value spec.template: field is immutable"}},
		{name: "immutable, label", got: ValidateImmutable(label, old, path), want: []string{"Invalid value spec.template: field is immutable"}},
		{name: "suspended, same", got: ValidateSuspendedUpdate(old.DeepCopy(), old, path)},
		{name: "suspended, label", got: ValidateSuspendedUpdate(label, old, path)},
		{name: "suspended, image", got: ValidateSuspendedUpdate(image, old, path), want: []string{"Invalid value spec.template.spec: field is immutable"}},
	} {
		if diff := cmp.Diff(c.want, lines(c.got)); diff != "" {
			t.Errorf("%s: errors differ (-want +got):\n%s", c.name, diff)
		}
	}
	// Clients see the value in the message: upstream prints the names of its internal fields.
	message := ValidateImmutable(image, old, path)[0].Error()
	if want := `"Containers":[{"Name":"main","Image":"other"`; !strings.Contains(message, want) {
		t.Errorf("the message does not hold %s: %s", want, message)
	}
}

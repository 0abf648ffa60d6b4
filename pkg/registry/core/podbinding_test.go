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

package core_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func newBinding(pod, node string) *corev1.Binding {
	return &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Name: pod, Namespace: "default"},
		Target:     corev1.ObjectReference{Kind: "Node", Name: node},
	}
}

func TestBindingSetsTheNodeOnce(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	created := s.createPod(t, newPod("a", func(p *corev1.Pod) {
		p.Annotations = map[string]string{"kept": "1", "changed": "1"}
		p.Labels = map[string]string{"kept": "1", "changed": "1"}
	}), "")

	binding := newBinding("a", "node-1")
	binding.UID = created.UID
	binding.ResourceVersion = created.ResourceVersion
	binding.Annotations = map[string]string{"changed": "2"}
	binding.Labels = map[string]string{"changed": "2"}
	if err := s.Pods("default").Bind(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	got, err := s.Pods("default").Get(t.Context(), "a", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := created.DeepCopy()
	want.Spec.NodeName = "node-1"
	want.Annotations["changed"] = "2"
	want.Labels["changed"] = "2"
	want.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}}
	ignore := cmp.Options{
		cmpopts.IgnoreFields(metav1.ObjectMeta{}, "ResourceVersion", "ManagedFields"),
		cmpopts.IgnoreFields(corev1.PodCondition{}, "LastTransitionTime"),
	}
	if diff := cmp.Diff(want, got, ignore); diff != "" {
		t.Errorf("bound Pod (-want +got):\n%s", diff)
	}

	err = s.Pods("default").Bind(t.Context(), newBinding("a", "node-2"), metav1.CreateOptions{})
	wantError(t, err, apierrors.IsConflict, `pod a is already assigned to node "node-1"`)
}

func TestBindingRefuses(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.createPod(t, newPod("free"), "")
	s.createPod(t, newPod("gated", func(p *corev1.Pod) { p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "x"}} }), "")
	s.createPod(t, newPod("deleting", func(p *corev1.Pod) { p.Finalizers = []string{"example.com/x"} }), "")
	if err := s.Pods("default").Delete(t.Context(), "deleting", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		pod    string
		change func(*corev1.Binding)
		is     func(error) bool
		want   string
	}{
		"deleting":              {"deleting", nil, apierrors.IsConflict, "pod deleting is being deleted, cannot be assigned to a host"},
		"gated":                 {"gated", nil, apierrors.IsConflict, "pod gated has non-empty .spec.schedulingGates"},
		"no such Pod":           {"none", nil, apierrors.IsNotFound, `pods "none" not found`},
		"other UID":             {"free", func(b *corev1.Binding) { b.UID = "other" }, apierrors.IsConflict, "UID in precondition: other"},
		"other resourceVersion": {"free", func(b *corev1.Binding) { b.ResourceVersion = "1" }, apierrors.IsConflict, "ResourceVersion in precondition: 1"},
		"no target":             {"free", func(b *corev1.Binding) { b.Target.Name = "" }, apierrors.IsInvalid, "target.name: Required value"},
		"target no node":        {"free", func(b *corev1.Binding) { b.Target.Kind = "Pod" }, apierrors.IsInvalid, `target.kind: Unsupported value: "Pod"`},
		"target misnamed":       {"free", func(b *corev1.Binding) { b.Target.Name = "A/B" }, apierrors.IsInvalid, `target.name: Invalid value: "A/B"`},
	} {
		binding := newBinding(tc.pod, "node-1")
		if tc.change != nil {
			tc.change(binding)
		}
		t.Log(name)
		wantError(t, s.Pods("default").Bind(t.Context(), binding, metav1.CreateOptions{}), tc.is, tc.want)
	}
	// A name in the path that isn't the binding's.
	err := s.RESTClient().Post().Namespace("default").Resource("pods").Name("gated").SubResource("binding").Body(newBinding("free", "node-1")).Do(t.Context()).Error()
	wantError(t, err, apierrors.IsBadRequest, "name")

	// Nothing of the above has bound the Pod, and neither does a dry run.
	if err := s.Pods("default").Bind(t.Context(), newBinding("free", "node-1"), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}); err != nil {
		t.Fatal(err)
	}
	pod, err := s.Pods("default").Get(t.Context(), "free", metav1.GetOptions{})
	if err != nil || pod.Spec.NodeName != "" {
		t.Errorf("bound to %q, %v", pod.Spec.NodeName, err)
	}
}

// TestBindingIsExclusive lets schedulers race: exactly one of them may win.
func TestBindingIsExclusive(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.createPod(t, newPod("a"), "")
	nodes := []string{"n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8"}
	results := make(chan error, len(nodes))
	for _, node := range nodes {
		go func() { results <- s.Pods("default").Bind(t.Context(), newBinding("a", node), metav1.CreateOptions{}) }()
	}
	won := 0
	for range nodes {
		switch err := <-results; {
		case err == nil:
			won++
		case !apierrors.IsConflict(err):
			t.Errorf("a loser got %v", err)
		}
	}
	if won != 1 {
		t.Errorf("%d bindings succeeded, want 1", won)
	}
}

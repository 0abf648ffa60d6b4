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

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	policyv1beta1 "k8s.io/api/policy/v1beta1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func newEviction(pod string, options *metav1.DeleteOptions) *policyv1.Eviction {
	return &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: pod, Namespace: "default"}, DeleteOptions: options}
}

// disruption returns the Pod's condition DisruptionTarget, or nil.
func disruption(pod *corev1.Pod) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == corev1.DisruptionTarget {
			return &pod.Status.Conditions[i]
		}
	}
	return nil
}

func TestEvictionMarksAndDeletes(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	pod := s.createPod(t, newPod("a", onNode), corev1.PodRunning)

	options := &metav1.DeleteOptions{
		GracePeriodSeconds: new(int64(7)),
		Preconditions:      &metav1.Preconditions{UID: &pod.UID, ResourceVersion: &pod.ResourceVersion},
	}
	if err := s.Pods("default").EvictV1(t.Context(), newEviction("a", options)); err != nil {
		t.Fatal(err)
	}
	got, err := s.Pods("default").Get(t.Context(), "a", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c := disruption(got)
	if c == nil || c.Status != corev1.ConditionTrue || c.Reason != "EvictionByEvictionAPI" || c.Message != "Eviction API: evicting" || c.LastTransitionTime.IsZero() {
		t.Errorf("condition DisruptionTarget is %+v", c)
	}
	if got.DeletionTimestamp == nil || *got.DeletionGracePeriodSeconds != 7 {
		t.Errorf("not being deleted with grace 7: %+v", got.ObjectMeta)
	}
}

// TestEvictionOfAnyPhase holds Pods back by a finalizer to look at what an eviction leaves of each.
func TestEvictionOfAnyPhase(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for _, phase := range []corev1.PodPhase{corev1.PodPending, corev1.PodRunning, corev1.PodSucceeded, corev1.PodFailed} {
		name := "pod-" + map[corev1.PodPhase]string{corev1.PodPending: "p", corev1.PodRunning: "r", corev1.PodSucceeded: "s", corev1.PodFailed: "f"}[phase]
		s.createPod(t, newPod(name, onNode, func(p *corev1.Pod) { p.Finalizers = []string{"example.com/x"} }), phase)
		if err := s.Pods("default").EvictV1(t.Context(), newEviction(name, nil)); err != nil {
			t.Errorf("%s: %v", phase, err)
		}
		// Evicting what is being deleted is no error.
		if err := s.Pods("default").EvictV1(t.Context(), newEviction(name, nil)); err != nil {
			t.Errorf("%s again: %v", phase, err)
		}
		got, err := s.Pods("default").Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if disruption(got) == nil || got.DeletionTimestamp == nil || got.Status.Phase != phase {
			t.Errorf("%s: condition %v, deleted %v, phase %s", phase, disruption(got), got.DeletionTimestamp, got.Status.Phase)
		}
	}
}

func TestEvictionOfOldVersion(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.createPod(t, newPod("a"), "")
	if err := s.Pods("default").EvictV1beta1(t.Context(), &policyv1beta1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: "default"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Pods("default").Get(t.Context(), "a", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("still there: %v", err)
	}
}

func TestEvictionRefuses(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.createPod(t, newPod("a", onNode), corev1.PodRunning)
	all := []string{metav1.DryRunAll}
	for name, tc := range map[string]struct {
		eviction *policyv1.Eviction
		is       func(error) bool
		want     string
	}{
		"no such Pod":           {newEviction("none", nil), apierrors.IsNotFound, `pods "none" not found`},
		"other UID":             {newEviction("a", &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: new(types.UID("other"))}}), apierrors.IsConflict, "the UID in the precondition (other) does not match"},
		"other resourceVersion": {newEviction("a", &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{ResourceVersion: new("1")}}), apierrors.IsConflict, "the ResourceVersion in the precondition (1) does not match"},
		"UID in a dry run":      {newEviction("a", &metav1.DeleteOptions{DryRun: all, Preconditions: &metav1.Preconditions{UID: new(types.UID("other"))}}), apierrors.IsConflict, "the UID in the precondition (other) does not match"},
		//lint:ignore SA1019 old clients still send it
		"two propagations": {newEviction("a", &metav1.DeleteOptions{OrphanDependents: new(true), PropagationPolicy: new(metav1.DeletePropagationOrphan)}), apierrors.IsInvalid,
			"orphanDependents and deletionPropagation cannot be both set"},
		"no such propagation": {newEviction("a", &metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletionPropagation("Sideways"))}), apierrors.IsInvalid, "propagationPolicy: Unsupported value"},
		"no such dry run":     {newEviction("a", &metav1.DeleteOptions{DryRun: []string{"Some"}}), apierrors.IsInvalid, "dryRun: Unsupported value"},
		"unsafe delete": {newEviction("a", &metav1.DeleteOptions{IgnoreStoreReadErrorWithClusterBreakingPotential: new(true)}), apierrors.IsInvalid,
			"deleteOptions.ignoreStoreReadErrorWithClusterBreakingPotential: Invalid value"},
	} {
		t.Log(name)
		wantError(t, s.Pods("default").EvictV1(t.Context(), tc.eviction), tc.is, tc.want)
	}
	post := func(pod string, eviction *policyv1.Eviction, dryRun string) error {
		return s.RESTClient().Post().Namespace("default").Resource("pods").Name(pod).SubResource("eviction").Param("dryRun", dryRun).Body(eviction).Do(t.Context()).Error()
	}
	wantError(t, post("a", newEviction("b", nil), "All"), apierrors.IsBadRequest, "name")

	// Neither a refusal nor a dry run, of either kind, leaves a trace.
	if err := post("a", newEviction("a", nil), "All"); err != nil {
		t.Error(err)
	}
	if err := s.Pods("default").EvictV1(t.Context(), newEviction("a", &metav1.DeleteOptions{DryRun: all})); err != nil {
		t.Error(err)
	}
	got, err := s.Pods("default").Get(t.Context(), "a", metav1.GetOptions{})
	if err != nil || got.DeletionTimestamp != nil || disruption(got) != nil {
		t.Errorf("Pod after refusals and dry runs: deleted %v, condition %v, %v", got.DeletionTimestamp, disruption(got), err)
	}
}

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

package namespace

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// healthy are the conditions of a namespace whose deletion goes well, with upstream's reasons and messages. Those of discovery
// are always so here: the kinds are given, not discovered.
var healthy = []corev1.NamespaceCondition{
	{Type: corev1.NamespaceDeletionDiscoveryFailure, Reason: "ResourcesDiscovered", Message: "All resources successfully discovered"},
	{Type: corev1.NamespaceDeletionGVParsingFailure, Reason: "ParsedGroupVersions", Message: "All legacy kube types successfully parsed"},
	{Type: corev1.NamespaceDeletionContentFailure, Reason: "ContentDeleted", Message: "All content successfully deleted, may be waiting on finalization"},
	{Type: corev1.NamespaceContentRemaining, Reason: "ContentRemoved", Message: "All content successfully removed"},
	{Type: corev1.NamespaceFinalizersRemaining, Reason: "ContentHasNoFinalizers", Message: "All content-preserving finalizers finished"},
}

// updateConditions returns the conditions with those of a deletion that has come as far as o says, and whether any
// differs. Other conditions stay. A condition keeps its transition time until its status changes.
func updateConditions(conditions []corev1.NamespaceCondition, o outcome, now metav1.Time) ([]corev1.NamespaceCondition, bool) {
	updated := slices.Clone(conditions)
	changed := false
	for _, want := range healthy {
		want.Status = corev1.ConditionFalse
		if reason, message := problem(want.Type, o); reason != "" {
			want.Status, want.Reason, want.Message = corev1.ConditionTrue, reason, message
		}
		want.LastTransitionTime = now
		i := slices.IndexFunc(updated, func(c corev1.NamespaceCondition) bool { return c.Type == want.Type })
		if i < 0 {
			updated, changed = append(updated, want), true
			continue
		}
		have := &updated[i]
		if have.Status == want.Status {
			want.LastTransitionTime = have.LastTransitionTime
		}
		if have.Status != want.Status || have.Reason != want.Reason || have.Message != want.Message {
			*have, changed = want, true
		}
	}
	return updated, changed
}

// problem returns reason and message of the condition type where the outcome makes it true, else empty strings. The parts of
// messages are sorted: the same outcome must not write the status anew.
func problem(kind corev1.NamespaceConditionType, o outcome) (reason, message string) {
	var parts []string
	switch kind {
	case corev1.NamespaceDeletionContentFailure:
		for _, err := range o.failures {
			parts = append(parts, err.Error())
		}
		reason, message = "ContentDeletionFailed", fmt.Sprintf("Failed to delete all resource types, %d remaining: ", len(parts))
	case corev1.NamespaceContentRemaining:
		for _, r := range o.remaining {
			parts = append(parts, fmt.Sprintf("%s.%s has %d resource instances", r.resource.Resource, r.resource.Group, r.count))
		}
		reason, message = "SomeResourcesRemain", "Some resources are remaining: "
	case corev1.NamespaceFinalizersRemaining:
		total := map[string]int{}
		for _, r := range o.remaining {
			for finalizer, n := range r.finalizers {
				total[finalizer] += n
			}
		}
		for finalizer, n := range total {
			parts = append(parts, fmt.Sprintf("%s in %d resource instances", finalizer, n))
		}
		reason, message = "SomeFinalizersRemain", "Some content in the namespace has finalizers remaining: "
	}
	if len(parts) == 0 {
		return "", ""
	}
	slices.Sort(parts)
	return reason, message + strings.Join(parts, ", ")
}

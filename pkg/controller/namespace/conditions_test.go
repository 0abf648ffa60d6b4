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
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	jobs       = schema.GroupVersionResource{Group: "batch", Version: "v1", Resource: "jobs"}
	configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}

	earlier = metav1.NewTime(time.Unix(100, 0))
	now     = metav1.NewTime(time.Unix(200, 0))
)

// wellSince are the conditions of a deletion without problems, as upstream writes them.
func wellSince(since metav1.Time) []corev1.NamespaceCondition {
	well := func(kind corev1.NamespaceConditionType, reason, message string) corev1.NamespaceCondition {
		return corev1.NamespaceCondition{Type: kind, Status: corev1.ConditionFalse, LastTransitionTime: since, Reason: reason, Message: message}
	}
	return []corev1.NamespaceCondition{
		well("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered"),
		well("NamespaceDeletionGroupVersionParsingFailure", "ParsedGroupVersions", "All legacy kube types successfully parsed"),
		well("NamespaceDeletionContentFailure", "ContentDeleted", "All content successfully deleted, may be waiting on finalization"),
		well("NamespaceContentRemaining", "ContentRemoved", "All content successfully removed"),
		well("NamespaceFinalizersRemaining", "ContentHasNoFinalizers", "All content-preserving finalizers finished"),
	}
}

// with returns the conditions with the last that have the types of the changes replaced.
func with(conditions []corev1.NamespaceCondition, changes ...corev1.NamespaceCondition) []corev1.NamespaceCondition {
	conditions = slices.Clone(conditions)
	for _, change := range changes {
		i := slices.IndexFunc(conditions, func(c corev1.NamespaceCondition) bool { return c.Type == change.Type })
		conditions[i] = change
	}
	return conditions
}

func bad(kind corev1.NamespaceConditionType, since metav1.Time, reason, message string) corev1.NamespaceCondition {
	return corev1.NamespaceCondition{Type: kind, Status: corev1.ConditionTrue, LastTransitionTime: since, Reason: reason, Message: message}
}

func TestUpdateConditions(t *testing.T) {
	t.Parallel()
	other := corev1.NamespaceCondition{Type: "Other", Status: corev1.ConditionTrue}
	podsLeft := outcome{remaining: []remainder{{resource: pods, count: 2, estimate: time.Second}}}
	cases := map[string]struct {
		have        []corev1.NamespaceCondition
		outcome     outcome
		want        []corev1.NamespaceCondition
		wantChanged bool
	}{
		"first, all well":         {want: wellSince(now), wantChanged: true},
		"again, all well":         {have: wellSince(earlier), want: wellSince(earlier)},
		"others' conditions stay": {have: []corev1.NamespaceCondition{other}, want: append([]corev1.NamespaceCondition{other}, wellSince(now)...), wantChanged: true},
		"Pods left": {
			have: wellSince(earlier), outcome: podsLeft, wantChanged: true,
			want: with(wellSince(earlier), bad("NamespaceContentRemaining", now, "SomeResourcesRemain", "Some resources are remaining: pods. has 2 resource instances")),
		},
		"Pods left, as before": {
			have:    with(wellSince(earlier), bad("NamespaceContentRemaining", earlier, "SomeResourcesRemain", "Some resources are remaining: pods. has 2 resource instances")),
			outcome: podsLeft,
			want:    with(wellSince(earlier), bad("NamespaceContentRemaining", earlier, "SomeResourcesRemain", "Some resources are remaining: pods. has 2 resource instances")),
		},
		"fewer Pods left: another message, the same transition": {
			have:    with(wellSince(earlier), bad("NamespaceContentRemaining", earlier, "SomeResourcesRemain", "Some resources are remaining: pods. has 3 resource instances")),
			outcome: podsLeft, wantChanged: true,
			want: with(wellSince(earlier), bad("NamespaceContentRemaining", earlier, "SomeResourcesRemain", "Some resources are remaining: pods. has 2 resource instances")),
		},
		"well again": {
			have:        with(wellSince(earlier), bad("NamespaceDeletionContentFailure", earlier, "ContentDeletionFailed", "Failed to delete all resource types, 1 remaining: x")),
			want:        with(wellSince(earlier), wellSince(now)[2]),
			wantChanged: true,
		},
		"everything at once, sorted": {
			have: wellSince(earlier), wantChanged: true,
			outcome: outcome{
				failures: []error{errors.New("second"), errors.New("first")},
				remaining: []remainder{
					{resource: pods, count: 2, finalizers: map[string]int{"y": 1, "x": 2}},
					{resource: jobs, count: 1, finalizers: map[string]int{"x": 1}},
				},
			},
			want: with(wellSince(earlier),
				bad("NamespaceDeletionContentFailure", now, "ContentDeletionFailed", "Failed to delete all resource types, 2 remaining: first, second"),
				bad("NamespaceContentRemaining", now, "SomeResourcesRemain", "Some resources are remaining: jobs.batch has 1 resource instances, pods. has 2 resource instances"),
				bad("NamespaceFinalizersRemaining", now, "SomeFinalizersRemain", "Some content in the namespace has finalizers remaining: x in 3 resource instances, y in 1 resource instances"),
			),
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := slices.Clone(tc.have)
			got, changed := updateConditions(tc.have, tc.outcome, now)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("conditions (-want +got):\n%s", diff)
			}
			if changed != tc.wantChanged {
				t.Errorf("changed: %t, want %t", changed, tc.wantChanged)
			}
			if diff := cmp.Diff(before, tc.have); diff != "" {
				t.Errorf("the conditions given were changed:\n%s", diff)
			}
		})
	}
}

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

package garbagecollector

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestDecide(t *testing.T) {
	t.Parallel()
	a, b, c := ownedBy("batch/v1 Job a"), ownedBy("batch/v1 Job b"), ownedBy("batch/v1 Job c")
	cases := map[string]struct {
		live          *object
		states        []ownerState
		hasDependents bool
		want          step
	}{
		"no owner":                       {live: pod("p")},
		"a solid owner":                  {live: pod("p", a), states: []ownerState{solid}},
		"a dangling owner":               {live: pod("p", a), states: []ownerState{dangling}, want: step{remove: true, propagation: background}},
		"a waiting owner":                {live: pod("p", a), states: []ownerState{waiting}, want: step{remove: true, propagation: background}},
		"a dangling one, and dependents": {live: pod("p", a), states: []ownerState{dangling}, hasDependents: true, want: step{remove: true, propagation: background}},
		"a waiting one, and dependents":  {live: pod("p", a), states: []ownerState{waiting}, hasDependents: true, want: step{remove: true, propagation: foreground}},
		"one of each": {
			live: pod("p", a, b, c), states: []ownerState{dangling, solid, waiting}, hasDependents: true,
			want: step{forget: []types.UID{"a", "c"}},
		},
		"dangling and waiting": {live: pod("p", a, b), states: []ownerState{dangling, waiting}, hasDependents: true, want: step{remove: true, propagation: foreground}},
		"a UID twice, both dangling, and a solid one": {
			live: pod("p", a, a, b), states: []ownerState{dangling, dangling, solid}, want: step{forget: []types.UID{"a"}},
		},
		"a UID twice, one solid": {live: pod("p", a, a), states: []ownerState{dangling, solid}, want: step{forget: []types.UID{}}},
		"an orphan finalizer is heeded": {
			live: pod("p", a, withFinalizer(metav1.FinalizerOrphanDependents)), states: []ownerState{dangling},
			want: step{remove: true, propagation: orphaned},
		},
		"a foreground finalizer is heeded": {
			live: pod("p", a, withFinalizer(metav1.FinalizerDeleteDependents)), states: []ownerState{dangling},
			want: step{remove: true, propagation: foreground},
		},
		"an owner that waits goes before an orphan finalizer": {
			live: pod("p", a, withFinalizer(metav1.FinalizerOrphanDependents)), states: []ownerState{waiting}, hasDependents: true,
			want: step{remove: true, propagation: foreground},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := decide(tc.live, tc.states, tc.hasDependents)
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(step{})); diff != "" {
				t.Errorf("step (-want +got):\n%s", diff)
			}
		})
	}
}

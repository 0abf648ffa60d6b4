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
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestPropagationFinalizers(t *testing.T) {
	t.Parallel()
	policy := func(p metav1.DeletionPropagation) *metav1.DeleteOptions {
		return &metav1.DeleteOptions{PropagationPolicy: &p}
	}
	//lint:ignore SA1019 old clients still send it
	orphan := func(o bool) *metav1.DeleteOptions { return &metav1.DeleteOptions{OrphanDependents: &o} }
	both := []string{"orphan", "a", "foregroundDeletion"}
	for name, tc := range map[string]struct {
		have    []string
		options *metav1.DeleteOptions
		want    []string
	}{
		"nothing said":       {both, &metav1.DeleteOptions{}, both},
		"background":         {both, policy(metav1.DeletePropagationBackground), []string{"a"}},
		"orphan":             {both, policy(metav1.DeletePropagationOrphan), []string{"orphan", "a"}},
		"foreground":         {[]string{"a"}, policy(metav1.DeletePropagationForeground), []string{"a", "foregroundDeletion"}},
		"orphanDependents":   {nil, orphan(true), []string{"orphan"}},
		"orphanDependents=0": {[]string{"orphan"}, orphan(false), []string{"foregroundDeletion"}},
	} {
		before := append([]string(nil), tc.have...)
		got := propagationFinalizers(tc.have, tc.options)
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(before, tc.have); diff != "" {
			t.Errorf("%s changed its argument:\n%s", name, diff)
		}
	}
}

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

package storage

import (
	"context"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/registry/generic"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/warning"

	"github.com/jobserver-dev/jobserver/pkg/registry/batch/job"
)

// recorder collects the warnings of a request.
type recorder []string

func (r *recorder) AddWarning(_, text string) { *r = append(*r, text) }

// TestDeleteWarnings: upstream warns where the Pods stay only because the request doesn't say what to do with them, and on batch/v1 only.
func TestDeleteWarnings(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		options   *metav1.DeleteOptions
		wantBatch bool
	}{
		"nothing said": {options: &metav1.DeleteOptions{}, wantBatch: true},
		"a grace period alone": {
			options:   &metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))},
			wantBatch: true,
		},
		"propagation":            {options: &metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationBackground)}},
		"orphan":                 {options: &metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationOrphan)}},
		"orphan, the old way":    {options: &metav1.DeleteOptions{OrphanDependents: new(true)}},  //lint:ignore SA1019 clients still send it
		"no orphan, as of old":   {options: &metav1.DeleteOptions{OrphanDependents: new(false)}}, //lint:ignore SA1019 clients still send it
		"no options, in process": {},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, group := range []job.Group{job.OurGroup(), job.KubeGroup(job.ProfileGuide)} {
				var got recorder
				resource := &REST{group: group}
				resource.warnOfOrphans(warning.WithWarningRecorder(t.Context(), &got), test.options)
				var want recorder
				if test.wantBatch && group.HidesPolicies {
					want = recorder{"child pods are preserved by default when jobs are deleted; " +
						"set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning"}
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s: warnings %q, want %q", group.Version.Group, got, want)
				}
			}
		})
	}
}

// TestOneStoreServesBothGroups: one prefix and one cache behind all, named after each group, closed once.
func TestOneStoreServesBothGroups(t *testing.T) {
	t.Parallel()
	closed := 0
	jobs := &Jobs{store: &genericregistry.Store{DestroyFunc: func() { closed++ }}}
	jobs.store.KeyRootFunc = func(context.Context) string { return "/one" }
	ours := jobs.Serve(job.OurGroup(), Names{ShortNames: []string{"bj"}}, true)
	kube := jobs.Serve(job.KubeGroup(job.ProfileKubernetes), Names{Categories: []string{"all"}}, false)

	for group, resources := range map[string]map[string]any{"batch.jobserver.dev": widen(ours), "batch": widen(kube)} {
		resource, ok := resources["jobs"].(*REST)
		if !ok || len(resources) != 2 {
			t.Fatalf("%s serves %v, want jobs and jobs/status", group, resources)
		}
		if resource.DefaultQualifiedResource.String() != "jobs."+group || resource.GetSingularName() != "job" {
			t.Errorf("%s serves %s, %s", group, resource.DefaultQualifiedResource, resource.GetSingularName())
		}
		if root := resource.KeyRootFunc(t.Context()); root != "/one" {
			t.Errorf("%s keeps its Jobs under %s", group, root)
		}
		resource.Destroy()
		resources["jobs/status"].(*StatusREST).Destroy()
	}
	if closed != 1 {
		t.Errorf("the store was closed %d times, want once", closed)
	}
	if got := ours["jobs"].(*REST).ShortNames(); !slices.Equal(got, []string{"bj"}) {
		t.Errorf("short names %v, want bj", got)
	}
	if got := kube["jobs"].(*REST).Categories(); !slices.Equal(got, []string{"all"}) {
		t.Errorf("categories %v, want all", got)
	}
}

func widen[T any](from map[string]T) map[string]any {
	to := map[string]any{}
	for key, value := range from {
		to[key] = value
	}
	return to
}

// TestNoStorage: a server without a way to store says so, and does not start half.
func TestNoStorage(t *testing.T) {
	t.Parallel()
	if _, err := NewJobs(generic.RESTOptions{}); err == nil {
		t.Error("a store without storage was opened")
	}
}

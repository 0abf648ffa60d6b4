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

package integration

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

func names(list *unstructured.UnstructuredList) []string {
	var names []string
	for _, item := range list.Items {
		names = append(names, item.GetName())
	}
	slices.Sort(names)
	return names
}

// createFive makes the Jobs job-0 to job-4, each labelled with whether its number is even, job-1 and job-3 with one success.
func createFive(t *testing.T, resource schema.GroupVersionResource, namespace string) {
	t.Helper()
	for i := range 5 {
		job := newJob(resource, fmt.Sprintf("job-%d", i), nil)
		job.SetLabels(map[string]string{"even": fmt.Sprint(i%2 == 0)})
		create(t, namespace, job)
		if i%2 == 1 {
			if _, err := jobsIn(resource, namespace).Patch(t.Context(), job.GetName(), types.MergePatchType,
				[]byte(`{"status":{"succeeded":1}}`), metav1.PatchOptions{}, "status"); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestListInPages(t *testing.T) {
	t.Parallel()
	forEachGroup(t, func(t *testing.T, resource schema.GroupVersionResource) {
		namespace := server.Namespace(t)
		createFive(t, resource, namespace)
		var got []string
		options := metav1.ListOptions{Limit: 2}
		for page := 0; ; page++ {
			list, err := jobsIn(resource, namespace).List(t.Context(), options)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, names(list)...)
			if page == 0 {
				if remaining := list.GetRemainingItemCount(); remaining == nil || *remaining != 3 || len(list.Items) != 2 {
					t.Errorf("a first page of %d with %v left, want 2 and 3", len(list.Items), remaining)
				}
				// The pages are one moment's: what is made meanwhile is in none of them.
				create(t, namespace, newJob(resource, "job-9", nil))
			}
			if options.Continue = list.GetContinue(); options.Continue == "" {
				break
			}
		}
		if want := []string{"job-0", "job-1", "job-2", "job-3", "job-4"}; !slices.Equal(got, want) {
			t.Errorf("pages with %v, want %v", got, want)
		}
		_, err := jobsIn(resource, namespace).List(t.Context(), metav1.ListOptions{Limit: 2, Continue: "no token"})
		if !apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), "continue") {
			t.Errorf("error %v of a token that is none, want a BadRequest about it", err)
		}
	})
}

func TestListSelects(t *testing.T) {
	t.Parallel()
	forEachGroup(t, func(t *testing.T, resource schema.GroupVersionResource) {
		namespace := server.Namespace(t)
		createFive(t, resource, namespace)
		for name, test := range map[string]struct {
			options metav1.ListOptions
			want    []string
		}{
			"label":               {metav1.ListOptions{LabelSelector: "even=true"}, []string{"job-0", "job-2", "job-4"}},
			"set of labels":       {metav1.ListOptions{LabelSelector: "even notin (true)"}, []string{"job-1", "job-3"}},
			"successful":          {metav1.ListOptions{FieldSelector: "status.successful=1"}, []string{"job-1", "job-3"}},
			"not successful":      {metav1.ListOptions{FieldSelector: "status.successful!=1"}, []string{"job-0", "job-2", "job-4"}},
			"name":                {metav1.ListOptions{FieldSelector: "metadata.name=job-2"}, []string{"job-2"}},
			"both":                {metav1.ListOptions{LabelSelector: "even=false", FieldSelector: "metadata.name!=job-1"}, []string{"job-3"}},
			"another namespace's": {metav1.ListOptions{FieldSelector: "metadata.namespace=default"}, nil},
		} {
			list, err := jobsIn(resource, namespace).List(t.Context(), test.options)
			if err != nil {
				t.Fatal(err)
			}
			if got := names(list); !slices.Equal(got, test.want) {
				t.Errorf("%s: got %v, want %v", name, got, test.want)
			}
		}
		_, err := jobsIn(resource, namespace).List(t.Context(), metav1.ListOptions{FieldSelector: "spec.parallelism=1"})
		if !apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), `field label "spec.parallelism" not supported for Job`) {
			t.Errorf("error %v of a field that can't be selected by", err)
		}
	})
}

// TestListOfAllNamespaces: a list over namespaces has the Jobs of each, and a field selector narrows it to one.
func TestListOfAllNamespaces(t *testing.T) {
	t.Parallel()
	forEachGroup(t, func(t *testing.T, resource schema.GroupVersionResource) {
		first, second := server.Namespace(t), server.Namespace(t)
		for _, namespace := range []string{first, second} {
			job := newJob(resource, "job", nil)
			job.SetLabels(map[string]string{"among": first})
			create(t, namespace, job)
		}
		for fields, want := range map[string]int{"": 2, "metadata.namespace=" + second: 1} {
			list, err := server.Dynamic.Resource(resource).List(t.Context(), metav1.ListOptions{LabelSelector: "among=" + first, FieldSelector: fields})
			if err != nil {
				t.Fatal(err)
			}
			if len(list.Items) != want {
				t.Errorf("fields %q: %d Jobs, want %d", fields, len(list.Items), want)
			}
		}
	})
}

// TestResourceVersionOfLists: which moment a list may show.
func TestResourceVersionOfLists(t *testing.T) {
	t.Parallel()
	forEachGroup(t, func(t *testing.T, resource schema.GroupVersionResource) {
		namespace := server.Namespace(t)
		created := create(t, namespace, newJob(resource, "job", nil))
		create(t, namespace, newJob(resource, "later", nil))
		for match, want := range map[metav1.ResourceVersionMatch][]string{
			metav1.ResourceVersionMatchExact:        {"job"},
			metav1.ResourceVersionMatchNotOlderThan: {"job", "later"},
		} {
			var list *unstructured.UnstructuredList
			var err error
			list, err = jobsIn(resource, namespace).List(t.Context(), metav1.ListOptions{ResourceVersion: created.GetResourceVersion(), ResourceVersionMatch: match})
			if err != nil {
				t.Fatal(err)
			}
			if match == metav1.ResourceVersionMatchExact && (!slices.Equal(names(list), want) || list.GetResourceVersion() != created.GetResourceVersion()) {
				t.Errorf("%s: %v at %s, want %v at %s", match, names(list), list.GetResourceVersion(), want, created.GetResourceVersion())
			}
			if match == metav1.ResourceVersionMatchNotOlderThan && !slices.Contains(names(list), "job") {
				t.Errorf("%s: %v lacks what was there", match, names(list))
			}
		}
		response := fetch(t, jobsPath(resource, namespace, "", "resourceVersionMatch", "Exact"), "application/json")
		if status := statusOf(t, response); status.Reason != metav1.StatusReasonInvalid {
			t.Errorf("answer %d %s to a match without a version, want Invalid", response.Code, status.Message)
		}
	})
}

func TestDeleteCollection(t *testing.T) {
	t.Parallel()
	forEachGroup(t, func(t *testing.T, resource schema.GroupVersionResource) {
		namespace := server.Namespace(t)
		createFive(t, resource, namespace)
		options := metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationBackground)}
		for _, step := range []struct {
			list metav1.ListOptions
			want []string
		}{
			{metav1.ListOptions{LabelSelector: "even=none"}, []string{"job-0", "job-1", "job-2", "job-3", "job-4"}},
			{metav1.ListOptions{LabelSelector: "even=true", FieldSelector: "metadata.name!=job-2"}, []string{"job-1", "job-2", "job-3"}},
			{metav1.ListOptions{FieldSelector: "status.successful=1"}, []string{"job-2"}},
			{metav1.ListOptions{}, nil},
		} {
			if err := jobsIn(resource, namespace).DeleteCollection(t.Context(), options, step.list); err != nil {
				t.Fatal(err)
			}
			list, err := jobsIn(resource, namespace).List(t.Context(), metav1.ListOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if got := names(list); !slices.Equal(got, step.want) {
				t.Fatalf("after deleting %+v there are %v, want %v", step.list, got, step.want)
			}
		}
		response := send(t, http.MethodDelete, jobsPath(resource, namespace, "", "labelSelector", "a=(("), "application/json", nil)
		if status := statusOf(t, response); status.Reason != metav1.StatusReasonBadRequest {
			t.Errorf("answer %d %s to a broken selector, want BadRequest", response.Code, status.Message)
		}
	})
}

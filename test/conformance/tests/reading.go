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

package tests

import (
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/ptr"

	"github.com/jobserver-dev/jobserver/test/conformance/suite"
)

// listed are the names of the Jobs that a list has, in its order.
func listed(t *suite.T, options metav1.ListOptions) (names []string) {
	list, err := t.API().List(t.Context(), options)
	t.Must(err)
	for _, item := range list.Items {
		names = append(names, item.GetName())
	}
	return names
}

// next waits for an event of a watch and returns its type, with the Job.
func next(t *suite.T, w watch.Interface) (watch.EventType, *unstructured.Unstructured) {
	select {
	case event, open := <-w.ResultChan():
		if !open {
			t.Fatalf("the watch ended")
		}
		if event.Type == watch.Error {
			t.Fatalf("the watch failed: %v", apierrors.FromObject(event.Object))
		}
		return event.Type, event.Object.(*unstructured.Unstructured)
	case <-t.Context().Done():
		t.Fatalf("no event came")
		return "", nil
	}
}

// expect waits for an event of a type about the Job of a name.
func expect(t *suite.T, w watch.Interface, kind watch.EventType, name string) *unstructured.Unstructured {
	gotKind, job := next(t, w)
	suite.Equal(t, "event", fmt.Sprint(gotKind, " ", job.GetName()), fmt.Sprint(kind, " ", name))
	return job
}

func watched(t *suite.T, options metav1.ListOptions) watch.Interface {
	w, err := t.API().Watch(t.Context(), options)
	t.Must(err)
	return w
}

// colored labels a Job with a color.
func colored(value string) edit {
	return func(job *batchv1.Job) { job.Labels = map[string]string{"color": value} }
}

// createColored makes the Jobs a, b and c, which are red, blue and red.
func createColored(t *suite.T) {
	t.Create(newJob(named("a"), colored("red"), suspended))
	t.Create(newJob(named("b"), colored("blue"), suspended))
	t.Create(newJob(named("c"), colored("red"), suspended))
}

// What lists select.
func init() {
	subject("List",
		suite.Test{
			Name: "All", Description: "A list has all the Jobs of a namespace, in the order of their names.", Source: "API conventions",
			Run: func(t *suite.T) {
				createColored(t)
				suite.Equal(t, "names", listed(t, metav1.ListOptions{}), []string{"a", "b", "c"})
			},
		},
		suite.Test{
			Name: "LabelSelector", Description: "A list with a label selector has the Jobs that it matches.", Source: "API conventions; guide 11",
			Run: func(t *suite.T) {
				createColored(t)
				suite.Equal(t, "red", listed(t, metav1.ListOptions{LabelSelector: "color=red"}), []string{"a", "c"})
				suite.Equal(t, "not red", listed(t, metav1.ListOptions{LabelSelector: "color notin (red)"}), []string{"b"})
			},
		},
		suite.Test{
			Name: "FieldOfMetadata", Description: "Jobs can be selected by metadata.name and metadata.namespace.", Source: "reference 1.12",
			Run: func(t *suite.T) {
				createColored(t)
				suite.Equal(t, "by name", listed(t, metav1.ListOptions{FieldSelector: "metadata.name=b"}), []string{"b"})
				suite.Equal(t, "by namespace", listed(t, metav1.ListOptions{FieldSelector: "metadata.namespace!=" + t.Namespace()}), nil)
			},
		},
		suite.Test{
			Name: "FieldOfStatus", Description: "Jobs can be selected by status.successful, the number of succeeded Pods.", Source: "reference 1.12",
			Run: func(t *suite.T) {
				job := t.Create(newJob())
				t.Create(newJob(named("other"), suspended))
				t.Succeed(t.WaitActive(job, 1)...)
				t.WaitComplete(job, "CompletionsReached")
				suite.Equal(t, "one", listed(t, metav1.ListOptions{FieldSelector: "status.successful=1"}), []string{"job"})
				suite.Equal(t, "none", listed(t, metav1.ListOptions{FieldSelector: "status.successful=0"}), []string{"other"})
			},
		},
		suite.Test{
			Name: "UnknownField", Description: "Jobs can't be selected by other fields.", Source: "reference 1.12",
			Run: func(t *suite.T) {
				_, err := t.API().List(t.Context(), metav1.ListOptions{FieldSelector: "spec.parallelism=1"})
				t.RefusedFor(err, metav1.StatusReasonBadRequest, `field label "spec.parallelism" not supported for Job`)
			},
		},
	)
}

// Pages and kinds of lists.
func init() {
	subject("List",
		suite.Test{
			Name: "Pages", Description: "A list with a limit comes in pages that continue where the last ended, and ends.", Source: "API conventions",
			Run: func(t *suite.T) {
				createColored(t)
				first, err := t.API().List(t.Context(), metav1.ListOptions{Limit: 2})
				t.Must(err)
				suite.Equal(t, "length of the first", len(first.Items), 2)
				suite.Equal(t, "remaining", ptr.Deref(first.GetRemainingItemCount(), -1), 1)
				second, err := t.API().List(t.Context(), metav1.ListOptions{Limit: 2, Continue: first.GetContinue()})
				t.Must(err)
				suite.Equal(t, "length of the second", len(second.Items), 1)
				suite.Equal(t, "name in the second", second.Items[0].GetName(), "c")
				suite.Equal(t, "continue of the second", second.GetContinue(), "")
				suite.Equal(t, "resourceVersions", second.GetResourceVersion(), first.GetResourceVersion())
			},
		},
		suite.Test{
			Name: "Kind", Description: "A list of Jobs has the kind JobList, and its items have kinds, too.", Source: "API conventions",
			Run: func(t *suite.T) {
				t.Create(newJob(suspended))
				var list struct {
					Kind, APIVersion string
					Items            []struct{ Kind string }
				}
				t.JSON(t.Do(suite.Request{}), &list)
				suite.Equal(t, "kind", list.Kind, "JobList")
				suite.Equal(t, "apiVersion", list.APIVersion, t.Target().Jobs.GroupVersion().String())
			},
		},
	)
}

// What watches tell of.
func init() {
	subject("Watch",
		suite.Test{
			Name: "Events", Description: "A watch tells of Jobs that are there, added, modified and deleted, in order.", Source: "API conventions; guide 11",
			Run: func(t *suite.T) {
				t.Create(newJob(named("early"), managedBy("example.com/controller")))
				w := watched(t, metav1.ListOptions{})
				defer w.Stop()
				expect(t, w, watch.Added, "early")
				job := t.Create(newJob(managedBy("example.com/controller")))
				expect(t, w, watch.Added, "job")
				t.PatchSpec(job, suite.Fields{"parallelism": 3})
				changed := expect(t, w, watch.Modified, "job")
				parallelism, _, _ := unstructured.NestedInt64(changed.Object, "spec", "parallelism")
				suite.Equal(t, "parallelism", parallelism, 3)
				t.Delete(job, metav1.DeletePropagationBackground)
				expect(t, w, watch.Deleted, "job")
			},
		},
		suite.Test{
			Name: "FromAVersion", Description: "A watch from a resourceVersion tells of everything after it and of nothing before.", Source: "API conventions",
			Run: func(t *suite.T) {
				t.Create(newJob(named("before"), managedBy("example.com/controller")))
				list, err := t.API().List(t.Context(), metav1.ListOptions{})
				t.Must(err)
				t.Create(newJob(named("after"), managedBy("example.com/controller")))
				w := watched(t, metav1.ListOptions{ResourceVersion: list.GetResourceVersion()})
				defer w.Stop()
				expect(t, w, watch.Added, "after")
			},
		},
		suite.Test{
			Name: "Selector", Description: "To a watch with a selector, a Job that comes to match is added, and one that no longer does is deleted.", Source: "API conventions",
			Run: func(t *suite.T) {
				w := watched(t, metav1.ListOptions{LabelSelector: "color=red"})
				defer w.Stop()
				job := t.Create(newJob(managedBy("example.com/controller"), colored("blue")))
				t.Update(job, colored("red"))
				expect(t, w, watch.Added, "job")
				t.Update(job, colored("blue"))
				expect(t, w, watch.Deleted, "job")
			},
		},
		suite.Test{
			Name: "FieldSelector", Description: "A watch can select by status.successful.", Source: "reference 1.12",
			Run: func(t *suite.T) {
				w := watched(t, metav1.ListOptions{FieldSelector: "status.successful=1"})
				defer w.Stop()
				job := t.Create(newJob())
				t.Succeed(t.WaitActive(job, 1)...)
				expect(t, w, watch.Added, "job")
			},
		},
	)
}

// How a watch begins, and what it shows on the way of a Job.
func init() {
	subject("Watch",
		suite.Test{
			Name: "InitialEvents", Description: "A watch that asks for it tells of what is there first, and where that ends.", Source: "API conventions; KEP-3157",
			Run: func(t *suite.T) {
				t.Create(newJob(managedBy("example.com/controller")))
				w := watched(t, metav1.ListOptions{
					SendInitialEvents: ptr.To(true), AllowWatchBookmarks: true, ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
				})
				defer w.Stop()
				expect(t, w, watch.Added, "job")
				kind, end := next(t, w)
				suite.Equal(t, "type", kind, watch.Bookmark)
				suite.Equal(t, "annotation", end.GetAnnotations()["k8s.io/initial-events-end"], "true")
			},
		},
		suite.Test{
			Name: "Progress", Description: "A watch shows the status of a Job on its way: active, then complete.", Source: "guide 11",
			Run: func(t *suite.T) {
				w := watched(t, metav1.ListOptions{})
				defer w.Stop()
				job := t.Create(newJob())
				t.Succeed(t.WaitActive(job, 1)...)
				var seen []string
				for !slices.Contains(seen, "Complete") {
					_, found := next(t, w)
					list, _, _ := unstructured.NestedSlice(found.Object, "status", "conditions")
					for _, condition := range list {
						if kind := condition.(suite.Fields)["type"].(string); !slices.Contains(seen, kind) {
							seen = append(seen, kind)
						}
					}
					active, _, _ := unstructured.NestedInt64(found.Object, "status", "active")
					if active == 1 && !slices.Contains(seen, "active") {
						seen = append(seen, "active")
					}
				}
				suite.Equal(t, "order", seen, []string{"active", "SuccessCriteriaMet", "Complete"})
			},
		},
	)
}

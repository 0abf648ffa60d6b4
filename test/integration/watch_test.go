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
	"context"
	"errors"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/jobserver-dev/jobserver/test/framework"
)

// eventTimeout is long: it ends only tests that fail anyway.
const eventTimeout = time.Minute

func nextEvent(t *testing.T, watcher watch.Interface) watch.Event {
	t.Helper()
	select {
	case event, open := <-watcher.ResultChan():
		if !open {
			t.Fatal("the watch ended")
		}
		return event
	case <-time.After(eventTimeout):
		t.Fatal("no event came")
	}
	return watch.Event{}
}

func watchJobs(t *testing.T, resource schema.GroupVersionResource, namespace string, options metav1.ListOptions) watch.Interface {
	t.Helper()
	watcher, err := jobsIn(resource, namespace).Watch(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(watcher.Stop)
	return watcher
}

func label(t *testing.T, resource schema.GroupVersionResource, namespace, name, value string) string {
	t.Helper()
	job, err := jobsIn(resource, namespace).Patch(t.Context(), name, types.MergePatchType,
		[]byte(`{"metadata":{"labels":{"step":"`+value+`"}}}`), metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return job.GetResourceVersion()
}

// TestWatchResumes: a watch from a resourceVersion tells everything since, once and in order, whichever group wrote.
func TestWatchResumes(t *testing.T) {
	t.Parallel()
	forEachGroup(t, func(t *testing.T, resource schema.GroupVersionResource) {
		namespace := server.Namespace(t)
		created := create(t, namespace, newJob(resource, "job", nil))
		first := label(t, resource, namespace, "job", "1")
		second := label(t, otherGroup(resource), namespace, "job", "2")

		watcher := watchJobs(t, resource, namespace, metav1.ListOptions{ResourceVersion: created.GetResourceVersion()})
		expectEvent(t, watcher, watch.Modified, first)
		watcher.Stop()

		watcher = watchJobs(t, resource, namespace, metav1.ListOptions{ResourceVersion: first})
		expectEvent(t, watcher, watch.Modified, second)
		third := label(t, resource, namespace, "job", "3")
		expectEvent(t, watcher, watch.Modified, third)
	})
}

// TestWatchOfSelector: an object that starts or stops to match is added or deleted, for label and field selectors.
func TestWatchOfSelector(t *testing.T) {
	t.Parallel()
	forEachGroup(t, func(t *testing.T, resource schema.GroupVersionResource) {
		namespace := server.Namespace(t)
		created := create(t, namespace, newJob(resource, "job", nil))
		byLabel := watchJobs(t, resource, namespace, metav1.ListOptions{ResourceVersion: created.GetResourceVersion(), LabelSelector: "step=1"})
		byField := watchJobs(t, resource, namespace, metav1.ListOptions{ResourceVersion: created.GetResourceVersion(), FieldSelector: "status.successful=1"})
		version := label(t, resource, namespace, "job", "1")
		expectEvent(t, byLabel, watch.Added, version)
		version = label(t, resource, namespace, "job", "2")
		expectEvent(t, byLabel, watch.Deleted, version)

		job, err := jobsIn(resource, namespace).Patch(t.Context(), "job", types.MergePatchType,
			[]byte(`{"status":{"succeeded":1}}`), metav1.PatchOptions{}, "status")
		if err != nil {
			t.Fatal(err)
		}
		expectEvent(t, byField, watch.Added, job.GetResourceVersion())
	})
}

// TestWatchList: with initial events a watch begins with what there is, and a bookmark marks its end.
func TestWatchList(t *testing.T) {
	t.Parallel()
	forEachGroup(t, func(t *testing.T, resource schema.GroupVersionResource) {
		namespace := server.Namespace(t)
		create(t, namespace, newJob(resource, "a", nil))
		create(t, namespace, newJob(resource, "b", nil))
		watcher := watchJobs(t, resource, namespace, metav1.ListOptions{
			SendInitialEvents: new(true), ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan, AllowWatchBookmarks: true,
		})
		expectEvent(t, watcher, watch.Added, "")
		expectEvent(t, watcher, watch.Added, "")
		event := nextEvent(t, watcher)
		bookmark, ok := event.Object.(metav1.Object)
		if event.Type != watch.Bookmark || !ok || bookmark.GetAnnotations()["k8s.io/initial-events-end"] != "true" || bookmark.GetResourceVersion() == "" {
			t.Fatalf("event %s %+v, want the bookmark that ends the initial events", event.Type, event.Object)
		}
		version := label(t, resource, namespace, "a", "1")
		expectEvent(t, watcher, watch.Modified, version)
	})
}

// TestBookmarks: a watch that ends tells where to go on, so that a client that missed nothing reads nothing twice. The server sends one about
// two seconds before the end of a watch, and may be too late for it on a busy machine.
func TestBookmarks(t *testing.T) {
	t.Parallel()
	forEachGroup(t, func(t *testing.T, resource schema.GroupVersionResource) {
		namespace := server.Namespace(t)
		created := create(t, namespace, newJob(resource, "job", nil))
		framework.Eventually(t, "a watch ends with a bookmark", func(context.Context) error {
			watcher := watchJobs(t, resource, namespace, metav1.ListOptions{
				ResourceVersion: created.GetResourceVersion(), AllowWatchBookmarks: true, TimeoutSeconds: new(int64(5)),
			})
			defer watcher.Stop()
			event, open := <-watcher.ResultChan()
			if !open {
				return errors.New("the watch ended without one")
			}
			bookmark, ok := event.Object.(metav1.Object)
			if event.Type != watch.Bookmark || !ok || bookmark.GetResourceVersion() == "" || bookmark.GetName() != "" {
				t.Fatalf("event %s %+v, want a bookmark with a resourceVersion and nothing else", event.Type, event.Object)
			}
			return nil
		})
	})
}

// TestWatchErrors: a resourceVersion that can't be is an error, not a watch that never says anything.
func TestWatchErrors(t *testing.T) {
	t.Parallel()
	forEachGroup(t, func(t *testing.T, resource schema.GroupVersionResource) {
		namespace := server.Namespace(t)
		if _, err := jobsIn(resource, namespace).Watch(t.Context(), metav1.ListOptions{ResourceVersion: "yesterday"}); !apierrors.IsBadRequest(err) && !apierrors.IsInvalid(err) {
			t.Errorf("error %v of a resourceVersion that is no number", err)
		}
		if _, err := jobsIn(resource, namespace).Watch(t.Context(), metav1.ListOptions{FieldSelector: "spec.parallelism=1"}); !apierrors.IsBadRequest(err) {
			t.Errorf("error %v of a field selector that is not supported, want BadRequest", err)
		}
	})
}

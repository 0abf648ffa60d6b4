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
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"

	"github.com/jobserver-dev/jobserver/test/framework"
)

// TestExpiredVersions: what the server has forgotten can't be gone on from, and clients are told so in the way that makes them begin anew.
func TestExpiredVersions(t *testing.T) {
	t.Parallel()
	options := framework.Options{Controllers: framework.NoControllers(), DataDir: t.TempDir()}
	before := framework.Start(t, options)
	pages := map[schema.GroupVersionResource]*unstructured.UnstructuredList{}
	namespaces := map[schema.GroupVersionResource]string{kubeJobs: "kube", ourJobs: "ours"}
	for resource, namespace := range namespaces {
		if _, err := before.Kube.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		jobs := before.Dynamic.Resource(resource).Namespace(namespace)
		for i := range 4 {
			if _, err := jobs.Create(t.Context(), newJob(resource, fmt.Sprintf("job-%d", i), nil), metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		page, err := jobs.List(t.Context(), metav1.ListOptions{Limit: 2})
		if err != nil {
			t.Fatal(err)
		}
		pages[resource] = page
	}
	if _, err := before.Kube.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "later"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	// The cache of a running server remembers more than etcd.
	before.Stop(t)
	after := framework.Start(t, options)
	after.Compact(t)
	for resource, page := range pages {
		t.Run(resource.Group, func(t *testing.T) {
			jobs := after.Dynamic.Resource(resource).Namespace(namespaces[resource])
			expectExpiredToken(t, jobs, resource, page.GetContinue())
			expectExpiredWatches(t, jobs, page.Items[0].GetResourceVersion())
		})
	}
}

// expectExpiredToken goes on from the first page, job-0 and job-1 of four.
func expectExpiredToken(t *testing.T, jobs dynamic.ResourceInterface, resource schema.GroupVersionResource, token string) {
	t.Helper()
	_, err := jobs.List(t.Context(), metav1.ListOptions{Limit: 2, Continue: token})
	var refused apierrors.APIStatus
	if !apierrors.IsResourceExpired(err) || !errors.As(err, &refused) {
		t.Fatalf("error %v of an expired token, want Expired", err)
	}
	fresh := refused.Status().ListMeta.Continue
	if refused.Status().Code != http.StatusGone || fresh == "" {
		t.Fatalf("code %d and token %q, want 410 and one that leads on", refused.Status().Code, fresh)
	}
	// It leads on in the present: not the moment that the first page was of.
	if _, err := jobs.Create(t.Context(), newJob(resource, "job-9", nil), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	rest, err := jobs.List(t.Context(), metav1.ListOptions{Continue: fresh})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := names(rest), []string{"job-2", "job-3", "job-9"}; !slices.Equal(got, want) {
		t.Errorf("the fresh token leads to %v, want %v", got, want)
	}
}

func expectExpiredWatches(t *testing.T, jobs dynamic.ResourceInterface, version string) {
	t.Helper()
	for what, options := range map[string]metav1.ListOptions{
		"watch":                   {},
		"watch with bookmarks":    {AllowWatchBookmarks: true},
		"watch of a selector":     {LabelSelector: "a=b"},
		"watch of a field":        {FieldSelector: "status.successful=1"},
		"watch of a single thing": {FieldSelector: "metadata.name=job-1"},
	} {
		options.ResourceVersion = version
		watcher, err := jobs.Watch(t.Context(), options)
		if err == nil {
			event := nextEvent(t, watcher)
			watcher.Stop()
			if event.Type != watch.Error {
				t.Errorf("%s from a forgotten version: event %s", what, event.Type)
				continue
			}
			err = apierrors.FromObject(event.Object)
		}
		if !apierrors.IsResourceExpired(err) {
			t.Errorf("%s from a forgotten version: %v, want Expired", what, err)
		}
	}
	if _, err := jobs.List(t.Context(), metav1.ListOptions{ResourceVersion: version, ResourceVersionMatch: metav1.ResourceVersionMatchExact}); !apierrors.IsResourceExpired(err) {
		t.Errorf("a list of exactly a forgotten version: %v, want Expired", err)
	}
}

// TestVersionsThatCanNotBeAsked: which combinations of version, match and continue make no sense, and what is said of them.
func TestVersionsThatCanNotBeAsked(t *testing.T) {
	t.Parallel()
	forEachGroup(t, func(t *testing.T, resource schema.GroupVersionResource) {
		namespace := server.Namespace(t)
		createFive(t, resource, namespace)
		page, err := jobsIn(resource, namespace).List(t.Context(), metav1.ListOptions{Limit: 2})
		if err != nil {
			t.Fatal(err)
		}
		for name, test := range map[string]struct {
			query  []string
			code   int
			wantIn string
		}{
			"any version":                    {query: []string{"resourceVersion", "0"}, code: http.StatusOK},
			"any version, a page":            {query: []string{"resourceVersion", "0", "limit", "2"}, code: http.StatusOK},
			"not older than any":             {query: []string{"resourceVersion", "0", "resourceVersionMatch", "NotOlderThan"}, code: http.StatusOK},
			"a page on":                      {query: []string{"limit", "2", "continue", page.GetContinue()}, code: http.StatusOK},
			"exactly any":                    {[]string{"resourceVersion", "0", "resourceVersionMatch", "Exact"}, http.StatusUnprocessableEntity, "resourceVersionMatch"},
			"a match of no version":          {[]string{"resourceVersionMatch", "NotOlderThan"}, http.StatusUnprocessableEntity, "resourceVersionMatch"},
			"an unknown match":               {[]string{"resourceVersion", "1", "resourceVersionMatch", "Roughly"}, http.StatusUnprocessableEntity, "Roughly"},
			"a match and a token":            {[]string{"resourceVersion", "1", "resourceVersionMatch", "Exact", "continue", page.GetContinue()}, http.StatusUnprocessableEntity, "continue"},
			"a version and a token":          {[]string{"resourceVersion", page.GetResourceVersion(), "continue", page.GetContinue()}, http.StatusBadRequest, "continue"},
			"initial events of a list":       {[]string{"sendInitialEvents", "true"}, http.StatusUnprocessableEntity, "sendInitialEvents"},
			"initial events without a match": {[]string{"watch", "1", "sendInitialEvents", "true"}, http.StatusUnprocessableEntity, "resourceVersionMatch"},
			"initial events, exactly": {[]string{"watch", "1", "sendInitialEvents", "true", "resourceVersionMatch", "Exact", "allowWatchBookmarks", "true"},
				http.StatusUnprocessableEntity, "resourceVersionMatch"},
			"a watch with a match": {[]string{"watch", "1", "resourceVersion", "1", "resourceVersionMatch", "NotOlderThan"}, http.StatusUnprocessableEntity, "resourceVersionMatch"},
		} {
			response := fetch(t, jobsPath(resource, namespace, "", test.query...), "application/json")
			if response.Code != test.code || !strings.Contains(string(response.Body), test.wantIn) {
				t.Errorf("%s: answer %d %.300s, want %d about %s", name, response.Code, response.Body, test.code, test.wantIn)
			}
		}
		// A version that isn't yet: the server waits for it, and says when to try again.
		const future = "999999999"
		for name, path := range map[string]string{
			"list":  jobsPath(resource, namespace, "", "resourceVersion", future),
			"get":   jobsPath(resource, namespace, "/job-1", "resourceVersion", future),
			"exact": jobsPath(resource, namespace, "", "resourceVersion", future, "resourceVersionMatch", "Exact"),
		} {
			response := fetch(t, path, "application/json")
			if status := statusOf(t, response); status.Reason != metav1.StatusReasonTimeout || !strings.Contains(status.Message, "Too large resource version") {
				t.Errorf("%s of the future: %d %s, want Timeout", name, response.Code, status.Message)
			}
		}
	})
}

// TestStrategicDirectives: what kubectl sends to take something out of a list that is merged by keys, and to order it.
func TestStrategicDirectives(t *testing.T) {
	t.Parallel()
	namespace := server.Namespace(t)
	env := func(names ...string) []any {
		var list []any
		for _, name := range names {
			list = append(list, object{"name": name, "value": "1"})
		}
		return list
	}
	template := podTemplate()
	template["spec"].(object)["containers"].([]any)[0].(object)["env"] = env("A", "B", "C")
	job := newJob(ourJobs, "job", object{"suspend": true, "template": template})
	job.SetFinalizers([]string{"example.com/a", "example.com/b"})
	create(t, namespace, job)
	const patch = `{"metadata":{"$deleteFromPrimitiveList/finalizers":["example.com/a"]},"spec":{"template":{"spec":{"containers":[` +
		`{"name":"main","$setElementOrder/env":[{"name":"C"},{"name":"D"},{"name":"A"}],"env":[{"name":"B","$patch":"delete"},{"name":"D","value":"1"}]}]}}}}`
	patched, err := jobsIn(ourJobs, namespace).Patch(t.Context(), "job", types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	containers := field(patched, "spec", "template", "spec", "containers").([]any)
	if diff := diffObjects(object{"env": env("C", "D", "A")}, object{"env": containers[0].(object)["env"]}); diff != "" || len(containers) != 1 {
		t.Errorf("%d containers, the environment differs (-want +got):\n%s", len(containers), diff)
	}
	if got := patched.GetFinalizers(); !slices.Equal(got, []string{"example.com/b"}) {
		t.Errorf("finalizers %v, want example.com/b alone", got)
	}
}

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
	"bufio"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/ptr"

	"github.com/jobserver-dev/jobserver/test/conformance/suite"
)

// far is a resourceVersion that the server comes to in years only.
func far(t *suite.T, from string) string {
	version, err := strconv.ParseInt(from, 10, 64)
	t.Must(err)
	return strconv.FormatInt(version+1_000_000_000, 10)
}

// names are the names in a list, with the parallelism of each Job.
func names(t *suite.T, options metav1.ListOptions) (found []string) {
	list, err := t.API().List(t.Context(), options)
	t.Must(err)
	for _, item := range list.Items {
		parallelism, _ := item.Object["spec"].(suite.Fields)["parallelism"].(int64)
		found = append(found, fmt.Sprint(item.GetName(), " ", parallelism))
	}
	return found
}

// Lists at versions of choice.
func init() {
	subject("List",
		suite.Test{
			Name: "AtAVersion", Description: "A list at exactly a resourceVersion is that of then; one not older may be any later one.", Source: "API conventions",
			Run: func(t *suite.T) {
				job := t.Create(newJob(elsewhere, parallelism(2)))
				then := t.PatchSpec(job, suite.Fields{"parallelism": 3}).ResourceVersion
				t.PatchSpec(job, suite.Fields{"parallelism": 4})
				t.Create(newJob(named("second"), elsewhere))
				exactly := metav1.ListOptions{ResourceVersion: then, ResourceVersionMatch: metav1.ResourceVersionMatchExact}
				suite.Equal(t, "exactly then", names(t, exactly), []string{"job 3"})
				list, err := t.API().List(t.Context(), exactly)
				t.Must(err)
				suite.Equal(t, "its resourceVersion", list.GetResourceVersion(), then)
				suite.Equal(t, "now", names(t, metav1.ListOptions{}), []string{"job 4", "second 1"})
				latest, err := t.API().List(t.Context(), metav1.ListOptions{})
				t.Must(err)
				notOlder := metav1.ListOptions{ResourceVersion: latest.GetResourceVersion(), ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan}
				suite.Equal(t, "not older than now", names(t, notOlder), []string{"job 4", "second 1"})
			},
		},
		suite.Test{
			Name: "AnyVersion", Description: "A list of resourceVersion 0 may be of any time, and is a whole list.", Source: "API conventions",
			Run: func(t *suite.T) {
				t.Create(newJob(elsewhere))
				t.Eventually("the list has the Job", func() error {
					if found := listed(t, metav1.ListOptions{ResourceVersion: "0", Limit: 1}); len(found) != 1 {
						return fmt.Errorf("it has %v", found)
					}
					return nil
				})
			},
		},
		suite.Test{
			Name: "Versions", Description: "Parameters of a list that make no sense together are refused.", Source: "API conventions",
			Run: refuseParameters,
		},
		suite.Test{
			Name: "FutureVersion", Description: "A list or a read at a version that the server has not come to is put off, with a time to wait.", Source: "API conventions",
			Run: func(t *suite.T) {
				job := t.Create(newJob(elsewhere))
				for _, path := range []string{"?resourceVersion=", "job?resourceVersion="} {
					response := t.Do(suite.Request{Path: path + far(t, job.ResourceVersion)})
					spelled(t, path, response, 504, "Too large resource version")
					suite.Equal(t, "Retry-After", response.Header.Get("Retry-After"), "1")
				}
			},
		},
	)
}

// What is in pages, and selected by fields.
func init() {
	subject("List",
		suite.Test{
			Name: "PagesOfThen", Description: "The pages of a list are of one time: a Job that is made, changed or deleted in between is in them as it was.", Source: "API conventions",
			Run: func(t *suite.T) {
				for _, name := range []string{"a", "c", "d"} {
					t.Create(newJob(named(name), elsewhere))
				}
				first, err := t.API().List(t.Context(), metav1.ListOptions{Limit: 1})
				t.Must(err)
				t.Create(newJob(named("b"), elsewhere))
				t.PatchSpec(newJob(named("c")), suite.Fields{"parallelism": 9})
				t.Delete(newJob(named("d")), metav1.DeletePropagationBackground)
				suite.Equal(t, "the rest", names(t, metav1.ListOptions{Continue: first.GetContinue()}), []string{"c 1", "d 1"})
			},
		},
		suite.Test{
			Name: "PagesOfSelector", Description: "A page has as many Jobs as its limit says of those that the selector matches.", Source: "API conventions",
			Run: func(t *suite.T) {
				for i, name := range []string{"a", "b", "c", "d", "e"} {
					t.Create(newJob(named(name), elsewhere, func(job *batchv1.Job) { job.Labels = map[string]string{"odd": fmt.Sprint(i % 2)} }))
				}
				options := metav1.ListOptions{Limit: 2, LabelSelector: "odd=0"}
				page, err := t.API().List(t.Context(), options)
				t.Must(err)
				suite.Equal(t, "length of the first", len(page.Items), 2)
				options.Continue = page.GetContinue()
				suite.Equal(t, "the second", listed(t, options), []string{"e"})
			},
		},
		suite.Test{
			Name: "Fields", Description: "Fields may be selected together, and by inequality.", Source: "reference 1.12",
			Run: func(t *suite.T) {
				for _, name := range []string{"a", "b", "c"} {
					t.Create(newJob(named(name), elsewhere))
				}
				t.UpdateStatus(newJob(named("b")), func(job *batchv1.Job) { job.Status.Succeeded = 12 })
				for selector, want := range map[string][]string{
					"metadata.name!=a,status.successful=0":             {"c"},
					"status.successful!=0":                             {"b"},
					"status.successful=12,metadata.name=b":             {"b"},
					"status.successful=12,metadata.name=a":             nil,
					"metadata.namespace=" + t.Namespace():              {"a", "b", "c"},
					"metadata.name==c,metadata.namespace=not-this-one": nil,
				} {
					suite.Equal(t, selector, listed(t, metav1.ListOptions{FieldSelector: selector}), want)
				}
			},
		},
	)
}

// What watches tell of, and how long.
func init() {
	subject("Watch",
		suite.Test{
			Name: "Bookmarks", Description: "To a watch that allows it, a bookmark says before its end up to which version it has told everything.", Source: "API conventions; KEP-956",
			Run: waitBookmark,
		},
		suite.Test{
			Name: "Timeout", Description: "A watch ends in order when its time is up.", Source: "API conventions",
			Run: func(t *suite.T) {
				t.Create(newJob(elsewhere))
				response := t.Do(suite.Request{Path: "?watch=true&timeoutSeconds=1"})
				suite.Equal(t, "code", response.Code, 200)
				suite.Equal(t, "number of events", strings.Count(string(response.Body), `{"type":`), 1)
			},
		},
		suite.Test{
			Name: "OneJob", Description: "A watch may be of one Job, by its name.", Source: "API conventions; reference 1.12; guide 11",
			Run: func(t *suite.T) {
				w := watched(t, metav1.ListOptions{FieldSelector: "metadata.name=job"})
				defer w.Stop()
				t.Create(newJob(named("another"), elsewhere))
				job := t.Create(newJob(elsewhere))
				expect(t, w, watch.Added, "job")
				t.PatchSpec(newJob(named("another")), suite.Fields{"parallelism": 3})
				t.Delete(job, metav1.DeletePropagationBackground)
				expect(t, w, watch.Deleted, "job")
			},
		},
		suite.Test{
			Name: "DeletedAsItWas", Description: "The event of a deletion has the Job as it was last, at the version of the deletion.", Source: "API conventions",
			Run: func(t *suite.T) {
				job := t.Create(newJob(elsewhere, parallelism(7)))
				w := watched(t, metav1.ListOptions{ResourceVersion: job.ResourceVersion})
				defer w.Stop()
				t.Delete(job, metav1.DeletePropagationBackground)
				last := expect(t, w, watch.Deleted, "job")
				suite.Equal(t, "parallelism", last.Object["spec"].(suite.Fields)["parallelism"], any(int64(7)))
				if last.GetResourceVersion() == job.ResourceVersion || string(last.GetUID()) != string(job.UID) {
					t.Errorf("the Job of the event has the resourceVersion %s and the UID %s", last.GetResourceVersion(), last.GetUID())
				}
			},
		},
	)
}

// How events are asked for, and shown.
func init() {
	subject("Watch",
		suite.Test{
			Name: "InitialEventsAsked", Description: "A watch that asks for what is there first must say how old that may be.", Source: "API conventions; KEP-3157",
			Run: func(t *suite.T) {
				_, err := t.API().Watch(t.Context(), metav1.ListOptions{SendInitialEvents: ptr.To(true), AllowWatchBookmarks: true})
				t.RefusedFor(err, metav1.StatusReasonInvalid, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
			},
		},
		suite.Test{
			Name: "Table", Description: "A watch may tell of Jobs as rows of a table.", Source: "API conventions; reference 1.13; guide 11",
			Run: func(t *suite.T) {
				t.Create(newJob(elsewhere))
				response := t.Do(suite.Request{Path: "?watch=true&timeoutSeconds=1", Accept: "application/json;as=Table;v=v1;g=meta.k8s.io"})
				var event struct {
					Type   string
					Object metav1.Table
				}
				t.JSON(response, &event)
				if event.Type != "ADDED" || event.Object.Kind != "Table" || len(event.Object.Rows) != 1 || event.Object.Rows[0].Cells[0] != "job" {
					t.Errorf("the event is %s", response.Body)
				}
			},
		},
		suite.Test{
			Name: "SameForAll", Description: "Two watches of one collection tell of the same events in the same order.", Source: "API conventions",
			Run: compareWatches,
		},
	)
}

// refuseParameters asks for lists with parameters that make no sense together.
func refuseParameters(t *suite.T) {
	t.Create(newJob(named("a"), elsewhere))
	t.Create(newJob(named("b"), elsewhere))
	page, err := t.API().List(t.Context(), metav1.ListOptions{Limit: 1})
	t.Must(err)
	for _, of := range []struct {
		query string
		code  int
		text  string
	}{
		{"resourceVersionMatch=Exact", 422, "resourceVersionMatch is forbidden unless resourceVersion is provided"},
		{"resourceVersionMatch=Exact&resourceVersion=0", 422, `resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"`},
		{"resourceVersionMatch=Later&resourceVersion=" + page.GetResourceVersion(), 422, "resourceVersionMatch"},
		{"resourceVersion=yesterday", 400, "yesterday"},
		{"limit=many", 400, "many"},
		{"continue=nonsense", 400, "continue key is not valid"},
		{"continue=" + page.GetContinue() + "&resourceVersion=" + page.GetResourceVersion(), 400, "specifying resource version is not allowed when using continue"},
		{"labelSelector=%3D%3D", 400, "found '=='"},
		{"fieldSelector=metadata.name", 400, "invalid selector"},
	} {
		query, err := url.ParseQuery(of.query)
		t.Must(err)
		spelled(t, of.query, t.Do(suite.Request{Path: "?" + query.Encode()}), of.code, of.text)
	}
}

// waitBookmark reads a watch to its bookmark, and goes on with another from there.
func waitBookmark(t *suite.T) {
	job := t.Create(newJob(elsewhere))
	// Where none comes earlier, the server sends one shortly before the time of the watch is up.
	answer := t.Open(suite.Request{Path: "?watch=true&allowWatchBookmarks=true&timeoutSeconds=10"})
	defer answer.Body.Close()
	var kinds []string
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		var event struct {
			Type   string
			Object metav1.PartialObjectMetadata
		}
		t.Must(json.Unmarshal(lines.Bytes(), &event))
		kinds = append(kinds, event.Type)
		if event.Type != string(watch.Bookmark) {
			continue
		}
		suite.Equal(t, "kind", event.Object.Kind, "Job")
		w := watched(t, metav1.ListOptions{ResourceVersion: event.Object.ResourceVersion})
		defer w.Stop()
		t.PatchSpec(job, suite.Fields{"parallelism": 3})
		expect(t, w, watch.Modified, "job")
		suite.Equal(t, "events", strings.Join(kinds, " "), "ADDED BOOKMARK")
		return
	}
	t.Errorf("no bookmark came: %v", kinds)
}

// compareWatches makes many changes, and compares what a watch from before and one from after tell of them.
func compareWatches(t *suite.T) {
	const changes = 10
	list, err := t.API().List(t.Context(), metav1.ListOptions{})
	t.Must(err)
	from := metav1.ListOptions{ResourceVersion: list.GetResourceVersion()}
	early := watched(t, from)
	defer early.Stop()
	errs := make([]error, 4)
	sideBySide(len(errs), func(i int) {
		job := newJob(named(fmt.Sprintf("job-%d", i)), elsewhere)
		_, errs[i] = t.TryCreate(job)
		for n := 2; n < changes+1 && errs[i] == nil; n++ {
			_, errs[i] = t.TryPatch(job, "application/merge-patch+json", fmt.Sprintf(`{"spec":{"parallelism":%d}}`, n))
		}
	})
	for _, err := range errs {
		t.Must(err)
	}
	late := watched(t, from)
	defer late.Stop()
	seen := map[string]int64{}
	for range changes * len(errs) {
		kind, one := next(t, early)
		otherKind, other := next(t, late)
		suite.Equal(t, "event", fmt.Sprint(otherKind, other.GetName(), other.GetResourceVersion()), fmt.Sprint(kind, one.GetName(), one.GetResourceVersion()))
		parallelism := one.Object["spec"].(suite.Fields)["parallelism"].(int64)
		suite.Equal(t, "parallelism of "+one.GetName(), parallelism, seen[one.GetName()]+1)
		seen[one.GetName()] = parallelism
	}
}

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
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/jobserver-dev/jobserver/test/framework"
)

// TestFieldValidation: a field that is unknown, or there twice, is refused, warned of or dropped, as the client asks.
func TestFieldValidation(t *testing.T) {
	t.Parallel()
	forEachGroup(t, func(t *testing.T, resource schema.GroupVersionResource) {
		namespace := server.Namespace(t)
		create(t, namespace, newJob(resource, "there", nil))
		valid, err := json.Marshal(newJob(resource, "job", nil))
		if err != nil {
			t.Fatal(err)
		}
		insert := func(text string) string { return strings.Replace(string(valid), `"spec":{`, `"spec":{`+text+`,`, 1) }
		patch := func(text string) string { return `{"spec":{` + text + `}}` }
		type request struct{ method, under, contentType, body string }
		tests := map[string]struct {
			request request
			wantIn  string
		}{
			"unknown field":                {request{http.MethodPost, "", "application/json", insert(`"parallelsm":2`)}, `unknown field "spec.parallelsm"`},
			"duplicate field":              {request{http.MethodPost, "", "application/json", insert(`"suspend":true,"suspend":false`)}, `duplicate field "spec.suspend"`},
			"unknown field of a container": {request{http.MethodPost, "", "application/json", strings.Replace(string(valid), `"image":`, `"imge":1,"image":`, 1)}, `unknown field "spec.template.spec.containers[0].imge"`},
			"merge patch":                  {request{http.MethodPatch, "/there", "application/merge-patch+json", patch(`"parallelsm":2`)}, `unknown field "spec.parallelsm"`},
			"strategic merge patch":        {request{http.MethodPatch, "/there", "application/strategic-merge-patch+json", patch(`"parallelsm":2`)}, `unknown field "spec.parallelsm"`},
			"json patch":                   {request{http.MethodPatch, "/there", "application/json-patch+json", `[{"op":"add","path":"/spec/parallelsm","value":2}]`}, `unknown field "spec.parallelsm"`},
		}
		if resource == kubeJobs {
			tests["our field through batch/v1"] = struct {
				request request
				wantIn  string
			}{request{http.MethodPost, "", "application/json", insert(`"disruptionPolicy":"Ignore"`)}, `unknown field "spec.disruptionPolicy"`}
		}
		ask := func(request request, validation string) framework.Response {
			return send(t, request.method, jobsPath(resource, namespace, request.under, "fieldValidation", validation, "dryRun", "All"), request.contentType, request.body)
		}
		for name, test := range tests {
			strict := ask(test.request, "Strict")
			if status := statusOf(t, strict); strict.Code != http.StatusBadRequest && strict.Code != http.StatusUnprocessableEntity || !strings.Contains(status.Message, test.wantIn) {
				t.Errorf("%s, Strict: %d %s, want %s", name, strict.Code, status.Message, test.wantIn)
			}
			warn := ask(test.request, "Warn")
			header := strings.ReplaceAll(strings.Join(warn.Header.Values("Warning"), "\n"), `\"`, `"`)
			if warn.Code >= 300 || !strings.Contains(header, test.wantIn) {
				t.Errorf("%s, Warn: %d with warnings %s, want %s", name, warn.Code, header, test.wantIn)
			}
			ignore := ask(test.request, "Ignore")
			if ignore.Code >= 300 || len(ignore.Header.Values("Warning")) > 0 {
				t.Errorf("%s, Ignore: %d with warnings %q", name, ignore.Code, ignore.Header.Values("Warning"))
			}
		}
		if status := statusOf(t, ask(request{http.MethodPost, "", "application/json", string(valid)}, "Sometimes")); status.Reason != metav1.StatusReasonInvalid || !strings.Contains(status.Message, "fieldValidation") {
			t.Errorf("an unknown fieldValidation: %s", status.Message)
		}
	})
}

// TestApplyIsStrict: an apply configuration with a field that the type lacks can't be owned, and is an error whatever is asked.
func TestApplyIsStrict(t *testing.T) {
	t.Parallel()
	namespace := server.Namespace(t)
	configuration := newJob(kubeJobs, "job", object{"disruptionPolicy": "Ignore"})
	response := send(t, http.MethodPatch, jobsPath(kubeJobs, namespace, "/job", "fieldManager", owner, "fieldValidation", "Ignore"), "application/apply-patch+yaml", configuration)
	if status := statusOf(t, response); response.Code != http.StatusBadRequest || !strings.Contains(status.Message, "disruptionPolicy") {
		t.Errorf("answer %d %s, want one about disruptionPolicy", response.Code, status.Message)
	}
}

// TestDryRun: each verb answers as if it had been done, and nothing is.
func TestDryRun(t *testing.T) {
	t.Parallel()
	forEachGroup(t, func(t *testing.T, resource schema.GroupVersionResource) {
		namespace := server.Namespace(t)
		before := create(t, namespace, newJob(resource, "there", nil))
		changed := before.DeepCopy()
		set(t, changed, int64(7), "spec", "parallelism")
		withStatus := before.DeepCopy()
		withStatus.Object["status"] = object{"active": int64(1)}
		spec, status := object{"spec": object{"parallelism": 7}}, object{"status": object{"active": 1}}
		for name, test := range map[string]struct {
			method, under, contentType string
			body                       any
			want                       string
		}{
			"create":          {http.MethodPost, "", "application/json", newJob(resource, "new", nil), `"name":"new"`},
			"update":          {http.MethodPut, "/there", "application/json", changed, `"parallelism":7`},
			"update status":   {http.MethodPut, "/there/status", "application/json", withStatus, `"active":1`},
			"patch":           {http.MethodPatch, "/there", "application/merge-patch+json", spec, `"parallelism":7`},
			"patch status":    {http.MethodPatch, "/there/status", "application/merge-patch+json", status, `"active":1`},
			"apply a new one": {http.MethodPatch, "/new", "application/apply-patch+yaml", newJob(resource, "new", nil), `"name":"new"`},
			"delete":          {http.MethodDelete, "/there", "application/json", nil, `"status":"Success"`},
			"delete all":      {http.MethodDelete, "", "application/json", nil, `"name":"there"`},
		} {
			query := []string{"dryRun", "All"}
			if test.contentType == "application/apply-patch+yaml" {
				query = append(query, "fieldManager", owner)
			}
			if test.method == http.MethodDelete {
				query = append(query, "propagationPolicy", "Background")
			}
			response := send(t, test.method, jobsPath(resource, namespace, test.under, query...), test.contentType, test.body)
			if response.Code >= 300 || !strings.Contains(string(response.Body), test.want) {
				t.Errorf("%s: answer %d %.300s, want %s", name, response.Code, response.Body, test.want)
			}
			list, err := jobsIn(resource, namespace).List(t.Context(), metav1.ListOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if len(list.Items) != 1 || diffObjects(before.Object, list.Items[0].Object) != "" {
				t.Fatalf("the dry run of %s left a trace: %d Jobs", name, len(list.Items))
			}
		}
		response := send(t, http.MethodPost, jobsPath(resource, namespace, "", "dryRun", "Some"), "application/json", newJob(resource, "new", nil))
		if status := statusOf(t, response); status.Reason != metav1.StatusReasonInvalid || !strings.Contains(status.Message, "dryRun") {
			t.Errorf("an unknown dryRun: %s", status.Message)
		}
	})
}

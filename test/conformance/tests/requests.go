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
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/jobserver-dev/jobserver/test/conformance/suite"
)

// The media types of patches.
const (
	mergePatch     = "application/merge-patch+json"
	strategicPatch = "application/strategic-merge-patch+json"
	jsonPatch      = "application/json-patch+json"
	applyPatch     = "application/apply-patch+yaml"
)

// elsewhere is a Job that no controller of the server touches, so that only the test writes it.
var elsewhere = managedBy("example.com/controller")

// writes are a request of each kind that sets fields of the spec of a Job, as it is now.
func writes(t *suite.T, job *batchv1.Job, fields suite.Fields) map[string]suite.Request {
	current := t.GetFields(job)
	current.SetResourceVersion("")
	maps.Copy(current.Object["spec"].(suite.Fields), fields)
	update, err := json.Marshal(current)
	t.Must(err)
	patch, err := json.Marshal(suite.Fields{"spec": fields})
	t.Must(err)
	var operations []suite.Fields
	for name, value := range fields {
		operations = append(operations, suite.Fields{"op": "add", "path": "/spec/" + name, "value": value})
	}
	list, err := json.Marshal(operations)
	t.Must(err)
	return map[string]suite.Request{
		"update":                {Method: "PUT", Path: "job", Body: update},
		"merge patch":           {Method: "PATCH", Path: "job", ContentType: mergePatch, Body: patch},
		"strategic merge patch": {Method: "PATCH", Path: "job", ContentType: strategicPatch, Body: patch},
		"JSON patch":            {Method: "PATCH", Path: "job", ContentType: jsonPatch, Body: list},
	}
}

// asking is a request with a further parameter in its query.
func asking(request suite.Request, parameter string) suite.Request {
	separator := "?"
	if strings.Contains(request.Path, "?") {
		separator = "&"
	}
	request.Path += separator + parameter
	return request
}

// dryly is a request that is a dry run.
func dryly(request suite.Request) suite.Request { return asking(request, "dryRun=All") }

// spelled says where an answer has another code, or doesn't contain a text.
func spelled(t *suite.T, what string, response suite.Response, code int, text string) {
	if response.Code != code || !strings.Contains(string(response.Body), text) {
		t.Errorf("%s: the answer is %d %s, want %d with %q", what, response.Code, response.Body, code, text)
	}
}

func init() {
	unchanged := func(t *suite.T, what string, job *batchv1.Job) {
		if found := t.Get(job); found.ResourceVersion != job.ResourceVersion {
			t.Fatalf("%s has changed the Job: %v", what, found)
		}
	}
	subject("DryRun",
		suite.Test{
			Name: "Writes", Description: "Updates and patches of each kind that are dry runs answer with the changed Job, and change nothing.", Source: "API conventions",
			Run: func(t *suite.T) {
				job := t.Create(newJob(elsewhere))
				for what, request := range writes(t, job, suite.Fields{"parallelism": 4}) {
					response := t.Do(dryly(request))
					suite.Equal(t, "code of "+what, response.Code, 200)
					var answer batchv1.Job
					t.JSON(response, &answer)
					suite.Equal(t, "answer of "+what, [2]int64{int64(or(answer.Spec.Parallelism, 0)), answer.Generation}, [2]int64{4, 2})
					unchanged(t, what, job)
				}
			},
		},
		suite.Test{
			Name: "Apply", Description: "Applying as a dry run answers with the Job, and neither creates nor changes one.", Source: "API conventions; KEP-555",
			Run: func(t *suite.T) {
				body := raw(t, newJob(elsewhere, parallelism(4)))
				request := suite.Request{Method: "PATCH", Path: "job?fieldManager=one&force=true&dryRun=All", ContentType: applyPatch, Body: body}
				response := t.Do(request)
				suite.Equal(t, "code of a creation", response.Code, 201)
				_, err := t.TryGet("job")
				t.RefusedFor(err, metav1.StatusReasonNotFound, "")
				job := t.Create(newJob(elsewhere))
				var answer batchv1.Job
				t.JSON(t.Do(request), &answer)
				suite.Equal(t, "parallelism of the answer", or(answer.Spec.Parallelism, 0), 4)
				unchanged(t, "applying", job)
			},
		},
		suite.Test{
			Name: "Status", Description: "A change of the status that is a dry run changes nothing.", Source: "API conventions",
			Run: func(t *suite.T) {
				job := t.Create(newJob(elsewhere))
				for what, request := range map[string]suite.Request{
					"patch":  {Method: "PATCH", Path: "job/status", ContentType: mergePatch, Body: []byte(`{"status":{"active":3}}`)},
					"update": {Method: "PUT", Path: "job/status", Body: raw(t, newJob(elsewhere, func(job *batchv1.Job) { job.Status.Active = 3 }))},
				} {
					var answer batchv1.Job
					t.JSON(t.Do(dryly(request)), &answer)
					suite.Equal(t, "active in the answer to the "+what, answer.Status.Active, 3)
					unchanged(t, what, job)
				}
			},
		},
		suite.Test{
			Name: "Collection", Description: "A deletion of a collection that is a dry run deletes nothing.", Source: "API conventions",
			Run: func(t *suite.T) {
				job := t.Create(newJob(elsewhere))
				suite.Equal(t, "code", t.Do(suite.Request{Method: "DELETE", Path: "?dryRun=All&propagationPolicy=Background"}).Code, 200)
				suite.Equal(t, "deletionTimestamp", t.Get(job).DeletionTimestamp, nil)
			},
		},
		suite.Test{
			Name: "Invalid", Description: "A dry run validates, and one of another kind than All is refused.", Source: "API conventions",
			Run: func(t *suite.T) {
				job := t.Create(newJob(elsewhere))
				for what, request := range writes(t, job, suite.Fields{"parallelism": -4}) {
					spelled(t, what, t.Do(dryly(request)), 422, "spec.parallelism: Invalid value: -4")
				}
				for what, request := range writes(t, job, suite.Fields{"parallelism": 4}) {
					spelled(t, what, t.Do(asking(request, "dryRun=Some")), 422, "dryRun")
				}
				unchanged(t, "a refused write", job)
			},
		},
	)
}

func init() {
	typo := suite.Fields{"paralelism": 4}
	subject("FieldValidation",
		suite.Test{
			Name: "Strict", Description: "With strict validation, updates and patches of each kind with a field that there is not are refused.", Source: "API conventions; guide 12",
			Run: func(t *suite.T) {
				t.Create(newJob(elsewhere))
				for what, request := range writes(t, newJob(), typo) {
					response := t.Do(asking(request, "fieldValidation=Strict"))
					if response.Code != 400 && response.Code != 422 || !strings.Contains(string(response.Body), `unknown field \"spec.paralelism\"`) {
						t.Errorf("%s: the answer is %d %s", what, response.Code, response.Body)
					}
				}
			},
		},
		suite.Test{
			Name: "Warn", Description: "With lenient validation, which is the default, a field that there is not leads to a warning with updates and patches of each kind.", Source: "API conventions; guide 12",
			Run: func(t *suite.T) {
				t.Create(newJob(elsewhere))
				for _, parameter := range []string{"fieldValidation=Warn", "pretty=false"} {
					for what, request := range writes(t, newJob(), typo) {
						response := t.Do(asking(request, parameter))
						suite.Equal(t, "code of "+what, response.Code, 200)
						suite.Equal(t, "warning of "+what, warned(response), `299 - "unknown field \"spec.paralelism\""`)
					}
				}
			},
		},
		suite.Test{
			Name: "Ignore", Description: "Without validation, a field that there is not is dropped without a word.", Source: "API conventions",
			Run: func(t *suite.T) {
				response := t.Do(suite.Request{Method: "POST", Path: "?fieldValidation=Ignore", Body: raw(t, newJob(elsewhere), typo)})
				suite.Equal(t, "code and warning", [2]any{response.Code, warned(response)}, [2]any{201, ""})
				for what, request := range writes(t, newJob(), typo) {
					response := t.Do(asking(request, "fieldValidation=Ignore"))
					suite.Equal(t, "code and warning of "+what, [2]any{response.Code, warned(response)}, [2]any{200, ""})
				}
			},
		},
		suite.Test{
			Name: "Twice", Description: "A field that stands twice is refused with strict validation; otherwise there is a warning, and the last value holds.", Source: "API conventions",
			Run: func(t *suite.T) {
				body := []byte(strings.Replace(string(raw(t, newJob(elsewhere))), `"spec":{`, `"spec":{"parallelism":2,"parallelism":3,`, 1))
				spelled(t, "strict", t.Do(suite.Request{Method: "POST", Path: "?fieldValidation=Strict", Body: body}), 400, `duplicate field \"spec.parallelism\"`)
				response := t.Do(suite.Request{Method: "POST", Body: body})
				suite.Equal(t, "warning", warned(response), `299 - "duplicate field \"spec.parallelism\""`)
				suite.Equal(t, "parallelism", or(t.Get(newJob()).Spec.Parallelism, 0), 3)
			},
		},
		suite.Test{
			Name: "Unknown", Description: "A kind of validation that there is not is refused.", Source: "API conventions",
			Run: func(t *suite.T) {
				spelled(t, "creation", t.Do(suite.Request{Method: "POST", Path: "?fieldValidation=Loose", Body: raw(t, newJob())}), 422, "fieldValidation")
			},
		},
		suite.Test{
			Name: "Apply", Description: "Applying a field that there is not is refused, however lenient validation is.", Source: "API conventions; KEP-555",
			Run: func(t *suite.T) {
				for _, kind := range []string{"Strict", "Warn", "Ignore"} {
					response := t.Do(suite.Request{
						Method: "PATCH", Path: "job?fieldManager=one&fieldValidation=" + kind, ContentType: applyPatch, Body: raw(t, newJob(elsewhere), typo),
					})
					// Kubernetes answers with 500, as if it were to blame.
					if response.Code < 400 || !strings.Contains(string(response.Body), ".spec.paralelism: field not declared in schema") {
						t.Errorf("%s: the answer is %d %s", kind, response.Code, response.Body)
					}
				}
				suite.Equal(t, "Jobs", listed(t, metav1.ListOptions{}), nil)
			},
		},
	)
}

// Requests that are refused.
func init() {
	subject("Request",
		suite.Test{
			Name: "OtherNames", Description: "A body whose name, namespace, kind or apiVersion is not that of the request is refused.", Source: "API conventions",
			Run: sendOtherNames,
		},
		suite.Test{
			Name: "Malformed", Description: "A body that is no JSON is refused, with each verb.", Source: "API conventions",
			Run: func(t *suite.T) {
				t.Create(newJob(elsewhere))
				for _, request := range []suite.Request{
					{Method: "POST"}, {Method: "PUT", Path: "job"}, {Method: "PATCH", Path: "job", ContentType: mergePatch},
					{Method: "PATCH", Path: "job", ContentType: strategicPatch}, {Method: "PATCH", Path: "job", ContentType: jsonPatch},
					{Method: "PATCH", Path: "job?fieldManager=one", ContentType: applyPatch}, {Method: "DELETE", Path: "job"},
				} {
					request.Body = []byte(`{"spec":`)
					if response := t.Do(request); response.Code != 400 {
						t.Errorf("%s %s: the answer is %d %s", request.Method, request.ContentType, response.Code, response.Body)
					}
				}
				t.Get(newJob())
			},
		},
		suite.Test{
			Name: "NoNamespace", Description: "A Job in a namespace that there is not can't be created.", Source: "API conventions",
			Run: func(t *suite.T) {
				jobs := t.Target().Jobs
				path := fmt.Sprintf("/apis/%s/%s/namespaces/no-such-namespace/jobs", jobs.Group, jobs.Version)
				spelled(t, "creation", t.Do(suite.Request{Method: "POST", Path: path, Body: raw(t, newJob())}), 404, `namespaces \"no-such-namespace\" not found`)
			},
		},
	)
}

// Requests for several Jobs, and for fields that are gone.
func init() {
	subject("Request",
		suite.Test{
			Name: "AllNamespaces", Description: "The Jobs of all namespaces can be listed, and not created without one.", Source: "API conventions; guide 11 and 13",
			Run: func(t *suite.T) {
				t.Create(newJob(elsewhere, func(job *batchv1.Job) { job.Labels = map[string]string{"only": t.Namespace()} }))
				path := "/apis/" + t.Target().Jobs.GroupVersion().String() + "/jobs"
				var list batchv1.JobList
				t.JSON(t.Do(suite.Request{Path: path + "?labelSelector=only%3D" + t.Namespace()}), &list)
				if len(list.Items) != 1 || list.Items[0].Namespace != t.Namespace() {
					t.Errorf("the list has %v", list.Items)
				}
				suite.Equal(t, "code of a creation", t.Do(suite.Request{Method: "POST", Path: path, Body: raw(t, newJob())}).Code, 405)
			},
		},
		suite.Test{
			Name: "GoneFields", Description: "A Job has no field of its own for what is alpha and off, such as spec.scheduling: it is dropped at creation.", Source: "reference 1.4, 1.9 and 1.17",
			Group: suite.GroupKubernetes,
			Run: func(t *suite.T) {
				job := t.Create(newJob(elsewhere), suite.Fields{"scheduling": suite.Fields{"schedulingPolicy": suite.Fields{"basic": suite.Fields{}}}})
				_, found := t.GetFields(job).Object["spec"].(suite.Fields)["scheduling"]
				suite.Equal(t, "spec.scheduling is there", found, false)
			},
		},
		suite.Test{
			Name: "GeneratedNames", Description: "Jobs whose names are made at the same time have different names, and a long prefix is cut.", Source: "reference 1.1; API conventions",
			Run: func(t *suite.T) {
				prefixes := []string{"made-", strings.Repeat("x", 70)}
				made, errs := make([]*batchv1.Job, 40), make([]error, 40)
				sideBySide(len(made), func(i int) {
					made[i], errs[i] = t.TryCreate(newJob(elsewhere, func(job *batchv1.Job) { job.Name, job.GenerateName = "", prefixes[i%2] }))
				})
				seen := map[string]bool{}
				for i, job := range made {
					t.Must(errs[i])
					prefix := prefixes[i%2]
					if prefix = prefix[:min(58, len(prefix))]; len(job.Name) != len(prefix)+5 || !strings.HasPrefix(job.Name, prefix) || seen[job.Name] {
						t.Errorf("a Job has the name %q", job.Name)
					}
					seen[job.Name] = true
				}
			},
		},
	)
}

func init() {
	patched := func(t *suite.T, kind types.PatchType, patch string) error {
		_, err := t.TryPatch(newJob(), kind, patch)
		return err
	}
	subject("Patch",
		suite.Test{
			Name: "Missing", Description: "A Job that is not there can't be patched, but by applying it.", Source: "API conventions",
			Run: func(t *suite.T) {
				for _, kind := range []types.PatchType{types.MergePatchType, types.StrategicMergePatchType, types.JSONPatchType} {
					patch := "{}"
					if kind == types.JSONPatchType {
						patch = "[]"
					}
					t.RefusedFor(patched(t, kind, patch), metav1.StatusReasonNotFound, `"job" not found`)
				}
			},
		},
		suite.Test{
			Name: "ResourceVersion", Description: "A patch with the resourceVersion of an earlier version is a conflict, and one of another UID is refused.", Source: "API conventions",
			Run: func(t *suite.T) {
				early := t.Create(newJob(elsewhere))
				current := t.PatchSpec(early, suite.Fields{"parallelism": 2})
				t.RefusedFor(patched(t, types.MergePatchType, fmt.Sprintf(`{"metadata":{"resourceVersion":%q},"spec":{"parallelism":3}}`, early.ResourceVersion)),
					metav1.StatusReasonConflict, "the object has been modified")
				t.Refused(patched(t, types.MergePatchType, `{"metadata":{"uid":"another"},"spec":{"parallelism":3}}`), `metadata.uid: Invalid value: "another": field is immutable`)
				t.Must(patched(t, types.MergePatchType, fmt.Sprintf(`{"metadata":{"resourceVersion":%q},"spec":{"parallelism":3}}`, current.ResourceVersion)))
			},
		},
		suite.Test{
			Name: "Identity", Description: "A patch changes neither the name nor the namespace of a Job, and its UID and creationTimestamp stay.", Source: "API conventions; reference 1.7",
			Run: func(t *suite.T) {
				job := t.Create(newJob(elsewhere))
				for what, patch := range map[string]string{"name": `{"metadata":{"name":"other"}}`, "namespace": `{"metadata":{"namespace":"other"}}`} {
					if err := patched(t, types.MergePatchType, patch); err == nil {
						t.Errorf("the %s can be changed", what)
					}
				}
				t.Must(patched(t, types.MergePatchType, `{"metadata":{"creationTimestamp":"2001-01-01T00:00:00Z","generation":77}}`))
				found := t.Get(job)
				suite.Equal(t, "uid, creationTimestamp and generation", []any{found.UID, found.CreationTimestamp, found.Generation}, []any{job.UID, job.CreationTimestamp, job.Generation})
			},
		},
		suite.Test{
			Name: "Operations", Description: "A JSON patch with a path that leads nowhere, or with more than 10000 operations, is refused.", Source: "API conventions",
			Run: func(t *suite.T) {
				t.Create(newJob(elsewhere))
				if err := patched(t, types.JSONPatchType, `[{"op":"remove","path":"/spec/no/such/field"}]`); err == nil {
					t.Errorf("the patch of a field that is not there is accepted")
				}
				many := "[" + strings.Repeat(`{"op":"test","path":"/kind","value":"Job"},`, 10000) + `{"op":"test","path":"/kind","value":"Job"}]`
				t.RefusedFor(patched(t, types.JSONPatchType, many), metav1.StatusReasonRequestEntityTooLarge, "10000")
			},
		},
	)
}

// sendOtherNames sends Jobs that say of themselves what the path of the request does not.
func sendOtherNames(t *suite.T) {
	t.Create(newJob(elsewhere))
	change := func(key string, value any) []byte {
		object := t.Object(newJob(elsewhere))
		if key == "namespace" || key == "name" {
			object.Object["metadata"].(suite.Fields)[key] = value
		} else {
			object.Object[key] = value
		}
		text, err := json.Marshal(object.Object)
		t.Must(err)
		return text
	}
	spelled(t, "another namespace", t.Do(suite.Request{Method: "POST", Body: change("namespace", "elsewhere")}), 400,
		"the namespace of the provided object does not match the namespace sent on the request")
	spelled(t, "another name", t.Do(suite.Request{Method: "PUT", Path: "job", Body: change("name", "other")}), 400,
		"the name of the object (other) does not match the name on the URL (job)")
	spelled(t, "no name", t.Do(suite.Request{Method: "PUT", Path: "job", Body: change("name", "")}), 400, "name must be provided")
	spelled(t, "another kind", t.Do(suite.Request{Method: "POST", Body: change("kind", "CronJob")}), 400, "CronJob")
	spelled(t, "another group", t.Do(suite.Request{Method: "POST", Body: change("apiVersion", "apps/v1")}), 400, "apps/v1")
}

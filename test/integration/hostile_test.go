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
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/jobserver-dev/jobserver/test/framework"
)

// hostile is a request that nobody should send.
type hostile struct {
	method, under, contentType string
	query                      []string
	body                       string
	// wantCode is the code of the answer; 0 for any of the client's errors.
	wantCode int
	// wantIn is part of the message, which is to say what is wrong.
	wantIn string
}

func hostileRequests(t *testing.T, resource schema.GroupVersionResource) map[string]hostile {
	t.Helper()
	encoded, err := json.Marshal(newJob(resource, "job", nil))
	if err != nil {
		t.Fatal(err)
	}
	valid := string(encoded)
	replace := func(old, with string) string {
		if !strings.Contains(valid, old) {
			t.Fatalf("the Job has no %s to replace", old)
		}
		return strings.Replace(valid, old, with, 1)
	}
	spec := func(text string) string { return replace(`"spec":{`, `"spec":{`+text+`,`) }
	const jsonType, yamlType = "application/json", "application/yaml"
	post := func(body, wantIn string) hostile {
		return hostile{method: http.MethodPost, contentType: jsonType, body: body, wantIn: wantIn}
	}
	other := otherGroup(resource).Group
	requests := map[string]hostile{
		"no body":                   post("", "unexpected end of JSON input"),
		"half a body":               post(valid[:len(valid)/2], "unexpected end"),
		"no JSON":                   post("hello", "invalid character"),
		"null":                      post("null", "name or generateName is required"),
		"a list":                    post("[]", ""),
		"a number":                  post("42", ""),
		"an empty object":           post("{}", "name or generateName is required"),
		"another kind":              post(replace(`"kind":"Job"`, `"kind":"CronJob"`), "CronJob"),
		"a list kind":               post(replace(`"kind":"Job"`, `"kind":"JobList"`), "JobList"),
		"no kind of ours":           post(replace(`"kind":"Job"`, `"kind":"DeleteOptions"`), ""),
		"the other group":           post(replace(`"apiVersion":"`+resource.Group+`/v1"`, `"apiVersion":"`+other+`/v1"`), other+"/v1"),
		"another version":           post(replace(`/v1"`, `/v9"`), "v9"),
		"no group":                  post(replace(resource.Group+`/v1`, `v1`), ""),
		"the internal version":      post(replace(`/v1"`, `/__internal"`), ""),
		"wrong type of a number":    post(spec(`"parallelism":"two"`), "parallelism"),
		"wrong type of an object":   post(replace(`"template":{`, `"template":[],"x":{`), ""),
		"a huge number":             post(spec(`"parallelism":99999999999999999999`), "parallelism"),
		"a number above 32 bits":    post(spec(`"parallelism":4294967296`), "parallelism"),
		"a fraction":                post(spec(`"parallelism":1.5`), "parallelism"),
		"a negative number":         post(spec(`"parallelism":-2147483648`), "spec.parallelism"),
		"a huge exponent":           post(spec(`"parallelism":1e400`), ""),
		"a broken quantity":         post(replace(`"image":`, `"resources":{"limits":{"cpu":"lots"}},"image":`), "quantit"),
		"a name of 300 characters":  post(replace(`"name":"job"`, `"name":"`+strings.Repeat("a", 300)+`"`), "metadata.name"),
		"a name of 64 characters":   post(replace(`"name":"job"`, `"name":"`+strings.Repeat("a", 64)+`"`), "must be no more than 63"),
		"a name that climbs":        post(replace(`"name":"job"`, `"name":"../../other"`), "metadata.name"),
		"a name of another script":  post(replace(`"name":"job"`, `"name":"работа"`), "metadata.name"),
		"a name with a null":        post(replace(`"name":"job"`, `"name":"a\u0000b"`), "metadata.name"),
		"another namespace":         post(replace(`"name":"job"`, `"name":"job","namespace":"default"`), "namespace"),
		"a resourceVersion":         post(replace(`"name":"job"`, `"name":"job","resourceVersion":"7"`), "resourceVersion"),
		"a label of 100 characters": post(replace(`"name":"job"`, `"name":"job","labels":{"a":"`+strings.Repeat("a", 100)+`"}`), "metadata.labels"),
		"a date that is none":       post(replace(`"name":"job"`, `"name":"job","creationTimestamp":"yesterday"`), ""),
		"deeply nested":             post(replace(`"name":"job"`, `"name":"job","x":`+strings.Repeat("[", 200_000)+strings.Repeat("]", 200_000)), ""),
		"deeply nested objects":     post(strings.Repeat(`{"a":`, 200_000)+"1"+strings.Repeat("}", 200_000), ""),
		"4 MiB": {method: http.MethodPost, contentType: jsonType, body: replace(`"name":"job"`, `"name":"job","annotations":{"a":"`+strings.Repeat("x", 4<<20)+`"}`),
			wantCode: http.StatusRequestEntityTooLarge},
		"1 MiB of annotations": post(replace(`"name":"job"`, `"name":"job","annotations":{"a":"`+strings.Repeat("x", 1<<20)+`"}`), "metadata.annotations"),
		"too large to store":   post(replace(`"command":["true"]`, `"command":["`+strings.Repeat("x", 2_500_000)+`"]`), ""),
		"duplicate keys": {method: http.MethodPost, contentType: jsonType, query: []string{"fieldValidation", "Strict"},
			body: spec(`"suspend":true,"suspend":true`), wantCode: http.StatusBadRequest, wantIn: `duplicate field "spec.suspend"`},
		"duplicate keys in YAML": {method: http.MethodPost, contentType: yamlType, query: []string{"fieldValidation", "Strict"},
			body: valid[:len(valid)-1] + ", \"kind\": Job}", wantCode: http.StatusBadRequest, wantIn: `"kind" already set`},

		"broken YAML":            {method: http.MethodPost, contentType: yamlType, body: "a: [b\n c: }", wantCode: http.StatusBadRequest},
		"YAML that refers":       {method: http.MethodPost, contentType: yamlType, body: yamlBomb(), wantCode: http.StatusBadRequest},
		"tabs in YAML":           {method: http.MethodPost, contentType: yamlType, body: "\tkind: Job", wantCode: http.StatusBadRequest},
		"no protobuf":            {method: http.MethodPost, contentType: protobufType, body: valid, wantCode: http.StatusBadRequest},
		"protobuf that ends":     {method: http.MethodPost, contentType: protobufType, body: "k8s\x00\n\xff\xff\xff\xff\x0f", wantCode: http.StatusBadRequest},
		"protobuf of nothing":    {method: http.MethodPost, contentType: protobufType, body: "k8s\x00", wantCode: http.StatusBadRequest},
		"an unknown type":        {method: http.MethodPost, contentType: "application/x-job", body: valid, wantCode: http.StatusUnsupportedMediaType},
		"an unreadable type":     {method: http.MethodPost, contentType: ";;;", body: valid},
		"an unknown verb":        {method: "BREW", under: "/job", contentType: jsonType, wantCode: http.StatusMethodNotAllowed},
		"an unknown subresource": {method: http.MethodGet, under: "/job/scale", contentType: jsonType, wantCode: http.StatusNotFound},
		"post to a Job":          {method: http.MethodPost, under: "/job", contentType: jsonType, body: valid, wantCode: http.StatusMethodNotAllowed},
		"put to all":             {method: http.MethodPut, contentType: jsonType, body: valid, wantCode: http.StatusMethodNotAllowed},
		"delete the status":      {method: http.MethodDelete, under: "/job/status", contentType: jsonType, wantCode: http.StatusMethodNotAllowed},
		"put under another name": {method: http.MethodPut, under: "/there", contentType: jsonType, body: valid, wantIn: "name"},

		"a limit that is no number":   {method: http.MethodGet, query: []string{"limit", "many"}, wantIn: "many"},
		"a version that is no number": {method: http.MethodGet, query: []string{"resourceVersion", "yesterday"}, wantIn: "yesterday"},
		"a watch from no version":     {method: http.MethodGet, query: []string{"watch", "1", "resourceVersion", "yesterday"}, wantIn: "yesterday"},
		"a broken label selector":     {method: http.MethodGet, query: []string{"labelSelector", "a in (((("}, wantCode: http.StatusBadRequest},
		"a broken field selector":     {method: http.MethodGet, query: []string{"fieldSelector", "nothing"}, wantCode: http.StatusBadRequest},
		"broken delete options":       {method: http.MethodDelete, under: "/there", contentType: jsonType, body: `{"kind":"DeleteOptions","apiVersion":"v1","gracePeriodSeconds":"soon"}`},
		"another kind of options":     {method: http.MethodDelete, under: "/there", contentType: jsonType, body: valid},
		"a field manager too long":    {method: http.MethodPost, contentType: jsonType, query: []string{"fieldManager", strings.Repeat("m", 200)}, body: valid, wantIn: "fieldManager"},
	}
	for name, request := range hostilePatches(resource) {
		requests[name] = request
	}
	return requests
}

func hostilePatches(resource schema.GroupVersionResource) map[string]hostile {
	const (
		jsonPatch, mergePatch = "application/json-patch+json", "application/merge-patch+json"
		strategic, applyPatch = "application/strategic-merge-patch+json", "application/apply-patch+yaml"
	)
	patch := func(contentType, body string) hostile {
		return hostile{method: http.MethodPatch, under: "/there", contentType: contentType, body: body}
	}
	apply := func(body string, query ...string) hostile {
		request := patch(applyPatch, body)
		request.query = query
		return request
	}
	head := `{"apiVersion":"` + resource.GroupVersion().String() + `","kind":"Job"`
	manager := []string{"fieldManager", "hostile"}
	return map[string]hostile{
		"json patch that is none":      patch(jsonPatch, `{"op":"add"}`),
		"json patch of nothing":        patch(jsonPatch, `[{"op":"replace","path":"/spec/none/of/these","value":1}]`),
		"json patch of an unknown op":  patch(jsonPatch, `[{"op":"explode","path":"/spec"}]`),
		"json patch that tests wrong":  patch(jsonPatch, `[{"op":"test","path":"/spec/parallelism","value":99}]`),
		"json patch with 20,000 steps": patch(jsonPatch, "["+strings.Repeat(`{"op":"add","path":"/metadata/labels","value":{}},`, 20_000)+`{"op":"remove","path":"/x"}]`),
		"json patch that grows":        patch(jsonPatch, `[`+strings.Repeat(`{"op":"copy","from":"/spec","path":"/spec/x"},`, 200)+`{"op":"remove","path":"/none"}]`),
		"merge patch that is none":     patch(mergePatch, `[1]`),
		"merge patch cut off":          patch(mergePatch, `{"spec":`),
		"merge patch of the kind":      patch(mergePatch, `{"kind":"Pod"}`),
		"merge patch of the name":      patch(mergePatch, `{"metadata":{"name":"other"}}`),
		"merge patch of the type":      patch(mergePatch, `{"spec":{"parallelism":{}}}`),
		"merge patch of no spec":       patch(mergePatch, `{"spec":null}`),
		"strategic patch of the type":  patch(strategic, `{"spec":{"template":{"spec":{"containers":{"a":1}}}}}`),
		"strategic directive":          patch(strategic, `{"spec":{"template":{"spec":{"containers":[{"$patch":"explode"}]}}}}`),
		"strategic patch of no name":   patch(strategic, `{"spec":{"template":{"spec":{"containers":[{"image":"x"}]}}}}`),
		"apply without a manager":      apply(head + `,"metadata":{"name":"there"}}`),
		"apply without a kind":         apply(`{"metadata":{"name":"there"}}`, manager...),
		"apply of another group":       apply(`{"apiVersion":"apps/v1","kind":"Job","metadata":{"name":"there"}}`, manager...),
		"apply of another name":        apply(head+`,"metadata":{"name":"other"}}`, manager...),
		"apply of broken YAML":         apply("a: [b\n c: }", manager...),
		"apply with managedFields":     apply(head+`,"metadata":{"name":"there","managedFields":[{"manager":"x"}]}}`, manager...),
		"apply twice the same name": apply(head+`,"metadata":{"name":"there"},"spec":{"template":{"spec":{"containers":[{"name":"a","image":"b"},{"name":"a","image":"c"}]}}}}`,
			manager...),
	}
}

// yamlBomb is a document that grows by nine with each line where its references are followed.
func yamlBomb() string {
	var document strings.Builder
	document.WriteString("a0: &a0 [x,x,x,x,x,x,x,x,x]\n")
	for i := range 9 {
		previous, this := string(rune('0'+i)), string(rune('1'+i))
		document.WriteString("a" + this + ": &a" + this + " [" + strings.TrimSuffix(strings.Repeat("*a"+previous+",", 9), ",") + "]\n")
	}
	return document.String()
}

// TestHostileRequests: whatever is sent, the answer is a Status with an error of the client's, and the server goes on.
func TestHostileRequests(t *testing.T) {
	t.Parallel()
	forEachGroup(t, func(t *testing.T, resource schema.GroupVersionResource) {
		namespace := server.Namespace(t)
		create(t, namespace, newJob(resource, "there", nil))
		before := get(t, resource, namespace, "there")
		for name, request := range hostileRequests(t, resource) {
			response := server.Do(t, framework.Request{
				Method: request.method, Path: jobsPath(resource, namespace, request.under, request.query...),
				Header: map[string]string{"Content-Type": request.contentType}, Body: []byte(request.body),
			})
			expectRefusal(t, name, request, response)
		}
		list, err := jobsIn(resource, namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if len(list.Items) != 1 || diffObjects(before.Object, list.Items[0].Object) != "" {
			t.Errorf("after it all there are %v, want the one Job as it was", names(list))
		}
	})
}

func expectRefusal(t *testing.T, name string, request hostile, response framework.Response) {
	t.Helper()
	if response.Code < 400 || response.Code >= 500 || (request.wantCode != 0 && response.Code != request.wantCode) {
		t.Errorf("%s: answer %d, want %d (0 for any error of the client's): %.300s", name, response.Code, request.wantCode, response.Body)
		return
	}
	var status metav1.Status
	if err := json.Unmarshal(response.Body, &status); err != nil || status.Kind != "Status" || status.Message == "" || int(status.Code) != response.Code {
		t.Errorf("%s: answer %d is no Status that says why: %.300s", name, response.Code, response.Body)
		return
	}
	if !strings.Contains(status.Message, request.wantIn) {
		t.Errorf("%s: message %.300q lacks %q", name, status.Message, request.wantIn)
	}
}

// TestInvalidUTF8: bytes that are no text never reach the store, in names, values or bodies of any encoding.
func TestInvalidUTF8(t *testing.T) {
	t.Parallel()
	forEachGroup(t, func(t *testing.T, resource schema.GroupVersionResource) {
		namespace := server.Namespace(t)
		create(t, namespace, newJob(resource, "there", object{"suspend": true}))
		before := get(t, resource, namespace, "there")
		encoded := encode(t, newJob(resource, "job", nil))
		replace := func(old, with string) string { return strings.Replace(encoded, old, with, 1) }
		protobuf := fetch(t, jobsPath(resource, namespace, "/there"), protobufType).Body
		// Of the same length, so that the lengths before it stay true.
		protobuf = bytes.ReplaceAll(bytes.ReplaceAll(protobuf, []byte("there"), []byte("other")), []byte("busybox"), []byte("busyb\xffx"))
		const notUTF8 = "not UTF-8"
		post := func(contentType, body string) hostile {
			return hostile{method: http.MethodPost, contentType: contentType, body: body, wantCode: http.StatusBadRequest, wantIn: notUTF8}
		}
		patch := func(contentType, body string) hostile {
			return hostile{method: http.MethodPatch, under: "/there", contentType: contentType, body: body, wantCode: http.StatusBadRequest, wantIn: notUTF8}
		}
		annotation := "{\"metadata\":{\"annotations\":{\"a\":\"b\xff\"}}}"
		inYAML := post("application/yaml", replace(`"busybox"`, "\"busyb\xffx\""))
		inYAML.wantIn = "" // its parser has words of its own
		for name, request := range map[string]hostile{
			"in a name":            post("application/json", replace(`"name":"job"`, "\"name\":\"j\xffb\"")),
			"in a key":             post("application/json", replace(`"name":"job"`, "\"name\":\"job\",\"labels\":{\"a\xff\":\"b\"}")),
			"in a label":           post("application/json", replace(`"name":"job"`, "\"name\":\"job\",\"labels\":{\"a\":\"b\xff\"}")),
			"in an image":          post("application/json", replace(`"busybox"`, "\"busyb\xffx\"")),
			"in a command":         post("application/json", replace(`["true"]`, "[\"tru\xed\xa0\x80\"]")),
			"without a type":       post("", replace(`"busybox"`, "\"busyb\xffx\"")),
			"in YAML":              inYAML,
			"in protobuf":          post(protobufType, string(protobuf)),
			"in a merge patch":     patch("application/merge-patch+json", annotation),
			"in a strategic patch": patch("application/strategic-merge-patch+json", annotation),
			"in a json patch":      patch("application/json-patch+json", "[{\"op\":\"add\",\"path\":\"/metadata/annotations\",\"value\":{\"a\":\"b\xff\"}}]"),
		} {
			response := server.Do(t, framework.Request{
				Method: request.method, Path: jobsPath(resource, namespace, request.under),
				Header: map[string]string{"Content-Type": request.contentType}, Body: []byte(request.body),
			})
			expectRefusal(t, name, request, response)
		}
		list, err := jobsIn(resource, namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if len(list.Items) != 1 || diffObjects(before.Object, list.Items[0].Object) != "" {
			t.Errorf("after it all there are %v, want the one Job as it was", names(list))
		}
	})
}

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
	"net/http"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/jobserver-dev/jobserver/test/framework"
)

// A quantity is to be refused within milliseconds, wherever it stands. Without the guard each of these requests runs into its time-out and
// goes on calculating after that.
const hugeQuantity = "1e999999999"

// TestHugeQuantitiesInJobs: through every verb and every way to write.
func TestHugeQuantitiesInJobs(t *testing.T) {
	t.Parallel()
	forEachGroup(t, func(t *testing.T, resource schema.GroupVersionResource) {
		namespace := server.Namespace(t)
		create(t, namespace, newJob(resource, "there", object{"suspend": true}))
		spec := object{"template": podTemplate()}
		container := spec["template"].(object)["spec"].(object)["containers"].([]any)[0].(object)
		container["resources"] = object{"limits": object{"cpu": hugeQuantity}}
		whole := newJob(resource, "there", spec)
		patch := object{"spec": object{"template": object{"spec": object{"containers": []any{container}}}}}
		const path = "/spec/template/spec/containers/0/resources"
		viaAnnotation := `[{"op":"add","path":"/metadata/annotations","value":{"a":"` + hugeQuantity + `"}},` +
			`{"op":"add","path":"` + path + `","value":{"limits":{}}},{"op":"copy","from":"/metadata/annotations/a","path":"` + path + `/limits/cpu"}]`
		for name, request := range map[string]hostile{
			"create":           {method: http.MethodPost, contentType: "application/json", body: encode(t, newJob(resource, "new", spec))},
			"create by dryRun": {method: http.MethodPost, contentType: "application/json", query: []string{"dryRun", "All"}, body: encode(t, newJob(resource, "new", spec))},
			"update":           {method: http.MethodPut, under: "/there", contentType: "application/json", body: encode(t, whole)},
			"update status":    {method: http.MethodPut, under: "/there/status", contentType: "application/json", body: encode(t, whole)},
			"merge patch":      {method: http.MethodPatch, under: "/there", contentType: "application/merge-patch+json", body: encode(t, patch)},
			"strategic patch":  {method: http.MethodPatch, under: "/there", contentType: "application/strategic-merge-patch+json", body: encode(t, patch)},
			"patch of status":  {method: http.MethodPatch, under: "/there/status", contentType: "application/strategic-merge-patch+json", body: encode(t, patch)},
			"json patch": {method: http.MethodPatch, under: "/there", contentType: "application/json-patch+json",
				body: `[{"op":"add","path":"` + path + `","value":{"limits":{"cpu":"` + hugeQuantity + `"}}}]`},
			"json patch that copies": {method: http.MethodPatch, under: "/there", contentType: "application/json-patch+json", body: viaAnnotation},
			"apply": {method: http.MethodPatch, under: "/there", contentType: "application/apply-patch+yaml", query: []string{"fieldManager", owner, "force", "true"},
				body: encode(t, whole)},
			"apply of a new one": {method: http.MethodPatch, under: "/new", contentType: "application/apply-patch+yaml", query: []string{"fieldManager", owner},
				body: encode(t, newJob(resource, "new", spec))},
		} {
			request.wantIn = "limits[cpu]: Invalid value: "
			response := server.Do(t, framework.Request{
				Method: request.method, Path: jobsPath(resource, namespace, request.under, request.query...),
				Header: map[string]string{"Content-Type": request.contentType}, Body: []byte(request.body),
			})
			expectRefusal(t, name, request, response)
		}
		// The same characters elsewhere are none of the guard's business.
		harmless := newJob(resource, "harmless", nil)
		harmless.SetAnnotations(map[string]string{"cpu": hugeQuantity})
		set(t, harmless, []any{object{"name": "main", "image": "busybox", "args": []any{hugeQuantity}}}, "spec", "template", "spec", "containers")
		create(t, namespace, harmless)
	})
}

// TestHostileCoreRequests: the kinds beside Jobs stand the same.
func TestHostileCoreRequests(t *testing.T) {
	t.Parallel()
	namespace := server.Namespace(t)
	in := "/api/v1/namespaces/" + namespace
	pod := func(text string) string {
		return `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"pod"},"spec":{"containers":[{"name":"main","image":"x"` + text + `}]}}`
	}
	if response := send(t, http.MethodPost, in+"/pods", "application/json", pod("")); response.Code != http.StatusCreated {
		t.Fatalf("answer %d: %s", response.Code, response.Body)
	}
	node := `{"apiVersion":"v1","kind":"Node","metadata":{"name":"` + namespace + `"}}`
	if response := send(t, http.MethodPost, "/api/v1/nodes", "application/json", node); response.Code != http.StatusCreated {
		t.Fatalf("answer %d: %s", response.Code, response.Body)
	}
	const quantity = "Invalid value: "
	requests := map[string]struct {
		method, path, contentType, body, wantIn string
	}{
		"Pod": {http.MethodPost, in + "/pods", "application/json", pod(`,"resources":{"limits":{"cpu":"1e999999999"}}`), quantity},
		"status of a Pod": {http.MethodPatch, in + "/pods/pod/status", "application/strategic-merge-patch+json",
			`{"status":{"containerStatuses":[{"name":"main","allocatedResources":{"cpu":"1e999999999"}}]}}`, quantity},
		"Node": {http.MethodPost, "/api/v1/nodes", "application/json", strings.Replace(node, `}}`, `},"status":{"capacity":{"cpu":"1e999999999"}}}`, 1), quantity},
		"status of a Node": {http.MethodPatch, "/api/v1/nodes/" + namespace + "/status", "application/merge-patch+json",
			`{"status":{"allocatable":{"cpu":"1e-999999999"}}}`, quantity},
		"apply of a Pod": {http.MethodPatch, in + "/pods/other?fieldManager=x", "application/apply-patch+yaml",
			strings.Replace(pod(`,"resources":{"limits":{"cpu":"1e999999999"}}`), `"name":"pod"`, `"name":"other"`, 1), quantity},
		"Pod of another kind":   {http.MethodPost, in + "/pods", "application/json", strings.Replace(pod(""), "Pod", "Secret", 1), "Secret"},
		"ConfigMap of 2.5 MiB":  {http.MethodPost, in + "/configmaps", "application/json", `{"metadata":{"name":"a"},"data":{"a":"` + strings.Repeat("x", 2_500_000) + `"}}`, "Too long"},
		"Secret in bad base64":  {http.MethodPost, in + "/secrets", "application/json", `{"metadata":{"name":"a"},"data":{"a":"%%%"}}`, "base64"},
		"Event of no namespace": {http.MethodPost, in + "/events", "application/json", `{"metadata":{"name":"a"},"involvedObject":{"namespace":"other"}}`, "namespace"},
		"Binding to nowhere":    {http.MethodPost, in + "/pods/pod/binding", "application/json", `{"apiVersion":"v1","kind":"Binding","metadata":{"name":"pod"}}`, ""},
		"log of no container":   {http.MethodGet, in + "/pods/pod/log?container=none", "", "", "none"},
		"log of -1 lines":       {http.MethodGet, in + "/pods/pod/log?tailLines=-1", "", "", "tailLines"},
	}
	for _, resource := range []string{"/pods", "/configmaps", "/secrets", "/events"} {
		requests["watch of "+resource] = struct{ method, path, contentType, body, wantIn string }{
			http.MethodGet, in + resource + "?watch=1&resourceVersion=yesterday", "", "", "yesterday"}
	}
	for _, resource := range []string{"nodes", "namespaces"} {
		requests["watch of "+resource] = struct{ method, path, contentType, body, wantIn string }{
			http.MethodGet, "/api/v1/" + resource + "?watch=1&resourceVersion=yesterday", "", "", "yesterday"}
	}
	for name, request := range requests {
		response := send(t, request.method, request.path, request.contentType, request.body)
		expectRefusal(t, name, hostile{wantIn: request.wantIn}, response)
	}
}

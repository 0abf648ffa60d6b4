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

// TestHostilePaths: a path leads to what it names, or nowhere.
func TestHostilePaths(t *testing.T) {
	t.Parallel()
	forEachGroup(t, func(t *testing.T, resource schema.GroupVersionResource) {
		namespace := server.Namespace(t)
		create(t, namespace, newJob(resource, "there", nil))
		jobs := jobsPath(resource, namespace, "")
		base := "/apis/" + resource.Group
		paths := map[string]string{
			"climbing":              jobs + "/../../../../../../etc/passwd",
			"climbing, encoded":     jobs + "/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
			"to the other group":    base + "/v1/../../" + otherGroup(resource).Group + "/v9/namespaces/" + namespace + "/jobs/there",
			"a dot":                 jobs + "/%2e",
			"two dots":              jobs + "/%2e%2e",
			"an encoded slash":      jobs + "/a%2fb",
			"a null":                jobs + "/there%00",
			"a percent":             jobs + "/there%25",
			"invalid UTF-8":         jobs + "/%ff%fe",
			"a line break":          jobs + "/there%0d%0aX-Header:%20a",
			"too much below":        jobs + "/there/status/more",
			"a name of 10 KiB":      jobs + "/" + strings.Repeat("a", 10_000),
			"a namespace of 10 KiB": base + "/v1/namespaces/" + strings.Repeat("a", 10_000) + "/jobs/there",
			"a namespace that ends": base + "/v1/namespaces//jobs/there",
			"another version":       base + "/v9/namespaces/" + namespace + "/jobs",
			"another case":          strings.Replace(jobs, "/jobs", "/Jobs", 1),
			"the singular":          strings.Replace(jobs, "/jobs", "/job", 1),
			"the internal version":  base + "/__internal/namespaces/" + namespace + "/jobs",
			"a trailing semicolon":  jobs + "/there;a=b",
			"a proxy":               base + "/v1/proxy/namespaces/" + namespace + "/jobs/there",
			"a watch of old style":  base + "/v1/watch/namespaces/" + namespace + "/jobs/nowhere/else/at/all",
		}
		for name, path := range paths {
			for _, method := range []string{http.MethodGet, http.MethodDelete} {
				response := server.Do(t, framework.Request{Method: method, Path: path})
				if response.Code < 400 || response.Code >= 500 {
					t.Errorf("%s %s: answer %d: %.300s", method, name, response.Code, response.Body)
				}
				if response.Header.Get("X-Header") != "" {
					t.Errorf("%s %s: a header came back from the path", method, name)
				}
			}
		}
		for _, method := range []string{"BREW", "TRACE", "PROPFIND", "get", strings.Repeat("X", 1000)} {
			if got := server.Do(t, framework.Request{Method: method, Path: jobs + "/there"}); got.Code < 400 || got.Code >= 500 {
				t.Errorf("%.10s: answer %d: %.300s", method, got.Code, got.Body)
			}
		}
		get(t, resource, namespace, "there")
	})
}

// TestBrokenProtobuf: a body that begins as a Job and ends otherwise, at each of its bytes.
func TestBrokenProtobuf(t *testing.T) {
	t.Parallel()
	forEachGroup(t, func(t *testing.T, resource schema.GroupVersionResource) {
		namespace := server.Namespace(t)
		create(t, namespace, newJob(resource, "there", nil))
		valid := fetch(t, jobsPath(resource, namespace, "/there"), protobufType).Body
		path := jobsPath(resource, namespace, "", "dryRun", "All")
		for end := range len(valid) {
			response := send(t, http.MethodPost, path, protobufType, valid[:end])
			expectRefusal(t, "cut", hostile{}, response)
			if t.Failed() {
				t.Fatalf("at byte %d of %d", end, len(valid))
			}
		}
		for name, body := range map[string][]byte{
			"a group without end":  []byte("k8s\x00" + strings.Repeat("\x0b", 1_000_000)),
			"a length beyond":      []byte("k8s\x00\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),
			"a number of field 0":  []byte("k8s\x00\x00\x00"),
			"a varint without end": []byte("k8s\x00" + strings.Repeat("\xff", 100)),
			"an unknown kind":      []byte("k8s\x00\x0a\x0c\x0a\x05a/v12\x12\x03Job"),
		} {
			expectRefusal(t, name, hostile{}, send(t, http.MethodPost, path, protobufType, body))
		}
		for i := range valid {
			changed := append([]byte(nil), valid...)
			changed[i] ^= 0x5a
			if got := send(t, http.MethodPost, path, protobufType, changed); got.Code >= 500 {
				t.Errorf("byte %d changed: answer %d: %.300s", i, got.Code, got.Body)
			}
		}
	})
}

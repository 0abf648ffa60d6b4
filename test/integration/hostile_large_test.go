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
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/jobserver-dev/jobserver/test/framework"
)

// largeRequests are at the bounds of what the server reads.
func largeRequests(t *testing.T, resource schema.GroupVersionResource) map[string]hostile {
	t.Helper()
	valid := encode(t, newJob(resource, "large", nil))
	fill := func(old, before, with, after string, size int) string {
		count := (size - len(valid) - len(before) - len(after)) / len(with)
		return strings.Replace(valid, old, before+strings.Repeat(with, count)+after, 1)
	}
	const limit = 3 << 20
	post := func(body string) hostile {
		return hostile{method: http.MethodPost, contentType: "application/json", body: body}
	}
	var env strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&env, `{"name":"E%d","value":"1"},`, i)
	}
	requests := map[string]hostile{
		"3 MiB of annotations":   post(fill(`"name":"large"`, `"name":"large","annotations":{"a":"`, "x", `"}`, limit)),
		"3 MiB of arguments":     post(fill(`"command":`, `"args":[`, `"x",`, `"x"],"command":`, limit)),
		"100,000 containers":     post(fill(`"containers":[`, `"containers":[`, `{},`, ``, 300_000)),
		"3 MiB of unknowns":      post(fill(`"spec":{`, `"spec":{"x":[`, `{},`, `{}],`, limit)),
		"100,000 env entries":    post(strings.Replace(valid, `"command":`, `"env":[`+strings.TrimSuffix(env.String(), ",")+`],"command":`, 1)),
		"3 MiB of quantities":    post(fill(`"command":`, `"resources":{"limits":{`, `"c":"1e100",`, `"c":"1e101"}},"command":`, limit)),
		"3 MiB of digits":        post(fill(`"command":`, `"resources":{"limits":{"cpu":"`, `9`, `"}},"command":`, limit)),
		"3 MiB of failure rules": post(fill(`"spec":{`, `"spec":{"podFailurePolicy":{"rules":[`, `{"action":"Ignore"},`, `{}]},`, limit)),
		"3 MiB of exit codes": post(fill(`"spec":{`, `"spec":{"podFailurePolicy":{"rules":[{"action":"Ignore","onExitCodes":{"operator":"In","values":[`, `1,`,
			`1]}}]},`, limit)),
		"3 MiB of indexes": post(fill(`"spec":{`, `"spec":{"completionMode":"Indexed","completions":3,"parallelism":1,"successPolicy":{"rules":[{"succeededIndexes":"`, `1,`,
			`2"}]},`, limit)),
		"3 MiB of nesting in YAML": {method: http.MethodPost, contentType: "application/yaml", body: strings.Repeat("[", limit-1)},
	}
	unknowns := requests["3 MiB of unknowns"]
	unknowns.query = []string{"fieldValidation", "Strict"}
	requests["3 MiB of unknowns"] = unknowns
	return requests
}

// TestLargeRequests: they are refused, and what they took is given back. It is not parallel, so that no other test's memory is counted.
func TestLargeRequests(t *testing.T) {
	namespace := server.Namespace(t)
	round := func(resource schema.GroupVersionResource) {
		for name, request := range largeRequests(t, resource) {
			path := jobsPath(resource, namespace, request.under, request.query...)
			expectRefusal(t, name, request, send(t, request.method, path, request.contentType, request.body))
		}
	}
	round(kubeJobs) // what is made once, is made
	before := heapInUse()
	round(ourJobs)
	// A round moves about half a gigabyte.
	const slack = 32 << 20
	framework.Eventually(t, "the memory is given back", func(context.Context) error {
		if after := heapInUse(); after > before+slack {
			return fmt.Errorf("%d MiB in use, %d MiB before", after>>20, before>>20)
		}
		return nil
	})
}

func heapInUse() uint64 {
	debug.FreeOSMemory()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

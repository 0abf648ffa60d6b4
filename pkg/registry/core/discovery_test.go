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

package core_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestDiscovery compares what is served with what kube-apiserver lists of the same resources.
func TestDiscovery(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	response := s.get(t.Context(), t, "/api/v1", http.Header{"Accept": {"application/json"}})
	var list metav1.APIResourceList
	if err := json.NewDecoder(response.Body).Decode(&list); err != nil {
		t.Fatal(err)
	}
	const all = "create delete deletecollection get list patch update watch"
	want := map[string]string{
		"configmaps":               "configmap ConfigMap namespaced=true [cm] [] " + all,
		"events":                   "event Event namespaced=true [ev] [] " + all,
		"namespaces":               "namespace Namespace namespaced=false [ns] [] create delete get list patch update watch",
		"namespaces/finalize":      " Namespace namespaced=false [] [] update",
		"namespaces/status":        " Namespace namespaced=false [] [] get patch update",
		"nodes":                    "node Node namespaced=false [no] [] " + all,
		"nodes/status":             " Node namespaced=false [] [] get patch update",
		"pods":                     "pod Pod namespaced=true [po] [all] " + all,
		"pods/attach":              " PodAttachOptions namespaced=true [] [] create get",
		"pods/binding":             " Binding namespaced=true [] [] create",
		"pods/ephemeralcontainers": " Pod namespaced=true [] [] get patch update",
		"pods/eviction":            " policy/v1 Eviction namespaced=true [] [] create",
		"pods/exec":                " PodExecOptions namespaced=true [] [] create get",
		"pods/log":                 " Pod namespaced=true [] [] get",
		"pods/portforward":         " PodPortForwardOptions namespaced=true [] [] create get",
		"pods/status":              " Pod namespaced=true [] [] get patch update",
		"secrets":                  "secret Secret namespaced=true [] [] " + all,
	}
	got := map[string]string{}
	for _, r := range list.APIResources {
		kind := r.Kind
		if r.Group != "" {
			kind = r.Group + "/" + r.Version + " " + kind
		}
		verbs := slices.Sorted(slices.Values(r.Verbs))
		namespaced := map[bool]string{true: "true", false: "false"}[r.Namespaced]
		got[r.Name] = strings.Join([]string{
			r.SingularName, kind, "namespaced=" + namespaced,
			"[" + strings.Join(r.ShortNames, " ") + "]", "[" + strings.Join(r.Categories, " ") + "]", strings.Join(verbs, " "),
		}, " ")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("resources (-want +got):\n%s", diff)
	}
}

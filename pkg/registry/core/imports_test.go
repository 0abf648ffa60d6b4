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
	"os/exec"
	"strings"
	"testing"
)

// TestImportsOfKubernetes keeps the list of what this package takes of k8s.io/kubernetes. Its storage and printers
// packages would bring every API group into the binary; what comes here is the strategies and what they need.
func TestImportsOfKubernetes(t *testing.T) {
	t.Parallel()
	const prefix = "k8s.io/kubernetes/pkg/"
	output, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	// API groups besides core that upstream's strategies themselves refer to; policy is ours, for evictions.
	groups := map[string]bool{"core": true, "policy": true, "apps": true, "autoscaling": true, "certificates": true, "node": true}
	count := 0
	for pkg := range strings.Lines(string(output)) {
		path, ok := strings.CutPrefix(strings.TrimSpace(pkg), prefix)
		if !ok {
			continue
		}
		count++
		group, ok := strings.CutPrefix(path, "apis/")
		group, _, _ = strings.Cut(group, "/")
		switch {
		case ok && !groups[group]:
			t.Errorf("imports the API group of %s%s", prefix, path)
		case strings.HasPrefix(path, "printers"), strings.HasPrefix(path, "controller"), strings.HasPrefix(path, "generated"):
			t.Errorf("imports %s%s", prefix, path)
		case strings.HasPrefix(path, "registry/") && (!strings.HasPrefix(path, "registry/core/") || strings.Count(path, "/") > 2):
			t.Errorf("imports %s%s, which is no strategy of core", prefix, path)
		}
	}
	if count == 0 || count > 50 {
		t.Errorf("imports %d packages of k8s.io/kubernetes; about 40 are expected", count)
	}
}

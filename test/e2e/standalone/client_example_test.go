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

package standalone

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestClientExample builds the example of the generated client and runs it twice, as docs/concepts/clients.md says.
func TestClientExample(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	program := filepath.Join(t.TempDir(), "client")
	if out, err := exec.CommandContext(t.Context(), "go", "-C", "../../..", "build", "-o", program, "./artifacts/examples/client").CombinedOutput(); err != nil {
		t.Fatalf("building the example: %v\n%s", err, out)
	}
	for _, wanted := range []string{"disruptionPolicy Ignore", "indexes 0-2 succeeded\n"} {
		out, err := exec.CommandContext(t.Context(), program, "--kubeconfig", shared.kubeconfig(), "--namespace", c.namespace).CombinedOutput()
		if err != nil || !strings.Contains(string(out), wanted) {
			t.Errorf("the example: %v, want %q in\n%s", err, wanted, out)
		}
	}
}

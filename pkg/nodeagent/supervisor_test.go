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

package nodeagent

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime/supervisor"
)

// What is initialised before a supervisor takes over costs each container time and memory. This test's own program has a good part of what the server has.
func TestSupervisorIsInitialisedEarly(t *testing.T) {
	t.Parallel()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(executable)
	command.Args = []string{supervisor.Marker}
	command.Env = append(supervisor.Environment(), "GODEBUG=inittrace=1")
	trace, _ := command.CombinedOutput() // it fails, having nothing to do
	var late []string
	for line := range strings.Lines(string(trace)) {
		// "init PATH @0.1 ms, 0.02 ms clock, ..."
		fields := strings.Fields(line)
		if len(fields) > 1 && fields[0] == "init" && (fields[1] == "regexp" || fields[1] == "go.yaml.in/yaml/v3" || strings.HasPrefix(fields[1], "k8s.io/klog")) {
			late = append(late, fields[1])
		}
	}
	if count := strings.Count(string(trace), "init "); count < 10 || len(late) > 0 {
		t.Errorf("%d packages were initialised first, among them %q; what has package supervisor come to import?\n%s", count, late, trace)
	}
}

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

package aggregated

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// jobYAML is one of our Jobs, which runs a shell command. Further lines of the spec may follow, each as "field: value".
func jobYAML(name, command string, spec ...string) string {
	return jobOf("batch.jobserver.dev/v1", name, command, spec...)
}

// jobOf is the same in another group.
func jobOf(apiVersion, name, command string, spec ...string) string {
	lines := ""
	for _, line := range spec {
		lines += "\n  " + strings.ReplaceAll(line, "\n", "\n  ")
	}
	return fmt.Sprintf(`apiVersion: %s
kind: Job
metadata:
  name: %s
spec:%s
  template:
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 1
      containers:
      - name: main
        image: none
        command: [sh, -c, %q]
`, apiVersion, name, lines, command)
}

// suspended is one of our Jobs that nobody runs, with a label.
func suspended(t testing.TB, name, set string) *unstructured.Unstructured {
	t.Helper()
	job := jobFrom(t, jobYAML(name, "true", "suspend: true"))
	job.SetLabels(map[string]string{"set": set})
	return job
}

// jobFrom reads a Job's manifest.
func jobFrom(t testing.TB, manifest string) *unstructured.Unstructured {
	t.Helper()
	job := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(manifest), &job.Object); err != nil {
		t.Fatal(err)
	}
	return job
}

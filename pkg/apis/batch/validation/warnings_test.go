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

package validation

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
)

const (
	nameWarning = "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: "
	manyWarning = "spec: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, " +
		"Kubernetes might not be able to track completedIndexes when a big number of indexes fail"
	nodeLabelWarning = "spec.template.spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use \"kubernetes.io/os\" instead"
)

func deprecatedNodeLabel(job *batch.Job) {
	job.Spec.Template.Spec.NodeSelector = map[string]string{"beta.kubernetes.io/os": "linux"}
}

func duplicateEnv(job *batch.Job) {
	job.Spec.Template.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "A", Value: "1"}, {Name: "A", Value: "2"}}
}

func TestWarningsOnCreate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		edits []edit
		want  []string
	}{
		{name: "none"},
		{name: "1.11 name with dots", edits: []edit{named("my.job")}, want: []string{nameWarning + "[must not contain dots]"}},
		{name: "1.11 long name", edits: []edit{named(strings.Repeat("n", 64))}, want: []string{nameWarning + "[must be no more than 63 characters]"}},
		{name: "1.11 many indexes", edits: []edit{indexed(100_001), parallelism(10_001)}, want: []string{manyWarning}},
		{name: "1.11 completions at the limit", edits: []edit{indexed(100_000), parallelism(10_001)}},
		{name: "1.11 parallelism at the limit", edits: []edit{indexed(100_001), parallelism(10_000)}},
		{name: "1.11 many completions, NonIndexed", edits: []edit{func(job *batch.Job) {
			job.Spec.Completions, job.Spec.Parallelism = new(int32(100_001)), new(int32(10_001))
		}}},
		{name: "1.11 no numbers", edits: []edit{indexed(1), func(job *batch.Job) { job.Spec.Completions, job.Spec.Parallelism = nil, nil }}},
		{name: "1.11 template", edits: []edit{deprecatedNodeLabel, duplicateEnv}, want: []string{
			nodeLabelWarning,
			`spec.template.spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply`,
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, WarningsOnCreate(t.Context(), newJob(c.edits...))); diff != "" {
				t.Errorf("warnings differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWarningsOnUpdate(t *testing.T) {
	t.Parallel()
	old := newJob(named("my.job"), deprecatedNodeLabel)
	job := old.DeepCopy()
	if got := WarningsOnUpdate(t.Context(), job, old); got != nil {
		t.Errorf("warnings without a change of the spec: %q", got)
	}
	job.Generation++
	if diff := cmp.Diff([]string{nodeLabelWarning}, WarningsOnUpdate(t.Context(), job, old)); diff != "" {
		t.Errorf("warnings differ (-want +got):\n%s", diff)
	}
}

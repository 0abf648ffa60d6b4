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

package plan

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

// BenchmarkCompute measures a sync of Jobs with 100,000 Pods or indexes; the aim is less than 50 ms.
func BenchmarkCompute(b *testing.B) {
	const size = 100000
	large := func() *jobBuilder { return makeJob().indexed(size).parallelism(size).started() }
	// everyOther is the worst set of indexes to keep: no two of them touch.
	everyOther := func(s *batchv1.JobStatus) {
		var odd []int
		for i := 1; i < size; i += 2 {
			odd = append(odd, i)
		}
		s.CompletedIndexes = indexesOf(odd).String()
	}
	for name, in := range map[string]Input{
		"all run":                inputAt(10, large().obj(), manyPods("p", size, func(i int, p *podBuilder) { p.index(i).ready(1) })...),
		"all succeeded":          inputAt(10, large().obj(), manyPods("p", size, func(i int, p *podBuilder) { p.index(i).succeeded(1) })...),
		"all failed":             inputAt(10, large().limitPerIndex(5).obj(), manyPods("p", size, func(i int, p *podBuilder) { p.index(i).failed(1) })...),
		"NonIndexed":             inputAt(10, makeJob().completions(size).parallelism(size).started().obj(), manyPods("p", size, func(i int, p *podBuilder) { p.succeeded(1) })...),
		"nothing yet":            inputAt(10, large().obj()),
		"every other index done": inputAt(10, large().status(everyOther).obj(), manyPods("p", size/2, func(i int, p *podBuilder) { p.index(2 * i).phase(corev1.PodRunning) })...),
		"deadline":               inputAt(10, large().deadline(1).obj(), manyPods("p", size, func(i int, p *podBuilder) { p.index(i).ready(1) })...),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				Compute(in)
			}
		})
	}
}

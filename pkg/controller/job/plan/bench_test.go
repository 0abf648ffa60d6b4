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
	"math"
	"math/rand/v2"
	"runtime"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

// BenchmarkCompute measures a sync of Jobs with 100,000 Pods or indexes; the aim is less than 50 ms. The Pods come in random order, as
// from a cache, and each case is alone in memory.
func BenchmarkCompute(b *testing.B) {
	const size = 100000
	large := func() *jobBuilder { return makeJob().indexed(size).parallelism(size).started() }
	pods := func(change func(i int, p *podBuilder)) []*corev1.Pod {
		pods := manyPods("p", size, change)
		rand.New(rand.NewPCG(1, 2)).Shuffle(size, func(i, j int) { pods[i], pods[j] = pods[j], pods[i] })
		return pods
	}
	for _, bench := range []struct {
		name string
		in   func() Input
	}{
		{"all run", func() Input {
			return inputAt(10, large().obj(), pods(func(i int, p *podBuilder) { p.index(i).ready(1) })...)
		}},
		{"all succeeded", func() Input {
			return inputAt(10, large().obj(), pods(func(i int, p *podBuilder) { p.index(i).succeeded(1) })...)
		}},
		{"all succeeded, seen before", func() Input {
			in := inputAt(10, large().obj(), pods(func(i int, p *podBuilder) { p.index(i).succeeded(1) })...)
			in.Backoff = Compute(in).Backoff
			return in
		}},
		{"all failed", func() Input {
			return inputAt(10, large().limitPerIndex(5).obj(), pods(func(i int, p *podBuilder) { p.index(i).failed(1) })...)
		}},
		{"all failed, seen before", func() Input {
			job := large().backoffLimit(math.MaxInt32).obj()
			in := inputAt(10, job, pods(func(i int, p *podBuilder) { p.index(i).failed(1) })...)
			in.Backoff = Compute(in).Backoff
			return in
		}},
		{"NonIndexed", func() Input {
			job := makeJob().completions(size).parallelism(size).started().obj()
			return inputAt(10, job, pods(func(_ int, p *podBuilder) { p.succeeded(1) })...)
		}},
		{"nothing yet", func() Input { return inputAt(10, large().obj()) }},
		{"every other index done", func() Input {
			// The worst set of indexes to keep: no two of them touch.
			odd := newIndexBits(size)
			for i := 1; i < size; i += 2 {
				odd.add(i)
			}
			job := large().status(func(s *batchv1.JobStatus) { s.CompletedIndexes = odd.set().String() }).obj()
			return inputAt(10, job, manyPods("p", size/2, func(i int, p *podBuilder) { p.index(2 * i).phase(corev1.PodRunning) })...)
		}},
		{"deadline", func() Input {
			return inputAt(10, large().deadline(1).obj(), pods(func(i int, p *podBuilder) { p.index(i).ready(1) })...)
		}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			in := bench.in()
			for i, pod := range in.Pods {
				in.Pods[i] = TrimPod(pod)
			}
			runtime.GC()
			b.ReportAllocs()
			before := cpuTime(b)
			for b.Loop() {
				Compute(in)
			}
			b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
		})
	}
}

// cpuTime is what the process has used of the processors, garbage collection included: unlike the time that passed, it is little
// disturbed by what else the machine does.
func cpuTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

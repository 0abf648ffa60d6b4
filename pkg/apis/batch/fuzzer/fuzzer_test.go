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

package fuzzer_test

import (
	"math/rand"
	"testing"

	apifuzzer "k8s.io/apimachinery/pkg/api/apitesting/fuzzer"
	metafuzzer "k8s.io/apimachinery/pkg/apis/meta/fuzzer"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	"github.com/jobserver-dev/jobserver/pkg/apis/batch/fuzzer"
)

// TestVariety makes sure that the random Jobs are not all alike: a round trip of empty ones proves nothing.
func TestVariety(t *testing.T) {
	t.Parallel()
	const jobs = 60
	seen := map[string]int{}
	for _, job := range randomJobs(fuzzer.Funcs, jobs) {
		spec := &job.Spec
		for feature, present := range map[string]bool{
			"no completions":    spec.Completions == nil,
			"completions":       spec.Completions != nil,
			"Indexed":           *spec.CompletionMode == batch.IndexedCompletion,
			"NonIndexed":        *spec.CompletionMode == batch.NonIndexedCompletion,
			"Ignore":            *spec.DisruptionPolicy == batch.DisruptionIgnore,
			"Count":             *spec.DisruptionPolicy == batch.DisruptionCount,
			"KeepPods":          *spec.SuspendPolicy == batch.SuspendKeepPods,
			"DeletePods":        *spec.SuspendPolicy == batch.SuspendDeletePods,
			"workQueuePolicy":   spec.WorkQueuePolicy != nil,
			"podFailurePolicy":  spec.PodFailurePolicy != nil && len(spec.PodFailurePolicy.Rules) > 0,
			"successPolicy":     spec.SuccessPolicy != nil && len(spec.SuccessPolicy.Rules) > 0,
			"managedBy":         spec.ManagedBy != nil,
			"containers":        len(spec.Template.Spec.Containers) > 0,
			"volumes":           len(spec.Template.Spec.Volumes) > 0,
			"conditions":        len(job.Status.Conditions) > 0,
			"uncounted Pods":    job.Status.UncountedTerminatedPods != nil,
			"failed indexes":    job.Status.FailedIndexes != nil,
			"completion time":   job.Status.CompletionTime != nil,
			"completed indexes": job.Status.CompletedIndexes != "",
		} {
			if present {
				seen[feature]++
			} else if _, known := seen[feature]; !known {
				seen[feature] = 0
			}
		}
	}
	for feature, count := range seen {
		if count < jobs/30 {
			t.Errorf("only %d of %d Jobs have %s", count, jobs, feature)
		}
	}
}

func TestKubeJobsHaveNoPolicies(t *testing.T) {
	t.Parallel()
	for seed, job := range randomJobs(fuzzer.KubeFuncs, 30) {
		if spec := job.Spec; spec.DisruptionPolicy != nil || spec.SuspendPolicy != nil || spec.WorkQueuePolicy != nil {
			t.Errorf("the Job of seed %d has a policy", seed)
		}
	}
}

// randomJobs returns the Jobs of the seeds from 0.
func randomJobs(funcs apifuzzer.FuzzerFuncs, count int) []batch.Job {
	codecs := serializer.NewCodecFactory(runtime.NewScheme())
	jobs := make([]batch.Job, count)
	for seed := range jobs {
		apifuzzer.FuzzerFor(apifuzzer.MergeFuzzerFuncs(metafuzzer.Funcs, funcs), rand.NewSource(int64(seed)), codecs).Fill(&jobs[seed])
	}
	return jobs
}

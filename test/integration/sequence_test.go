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
	"encoding/json"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"
)

// step is one write of a random sequence: who writes, through which group, how, and what.
type step struct {
	resource schema.GroupVersionResource
	manager  string
	verb     string
	status   bool
	// path is the field that is written: several, so that a manager comes to own some of them through one group and some through the other.
	path  []string
	value int64
}

// writable are the fields that steps write, of the main resource and of the status. No step writes a policy.
var writable = map[bool][][]string{
	false: {{"spec", "activeDeadlineSeconds"}, {"spec", "ttlSecondsAfterFinished"}},
	true:  {{"status", "active"}, {"status", "terminating"}},
}

func drawStep(t *rapid.T) step {
	status := rapid.Bool().Draw(t, "status")
	return step{
		resource: rapid.SampledFrom([]schema.GroupVersionResource{kubeJobs, ourJobs}).Draw(t, "group"),
		manager:  rapid.SampledFrom([]string{"a", "b", owner}).Draw(t, "manager"),
		verb:     rapid.SampledFrom([]string{"apply", "merge", "strategic", "update"}).Draw(t, "verb"),
		status:   status,
		path:     rapid.SampledFrom(writable[status]).Draw(t, "path"),
		value:    rapid.Int64Range(1, 3).Draw(t, "value"),
	}
}

func (s step) change() object {
	return object{s.path[0]: object{s.path[1]: s.value}}
}

func (s step) do(t *testing.T, namespace string) error {
	var subresources []string
	if s.status {
		subresources = []string{"status"}
	}
	jobs := jobsIn(s.resource, namespace)
	switch s.verb {
	case "update":
		job := get(t, s.resource, namespace, "job")
		merge(job.Object, s.change())
		_, err := jobs.Update(t.Context(), job, metav1.UpdateOptions{FieldManager: s.manager}, subresources...)
		return err
	case "merge", "strategic":
		patchType := map[string]types.PatchType{"merge": types.MergePatchType, "strategic": types.StrategicMergePatchType}[s.verb]
		body, err := json.Marshal(s.change())
		if err != nil {
			return err
		}
		_, err = jobs.Patch(t.Context(), "job", patchType, body, metav1.PatchOptions{FieldManager: s.manager}, subresources...)
		return err
	}
	configuration := partialJob(s.resource)
	if s.manager == owner && !s.status {
		// The owner goes on saying all that it owns, as far as the group has words for it.
		configuration = ownersJob(s.resource)
	}
	merge(configuration.Object, s.change())
	_, err := apply(t, s.resource, namespace, configuration, s.manager, true, subresources...)
	return err
}

var sequencePolicies = policies{Disruption: "Count", Suspend: "DeletePods", WorkQueue: "CompleteOnFirstSuccess"}

func ownersJob(resource schema.GroupVersionResource) *unstructured.Unstructured {
	if resource == ourJobs {
		return newJob(resource, "job", sequencePolicies.spec())
	}
	return newJob(resource, "job", object{"parallelism": int64(2)})
}

// TestRandomWritesKeepPolicies: whatever the order of writes through both groups, the policies stay as they were made, ownership stays in order, and
// the last write is what is there.
func TestRandomWritesKeepPolicies(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		namespace := server.Namespace(t)
		mustApply(t, ourJobs, namespace, ownersJob(ourJobs), owner)
		for _, step := range rapid.SliceOfN(rapid.Custom(drawStep), 1, 12).Draw(r, "steps") {
			if err := step.do(t, namespace); err != nil {
				r.Fatalf("%+v: %v", step, err)
			}
			job := get(t, ourJobs, namespace, "job")
			if got := policiesOf(job); got != sequencePolicies {
				r.Fatalf("%+v left the policies %+v", step, got)
			}
			if got := field(job, step.path...); got != step.value {
				r.Fatalf("%+v left %v", step, got)
			}
			if problem := ownershipProblem(job); problem != "" {
				r.Fatalf("%+v: %s", step, problem)
			}
		}
	})
}

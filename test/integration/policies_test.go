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
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// policies are the fields of our group that batch/v1 doesn't have.
type policies struct {
	Disruption, Suspend, WorkQueue string
}

// policySets differ in every field from what one of the groups would fill in: a value that is lost comes back as our group's default, one
// that is filled in anew as the profile's of batch/v1.
var policySets = map[string]policies{
	"unlike our defaults": {Disruption: "Count", Suspend: "DeletePods", WorkQueue: "CompleteOnFirstSuccess"},
	"unlike the profile":  {Disruption: "Ignore", Suspend: "KeepPods", WorkQueue: "RunUntilDeleted"},
}

func (p policies) spec() object {
	return object{
		"parallelism":      int64(2),
		"disruptionPolicy": p.Disruption, "suspendPolicy": p.Suspend, "workQueuePolicy": p.WorkQueue,
	}
}

func policiesOf(job *unstructured.Unstructured) policies {
	read := func(name string) string {
		value, _ := field(job, "spec", name).(string)
		return value
	}
	return policies{Disruption: read("disruptionPolicy"), Suspend: read("suspendPolicy"), WorkQueue: read("workQueuePolicy")}
}

// The managers of the tests. The owner applied the Job with its policies through our group.
const (
	owner    = "owner"
	stranger = "stranger"
)

// write is one way to change a Job through batch/v1, on the main resource or the subresource.
type write struct {
	name string
	do   func(t *testing.T, namespace string, subresources ...string) error
}

// change is what the writes change: something on the main resource, something else in the status.
func change(subresources []string) object {
	if len(subresources) > 0 {
		return object{"status": object{"active": int64(1), "startTime": "2026-01-02T03:04:05Z"}}
	}
	return object{"metadata": object{"annotations": object{"changed": "yes"}}, "spec": object{"activeDeadlineSeconds": int64(77)}}
}

func writes() []write {
	return []write{
		{"update", updateWrite},
		{"json patch", jsonPatchWrite},
		{"merge patch", mergePatchWrite(types.MergePatchType)},
		{"strategic merge patch", mergePatchWrite(types.StrategicMergePatchType)},
		{"apply", applyWrite(stranger, false)},
		{"apply by force", applyWrite(stranger, true)},
		{"apply by the owner", applyWrite(owner, false)},
		{"apply by the owner by force", applyWrite(owner, true)},
	}
}

func updateWrite(t *testing.T, namespace string, subresources ...string) error {
	job := get(t, kubeJobs, namespace, "job")
	merge(job.Object, change(subresources))
	_, err := update(t, job, namespace, subresources...)
	return err
}

func update(t *testing.T, job *unstructured.Unstructured, namespace string, subresources ...string) (*unstructured.Unstructured, error) {
	return jobsIn(kubeJobs, namespace).Update(t.Context(), job, metav1.UpdateOptions{FieldManager: stranger}, subresources...)
}

func jsonPatchWrite(t *testing.T, namespace string, subresources ...string) error {
	var patch []object
	if len(subresources) > 0 {
		patch = []object{{"op": "replace", "path": "/status", "value": change(subresources)["status"]}}
	} else {
		patch = []object{
			{"op": "add", "path": "/metadata/annotations", "value": object{"changed": "yes"}},
			{"op": "add", "path": "/spec/activeDeadlineSeconds", "value": 77},
		}
	}
	return patchJob(t, namespace, types.JSONPatchType, patch, subresources...)
}

func mergePatchWrite(patchType types.PatchType) func(*testing.T, string, ...string) error {
	return func(t *testing.T, namespace string, subresources ...string) error {
		return patchJob(t, namespace, patchType, change(subresources), subresources...)
	}
}

func patchJob(t *testing.T, namespace string, patchType types.PatchType, patch any, subresources ...string) error {
	t.Helper()
	body, err := json.Marshal(patch)
	if err != nil {
		t.Fatal(err)
	}
	_, err = jobsIn(kubeJobs, namespace).Patch(t.Context(), "job", patchType, body, metav1.PatchOptions{FieldManager: stranger}, subresources...)
	return err
}

func applyWrite(manager string, force bool) func(*testing.T, string, ...string) error {
	return func(t *testing.T, namespace string, subresources ...string) error {
		configuration := partialJob(kubeJobs)
		if manager == owner && len(subresources) == 0 {
			// What an owner leaves out is removed: it applies all of its own again, but for what it can't say here.
			configuration = newJob(kubeJobs, "job", object{"parallelism": int64(2)})
		}
		merge(configuration.Object, change(subresources))
		_, err := apply(t, kubeJobs, namespace, configuration, manager, force, subresources...)
		return err
	}
}

// partialJob returns an apply configuration that says nothing yet of the Job "job".
func partialJob(resource schema.GroupVersionResource) *unstructured.Unstructured {
	configuration := &unstructured.Unstructured{}
	configuration.SetAPIVersion(resource.GroupVersion().String())
	configuration.SetKind("Job")
	configuration.SetName("job")
	return configuration
}

func apply(t *testing.T, resource schema.GroupVersionResource, namespace string, configuration *unstructured.Unstructured, manager string, force bool, subresources ...string) (*unstructured.Unstructured, error) {
	t.Helper()
	body, err := json.Marshal(configuration)
	if err != nil {
		t.Fatal(err)
	}
	return jobsIn(resource, namespace).Patch(t.Context(), "job", types.ApplyPatchType, body,
		metav1.PatchOptions{FieldManager: manager, Force: &force}, subresources...)
}

func mustApply(t *testing.T, resource schema.GroupVersionResource, namespace string, configuration *unstructured.Unstructured, manager string) *unstructured.Unstructured {
	t.Helper()
	job, err := apply(t, resource, namespace, configuration, manager, false)
	if err != nil {
		t.Fatal(err)
	}
	return job
}

// merge puts the fields of change into target, as a merge patch does.
func merge(target, change object) {
	for key, value := range change {
		if nested, ok := value.(object); ok {
			if into, ok := target[key].(object); ok {
				merge(into, nested)
				continue
			}
		}
		target[key] = value
	}
}

// TestNoWriteThroughBatchV1LosesPolicies is the promise to a client of our group: no client of batch/v1, which can't see the
// policies, changes or loses them, nor does an apply through our group that follows.
func TestNoWriteThroughBatchV1LosesPolicies(t *testing.T) {
	t.Parallel()
	for setName, want := range policySets {
		for _, subresources := range [][]string{nil, {"status"}} {
			for _, write := range writes() {
				name := setName + "/" + write.name
				if len(subresources) > 0 {
					name += " of the status"
				}
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					namespace := server.Namespace(t)
					configuration := newJob(ourJobs, "job", want.spec())
					mustApply(t, ourJobs, namespace, configuration, owner)

					if err := write.do(t, namespace, subresources...); err != nil {
						t.Fatal(err)
					}
					written := get(t, ourJobs, namespace, "job")
					expectPolicies(t, "the write", written, want)
					expectChanged(t, written, subresources)
					expectOwnership(t, written)
					expectPoliciesAfterApplies(t, namespace, configuration, want)
				})
			}
		}
	}
}

// expectPoliciesAfterApplies applies through our group: the same again by the owner, which changes nothing the second time; something of
// another manager's; and the same through batch/v1.
func expectPoliciesAfterApplies(t *testing.T, namespace string, configuration *unstructured.Unstructured, want policies) {
	t.Helper()
	applied := mustApply(t, ourJobs, namespace, configuration, owner)
	expectPolicies(t, "an apply by the owner", applied, want)
	again := mustApply(t, ourJobs, namespace, configuration, owner)
	if again.GetResourceVersion() != applied.GetResourceVersion() {
		t.Errorf("an apply of the same made resourceVersion %s of %s", again.GetResourceVersion(), applied.GetResourceVersion())
	}

	for _, resource := range []schema.GroupVersionResource{ourJobs, kubeJobs, ourJobs} {
		labelled := partialJob(resource)
		labelled.SetLabels(map[string]string{"third": "one"})
		first := mustApply(t, resource, namespace, labelled, "third")
		second := mustApply(t, resource, namespace, labelled, "third")
		if first.GetResourceVersion() != second.GetResourceVersion() {
			t.Errorf("an apply of the same through %s made a new resourceVersion", resource.Group)
		}
		job := get(t, ourJobs, namespace, "job")
		expectPolicies(t, "an apply by a third through "+resource.Group, job, want)
		expectOwnership(t, job)
	}
}

func expectPolicies(t *testing.T, after string, job *unstructured.Unstructured, want policies) {
	t.Helper()
	if diff := cmp.Diff(want, policiesOf(job)); diff != "" {
		t.Errorf("policies after %s (-want +got):\n%s", after, diff)
	}
}

// expectChanged makes sure that a write wrote at all.
func expectChanged(t *testing.T, job *unstructured.Unstructured, subresources []string) {
	t.Helper()
	if len(subresources) > 0 {
		if got := field(job, "status", "active"); got != int64(1) {
			t.Errorf("status.active is %v after the write, want 1", got)
		}
		return
	}
	if got := field(job, "spec", "activeDeadlineSeconds"); got != int64(77) {
		t.Errorf("spec.activeDeadlineSeconds is %v after the write, want 77", got)
	}
}

func expectOwnership(t *testing.T, job *unstructured.Unstructured) {
	t.Helper()
	if problem := ownershipProblem(job); problem != "" {
		t.Error(problem)
	}
}

// ownershipProblem says what is wrong where ownership is not recorded under our version only, once for each manager, operation and subresource.
// Empty: nothing.
func ownershipProblem(job *unstructured.Unstructured) string {
	type key struct {
		Manager     string
		Operation   metav1.ManagedFieldsOperationType
		Subresource string
	}
	seen := map[key]bool{}
	for _, entry := range job.GetManagedFields() {
		if entry.APIVersion != "batch.jobserver.dev/v1" {
			return fmt.Sprintf("ownership of %s is recorded under %s", entry.Manager, entry.APIVersion)
		}
		this := key{entry.Manager, entry.Operation, entry.Subresource}
		if seen[this] {
			return fmt.Sprintf("ownership of %+v is recorded twice", this)
		}
		seen[this] = true
	}
	if len(seen) == 0 {
		return "no ownership is recorded"
	}
	return ""
}

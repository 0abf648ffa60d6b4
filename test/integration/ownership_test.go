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
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	applybatchv1 "k8s.io/client-go/applyconfigurations/batch/v1"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// otherGroup returns the other of the two groups.
func otherGroup(resource schema.GroupVersionResource) schema.GroupVersionResource {
	if resource == kubeJobs {
		return ourJobs
	}
	return kubeJobs
}

// owns reports whether a manager owns a field in a Job, on the main resource or a subresource.
func owns(t *testing.T, job *unstructured.Unstructured, manager, subresource string, path ...any) bool {
	t.Helper()
	return slices.ContainsFunc(job.GetManagedFields(), func(entry metav1.ManagedFieldsEntry) bool {
		if entry.Manager != manager || entry.Subresource != subresource {
			return false
		}
		var set fieldpath.Set
		if err := set.FromJSON(strings.NewReader(entry.FieldsV1.GetRawString())); err != nil {
			t.Fatal(err)
		}
		return set.Has(fieldpath.MakePathOrDie(path...))
	})
}

// TestConflictsAcrossGroups: a field that a manager applied through one group is its own in the other too.
func TestConflictsAcrossGroups(t *testing.T) {
	t.Parallel()
	forEachGroup(t, func(t *testing.T, resource schema.GroupVersionResource) {
		namespace := server.Namespace(t)
		mustApply(t, resource, namespace, newJob(resource, "job", object{"parallelism": int64(1), "completions": int64(3)}), owner)

		other := otherGroup(resource)
		wanted := partialJob(other)
		set(t, wanted, int64(2), "spec", "parallelism")
		_, err := apply(t, other, namespace, wanted, stranger, false)
		if !apierrors.IsConflict(err) || !strings.Contains(err.Error(), `conflict with "owner"`) || !strings.Contains(err.Error(), ".spec.parallelism") {
			t.Fatalf("error %v, want a conflict with owner over .spec.parallelism", err)
		}
		job, err := apply(t, other, namespace, wanted, stranger, true)
		if err != nil {
			t.Fatal(err)
		}
		if owns(t, job, owner, "", "spec", "parallelism") || !owns(t, job, stranger, "", "spec", "parallelism") {
			t.Error("the force did not hand .spec.parallelism over")
		}
		if !owns(t, job, owner, "", "spec", "completions") {
			t.Error("owner lost .spec.completions, which nobody else touched")
		}

		// What the stranger leaves out now goes, through whichever group it says so.
		job, err = apply(t, resource, namespace, partialJob(resource), stranger, false)
		if err != nil {
			t.Fatal(err)
		}
		if got := field(job, "spec", "parallelism"); got != int64(1) {
			t.Errorf("parallelism is %v after its only owner left it out, want the default 1", got)
		}
	})
}

// TestApplyOfPolicyConflicts: the policies have owners as any field has, and a write through batch/v1 takes none away.
func TestApplyOfPolicyConflicts(t *testing.T) {
	t.Parallel()
	namespace := server.Namespace(t)
	mustApply(t, ourJobs, namespace, newJob(ourJobs, "job", object{"disruptionPolicy": "Count"}), owner)
	if err := mergePatchWrite(types.MergePatchType)(t, namespace); err != nil {
		t.Fatal(err)
	}
	if err := applyWrite(stranger, true)(t, namespace); err != nil {
		t.Fatal(err)
	}
	if !owns(t, get(t, kubeJobs, namespace, "job"), owner, "", "spec", "disruptionPolicy") {
		t.Error("owner lost .spec.disruptionPolicy to writes through batch/v1")
	}
	wanted := partialJob(ourJobs)
	set(t, wanted, "Ignore", "spec", "disruptionPolicy")
	if _, err := apply(t, ourJobs, namespace, wanted, stranger, false); !apierrors.IsConflict(err) {
		t.Errorf("error %v, want a conflict", err)
	}
}

// TestStatusStaysTheControllers: a write to the main resource can't set the status, and so takes the ownership of no part of it, whatever
// it sends there, nor conflicts over it.
func TestStatusStaysTheControllers(t *testing.T) {
	t.Parallel()
	for _, statusGroup := range []schema.GroupVersionResource{kubeJobs, ourJobs} {
		t.Run("status through "+statusGroup.Group, func(t *testing.T) {
			forEachGroup(t, func(t *testing.T, resource schema.GroupVersionResource) {
				namespace := server.Namespace(t)
				create(t, namespace, newJob(resource, "job", nil))
				status := partialJob(statusGroup)
				set(t, status, int64(1), "status", "active")
				if _, err := apply(t, statusGroup, namespace, status, "controller", false, "status"); err != nil {
					t.Fatal(err)
				}

				job := get(t, resource, namespace, "job")
				set(t, job, int64(5), "status", "active")
				set(t, job, "yes", "metadata", "annotations", "changed")
				if _, err := jobsIn(resource, namespace).Update(t.Context(), job, metav1.UpdateOptions{FieldManager: stranger}); err != nil {
					t.Fatal(err)
				}
				expectStatusOf(t, namespace, resource, "an update")

				wanted := partialJob(resource)
				set(t, wanted, int64(6), "status", "active")
				if _, err := apply(t, resource, namespace, wanted, "applier", false); err != nil {
					t.Fatalf("an apply with a status, which is to be ignored: %v", err)
				}
				expectStatusOf(t, namespace, resource, "an apply")

				// The other way round: /status can't set the spec.
				wanted = partialJob(statusGroup)
				set(t, wanted, int64(1), "status", "active")
				set(t, wanted, int64(9), "spec", "parallelism")
				if _, err := apply(t, statusGroup, namespace, wanted, "controller", false, "status"); err != nil {
					t.Fatalf("an apply of the status with a spec, which is to be ignored: %v", err)
				}
				if got := field(get(t, resource, namespace, "job"), "spec", "parallelism"); got != int64(1) {
					t.Errorf("parallelism is %v after a write to the status, want 1", got)
				}
			})
		})
	}
}

func expectStatusOf(t *testing.T, namespace string, resource schema.GroupVersionResource, after string) {
	t.Helper()
	job := get(t, resource, namespace, "job")
	if got := field(job, "status", "active"); got != int64(1) {
		t.Errorf("status.active is %v after %s, want 1", got, after)
	}
	if !owns(t, job, "controller", "status", "status", "active") {
		t.Errorf("the controller lost .status.active to %s", after)
	}
}

// TestNoOpWritesKeepTheVersion: a write that changes nothing makes no new resourceVersion, through either group, after writes through
// either, and although time has passed.
func TestNoOpWritesKeepTheVersion(t *testing.T) {
	t.Parallel()
	namespace := server.Namespace(t)
	first := newJob(kubeJobs, "job", nil)
	mustApply(t, kubeJobs, namespace, first, "a")
	waitForNextSecond(t)
	second := partialJob(ourJobs)
	set(t, second, "DeletePods", "spec", "suspendPolicy")
	mustApply(t, ourJobs, namespace, second, "b")
	if err := mergePatchWrite(types.MergePatchType)(t, namespace); err != nil {
		t.Fatal(err)
	}
	// What the status subresource can't set differs for as long as the strategy has not taken it back.
	status := partialJob(kubeJobs)
	set(t, status, int64(1), "status", "active")
	set(t, status, int64(9), "spec", "parallelism")
	waitForNextSecond(t)
	if _, err := apply(t, kubeJobs, namespace, status, "controller", false, "status"); err != nil {
		t.Fatal(err)
	}
	// Times of ownership have whole seconds; the writes below happen in another one than those above.
	waitForNextSecond(t)
	want := get(t, ourJobs, namespace, "job")

	noOps := map[string]func() (*unstructured.Unstructured, error){
		"apply by a through batch": func() (*unstructured.Unstructured, error) { return apply(t, kubeJobs, namespace, first, "a", false) },
		"apply by b through ours":  func() (*unstructured.Unstructured, error) { return apply(t, ourJobs, namespace, second, "b", false) },
		"apply of the status": func() (*unstructured.Unstructured, error) {
			return apply(t, kubeJobs, namespace, status, "controller", false, "status")
		},
		"merge patch through batch": func() (*unstructured.Unstructured, error) {
			return nil, mergePatchWrite(types.MergePatchType)(t, namespace)
		},
		"json patch through batch": func() (*unstructured.Unstructured, error) { return nil, jsonPatchWrite(t, namespace) },
		"update through batch": func() (*unstructured.Unstructured, error) {
			return update(t, get(t, kubeJobs, namespace, "job"), namespace)
		},
		"status update through batch": func() (*unstructured.Unstructured, error) {
			return update(t, get(t, kubeJobs, namespace, "job"), namespace, "status")
		},
		"empty apply of nobody's": func() (*unstructured.Unstructured, error) {
			return apply(t, kubeJobs, namespace, partialJob(kubeJobs), "c", false)
		},
	}
	for name, noOp := range noOps {
		if _, err := noOp(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		got := get(t, ourJobs, namespace, "job")
		if got.GetResourceVersion() != want.GetResourceVersion() {
			t.Errorf("%s made resourceVersion %s of %s:\n%s", name, got.GetResourceVersion(), want.GetResourceVersion(),
				cmp.Diff(want.Object, got.Object))
			want = got
		}
	}
}

// TestFirstNoOpKeepsTheVersion: nothing that only reading adds to a new Job is stored by the first write that changes nothing.
func TestFirstNoOpKeepsTheVersion(t *testing.T) {
	t.Parallel()
	forEachGroup(t, func(t *testing.T, resource schema.GroupVersionResource) {
		namespace := server.Namespace(t)
		configuration := newJob(resource, "job", nil)
		first := mustApply(t, resource, namespace, configuration, owner)
		second := mustApply(t, resource, namespace, configuration, owner)
		if diff := cmp.Diff(first.Object, second.Object); diff != "" {
			t.Errorf("the second apply of the same made a difference (-first +second):\n%s", diff)
		}
	})
}

// waitForNextSecond waits until the clock shows another second. It waits for time itself: what is written in another second has another time of
// ownership.
func waitForNextSecond(t *testing.T) {
	t.Helper()
	select {
	case <-time.After(time.Until(time.Now().Truncate(time.Second).Add(time.Second))):
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
	}
}

// TestExtractThroughBatchV1: what client-go extracts for a manager is what that manager applied, though ownership is recorded under
// our version.
func TestExtractThroughBatchV1(t *testing.T) {
	t.Parallel()
	namespace := server.Namespace(t)
	mustApply(t, ourJobs, namespace, newJob(ourJobs, "job", object{"disruptionPolicy": "Count", "backoffLimit": int64(3)}), owner)
	typed, err := server.Kube.BatchV1().Jobs(namespace).Get(t.Context(), "job", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	extracted, err := applybatchv1.ExtractJob(typed, owner)
	if err != nil {
		t.Fatal(err)
	}
	if extracted.Spec == nil || extracted.Spec.BackoffLimit == nil || *extracted.Spec.BackoffLimit != 3 || extracted.Spec.Parallelism != nil {
		t.Errorf("extracted %+v, want the back-off limit, which was applied, and no parallelism, which was not", extracted.Spec)
	}
	extracted.Spec.WithBackoffLimit(2)
	applied, err := server.Kube.BatchV1().Jobs(namespace).Apply(t.Context(), extracted, metav1.ApplyOptions{FieldManager: owner})
	if err != nil {
		t.Fatal(err)
	}
	if got := *applied.Spec.BackoffLimit; got != 2 || *applied.Spec.CompletionMode != batchv1.NonIndexedCompletion {
		t.Errorf("back-off limit %d after the apply, want 2", got)
	}
	if got := field(get(t, ourJobs, namespace, "job"), "spec", "disruptionPolicy"); got != "Count" {
		t.Errorf("disruptionPolicy is %v, want Count", got)
	}
}

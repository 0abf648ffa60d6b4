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
	"net/http"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// background deletes at once: nothing has to be orphaned first, which no controller here would do.
func background() metav1.DeleteOptions {
	return metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationBackground)}
}

func TestPreconditions(t *testing.T) {
	t.Parallel()
	forEachGroup(t, func(t *testing.T, resource schema.GroupVersionResource) {
		namespace := server.Namespace(t)
		jobs := jobsIn(resource, namespace)
		created := create(t, namespace, newJob(resource, "job", nil))
		for name, preconditions := range map[string]metav1.Preconditions{
			"uid":             {UID: new(types.UID("another"))},
			"resourceVersion": {ResourceVersion: new("1")},
		} {
			options := background()
			options.Preconditions = &preconditions
			if err := jobs.Delete(t.Context(), "job", options); !apierrors.IsConflict(err) {
				t.Errorf("deleting with another %s: %v, want a conflict", name, err)
			}
		}

		stale := created.DeepCopy()
		version := label(t, resource, namespace, "job", "1")
		if _, err := jobs.Update(t.Context(), stale, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
			t.Errorf("an update of an old version: %v, want a conflict", err)
		}
		if _, err := jobs.UpdateStatus(t.Context(), stale, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
			t.Errorf("a status update of an old version: %v, want a conflict", err)
		}
		patch := []byte(`{"metadata":{"resourceVersion":"` + created.GetResourceVersion() + `","labels":{"a":"b"}}}`)
		if _, err := jobs.Patch(t.Context(), "job", types.MergePatchType, patch, metav1.PatchOptions{}); !apierrors.IsConflict(err) {
			t.Errorf("a patch of an old version: %v, want a conflict", err)
		}
		stale.SetUID("another")
		stale.SetResourceVersion(version)
		if _, err := jobs.Update(t.Context(), stale, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
			t.Errorf("an update of another UID: %v, want a conflict", err)
		}

		stale.SetUID(created.GetUID())
		stale.SetResourceVersion("")
		if _, err := jobs.Update(t.Context(), stale, metav1.UpdateOptions{}); err != nil {
			t.Errorf("an update that asks for no version: %v", err)
		}
		options := background()
		options.Preconditions = &metav1.Preconditions{UID: new(created.GetUID())}
		if err := jobs.Delete(t.Context(), "job", options); err != nil {
			t.Errorf("deleting with the UID: %v", err)
		}
	})
}

func TestFinalizers(t *testing.T) {
	t.Parallel()
	forEachGroup(t, func(t *testing.T, resource schema.GroupVersionResource) {
		namespace := server.Namespace(t)
		jobs := jobsIn(resource, namespace)
		job := newJob(resource, "job", nil)
		job.SetFinalizers([]string{"example.com/hold"})
		created := create(t, namespace, job)
		if err := jobs.Delete(t.Context(), "job", background()); err != nil {
			t.Fatal(err)
		}
		deleting := get(t, resource, namespace, "job")
		if deleting.GetDeletionTimestamp() == nil || deleting.GetGeneration() != created.GetGeneration()+1 {
			t.Fatalf("deletionTimestamp %v, generation %d; want one, and one more than %d",
				deleting.GetDeletionTimestamp(), deleting.GetGeneration(), created.GetGeneration())
		}
		if _, err := jobs.Patch(t.Context(), "job", types.JSONPatchType,
			[]byte(`[{"op":"add","path":"/metadata/finalizers/-","value":"example.com/late"}]`), metav1.PatchOptions{}); !apierrors.IsInvalid(err) {
			t.Errorf("a finalizer added while deleting: %v, want Invalid", err)
		}
		// The status subresource may take it off, as controllers do.
		deleting.SetFinalizers(nil)
		if _, err := jobs.UpdateStatus(t.Context(), deleting, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := jobs.Get(t.Context(), "job", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("error %v after the last finalizer went, want NotFound", err)
		}
	})
}

func TestPropagationPolicies(t *testing.T) {
	t.Parallel()
	forEachGroup(t, func(t *testing.T, resource schema.GroupVersionResource) {
		namespace := server.Namespace(t)
		for policy, want := range map[metav1.DeletionPropagation]string{
			metav1.DeletePropagationForeground: "foregroundDeletion",
			metav1.DeletePropagationOrphan:     "orphan",
			metav1.DeletePropagationBackground: "",
		} {
			name := strings.ToLower(string(policy))
			create(t, namespace, newJob(resource, name, nil))
			if err := jobsIn(resource, namespace).Delete(t.Context(), name, metav1.DeleteOptions{PropagationPolicy: &policy}); err != nil {
				t.Fatal(err)
			}
			job, err := jobsIn(resource, namespace).Get(t.Context(), name, metav1.GetOptions{})
			if want == "" {
				if !apierrors.IsNotFound(err) {
					t.Errorf("%s: error %v, want NotFound", policy, err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(job.GetFinalizers(), ","); got != want || job.GetDeletionTimestamp() == nil {
				t.Errorf("%s: finalizers %q, want %q and a deletionTimestamp", policy, got, want)
			}
		}
		create(t, namespace, newJob(resource, "job", nil))
		response := send(t, http.MethodDelete, jobsPath(resource, namespace, "/job", "propagationPolicy", "Sideways"), "application/json", nil)
		if status := statusOf(t, response); status.Reason != metav1.StatusReasonInvalid || !strings.Contains(status.Message, "propagationPolicy") {
			t.Errorf("answer %d %s to an unknown policy, want Invalid", response.Code, status.Message)
		}
	})
}

func TestGenerateName(t *testing.T) {
	t.Parallel()
	forEachGroup(t, func(t *testing.T, resource schema.GroupVersionResource) {
		namespace := server.Namespace(t)
		seen := map[string]bool{}
		for range 3 {
			job := newJob(resource, "", nil)
			job.SetGenerateName("gen-")
			created := create(t, namespace, job)
			name := created.GetName()
			if !strings.HasPrefix(name, "gen-") || len(name) != len("gen-")+5 || seen[name] {
				t.Errorf("generated the name %q, want a new one of gen- and five characters", name)
			}
			seen[name] = true
			if got := field(created, "spec", "template", "metadata", "labels", "job-name"); got != name {
				t.Errorf("the Pods are labelled with %v, want the generated name %s", got, name)
			}
		}
		long := newJob(resource, "", nil)
		long.SetGenerateName(strings.Repeat("a", 80))
		if got := len(create(t, namespace, long).GetName()); got != 63 {
			t.Errorf("a name of %d characters from a long prefix, want it cut to 63", got)
		}
		_, err := jobsIn(resource, namespace).Create(t.Context(), newJob(resource, "", nil), metav1.CreateOptions{})
		if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "metadata.name: Required value: name or generateName is required") {
			t.Errorf("error %v of a Job without any name", err)
		}
	})
}

// TestPutDoesNotCreate: a Job is created by POST or apply.
func TestPutDoesNotCreate(t *testing.T) {
	t.Parallel()
	forEachGroup(t, func(t *testing.T, resource schema.GroupVersionResource) {
		namespace := server.Namespace(t)
		if _, err := jobsIn(resource, namespace).Update(t.Context(), newJob(resource, "job", nil), metav1.UpdateOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("error %v, want NotFound", err)
		}
		status := partialJob(resource)
		set(t, status, int64(1), "status", "active")
		if _, err := apply(t, resource, namespace, status, owner, true, "status"); !apierrors.IsNotFound(err) {
			t.Errorf("error %v of an apply to the status, want NotFound", err)
		}
	})
}

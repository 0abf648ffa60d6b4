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

package clients

import (
	"context"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
)

func TestCreateOrUpdate(t *testing.T) {
	t.Parallel()
	forEachKind(t, func(t *testing.T, k kind) {
		namespace, c := server.Namespace(t), newClient(t)
		for _, step := range []struct {
			parallelism int32
			want        controllerutil.OperationResult
		}{
			{1, controllerutil.OperationResultCreated},
			{1, controllerutil.OperationResultNone},
			{2, controllerutil.OperationResultUpdated},
		} {
			job := k.job(namespace, "job")
			got, err := controllerutil.CreateOrUpdate(t.Context(), c, job, func() error {
				*k.parallelism(job) = &step.parallelism
				return nil
			})
			if err != nil || got != step.want {
				t.Errorf("parallelism %d: %s, %v; want %s", step.parallelism, got, err, step.want)
			}
		}
		job := k.job(namespace, "job")
		got, err := controllerutil.CreateOrPatch(t.Context(), c, job, func() error {
			*k.parallelism(job), *k.active(job) = new(int32(3)), 1
			return nil
		})
		if err != nil || got != controllerutil.OperationResultUpdatedStatus {
			t.Errorf("a patch of both: %s, %v; want %s", got, err, controllerutil.OperationResultUpdatedStatus)
		}
		stored := mustGet(t, c, k, namespace, "job")
		if **k.parallelism(stored) != 3 || *k.active(stored) != 1 {
			t.Errorf("parallelism %d and active %d, want 3 and 1", **k.parallelism(stored), *k.active(stored))
		}
	})
}

// TestStatusWriter: the status is written apart from the rest, with and without a look at the version.
func TestStatusWriter(t *testing.T) {
	t.Parallel()
	forEachKind(t, func(t *testing.T, k kind) {
		namespace, c := server.Namespace(t), newClient(t)
		job := k.job(namespace, "job")
		mustCreate(t, c, job)
		stale := job.DeepCopyObject().(client.Object)

		*k.active(job), *k.parallelism(job) = 1, new(int32(9))
		if err := c.Status().Update(t.Context(), job); err != nil {
			t.Fatal(err)
		}
		if **k.parallelism(job) != 1 || *k.active(job) != 1 {
			t.Errorf("parallelism %d and active %d after a status update, want 1 and 1", **k.parallelism(job), *k.active(job))
		}
		*k.active(stale) = 5
		expectConflict(t, "a status update of an old version", c.Status().Update(t.Context(), stale))

		before := stale.DeepCopyObject().(client.Object)
		*k.active(stale) = 6
		expectConflict(t, "a status patch of an old version",
			c.Status().Patch(t.Context(), stale, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})))
		for name, patch := range map[string]client.Patch{"merge": client.MergeFrom(before), "strategic merge": client.StrategicMergeFrom(before)} {
			*k.active(stale) = 7
			if err := c.Status().Patch(t.Context(), stale, patch); err != nil {
				t.Errorf("a %s patch of the status: %v", name, err)
			}
		}
		if err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
			latest := mustGet(t, c, k, namespace, "job")
			*k.active(latest)++
			return c.Status().Update(t.Context(), latest)
		}); err != nil {
			t.Fatal(err)
		}
		if got := *k.active(mustGet(t, c, k, namespace, "job")); got != 8 {
			t.Errorf("active %d, want 8", got)
		}
	})
}

// TestApply: server-side apply of spec and status by two owners, typed and not.
func TestApply(t *testing.T) {
	t.Parallel()
	forEachKind(t, func(t *testing.T, k kind) {
		namespace, c := server.Namespace(t), newClient(t)
		if err := c.Apply(t.Context(), k.apply(namespace, "job", 1), client.FieldOwner("first")); err != nil {
			t.Fatal(err)
		}
		second := client.FieldOwner("second")
		err := c.Apply(t.Context(), k.apply(namespace, "job", 2), second)
		if !apierrors.IsConflict(err) || !strings.Contains(err.Error(), `conflict with "first": .spec.parallelism`) {
			t.Errorf("error %v, want a conflict with first over .spec.parallelism", err)
		}
		if err := c.Apply(t.Context(), k.apply(namespace, "job", 2), second, client.ForceOwnership); err != nil {
			t.Error(err)
		}
		if err := c.Status().Apply(t.Context(), k.applyActive(namespace, "job", 1), client.FieldOwner("first")); err != nil {
			t.Error(err)
		}
		err = c.Status().Apply(t.Context(), k.applyActive(namespace, "job", 2), second)
		if !apierrors.IsConflict(err) || !strings.Contains(err.Error(), `conflict with "first" with subresource "status": .status.active`) {
			t.Errorf("error %v, want a conflict with first over .status.active", err)
		}
		if err := c.Status().Apply(t.Context(), k.applyActive(namespace, "job", 2), second, client.ForceOwnership); err != nil {
			t.Error(err)
		}
		if job := mustGet(t, c, k, namespace, "job"); **k.parallelism(job) != 2 || *k.active(job) != 2 {
			t.Errorf("parallelism %d and active %d, want 2 and 2", **k.parallelism(job), *k.active(job))
		}
		// Of a field that nobody applies any more the default is left.
		untyped := &unstructured.Unstructured{Object: map[string]any{
			"metadata": map[string]any{"namespace": namespace, "name": "job"},
			"spec":     map[string]any{"backoffLimit": int64(1)},
		}}
		untyped.SetGroupVersionKind(k.version.WithKind("Job"))
		if err := c.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(untyped), second); err != nil {
			t.Fatal(err)
		}
		if got := **k.parallelism(mustGet(t, c, k, namespace, "job")); got != 1 {
			t.Errorf("parallelism %d after its owner left it out, want the default", got)
		}
	})
}

// TestOtherVerbs: dry run, field validation, the watch, and deletion with selectors and preconditions.
func TestOtherVerbs(t *testing.T) {
	t.Parallel()
	forEachKind(t, func(t *testing.T, k kind) {
		namespace, c := server.Namespace(t), newClient(t)
		watcher, err := c.Watch(t.Context(), k.list(), client.InNamespace(namespace))
		if err != nil {
			t.Fatal(err)
		}
		defer watcher.Stop()
		expectEvent := func(kind watch.EventType, name string) {
			t.Helper()
			if e := receive(t, watcher.ResultChan()); e.Type != kind || e.Object.(client.Object).GetName() != name {
				t.Errorf("event %s of %s, want %s of %s", e.Type, e.Object.(client.Object).GetName(), kind, name)
			}
		}
		dry := client.NewDryRunClient(c)
		mustCreate(t, dry, k.job(namespace, "dry"))
		if err := c.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "dry"}, k.empty()); !apierrors.IsNotFound(err) {
			t.Errorf("error %v after a dry run, want NotFound", err)
		}
		for _, name := range []string{"a", "b", "c"} {
			job := k.job(namespace, name)
			job.SetLabels(map[string]string{"vowel": map[bool]string{true: "yes", false: "no"}[name == "a"]})
			mustCreate(t, c, job)
			expectEvent(watch.Added, name)
		}

		unknown := &unstructured.Unstructured{Object: map[string]any{
			"metadata": map[string]any{"namespace": namespace, "name": "unknown"}, "spec": map[string]any{"parallelsm": int64(1)},
		}}
		unknown.SetGroupVersionKind(k.version.WithKind("Job"))
		if err := client.WithFieldValidation(c, metav1.FieldValidationStrict).Create(t.Context(), unknown); err == nil || !strings.Contains(err.Error(), `unknown field "spec.parallelsm"`) {
			t.Errorf("error %v of an unknown field under Strict", err)
		}

		job := mustGet(t, c, k, namespace, "a")
		expectConflict(t, "a deletion of another UID", c.Delete(t.Context(), job, client.Preconditions{UID: new(job.GetUID() + "x")}))
		background := client.PropagationPolicy(metav1.DeletePropagationBackground)
		if err := c.DeleteAllOf(t.Context(), k.empty(), client.InNamespace(namespace), client.MatchingLabels{"vowel": "yes"}, background); err != nil {
			t.Fatal(err)
		}
		expectEvent(watch.Deleted, "a")
		jobs := k.list()
		if err := c.List(t.Context(), jobs, client.InNamespace(namespace), client.Limit(1)); err != nil {
			t.Fatal(err)
		}
		if err := expectLen(jobs, 1); err != nil || jobs.GetContinue() == "" {
			t.Errorf("a page of one: %v, continue %q", err, jobs.GetContinue())
		}
		if err := c.List(t.Context(), jobs, client.InNamespace(namespace), client.Limit(1), client.Continue(jobs.GetContinue())); err != nil || jobs.GetContinue() != "" {
			t.Errorf("the last page: %v, continue %q", err, jobs.GetContinue())
		}
	})
}

func mustGet(t *testing.T, c client.Client, k kind, namespace, name string) client.Object {
	t.Helper()
	job := k.empty()
	if err := c.Get(context.WithoutCancel(t.Context()), client.ObjectKey{Namespace: namespace, Name: name}, job); err != nil {
		t.Fatal(err)
	}
	return job
}

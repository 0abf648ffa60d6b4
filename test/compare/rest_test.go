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

package compare

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/warning"
)

var kind = schema.GroupVersionKind{Group: "batch", Version: "v1", Kind: "Job"}

// both runs ask on each side and compares the answers.
func both[T any](t *testing.T, what string, ask func(*side) T) {
	t.Helper()
	upstream, ours := sides(t)
	if diff := cmp.Diff(ask(upstream), ask(ours)); diff != "" {
		t.Errorf("%s differs (-Kubernetes +jobserver):\n%s", what, diff)
	}
}

// TestResource compares what the resource says of itself.
func TestResource(t *testing.T) {
	both(t, "categories", func(s *side) []string { return s.jobs.Categories() })
	both(t, "singular name", func(s *side) string { return s.jobs.GetSingularName() })
	both(t, "namespaced", func(s *side) bool { return s.create.NamespaceScoped() })
	both(t, "create by PUT", func(s *side) bool { return s.update.AllowCreateOnUpdate(requestContext(update)) })
	both(t, "PUT without resourceVersion", func(s *side) bool { return s.update.AllowUnconditionalUpdate(requestContext(update)) })
	both(t, "default propagation", func(s *side) rest.GarbageCollectionPolicy {
		return s.create.(rest.GarbageCollectionDeleteStrategy).DefaultGarbageCollectionPolicy(requestContext(update))
	})
	both(t, "kind in errors", func(s *side) string {
		kinds, _, err := s.create.ObjectKinds(s.newHub())
		return fmt.Sprint(kinds[0].GroupKind(), err)
	})
	both(t, "reset fields", func(s *side) string { return resetFields(s.jobs) })
	both(t, "reset fields of the status", func(s *side) string { return resetFields(s.status) })
}

// resetFields are those of batch/v1. Ours come under our version too, which batch/v1's fields are recorded under (see differences).
func resetFields(of rest.ResetFieldsStrategy) string {
	return of.GetResetFields()["batch/v1"].String()
}

// TestDeleteWarnings compares the warning of Pods that stay, for each way to say what becomes of them or not to.
func TestDeleteWarnings(t *testing.T) {
	for name, options := range map[string]*metav1.DeleteOptions{
		"unset":      {},
		"background": {PropagationPolicy: new(metav1.DeletePropagationBackground)},
		"orphan":     {PropagationPolicy: new(metav1.DeletePropagationOrphan)},
		"deprecated": {OrphanDependents: new(false)}, //nolint:staticcheck // clients still send it
	} {
		both(t, name, func(s *side) []string { return warned(s, options) })
	}
}

// recorder collects warnings.
type recorder struct{ texts []string }

// AddWarning is warning.Recorder.
func (r *recorder) AddWarning(_, text string) {
	r.texts = append(r.texts, text)
}

func warned(s *side, options *metav1.DeleteOptions) []string {
	recorded := &recorder{}
	ctx := warning.WithWarningRecorder(requestContext(update), recorded)
	accept := func(context.Context, runtime.Object) error { return nil }
	// There is no such Job, which is found after the warning.
	_, _, err := s.jobs.Delete(ctx, "none", accept, options.DeepCopy())
	if recorded.AddWarning("", fmt.Sprint(err)); err == nil {
		panic("deleted what is not there")
	}
	if _, err := s.jobs.DeleteCollection(ctx, accept, options.DeepCopy(), &internalversion.ListOptions{}); err != nil {
		panic(err)
	}
	return recorded.texts
}

// TestFieldLabels compares the fields that a selector may name.
func TestFieldLabels(t *testing.T) {
	for _, label := range []string{"metadata.name", "metadata.namespace", "status.successful", "status.succeeded", "metadata.uid", "spec.suspend", ""} {
		both(t, label, func(s *side) string {
			label, value, err := s.scheme.ConvertFieldLabel(kind.GroupVersion().WithKind("Job"), label, "1")
			return fmt.Sprint(label, value, err)
		})
	}
}

// TestTables compares whole tables; the cells of each random Job are compared by run.
func TestTables(t *testing.T) {
	ctx := genericapirequest.WithNamespace(t.Context(), namespace)
	for name, options := range map[string]*metav1.TableOptions{"headers": {}, "no headers": {NoHeaders: true}, "unset": nil} {
		both(t, name, func(s *side) *metav1.Table {
			table := must(s.jobs.ConvertToTable(ctx, must(s.decoded(stored(newJob()))), options))
			return withoutObjects(table)
		})
		both(t, name+", of a status", func(s *side) *metav1.Table {
			return withoutObjects(must(s.status.ConvertToTable(ctx, must(s.decoded(stored(newJob()))), options)))
		})
		both(t, name+", of a list", func(s *side) *metav1.Table {
			list := &batchv1.JobList{ListMeta: metav1.ListMeta{ResourceVersion: "9", Continue: "c", RemainingItemCount: new(int64(3))},
				Items: []batchv1.Job{*stored(newJob(), complete), *stored(newJob(indexed(5, 5)), runningIndexed)}}
			hub := s.jobs.NewList()
			if err := s.scheme.Convert(list, hub, nil); err != nil {
				t.Fatal(err)
			}
			return withoutObjects(must(s.jobs.ConvertToTable(ctx, hub, options)))
		})
	}
}

// TestTableErrors compares what can't be printed.
func TestTableErrors(t *testing.T) {
	both(t, "options of another kind", func(s *side) bool {
		_, err := s.jobs.ConvertToTable(t.Context(), s.newHub(), &metav1.ListOptions{})
		return err != nil
	})
	both(t, "another object", func(s *side) bool {
		_, err := s.jobs.ConvertToTable(t.Context(), &metav1.ListOptions{}, &metav1.TableOptions{})
		return err != nil
	})
}

// withoutObjects leaves out the hub objects, whose types differ, and the cells that depend on the time of printing.
func withoutObjects(table *metav1.Table) *metav1.Table {
	for i := range table.Rows {
		row := &table.Rows[i]
		row.Object = runtime.RawExtension{}
		row.Cells = slices.Clone(row.Cells)
		row.Cells[3], row.Cells[4] = nil, nil
	}
	return table
}

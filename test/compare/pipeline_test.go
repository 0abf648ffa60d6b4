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
	"encoding/json"
	"fmt"
	"slices"

	"github.com/go-logr/logr"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/klog/v2"
)

const namespace = "default"

// A verb is one way to write a Job.
type verb string

const (
	create       verb = "create"
	update       verb = "update"
	statusUpdate verb = "status update"
)

// A request is one write, with the objects as a client or etcd has them: not defaulted.
type request struct {
	verb verb
	job  *batchv1.Job
	old  *batchv1.Job // what is stored; nil on create
}

// An outcome is all that one side says to a request. Objects are JSON.
type outcome struct {
	Panic     string   // what stopped the side, and then nothing else is compared
	Defaulted string   // the new object, defaulted, in its version
	Decoded   string   // the same, once through the hub
	Prepared  string   // the new object as the strategy prepared it
	Errors    []string // see errorLines
	Warnings  []string // of an accepted object only, as in the server
	Accepted  string   // what would be stored
	Row       string   // the table's cells
	Selected  string   // labels and fields to select by
}

// run takes the request through the side, in the order of rest.BeforeCreate and rest.BeforeUpdate, which can't be called themselves: they fold
// errors into a message. What is left out of them is no side's own: it concerns names, namespaces and the time of creation.
func (s *side) run(req request) (out outcome) {
	defer func() {
		if reason := recover(); reason != nil {
			out.Panic = fmt.Sprint(reason)
		}
	}()
	ctx := requestContext(req.verb)
	job := req.job.DeepCopy()
	hub := must(s.decoded(job))
	out.Defaulted = toJSON(job)
	out.Decoded = toJSON(must(s.encoded(hub)))
	out.Row = s.row(ctx, hub)

	if req.verb == create {
		s.runCreate(ctx, hub, &out)
	} else {
		s.runUpdate(ctx, hub, must(s.decoded(req.old.DeepCopy())), s.updateStrategy(req.verb), &out)
	}
	return out
}

func (s *side) updateStrategy(verb verb) rest.RESTUpdateStrategy {
	if verb == statusUpdate {
		return s.statuses
	}
	return s.update
}

func (s *side) runCreate(ctx context.Context, hub runtime.Object, out *outcome) {
	s.create.PrepareForCreate(ctx, hub)
	out.Prepared = toJSON(must(s.encoded(hub)))
	out.Errors = errorLines(rest.ValidateCreate(ctx, hub, s.create))
	if len(out.Errors) > 0 {
		return
	}
	out.Warnings = s.create.WarningsOnCreate(ctx, hub)
	s.create.Canonicalize(hub)
	s.accept(hub, out)
}

func (s *side) runUpdate(ctx context.Context, hub, old runtime.Object, strategy rest.RESTUpdateStrategy, out *outcome) {
	// The registry hands a strategy a copy of the new object, of which nothing is shared.
	hub = hub.DeepCopyObject()
	now, before := must(meta.Accessor(hub)), must(meta.Accessor(old))
	now.SetGeneration(before.GetGeneration())
	strategy.PrepareForUpdate(ctx, hub, old)
	if now.GetUID() == "" {
		now.SetUID(before.GetUID())
	}
	if created := before.GetCreationTimestamp(); !created.IsZero() {
		now.SetCreationTimestamp(created)
	}
	if deleted := before.GetDeletionTimestamp(); !deleted.IsZero() {
		now.SetDeletionTimestamp(deleted)
	}
	if grace := before.GetDeletionGracePeriodSeconds(); grace != nil && now.GetDeletionGracePeriodSeconds() == nil {
		now.SetDeletionGracePeriodSeconds(grace)
	}
	out.Prepared = toJSON(must(s.encoded(hub)))
	out.Errors = errorLines(rest.ValidateUpdate(ctx, hub, old, strategy))
	if len(out.Errors) > 0 {
		return
	}
	out.Warnings = strategy.WarningsOnUpdate(ctx, hub, old)
	strategy.Canonicalize(hub)
	s.accept(hub, out)
}

func (s *side) accept(hub runtime.Object, out *outcome) {
	out.Accepted = toJSON(must(s.encoded(hub)))
	labels, fields, err := s.attrs(hub)
	if err != nil {
		panic(err)
	}
	out.Selected = labels.String() + " " + fields.String()
}

// row prints the Job as kubectl get -o wide gets it.
func (s *side) row(ctx context.Context, hub runtime.Object) string {
	table := must(s.jobs.ConvertToTable(ctx, hub, &metav1.TableOptions{}))
	if len(table.Rows) != 1 {
		panic(fmt.Sprintf("%d rows", len(table.Rows)))
	}
	return toJSON(table.Rows[0].Cells)
}

// errorLines has all that a client can see of each error: its type, field, detail and bad value. Lines are a set: the order of some is
// random on both sides, and how many checks find the same is no rule.
func errorLines(errs field.ErrorList) []string {
	var lines []string
	for _, err := range errs {
		lines = append(lines, fmt.Sprintf("%s %s: %s", string(err.Type), err.Field, err.ErrorBody()))
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}

func requestContext(verb verb) context.Context {
	// Upstream logs where its declarative validation differs from its handwritten one; that is not our concern.
	ctx := klog.NewContext(context.Background(), logr.Discard())
	info := &genericapirequest.RequestInfo{IsResourceRequest: true, APIGroup: "batch", APIVersion: "v1", Resource: "jobs", Namespace: namespace}
	if verb == statusUpdate {
		info.Subresource = "status"
	}
	return genericapirequest.WithRequestInfo(genericapirequest.WithNamespace(ctx, namespace), info)
}

func toJSON(value any) string {
	return string(must(json.Marshal(value)))
}

// must is for what fails only by a mistake of the comparison itself or a panic's worth of one in a side: run reports it.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

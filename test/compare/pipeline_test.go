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
	"strings"

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
	Prepared  string   // the new object as the strategy prepared it, read back
	Errors    []string // see errorLines
	Warnings  []string // of an accepted object only, as in the server
	Accepted  string   // what would be stored, read back
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
		old := must(s.decoded(req.old.DeepCopy()))
		s.addHidden(old)
		s.runUpdate(ctx, hub, old, s.updateStrategy(req.verb), &out)
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
	out.Prepared = toJSON(must(s.encoded(must(s.readBack(hub)))))
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
	out.Prepared = toJSON(must(s.encoded(must(s.readBack(hub)))))
	out.Errors = errorLines(rest.ValidateUpdate(ctx, hub, old, strategy))
	if len(out.Errors) > 0 {
		return
	}
	out.Warnings = strategy.WarningsOnUpdate(ctx, hub, old)
	strategy.Canonicalize(hub)
	s.accept(hub, out)
}

func (s *side) accept(hub runtime.Object, out *outcome) {
	read := must(s.readBack(hub))
	out.Accepted = toJSON(must(s.encoded(read)))
	labels, fields, err := s.attrs(read)
	if err != nil {
		panic(err)
	}
	out.Selected = labels.String() + " " + fields.String()
}

// readBack returns hub as it comes from etcd, where defaults apply again: upstream's Job without labels gets those of its template that way.
func (s *side) readBack(hub runtime.Object) (runtime.Object, error) {
	job, err := s.encoded(hub.DeepCopyObject())
	if err != nil {
		return nil, err
	}
	return s.decoded(job)
}

// row prints the Job as kubectl get -o wide gets it.
func (s *side) row(ctx context.Context, hub runtime.Object) string {
	table := must(s.jobs.ConvertToTable(ctx, hub, &metav1.TableOptions{}))
	if len(table.Rows) != 1 {
		panic(fmt.Sprintf("%d rows", len(table.Rows)))
	}
	return toJSON(table.Rows[0].Cells)
}

// errorLines has all that a client can see of each error: its type, field, detail and bad value; in order, but for what upstream itself
// leaves to chance by ranging over maps. Errors of one map lie together and are sorted, and so are those of the Pod template,
// which has many: there, both sides call the same code.
func errorLines(errs field.ErrorList) []string {
	var lines []string
	start := 0 // of the errors that the last line is to be sorted with
	for i, err := range errs {
		if i > 0 && ofMap(err) != ofMap(errs[i-1]) {
			slices.Sort(lines[start:])
			start = len(lines)
		}
		lines = append(lines, fmt.Sprintf("%s %s: %s", string(err.Type), err.Field, err.ErrorBody()))
	}
	slices.Sort(lines[start:])
	return lines
}

// ofMap returns which map an error may be about: its field without a last key or index, or the Pod template.
func ofMap(err *field.Error) string {
	if strings.HasPrefix(err.Field, string(template)+".") {
		return string(template)
	}
	if end := strings.LastIndex(err.Field, "["); strings.HasSuffix(err.Field, "]") && end > 0 {
		return err.Field[:end]
	}
	return err.Field
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

// must is for what no Job can make fail. Where it panics all the same, run reports that as the side's.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

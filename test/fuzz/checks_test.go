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

package fuzz

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	"github.com/jobserver-dev/jobserver/pkg/apis/batch/kubev1"
	ourv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
	"github.com/jobserver-dev/jobserver/pkg/apiserver"
	"github.com/jobserver-dev/jobserver/pkg/apiserver/quantities"
	"github.com/jobserver-dev/jobserver/pkg/registry/batch/job"
)

const namespace = "default"

// codecs are the server's, and guarded are they as its groups have them.
var (
	codecs  = apiserver.Codecs
	guarded = quantities.Serializer(codecs, apiserver.Scheme)
)

// A group is one of the two ways to reach the store.
type group struct {
	version, hub schema.GroupVersion
	strategy     job.Strategy
	status       job.StatusStrategy
}

var groups = []group{
	newGroup(batch.SchemeGroupVersion, job.OurGroup()),
	newGroup(batch.KubeSchemeGroupVersion, job.KubeGroup(job.ProfileKubernetes)),
}

func newGroup(hub schema.GroupVersion, g job.Group) group {
	return group{version: g.Version, hub: hub, strategy: job.NewStrategy(g), status: job.NewStatusStrategy(g)}
}

func encodingOf(mediaType string) runtime.SerializerInfo {
	info, ok := runtime.SerializerInfoForMediaType(codecs.SupportedMediaTypes(), mediaType)
	if !ok {
		panic("no serializer of " + mediaType)
	}
	return info
}

// decode decodes data as a handler decodes the body of a create. Errors of a strict decoder are errors.
func (g group) decode(decoder runtime.Decoder, data []byte) (*batch.Job, error) {
	kind := g.version.WithKind("Job")
	object, decodedKind, err := guarded.DecoderToVersion(decoder, g.hub).Decode(data, &kind, &batch.Job{})
	if err != nil {
		return nil, err
	}
	decoded, ok := object.(*batch.Job)
	if !ok {
		return nil, fmt.Errorf("a %T", object)
	}
	// The handler refuses another group or version after decoding.
	if decodedKind.GroupVersion() != g.version {
		return nil, errors.New("of another version")
	}
	return decoded, nil
}

func (g group) encode(t *testing.T, encoding runtime.SerializerInfo, from *batch.Job) []byte {
	t.Helper()
	data, err := runtime.Encode(codecs.EncoderForVersion(encoding.Serializer, g.version), from)
	if err != nil {
		t.Fatalf("encoding as %s in %s: %v", g.version, encoding.MediaType, err)
	}
	return data
}

// checkDecoded expects that what was read is the same once it is written and read again. Otherwise each write that changes nothing would
// change something.
func (g group) checkDecoded(t *testing.T, encoding runtime.SerializerInfo, decoded *batch.Job) {
	t.Helper()
	again, err := g.decode(encoding.StrictSerializer, g.encode(t, encoding, decoded))
	if err != nil {
		t.Fatalf("%s in %s can't be read again: %v", g.version, encoding.MediaType, err)
	}
	expectEqual(t, "read again", decoded, again)
}

// checkConverted expects that each group shows all of a Job but what it has no fields for.
func (g group) checkConverted(t *testing.T, decoded *batch.Job) {
	t.Helper()
	for _, through := range groups {
		spoke, err := apiserver.Scheme.New(through.version.WithKind("Job"))
		if err == nil {
			err = apiserver.Scheme.Convert(decoded.DeepCopy(), spoke, nil)
		}
		back := &batch.Job{}
		if err == nil {
			err = apiserver.Scheme.Convert(spoke, back, nil)
		}
		if err != nil {
			t.Fatalf("through %s: %v", through.version, err)
		}
		if through.version == kubev1.SchemeGroupVersion {
			back.Spec.DisruptionPolicy, back.Spec.SuspendPolicy, back.Spec.WorkQueuePolicy =
				decoded.Spec.DisruptionPolicy, decoded.Spec.SuspendPolicy, decoded.Spec.WorkQueuePolicy
		}
		expectEqual(t, "through "+through.version.String(), decoded, back)
	}
}

// checkWrites creates the Job and updates it to itself, and its status.
func (g group) checkWrites(t *testing.T, decoded *batch.Job) {
	t.Helper()
	ctx := g.requestContext()
	created := decoded.DeepCopy()
	rest.FillObjectMetaSystemFields(created)
	created.Namespace, created.UID = namespace, "00000000-0000-4000-8000-000000000000"
	created.CreationTimestamp = metav1.Unix(1_800_000_000, 0) // etcd has no parts of a second
	created.ManagedFields = nil                               // the server's field manager writes them anew
	g.strategy.PrepareForCreate(ctx, created)
	errs := unchanged(t, "create", created, nil, func() field.ErrorList { return rest.ValidateCreate(ctx, created, g.strategy) })

	// What is invalid may be there: stored before a rule came, or by hand.
	status := decoded.DeepCopy()
	g.status.PrepareForUpdate(ctx, status, created)
	unchanged(t, "status update", status, created, func() field.ErrorList { return rest.ValidateUpdate(ctx, status, created, g.status) })
	if len(errs) > 0 {
		return
	}
	g.strategy.WarningsOnCreate(ctx, created)
	g.strategy.Canonicalize(created)
	stored := throughStore(t, created)
	expectEqual(t, "read from the store", created, stored)

	same := stored.DeepCopy()
	same.ResourceVersion, stored.ResourceVersion = "1", "1"
	g.strategy.PrepareForUpdate(ctx, same, stored)
	if errs := unchanged(t, "update", same, stored, func() field.ErrorList { return rest.ValidateUpdate(ctx, same, stored, g.strategy) }); len(errs) > 0 {
		t.Fatalf("a valid Job of %s can't be updated to itself: %v", g.version, errs.ToAggregate())
	}
	g.strategy.WarningsOnUpdate(ctx, same, stored)
	expectEqual(t, "updated to itself", stored, same)
}

func (g group) requestContext() context.Context {
	info := &genericapirequest.RequestInfo{IsResourceRequest: true, APIGroup: g.version.Group, APIVersion: g.version.Version, Resource: "jobs", Namespace: namespace}
	return genericapirequest.WithRequestInfo(genericapirequest.WithNamespace(context.Background(), namespace), info)
}

// unchanged runs a validation and expects that it leaves the objects alone, and that each error names a field.
func unchanged(t *testing.T, what string, checked, old *batch.Job, validate func() field.ErrorList) field.ErrorList {
	t.Helper()
	checkedBefore, oldBefore := checked.DeepCopy(), old.DeepCopy()
	errs := validate()
	expectEqual(t, "validated on "+what, checkedBefore, checked)
	expectEqual(t, "the old one validated on "+what, oldBefore, old)
	for _, err := range errs {
		if err.Field == "" || err.Error() == "" {
			t.Fatalf("an error about nothing on %s: %#v", what, err)
		}
	}
	return errs
}

// throughStore returns what etcd gives back of a Job.
func throughStore(t *testing.T, stored *batch.Job) *batch.Job {
	t.Helper()
	codec := codecs.CodecForVersions(encodingOf(runtime.ContentTypeProtobuf).Serializer, codecs.UniversalDeserializer(), ourv1.SchemeGroupVersion, batch.SchemeGroupVersion)
	data, err := runtime.Encode(codec, stored)
	if err != nil {
		t.Fatalf("encoding for the store: %v", err)
	}
	back := &batch.Job{}
	if err := runtime.DecodeInto(codec, data, back); err != nil {
		t.Fatalf("decoding from the store: %v", err)
	}
	return back
}

func expectEqual(t *testing.T, what string, want, got *batch.Job) {
	t.Helper()
	if !apiequality.Semantic.DeepEqual(want, got) {
		t.Fatalf("%s, the Job differs (-want +got):\n%s", what, cmp.Diff(want, got))
	}
}

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

package install_test

import (
	"bytes"
	"math/rand"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	apifuzzer "k8s.io/apimachinery/pkg/api/apitesting/fuzzer"
	"k8s.io/apimachinery/pkg/api/apitesting/roundtrip"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metafuzzer "k8s.io/apimachinery/pkg/apis/meta/fuzzer"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/runtime/serializer/cbor"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"sigs.k8s.io/randfill"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	"github.com/jobserver-dev/jobserver/pkg/apis/batch/fuzzer"
	"github.com/jobserver-dev/jobserver/pkg/apis/batch/install"
	"github.com/jobserver-dev/jobserver/pkg/apis/batch/kubev1"
	v1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

// rounds is how many random objects each test tries. The seeds are fixed, so that a failure can be repeated.
const rounds = 20

// group is one of the two groups and the hub objects that its encoding can hold.
type group struct {
	internal, external schema.GroupVersion
	funcs              apifuzzer.FuzzerFuncs
}

var groups = []group{
	{internal: batch.SchemeGroupVersion, external: v1.SchemeGroupVersion, funcs: fuzzer.Funcs},
	{internal: batch.KubeSchemeGroupVersion, external: kubev1.SchemeGroupVersion, funcs: fuzzer.KubeFuncs},
}

func newScheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	install.Install(scheme)
	return scheme
}

func (g group) filler(codecs serializer.CodecFactory, seed int64) *randfill.Filler {
	return apifuzzer.FuzzerFor(apifuzzer.MergeFuzzerFuncs(metafuzzer.Funcs, g.funcs), rand.NewSource(seed), codecs)
}

// randomJob returns a hub Job that the group's encoding can hold.
func (g group) randomJob(codecs serializer.CodecFactory, seed int64) *batch.Job {
	job := &batch.Job{}
	g.filler(codecs, seed).Fill(job)
	job.Kind, job.APIVersion = "", ""
	return job
}

// TestRoundTripHarness runs apimachinery's own test of JSON and protobuf: it also looks for aliasing after copies.
func TestRoundTripHarness(t *testing.T) {
	t.Parallel()
	scheme := newScheme()
	codecs := serializer.NewCodecFactory(scheme)
	for _, g := range groups {
		for _, kind := range []string{"Job", "JobList"} {
			t.Run(g.external.String()+" "+kind, func(t *testing.T) {
				for seed := range int64(rounds) {
					roundtrip.RoundTripSpecificKind(t, g.internal.WithKind(kind), scheme, codecs, g.filler(codecs, seed), nil)
					if t.Failed() {
						t.Fatalf("with seed %d", seed)
					}
				}
			})
		}
	}
}

// TestRoundTripUnstructured goes by way of the untyped form that server-side apply works on.
func TestRoundTripUnstructured(t *testing.T) {
	t.Parallel()
	scheme := newScheme()
	codecs := serializer.NewCodecFactory(scheme)
	for _, g := range groups {
		t.Run(g.external.String(), func(t *testing.T) {
			t.Parallel()
			for seed := range int64(rounds) {
				typed, err := scheme.ConvertToVersion(g.randomJob(codecs, seed), g.external)
				if err != nil {
					t.Fatalf("seed %d: converting: %v", seed, err)
				}
				untyped, err := runtime.DefaultUnstructuredConverter.ToUnstructured(typed)
				if err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				back := reflect.New(reflect.TypeOf(typed).Elem()).Interface()
				if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(untyped, back, true); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				if !apiequality.Semantic.DeepEqual(typed, back) {
					t.Fatalf("seed %d: the Job differs (-want +got):\n%s", seed, cmp.Diff(typed, back))
				}
			}
		})
	}
}

// TestRoundTripEncodings decodes with the codecs that a server uses, defaults included, each encoding that it offers.
func TestRoundTripEncodings(t *testing.T) {
	t.Parallel()
	scheme := newScheme()
	codecs := serializer.NewCodecFactory(scheme)
	encodings := map[string]runtime.Serializer{
		"JSON":     json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme, scheme, json.SerializerOptions{Strict: true}),
		"YAML":     json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme, scheme, json.SerializerOptions{Yaml: true, Strict: true}),
		"protobuf": protobuf.NewSerializer(scheme, scheme),
		"CBOR":     cbor.NewSerializer(scheme, scheme, cbor.Strict(true)),
	}
	for _, g := range groups {
		for name, encoding := range encodings {
			t.Run(g.external.String()+" "+name, func(t *testing.T) {
				t.Parallel()
				codec := codecs.CodecForVersions(encoding, encoding, g.external, g.internal)
				for seed := range int64(rounds) {
					job := g.randomJob(codecs, seed)
					first, decoded := encodeAndDecode(t, codec, job)
					if !apiequality.Semantic.DeepEqual(job, decoded) {
						t.Fatalf("seed %d: the decoded Job differs (-want +got):\n%s", seed, cmp.Diff(job, decoded))
					}
					// What is read and written again must not change: etcd would see a write each time.
					if second, _ := encodeAndDecode(t, codec, decoded); !bytes.Equal(first, second) {
						t.Fatalf("seed %d: encoding the decoded Job gives other bytes", seed)
					}
				}
			})
		}
	}
}

func encodeAndDecode(t *testing.T, codec runtime.Codec, job *batch.Job) ([]byte, *batch.Job) {
	t.Helper()
	data, err := runtime.Encode(codec, job)
	if err != nil {
		t.Fatalf("encoding: %v", err)
	}
	object, err := runtime.Decode(codec, data)
	if err != nil {
		t.Fatalf("decoding: %v", err)
	}
	decoded, ok := object.(*batch.Job)
	if !ok {
		t.Fatalf("decoded a %T", object)
	}
	return data, decoded
}

// TestGroupsShareTheHub reads a Job of our group as batch/v1 and back: batch/v1 shows all but the policies, and nothing else is lost.
func TestGroupsShareTheHub(t *testing.T) {
	t.Parallel()
	scheme := newScheme()
	codecs := serializer.NewCodecFactory(scheme)
	kube := codecs.LegacyCodec(kubev1.SchemeGroupVersion)
	ours := groups[0]
	for seed := range int64(rounds) {
		job := ours.randomJob(codecs, seed)
		data, err := runtime.Encode(kube, job)
		if err != nil {
			t.Fatalf("seed %d: encoding as batch/v1: %v", seed, err)
		}
		decoded := &batch.Job{}
		if err := runtime.DecodeInto(codecs.UniversalDecoder(batch.KubeSchemeGroupVersion), data, decoded); err != nil {
			t.Fatalf("seed %d: decoding from batch/v1: %v", seed, err)
		}
		if spec := decoded.Spec; spec.DisruptionPolicy != nil || spec.SuspendPolicy != nil || spec.WorkQueuePolicy != nil {
			t.Fatalf("seed %d: batch/v1 has policies", seed)
		}
		decoded.Spec.DisruptionPolicy = job.Spec.DisruptionPolicy
		decoded.Spec.SuspendPolicy = job.Spec.SuspendPolicy
		decoded.Spec.WorkQueuePolicy = job.Spec.WorkQueuePolicy
		if !apiequality.Semantic.DeepEqual(job, decoded) {
			t.Fatalf("seed %d: batch/v1 lost something (-want +got):\n%s", seed, cmp.Diff(job, decoded))
		}
	}
}

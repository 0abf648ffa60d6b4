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

package v1_test

import (
	"bytes"
	"math/rand"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	apifuzzer "k8s.io/apimachinery/pkg/api/apitesting/fuzzer"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metafuzzer "k8s.io/apimachinery/pkg/apis/meta/fuzzer"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	"github.com/jobserver-dev/jobserver/pkg/apis/batch/fuzzer"
	"github.com/jobserver-dev/jobserver/pkg/apis/batch/install"
	v1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

const wireRounds = 30

// asBoth returns a random Job in our form and in upstream's, with our fields where own is set.
func asBoth(t *testing.T, seed int64, own bool) (*v1.Job, *batchv1.Job) {
	t.Helper()
	scheme := runtime.NewScheme()
	install.Install(scheme)
	codecs := serializer.NewCodecFactory(scheme)
	funcs := fuzzer.KubeFuncs
	if own {
		funcs = fuzzer.Funcs
	}
	hub, ours, upstream := &batch.Job{}, &v1.Job{}, &batchv1.Job{}
	apifuzzer.FuzzerFor(apifuzzer.MergeFuzzerFuncs(metafuzzer.Funcs, funcs), rand.NewSource(seed), codecs).Fill(hub)
	if err := scheme.Convert(hub, ours, nil); err != nil {
		t.Fatal(err)
	}
	if err := scheme.Convert(hub, upstream, nil); err != nil {
		t.Fatal(err)
	}
	return ours, upstream
}

// TestWireEqualsUpstream: a Job without our fields has the same bytes in both encodings, so either type reads what the other wrote.
func TestWireEqualsUpstream(t *testing.T) {
	t.Parallel()
	for seed := range int64(wireRounds) {
		ours, upstream := asBoth(t, seed, false)
		ourBytes, err := ours.Marshal()
		if err != nil {
			t.Fatalf("seed %d: encoding ours: %v", seed, err)
		}
		upstreamBytes, err := upstream.Marshal()
		if err != nil {
			t.Fatalf("seed %d: encoding upstream's: %v", seed, err)
		}
		if !bytes.Equal(ourBytes, upstreamBytes) {
			t.Errorf("seed %d: the encodings differ", seed)
		}
		readAsUpstream, readAsOurs := &batchv1.Job{}, &v1.Job{}
		if err := readAsUpstream.Unmarshal(ourBytes); err != nil {
			t.Fatalf("seed %d: upstream's type does not read ours: %v", seed, err)
		}
		if !apiequality.Semantic.DeepEqual(upstream, readAsUpstream) {
			t.Errorf("seed %d: upstream's type reads another Job (-want +got):\n%s", seed, cmp.Diff(upstream, readAsUpstream))
		}
		if err := readAsOurs.Unmarshal(upstreamBytes); err != nil {
			t.Fatalf("seed %d: our type does not read upstream's: %v", seed, err)
		}
		if !apiequality.Semantic.DeepEqual(ours, readAsOurs) {
			t.Errorf("seed %d: our type reads another Job (-want +got):\n%s", seed, cmp.Diff(ours, readAsOurs))
		}
	}
}

// TestUpstreamReadsPastOurFields: upstream's type takes all but our fields from our encoding.
func TestUpstreamReadsPastOurFields(t *testing.T) {
	t.Parallel()
	for seed := range int64(wireRounds) {
		ours, upstream := asBoth(t, seed, true)
		data, err := ours.Marshal()
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		got := &batchv1.Job{}
		if err := got.Unmarshal(data); err != nil {
			t.Fatalf("seed %d: upstream's type does not read ours: %v", seed, err)
		}
		if !apiequality.Semantic.DeepEqual(upstream, got) {
			t.Errorf("seed %d: upstream's type reads another Job (-want +got):\n%s", seed, cmp.Diff(upstream, got))
		}
	}
}

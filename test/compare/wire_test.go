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
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	ourv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

// TestProtobuf encodes Jobs with one implementation and decodes them with the other, both ways. The result must be what upstream makes of its
// own encoding, which knows no difference between an empty list and none.
func TestProtobuf(t *testing.T) {
	random := rand.New(rand.NewPCG(*flagSeed, 1))
	starts := append(validJobs(), storedJobs()...)
	for range max(*flagJobs/10, 100) {
		upstream := pick(random, starts).DeepCopy()
		upstream.TypeMeta = metav1.TypeMeta{} // not in protobuf
		for range random.IntN(5) {
			mutate(upstream, pick(random, []verb{create, update, statusUpdate}), random.Uint64())
		}
		sent := must(upstream.Marshal())
		want := &batchv1.Job{}
		if err := want.Unmarshal(sent); err != nil {
			t.Fatalf("upstream's Job as upstream's: %v", err)
		}
		ours := &ourv1.Job{}
		if err := ours.Unmarshal(sent); err != nil {
			t.Fatalf("upstream's Job as ours: %v", err)
		}
		if diff := diffJSON(want, ours); diff != "" {
			t.Fatalf("upstream's Job as ours (-Kubernetes +jobserver):\n%s", diff)
		}
		back := &batchv1.Job{}
		if err := back.Unmarshal(must(ours.Marshal())); err != nil {
			t.Fatalf("our Job as upstream's: %v", err)
		}
		if diff := diffJSON(want, back); diff != "" {
			t.Fatalf("our Job as upstream's (-Kubernetes +jobserver):\n%s", diff)
		}
	}
}

// diffJSON compares objects as JSON, whatever the order of fields.
func diffJSON(want, got any) string {
	wanted, have := toJSON(want), toJSON(got)
	if wanted == have {
		return ""
	}
	return cmp.Diff(fromJSON(wanted), fromJSON(have))
}

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

package validation

import (
	"math/rand"
	"testing"

	apifuzzer "k8s.io/apimachinery/pkg/api/apitesting/fuzzer"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metafuzzer "k8s.io/apimachinery/pkg/apis/meta/fuzzer"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/randfill"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	"github.com/jobserver-dev/jobserver/pkg/apis/batch/fuzzer"
)

// TestRandomJobs gives validation Jobs that no decoder would return too, with nil anywhere: it must answer, without a panic and without
// writing to what it reads, which the watch cache may own; and a Job must be allowed to become itself as far as it is valid.
func TestRandomJobs(t *testing.T) {
	t.Parallel()
	codecs := serializer.NewCodecFactory(runtime.NewScheme())
	for name, funcs := range map[string]apifuzzer.FuzzerFuncs{
		"defaulted": fuzzer.Funcs,
		"anything":  func(serializer.CodecFactory) []any { return []any{func(*runtime.RawExtension, randfill.Continue) {}} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range int64(60) {
				filler := apifuzzer.FuzzerFor(apifuzzer.MergeFuzzerFuncs(metafuzzer.Funcs, funcs), rand.NewSource(seed), codecs)
				job, old := &batch.Job{}, &batch.Job{}
				filler.Fill(job)
				filler.Fill(old)
				jobBefore, oldBefore := job.DeepCopy(), old.DeepCopy()
				for _, opts := range []Options{{}, {AllowTemplateEditWhileSuspended: true}} {
					checkComplete(t, ValidateJobCreate(job, opts))
					checkComplete(t, ValidateJobUpdate(job, old, opts))
				}
				checkComplete(t, ValidateJobStatusUpdate(job, old))
				WarningsOnCreate(t.Context(), job)
				WarningsOnUpdate(t.Context(), job, old)
				if !apiequality.Semantic.DeepEqual(job, jobBefore) || !apiequality.Semantic.DeepEqual(old, oldBefore) {
					t.Fatalf("seed %d: validation changed a Job", seed)
				}
				for _, err := range ValidateJobUpdate(job, job.DeepCopy(), Options{}) {
					if err.Detail == "field is immutable" {
						t.Fatalf("seed %d: %s changed by itself", seed, err.Field)
					}
				}
			}
		})
	}
}

// checkComplete wants each error to name a field and to have a message, which prints the bad value.
func checkComplete(t *testing.T, errs field.ErrorList) {
	t.Helper()
	for _, err := range errs {
		if err.Field == "" || err.Error() == "" {
			t.Fatalf("error without a field or message: %#v", err)
		}
	}
}

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

package plan

import (
	"math"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

func TestRuleActiveDeadline(t *testing.T) {
	t.Parallel()
	wasSuspended := func(b *jobBuilder) *jobBuilder {
		return b.condition(batchv1.JobSuspended, corev1.ConditionTrue, batch.ReasonJobSuspended, "")
	}
	keep := func(b *jobBuilder) *jobBuilder {
		b.Spec.SuspendPolicy = new(batchv1.SuspendKeepPods)
		return b
	}
	for name, tc := range map[string]struct {
		job      *jobBuilder
		now      int
		want     bool
		wantNext int // seconds; 0: no need to look again
	}{
		"no deadline":                   {job: makeJob().started(), now: 1000},
		"before it":                     {job: makeJob().started().deadline(10), now: 9, wantNext: 10},
		"at it":                         {job: makeJob().started().deadline(10), now: 10, want: true},
		"after it":                      {job: makeJob().started().deadline(10), now: 11, want: true},
		"0 ends the Job at once":        {job: makeJob().deadline(0), now: 5, want: true},
		"beyond all time":               {job: makeJob().started().deadline(math.MaxInt64), now: 1000},
		"just starting":                 {job: makeJob().deadline(10), now: 100, wantNext: 110},
		"suspended":                     {job: makeJob().started().deadline(10).suspend(batchv1.SuspendDeletePods), now: 50},
		"suspended, Pods kept":          {job: makeJob().started().deadline(10).suspend(batchv1.SuspendKeepPods), now: 50, want: true},
		"suspended, Pods kept, in time": {job: makeJob().started().deadline(10).suspend(batchv1.SuspendKeepPods), now: 5, wantNext: 10},
		"created suspended, Pods kept":  {job: makeJob().deadline(10).suspend(batchv1.SuspendKeepPods), now: 50},
		"resumed starts anew":           {job: wasSuspended(makeJob().started().deadline(10)), now: 50, wantNext: 60},
		"resumed, Pods kept, goes on":   {job: keep(wasSuspended(makeJob().started().deadline(10))), now: 50, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			message := ""
			if tc.want {
				message = "Job was active longer than specified deadline"
			}
			in := inputAt(tc.now, tc.job.obj(), makePod("p").running().obj())
			checkVerdict(t, ruleActiveDeadline(observe(in)), batchv1.JobFailureTarget, batch.ReasonDeadlineExceeded, message)
			next := Compute(in).NextSync
			if tc.wantNext == 0 && !next.IsZero() || tc.wantNext != 0 && !next.Equal(at(tc.wantNext).Time) {
				t.Errorf("next sync at %v, want %d s", next, tc.wantNext)
			}
		})
	}
}

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
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

// TestDisruptionIsReplacedAtOnce follows a disrupted Pod: nothing is counted or recorded, its finalizer goes and its
// replacement comes in the same sync.
func TestDisruptionIsReplacedAtOnce(t *testing.T) {
	t.Parallel()
	job := makeJob().disruption(batchv1.DisruptionIgnore).backoffLimit(0).started().obj()
	in := inputAt(10, job, makePod("a").running().disrupted().deleted(9).obj())
	p := Compute(in)
	if p.Record != nil || len(p.Release) != 1 || len(p.Create) != 1 || !p.NextSync.IsZero() {
		t.Errorf("plan %+v", p)
	}
	if status := Settle(in, p, allDone(p)); status.Failed != 0 || status.Active != 1 || *status.Terminating != 1 {
		t.Errorf("status %+v", status)
	}
	if p.Backoff.Failures != 0 {
		t.Errorf("the back-off grew: %+v", p.Backoff)
	}
}

// TestDisruptionLoopIsBounded disrupts each new Pod at once: 5 for each place are replaced without delay, then one each 10
// seconds, and an hour later all is forgiven.
func TestDisruptionLoopIsBounded(t *testing.T) {
	t.Parallel()
	for _, parallelism := range []int32{1, 4} {
		t.Run(fmt.Sprintf("parallelism %d", parallelism), func(t *testing.T) {
			t.Parallel()
			job := makeJob().completions(100).parallelism(parallelism).disruption(batchv1.DisruptionIgnore).started().obj()
			in := inputAt(0, job)
			created := 0
			round := func() {
				p := Compute(in)
				in.Backoff = p.Backoff
				created += len(p.Create)
				in.Pods = nil
				for i := range p.Create {
					in.Pods = append(in.Pods, makePod(fmt.Sprintf("p%d-%d", created, i)).running().disrupted().deleted(int(in.Now.Sub(t0).Seconds())).obj())
				}
			}
			for range 50 {
				round()
			}
			if want := 6 * int(parallelism); created != want {
				t.Errorf("created %d Pods at once, want the first ones and 5 replacements for each place: %d", created, want)
			}
			created = 0
			for range 60 {
				in.Now = in.Now.Add(time.Second)
				round()
			}
			if want := 6 * int(parallelism); created > want || created < want-int(parallelism) {
				t.Errorf("created %d Pods in a minute, want about %d", created, want)
			}
			in.Now = in.Now.Add(time.Hour)
			created = 0
			for range 50 {
				round()
			}
			if most := 6 * int(parallelism); created > most || created < 5*int(parallelism) {
				t.Errorf("an hour later: created %d Pods at once, want 5 or 6 for each place", created)
			}
		})
	}
}

func TestDisruptionDebtIsBounded(t *testing.T) {
	t.Parallel()
	s := observeAt(0, makeJob().obj())
	settled := s.chargeDisruptions(time.Time{}, 100000)
	if got, want := s.disruptionDelay(settled), DefaultLimits().FailureBackoffMax; got != want {
		t.Errorf("after 100,000 disruptions: delay %v, want %v", got, want)
	}
	if got := s.disruptionDelay(time.Time{}); got != 0 {
		t.Errorf("after none: delay %v", got)
	}
}

// TestDisruptionIsChargedOnce keeps a Pod whose finalizer can't be removed from being paid for in each sync.
func TestDisruptionIsChargedOnce(t *testing.T) {
	t.Parallel()
	in := inputAt(10, makeJob().disruption(batchv1.DisruptionIgnore).started().obj(), makePod("a").phase(corev1.PodFailed).disrupted().obj())
	first := Compute(in)
	in.Backoff = first.Backoff
	if second := Compute(in); !second.Backoff.DisruptionsSettled.Equal(first.Backoff.DisruptionsSettled) {
		t.Errorf("settled at %v, then at %v", first.Backoff.DisruptionsSettled, second.Backoff.DisruptionsSettled)
	}
}

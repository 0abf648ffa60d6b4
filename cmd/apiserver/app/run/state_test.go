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

package run

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

var begin = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func job(conditions ...batchv1.JobCondition) *batchv1.Job {
	for i := range conditions {
		conditions[i].LastTransitionTime = metav1.NewTime(begin.Add(90 * time.Second))
	}
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: "default"},
		Spec:       batchv1.JobSpec{Completions: new(int32(3))},
		Status: batchv1.JobStatus{
			Active: 1, Succeeded: 2, Failed: 4, StartTime: new(metav1.NewTime(begin)), Conditions: conditions,
		},
	}
}

func condition(kind batchv1.JobConditionType, status corev1.ConditionStatus) batchv1.JobCondition {
	return batchv1.JobCondition{Type: kind, Status: status, Reason: "Why", Message: "because"}
}

func TestStateOf(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		job  *batchv1.Job
		gone bool
		want outcome
		why  string
		over bool
	}{
		"no condition":           {job: job(), want: running},
		"suspended":              {job: job(condition(batchv1.JobSuspended, corev1.ConditionTrue)), want: suspended},
		"resumed":                {job: job(condition(batchv1.JobSuspended, corev1.ConditionFalse)), want: running},
		"about to fail":          {job: job(condition(batchv1.JobFailureTarget, corev1.ConditionTrue)), want: running},
		"about to complete":      {job: job(condition(batchv1.JobSuccessCriteriaMet, corev1.ConditionTrue)), want: running},
		"complete":               {job: job(condition(batchv1.JobComplete, corev1.ConditionTrue)), want: complete, over: true},
		"failed":                 {job: job(condition(batchv1.JobFailed, corev1.ConditionTrue)), want: failed, why: "Why: because", over: true},
		"complete and gone":      {job: job(condition(batchv1.JobComplete, corev1.ConditionTrue)), gone: true, want: complete, over: true},
		"failed and gone":        {job: job(condition(batchv1.JobFailed, corev1.ConditionTrue)), gone: true, want: failed, why: "Why: because", over: true},
		"gone":                   {job: job(), gone: true, want: deleted, why: "the Job was deleted before it ended", over: true},
		"suspended while it ran": {job: job(condition(batchv1.JobSuspended, corev1.ConditionTrue), condition(batchv1.JobComplete, corev1.ConditionTrue)), want: complete, over: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			state := stateOf(test.job, test.gone)
			if state.outcome != test.want || state.over() != test.over || state.explanation() != test.why {
				t.Errorf("got %s, over %v, %q; want %s, %v, %q", state.outcome, state.over(), state.explanation(), test.want, test.over, test.why)
			}
		})
	}
}

func TestPrintTable(t *testing.T) {
	t.Parallel()
	pool := job()
	pool.Name, pool.Namespace, pool.Spec.Completions = "pool", "batch", nil
	unstarted := job(condition(batchv1.JobSuspended, corev1.ConditionTrue))
	unstarted.Name, unstarted.Status.StartTime = "later", nil
	states := map[types.UID]jobState{
		"1": stateOf(pool, false),
		"2": stateOf(job(condition(batchv1.JobFailed, corev1.ConditionTrue)), false),
		"3": stateOf(unstarted, false),
	}
	var out strings.Builder
	if err := printTable(&out, states, begin.Add(10*time.Minute)); err != nil {
		t.Fatal(err)
	}
	want := `
NAME         STATUS      COMPLETIONS   FAILED   DURATION   REASON
a            Failed      2/3           4        90s        Why: because
batch/pool   Running     2             4        10m        
later        Suspended   2/3           4        -          
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

func TestPlainDisplayShowsEachStateOnce(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	display := newPlainDisplay(&out)
	state := stateOf(job(), false)
	display.update("1", state)
	display.update("1", state)
	state.active = 0
	display.update("1", state)
	display.close()
	want := "job a: Running, 2/3 succeeded, 1 active, 4 failed\njob a: Running, 2/3 succeeded, 0 active, 4 failed\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
}

// lockedBuilder may be written to while it is read.
type lockedBuilder struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *lockedBuilder) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuilder) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func TestBarDisplayEndsWithUnfinishedJobs(t *testing.T) {
	t.Parallel()
	out := &lockedBuilder{}
	display := newBarDisplay(out)
	display.update("1", stateOf(job(), false))
	display.update("2", stateOf(job(condition(batchv1.JobFailed, corev1.ConditionTrue)), false))
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		display.close()
	}()
	select {
	case <-closed:
	case <-time.After(30 * time.Second):
		t.Fatal("close waits for a Job that never ends")
	}
	for _, want := range []string{"2/3 succeeded, 1 active, 4 failed", "Failed"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the bars don't show %q:\n%s", want, out.String())
		}
	}
}

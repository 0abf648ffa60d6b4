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

package ttlafterfinished

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

var finish = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

type jobOption func(*batchv1.Job)

func ttl(seconds int32) jobOption {
	return func(job *batchv1.Job) { job.Spec.TTLSecondsAfterFinished = new(seconds) }
}

func condition(kind batchv1.JobConditionType, status corev1.ConditionStatus, since time.Time) jobOption {
	return func(job *batchv1.Job) {
		job.Status.Conditions = append(job.Status.Conditions, batchv1.JobCondition{Type: kind, Status: status, LastTransitionTime: metav1.NewTime(since)})
	}
}

func deleting(job *batchv1.Job) { job.DeletionTimestamp = new(metav1.NewTime(finish)) }

func makeJob(name string, options ...jobOption) *batchv1.Job {
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID("uid-of-" + name)}}
	for _, option := range options {
		option(job)
	}
	return job
}

func TestDecide(t *testing.T) {
	t.Parallel()
	complete := condition(batchv1.JobComplete, corev1.ConditionTrue, finish)
	cases := map[string]struct {
		job     *batchv1.Job
		now     time.Time
		want    verdict
		wantErr error
	}{
		"no TTL":              {job: makeJob("a", complete), now: finish.Add(time.Hour)},
		"not finished":        {job: makeJob("a", ttl(0)), now: finish},
		"being deleted":       {job: makeJob("a", ttl(0), complete, deleting), now: finish},
		"suspended only":      {job: makeJob("a", ttl(0), condition(batchv1.JobSuspended, corev1.ConditionTrue, finish)), now: finish},
		"complete, but false": {job: makeJob("a", ttl(0), condition(batchv1.JobComplete, corev1.ConditionFalse, finish)), now: finish},
		"success criteria met, but Pods still end": {
			job: makeJob("a", ttl(0), condition(batchv1.JobSuccessCriteriaMet, corev1.ConditionTrue, finish)), now: finish,
		},
		"TTL 0 at once": {
			job: makeJob("a", ttl(0), complete), now: finish,
			want: verdict{action: deleteNow, expiresAt: finish},
		},
		"failed": {
			job: makeJob("a", ttl(10), condition(batchv1.JobFailed, corev1.ConditionTrue, finish)), now: finish.Add(time.Minute),
			want: verdict{action: deleteNow, expiresAt: finish.Add(10 * time.Second)},
		},
		"a nanosecond too early": {
			job: makeJob("a", ttl(10), complete), now: finish.Add(10*time.Second - 1),
			want: verdict{action: awaitExpiry, expiresAt: finish.Add(10 * time.Second), remaining: 1},
		},
		"on time": {
			job: makeJob("a", ttl(10), complete), now: finish.Add(10 * time.Second),
			want: verdict{action: deleteNow, expiresAt: finish.Add(10 * time.Second)},
		},
		"finished in the future": {
			job: makeJob("a", ttl(10), complete), now: finish.Add(-time.Hour),
			want: verdict{action: awaitExpiry, expiresAt: finish.Add(10 * time.Second), remaining: time.Hour + 10*time.Second, future: true},
		},
		"the longest TTL does not overflow": {
			job: makeJob("a", ttl(1<<31-1), complete), now: finish,
			want: verdict{action: awaitExpiry, expiresAt: finish.Add((1<<31 - 1) * time.Second), remaining: (1<<31 - 1) * time.Second},
		},
		"no finish time": {
			job: makeJob("a", ttl(0), condition(batchv1.JobComplete, corev1.ConditionTrue, time.Time{})), now: finish,
			wantErr: errNoFinishTime,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := decide(tc.job, tc.now)
			if !errors.Is(err, tc.wantErr) {
				t.Fatalf("error %v, want %v", err, tc.wantErr)
			}
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(verdict{})); diff != "" {
				t.Errorf("verdict (-want +got):\n%s", diff)
			}
		})
	}
}

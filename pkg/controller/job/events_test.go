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

package job

import (
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/record"

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

// recordEvents makes the events of the controller readable without it running. The function returns those since its last call.
func (e *env) recordEvents() func() []string {
	recorder := record.NewFakeRecorder(100)
	e.controller.events.recorder = recorder
	return func() []string {
		var events []string
		for {
			select {
			case event := <-recorder.Events:
				events = append(events, event)
			default:
				return events
			}
		}
	}
}

// withReason returns how many of the events have the reason.
func withReason(events []string, reason string) int {
	n := 0
	for _, event := range events {
		if strings.Fields(event)[1] == reason {
			n++
		}
	}
	return n
}

// failStatusWrite makes the nth status write from now on conflict, counted from 1.
func (e *env) failStatusWrite(n int) {
	writes := 0
	e.api.jobs.PrependReactor("update", "jobs", func(action clienttesting.Action) (bool, runtime.Object, error) {
		if action.GetSubresource() != "status" {
			return false, nil, nil
		}
		if writes++; writes != n {
			return false, nil, nil
		}
		return true, nil, apierrors.NewConflict(jobsResource.GroupResource(), jobName, errLost)
	})
}

// The sync that suspends or resumes a Job tells so exactly once, whichever of its status writes fails. A Pod that succeeded
// meanwhile makes it write twice.
func TestSuspensionIsToldOnceWhicheverWriteFails(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		failing     int
		wantAtFirst int
	}{
		"none fails":             {failing: 0, wantAtFirst: 1},
		"the record fails":       {failing: 1, wantAtFirst: 0},
		"the final status fails": {failing: 2, wantAtFirst: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, keep := range []batchv1.SuspendPolicy{batchv1.SuspendDeletePods, batchv1.SuspendKeepPods} {
				e := newEnv(t)
				events := e.recordEvents()
				e.create(newJob(sized(2, 9), func(job *batchv1.Job) { job.Spec.SuspendPolicy = &keep }))
				e.mustSync()
				for _, change := range []struct {
					suspend bool
					reason  string
				}{{true, "Suspended"}, {false, "Resumed"}} {
					failing := tc.failing
					if active := e.activePods(); len(active) > 0 {
						e.end(active[0], 0)
					} else {
						failing = 0 // nothing to record: there is one write only
					}
					e.change(func(job *batchv1.Job) { job.Spec.Suspend = &change.suspend })
					events()
					e.failStatusWrite(failing)
					if err := e.sync(); (err != nil) != (failing > 0) {
						t.Fatalf("%s, %s: sync: %v", keep, change.reason, err)
					}
					first := withReason(events(), change.reason)
					if failing > 0 && first != tc.wantAtFirst {
						t.Errorf("%s: %d events %s of the sync with the failing write, want %d", keep, first, change.reason, tc.wantAtFirst)
					}
					e.mustSync()
					e.mustSync()
					if got := first + withReason(events(), change.reason); got != 1 {
						t.Errorf("%s: %d events %s, want 1", keep, got, change.reason)
					}
				}
			}
		})
	}
}

// An event that tells of a Job's end waits for the write of that end.
func TestCompletionIsToldOnceItIsWritten(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	events := e.recordEvents()
	e.create(newJob())
	e.mustSync()
	e.end(e.pods()[0], 0)
	e.failStatusWrite(2)
	if err := e.sync(); !apierrors.IsConflict(err) {
		t.Fatalf("sync: %v, want the conflict of the final write", err)
	}
	if got := withReason(events(), "Completed"); got != 0 {
		t.Errorf("%d events Completed of a Job that is not complete", got)
	}
	e.mustSync()
	e.mustSync()
	if got := withReason(events(), "Completed"); got != 1 || condition(e.job(), batchv1.JobComplete) == nil {
		t.Errorf("%d events Completed, want 1%s", got, e.summary())
	}
}

// A Pod that is gone before it can be deleted was not deleted by the Job: upstream tells nothing either.
func TestVanishedPodIsNotToldAsDeleted(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	events := e.recordEvents()
	e.create(newJob(sized(2, 2)))
	e.mustSync()
	e.settled()
	e.api.podWatch.close()
	if err := e.api.pods.Tracker().Delete(podsResource, namespace, e.pods()[0].Name); err != nil {
		t.Fatal(err)
	}
	e.change(func(job *batchv1.Job) { job.Spec.Suspend = new(true) })
	e.jobSettled()
	if err := e.syncStale(); err != nil {
		t.Fatal(err)
	}
	if told := events(); withReason(told, "SuccessfulDelete") != 1 || withReason(told, "FailedDelete") != 0 {
		t.Errorf("events %q, want 1 SuccessfulDelete", told)
	}
}

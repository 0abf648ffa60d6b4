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

package suite

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	gocmp "github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Equal says where two values differ, and goes on.
func Equal[V any](t *T, what string, got, want V) {
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("%s differs (- wanted, + got):\n%s", what, diff)
	}
}

// Condition is the condition of a type, nil where the Job has none.
func Condition(job *batchv1.Job, kind batchv1.JobConditionType) *batchv1.JobCondition {
	at := slices.IndexFunc(job.Status.Conditions, func(c batchv1.JobCondition) bool { return c.Type == kind })
	if at < 0 {
		return nil
	}
	return &job.Status.Conditions[at]
}

// IsTrue tells whether a Job has a condition that is True.
func IsTrue(job *batchv1.Job, kind batchv1.JobConditionType) bool {
	condition := Condition(job, kind)
	return condition != nil && condition.Status == corev1.ConditionTrue
}

// WaitJob waits until check accepts a Job, and returns the Job. Where the Job has ended otherwise, waiting on would be in vain, so
// the caller's check should accept that and look after.
func (t *T) WaitJob(job *batchv1.Job, what string, check func(job *batchv1.Job) bool) (found *batchv1.Job) {
	t.Eventually("the Job "+what, func() error {
		found = t.Get(job)
		if !check(found) {
			return fmt.Errorf("its status is %s", show(found.Status))
		}
		return nil
	})
	return found
}

// WaitStatus waits until a Job has so many active, succeeded and failed Pods.
func (t *T) WaitStatus(job *batchv1.Job, active, succeeded, failed int32) *batchv1.Job {
	what := fmt.Sprintf("has %d active, %d succeeded and %d failed Pods", active, succeeded, failed)
	return t.WaitJob(job, what, func(job *batchv1.Job) bool {
		return job.Status.Active == active && job.Status.Succeeded == succeeded && job.Status.Failed == failed
	})
}

// WaitComplete waits until a Job has finished, and ends the test where it is not complete for that reason.
func (t *T) WaitComplete(job *batchv1.Job, reason string) *batchv1.Job {
	return t.waitFinished(job, batchv1.JobComplete, reason)
}

// WaitFailed waits until a Job has finished, and ends the test where it has not failed for that reason.
func (t *T) WaitFailed(job *batchv1.Job, reason string) *batchv1.Job {
	return t.waitFinished(job, batchv1.JobFailed, reason)
}

func (t *T) waitFinished(job *batchv1.Job, kind batchv1.JobConditionType, reason string) *batchv1.Job {
	job = t.WaitJob(job, "has finished", func(job *batchv1.Job) bool {
		return IsTrue(job, batchv1.JobComplete) || IsTrue(job, batchv1.JobFailed)
	})
	if condition := Condition(job, kind); condition == nil || condition.Status != corev1.ConditionTrue || condition.Reason != reason {
		t.Fatalf("the Job has no condition %s for the reason %s: %s", kind, reason, show(job.Status))
	}
	return job
}

// WaitCondition waits until a Job has a condition with a status, and returns the Job.
func (t *T) WaitCondition(job *batchv1.Job, kind batchv1.JobConditionType, status corev1.ConditionStatus) *batchv1.Job {
	return t.WaitJob(job, fmt.Sprintf("has %s=%s", kind, status), func(job *batchv1.Job) bool {
		condition := Condition(job, kind)
		return condition != nil && condition.Status == status
	})
}

// Refused says where err is no refusal of an invalid object that names exactly the given causes, each in the form
// "field: message", in any order. An … in a cause stands for a part that the server may word as it likes, such as a printed value.
func (t *T) Refused(err error, causes ...string) {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		t.Errorf("error %v, want a refusal", err)
		return
	}
	got := []string{}
	if details := status.Status().Details; details != nil {
		for _, cause := range details.Causes {
			got = append(got, cause.Field+": "+cause.Message)
		}
	}
	slices.Sort(got)
	slices.Sort(causes)
	if status.Status().Code != 422 || !slices.EqualFunc(got, causes, matches) {
		t.Errorf("the answer is %d %s:\n  %s\nwant 422 Invalid:\n  %s", status.Status().Code, status.Status().Message,
			strings.Join(got, "\n  "), strings.Join(causes, "\n  "))
	}
}

func matches(cause, want string) bool {
	before, after, open := strings.Cut(want, "…")
	if !open {
		return cause == want
	}
	return len(cause) >= len(before)+len(after) && strings.HasPrefix(cause, before) && strings.HasSuffix(cause, after)
}

// RefusedFor says where err is not of a reason, or doesn't contain a text.
func (t *T) RefusedFor(err error, reason metav1.StatusReason, text string) {
	if apierrors.ReasonForError(err) != reason || !strings.Contains(fmt.Sprint(err), text) {
		t.Errorf("error %q (%s), want %s with %q", err, apierrors.ReasonForError(err), reason, text)
	}
}

// WaitEvent waits until there is an event that regards a Job, of a type and reason, whose message starts with a text.
func (t *T) WaitEvent(job *batchv1.Job, kind, reason, text string) (found corev1.Event) {
	t.Eventually(fmt.Sprintf("there is an event %s %s %q", kind, reason, text), func() error {
		var all []string
		for _, event := range t.Events(job) {
			if event.Type == kind && event.Reason == reason && strings.HasPrefix(event.Message, text) {
				found = event
				return nil
			}
			all = append(all, fmt.Sprintf("%s %s %q", event.Type, event.Reason, event.Message))
		}
		return fmt.Errorf("there are %q", all)
	})
	return found
}

// Events returns the events that regard a Job.
func (t *T) Events(job *batchv1.Job) []corev1.Event {
	events, err := t.Kube.CoreV1().Events(t.namespace).List(t.ctx, metav1.ListOptions{FieldSelector: "involvedObject.uid=" + string(job.UID)})
	if err != nil {
		t.Fatalf("list the events of the Job %q: %v", job.Name, err)
	}
	return events.Items
}

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

package jobcontroller

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"

	"github.com/jobserver-dev/jobserver/test/framework"
)

// What the wire has, in literals.
const (
	trackingFinalizer      = "batch.kubernetes.io/job-tracking"
	indexAnnotation        = "batch.kubernetes.io/job-completion-index"
	failureCountAnnotation = "batch.kubernetes.io/job-index-failure-count"
	ignoredCountAnnotation = "batch.kubernetes.io/job-index-ignored-failure-count"
)

// testJob is one Job of one test, in a namespace of its own.
type testJob struct {
	t         *testing.T
	server    *framework.Server
	kubelet   *framework.Kubelet
	namespace string
	name      string
	uid       string
}

// newJob returns a Job of batch/v1 whose Pods have one container.
func newJob(changes ...func(*batchv1.JobSpec)) *batchv1.Job {
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: "work"},
		Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever,
			Containers:    []corev1.Container{{Name: "main", Image: "busybox", Command: []string{"work"}}},
		}}},
	}
	for _, change := range changes {
		change(&job.Spec)
	}
	return job
}

// sized sets parallelism and completions.
func sized(parallelism, completions int32) func(*batchv1.JobSpec) {
	return func(spec *batchv1.JobSpec) { spec.Parallelism, spec.Completions = &parallelism, &completions }
}

// indexed makes a Job an Indexed one with as many Pods as indexes.
func indexed(completions int32) func(*batchv1.JobSpec) {
	return func(spec *batchv1.JobSpec) {
		sized(completions, completions)(spec)
		spec.CompletionMode = new(batchv1.IndexedCompletion)
	}
}

func backoffLimit(limit int32) func(*batchv1.JobSpec) {
	return func(spec *batchv1.JobSpec) { spec.BackoffLimit = &limit }
}

// start creates a Job through batch/v1.
func start(t *testing.T, changes ...func(*batchv1.JobSpec)) *testJob {
	t.Helper()
	return create(t, server.Namespace(t), newJob(changes...))
}

// create creates a Job through batch/v1 in a namespace.
func create(t *testing.T, namespace string, job *batchv1.Job) *testJob {
	t.Helper()
	created, err := server.Kube.BatchV1().Jobs(namespace).Create(t.Context(), job, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("create the Job: %v", err)
	}
	return &testJob{t: t, server: server, kubelet: kubelet, namespace: namespace, name: created.Name, uid: string(created.UID)}
}

// get reads the Job through batch/v1.
func (j *testJob) get() *batchv1.Job {
	j.t.Helper()
	job, err := j.server.Kube.BatchV1().Jobs(j.namespace).Get(j.t.Context(), j.name, metav1.GetOptions{})
	if err != nil {
		j.t.Fatalf("get the Job: %v", err)
	}
	return job
}

// update changes the Job through batch/v1, whoever else writes to it meanwhile.
func (j *testJob) update(change func(*batchv1.JobSpec)) {
	j.t.Helper()
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		job := j.get()
		change(&job.Spec)
		_, err := j.server.Kube.BatchV1().Jobs(j.namespace).Update(j.t.Context(), job, metav1.UpdateOptions{})
		return err
	})
	if err != nil {
		j.t.Fatalf("update the Job: %v", err)
	}
}

func (j *testJob) scale(parallelism int32) {
	j.t.Helper()
	j.update(func(spec *batchv1.JobSpec) { spec.Parallelism = &parallelism })
}

func (j *testJob) suspend(suspend bool) {
	j.t.Helper()
	j.update(func(spec *batchv1.JobSpec) { spec.Suspend = &suspend })
}

// delete deletes the Job with a propagation policy.
func (j *testJob) delete(policy metav1.DeletionPropagation) {
	j.t.Helper()
	err := j.server.Kube.BatchV1().Jobs(j.namespace).Delete(j.t.Context(), j.name, metav1.DeleteOptions{PropagationPolicy: &policy})
	if err != nil {
		j.t.Fatalf("delete the Job: %v", err)
	}
}

// waitGone waits until the Job is no more.
func (j *testJob) waitGone() {
	j.t.Helper()
	framework.Eventually(j.t, "the Job is gone", func(ctx context.Context) error {
		job, err := j.server.Kube.BatchV1().Jobs(j.namespace).Get(ctx, j.name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			return nil
		case err != nil:
			return err
		case string(job.UID) != j.uid:
			return nil
		}
		return fmt.Errorf("it is there, finalizers %v, deleted %v", job.Finalizers, job.DeletionTimestamp)
	})
}

// state is what a Job's status says.
type state struct {
	Active, Ready, Terminating, Succeeded, Failed int32
	CompletedIndexes, FailedIndexes               string
	// Conditions are each "type status reason", in the order in which they were added.
	Conditions []string
	// Uncounted are the Pods whose end is recorded and not counted yet.
	Uncounted int
}

func stateOf(status batchv1.JobStatus) state {
	s := state{
		Active: status.Active, Succeeded: status.Succeeded, Failed: status.Failed,
		CompletedIndexes: status.CompletedIndexes,
	}
	if status.Ready != nil {
		s.Ready = *status.Ready
	}
	if status.Terminating != nil {
		s.Terminating = *status.Terminating
	}
	if status.FailedIndexes != nil {
		s.FailedIndexes = *status.FailedIndexes
	}
	if uncounted := status.UncountedTerminatedPods; uncounted != nil {
		s.Uncounted = len(uncounted.Succeeded) + len(uncounted.Failed)
	}
	for _, c := range status.Conditions {
		s.Conditions = append(s.Conditions, fmt.Sprintf("%s %s %s", c.Type, c.Status, c.Reason))
	}
	return s
}

// wait waits until the status is want.
func (j *testJob) wait(want state) {
	j.t.Helper()
	framework.Eventually(j.t, "the status is right", func(context.Context) error {
		if diff := gocmp.Diff(want, stateOf(j.get().Status)); diff != "" {
			return fmt.Errorf("(-want +got):\n%s", diff)
		}
		return nil
	})
	if slices.ContainsFunc(want.Conditions, func(c string) bool { return c[:min(len(c), 6)] == "Failed" || c[:min(len(c), 8)] == "Complete" }) {
		j.checkEnd()
	}
}

// checkEnd checks what holds for each Job that has ended.
func (j *testJob) checkEnd() {
	j.t.Helper()
	for _, pod := range j.pods() {
		if slices.Contains(pod.Finalizers, trackingFinalizer) {
			j.t.Errorf("the Job has ended, and its Pod %s keeps its finalizer", pod.Name)
		}
		if !ended(pod) && pod.DeletionTimestamp == nil {
			j.t.Errorf("the Job has ended, and its Pod %s may run", pod.Name)
		}
	}
}

func complete(reason string) []string {
	return []string{"SuccessCriteriaMet True " + reason, "Complete True " + reason}
}

func failed(reason string) []string {
	return []string{"FailureTarget True " + reason, "Failed True " + reason}
}

// message is the message of a condition of the Job, "" where it has none of the type.
func (j *testJob) message(kind batchv1.JobConditionType) string {
	j.t.Helper()
	for _, c := range j.get().Status.Conditions {
		if c.Type == kind {
			return c.Message
		}
	}
	return ""
}

// waitEvents waits until the Job has just these events, each written "type reason", with how often.
func (j *testJob) waitEvents(want map[string]int) {
	j.t.Helper()
	framework.Eventually(j.t, "the events are right", func(ctx context.Context) error {
		list, err := j.server.Kube.CoreV1().Events(j.namespace).List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.uid=" + j.uid})
		if err != nil {
			return err
		}
		got := map[string]int{}
		for _, event := range list.Items {
			got[event.Type+" "+event.Reason] += int(event.Count)
		}
		if !maps.Equal(got, want) {
			return fmt.Errorf("(-want +got):\n%s", gocmp.Diff(want, got))
		}
		return nil
	})
}

// eventually waits until check accepts the Job.
func (j *testJob) eventually(what string, check func(*batchv1.Job) bool) {
	j.t.Helper()
	framework.Eventually(j.t, what, func(context.Context) error {
		job := j.get()
		if check(job) {
			return nil
		}
		return fmt.Errorf("its status is %+v", job.Status)
	})
}

// setStatus writes the status of the Job, as another controller would.
func (j *testJob) setStatus(change func(*batchv1.JobStatus)) {
	j.t.Helper()
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		job := j.get()
		change(&job.Status)
		_, err := j.server.Kube.BatchV1().Jobs(j.namespace).UpdateStatus(j.t.Context(), job, metav1.UpdateOptions{})
		return err
	})
	if err != nil {
		j.t.Fatalf("write the status of the Job: %v", err)
	}
}

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
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
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

// pods returns all Pods that the Job controls, the oldest first; of a second, by name.
func (j *testJob) pods() []*corev1.Pod {
	j.t.Helper()
	list, err := j.server.Kube.CoreV1().Pods(j.namespace).List(j.t.Context(), metav1.ListOptions{})
	if err != nil {
		j.t.Fatalf("list Pods: %v", err)
	}
	var pods []*corev1.Pod
	for i := range list.Items {
		if ref := metav1.GetControllerOf(&list.Items[i]); ref != nil && string(ref.UID) == j.uid {
			pods = append(pods, &list.Items[i])
		}
	}
	slices.SortFunc(pods, func(a, b *corev1.Pod) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	return pods
}

// pod reads a Pod anew. nil: it is gone.
func (j *testJob) pod(pod *corev1.Pod) *corev1.Pod {
	j.t.Helper()
	found, err := j.server.Kube.CoreV1().Pods(pod.Namespace).Get(j.t.Context(), pod.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || err == nil && found.UID != pod.UID {
		return nil
	}
	if err != nil {
		j.t.Fatalf("get the Pod %s: %v", pod.Name, err)
	}
	return found
}

// deletePods deletes Pods as a user does.
func (j *testJob) deletePods(pods ...*corev1.Pod) {
	j.t.Helper()
	for _, pod := range pods {
		if err := j.server.Kube.CoreV1().Pods(pod.Namespace).Delete(j.t.Context(), pod.Name, metav1.DeleteOptions{}); err != nil {
			j.t.Fatalf("delete the Pod %s: %v", pod.Name, err)
		}
	}
}

// waitPod waits until check accepts a Pod, which is nil once it is gone.
func (j *testJob) waitPod(pod *corev1.Pod, what string, check func(*corev1.Pod) bool) {
	j.t.Helper()
	framework.Eventually(j.t, "the Pod "+what, func(context.Context) error {
		found := j.pod(pod)
		if check(found) {
			return nil
		}
		if found == nil {
			return errors.New("it is gone")
		}
		return fmt.Errorf("it is %s, owners %v, finalizers %v, deleted %v", found.Status.Phase, found.OwnerReferences, found.Finalizers, found.DeletionTimestamp)
	})
}

func (j *testJob) waitPodsGone(pods ...*corev1.Pod) {
	j.t.Helper()
	for _, pod := range pods {
		j.waitPod(pod, "is gone", func(pod *corev1.Pod) bool { return pod == nil })
	}
}

func (j *testJob) waitPodsTerminate(pods ...*corev1.Pod) {
	j.t.Helper()
	for _, pod := range pods {
		j.waitPod(pod, "terminates", func(pod *corev1.Pod) bool { return pod != nil && pod.DeletionTimestamp != nil })
	}
}

// active waits until the Job has exactly n active Pods and its status says so. It returns them by index, or age.
func (j *testJob) active(n int) (active []*corev1.Pod) {
	j.t.Helper()
	framework.Eventually(j.t, fmt.Sprintf("%d Pods are active", n), func(context.Context) error {
		active = slices.DeleteFunc(j.pods(), func(pod *corev1.Pod) bool { return ended(pod) || pod.DeletionTimestamp != nil })
		if status := j.get().Status; len(active) != n || int(status.Active) != n {
			return fmt.Errorf("%d are, the status is %+v", len(active), status)
		}
		return nil
	})
	slices.SortStableFunc(active, func(a, b *corev1.Pod) int { return cmp.Compare(index(a), index(b)) })
	return active
}

// running is active, with all Pods running and ready.
func (j *testJob) running(n int) []*corev1.Pod {
	j.t.Helper()
	pods := j.active(n)
	j.kubelet.Run(j.t, pods...)
	return pods
}

// replacement waits for an active Pod of the index, -1 for none, that is none of others.
func (j *testJob) replacement(of int, others ...*corev1.Pod) (found *corev1.Pod) {
	j.t.Helper()
	framework.Eventually(j.t, fmt.Sprintf("there is a new Pod of index %d", of), func(context.Context) error {
		pods := j.pods()
		at := slices.IndexFunc(pods, func(pod *corev1.Pod) bool {
			return index(pod) == of && !ended(pod) && pod.DeletionTimestamp == nil &&
				!slices.ContainsFunc(others, func(other *corev1.Pod) bool { return other.UID == pod.UID })
		})
		if at < 0 {
			return fmt.Errorf("it is none of %d Pods; the status is %+v", len(pods), j.get().Status)
		}
		found = pods[at]
		return nil
	})
	return found
}

func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// index is the index of a Pod, -1 where it has none.
func index(pod *corev1.Pod) int {
	index, err := strconv.Atoi(pod.Annotations[indexAnnotation])
	if err != nil {
		return -1
	}
	return index
}

func indexes(pods []*corev1.Pod) (all []int) {
	for _, pod := range pods {
		all = append(all, index(pod))
	}
	return all
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

func itoa(i int) string { return strconv.Itoa(i) }

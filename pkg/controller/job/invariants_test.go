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
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
	"github.com/jobserver-dev/jobserver/pkg/apis/batch/validation"
)

// The fake API checks each write of the controller against what must never happen; a test fails on a violation whatever
// else it looks at.

func (a *fakeAPI) violation(format string, args ...any) {
	a.violations = append(a.violations, fmt.Sprintf(format, args...))
}

// checkStatus: the API accepts the status, counters never fall, a terminal condition never changes, no Pod is recorded twice.
func (a *fakeAPI) checkStatus(now *batchv1.Job, next batchv1.JobStatus) {
	listed := listedIn(now.Status)
	for uid := range listedIn(next).Difference(listed) {
		if a.recorded.Has(uid) {
			a.violation("the Pod %s has been recorded before, and is again in %+v", uid, next)
		}
		a.recorded.Insert(uid)
	}
	written := now.DeepCopy()
	written.Status = next
	var old, job batch.Job
	for _, err := range []error{
		batchv1.Convert_v1_Job_To_batch_Job(now.DeepCopy(), &old, nil),
		batchv1.Convert_v1_Job_To_batch_Job(written, &job, nil),
		validation.ValidateJobStatusUpdate(&job, &old).ToAggregate(),
	} {
		if err != nil {
			a.violation("the status %+v can't follow %+v: %v", next, now.Status, err)
		}
	}
	if next.Failed < now.Status.Failed || next.Succeeded < now.Status.Succeeded {
		a.violation("counters fall from %d succeeded, %d failed to %d, %d", now.Status.Succeeded, now.Status.Failed, next.Succeeded, next.Failed)
	}
	if finished(now) {
		a.violation("the status of a finished Job is written")
	}
	if uncounted := next.UncountedTerminatedPods; finished(&batchv1.Job{Status: next}) &&
		(next.Active > 0 || uncounted != nil && len(uncounted.Succeeded)+len(uncounted.Failed) > 0) {
		a.violation("a Job is finished with Pods left: %+v", next)
	}
}

// listedIn are the Pods on the uncounted lists of a status.
func listedIn(status batchv1.JobStatus) sets.Set[types.UID] {
	if status.UncountedTerminatedPods == nil {
		return nil
	}
	return sets.New(slices.Concat(status.UncountedTerminatedPods.Succeeded, status.UncountedTerminatedPods.Failed)...)
}

// checkParallelism: there are never more active Pods than parallelism, an index never has two, nor one after it succeeded; but a Pod that is replaced
// while it terminates may succeed after all.
func (a *fakeAPI) checkParallelism(created *corev1.Pod) {
	job := a.ownerOf(created)
	if job == nil {
		return
	}
	active := 0
	index := created.Labels[batch.JobCompletionIndexAnnotation]
	for _, pod := range a.allPods(created.Namespace) {
		if owner := metav1.GetControllerOf(pod); owner == nil || owner.UID != job.UID {
			continue
		}
		live := !ended(pod) && pod.DeletionTimestamp == nil
		if live {
			active++
		}
		succeeded := pod.Status.Phase == corev1.PodSucceeded && (pod.DeletionTimestamp == nil || *job.Spec.PodReplacementPolicy == batchv1.Failed)
		if index != "" && pod.UID != created.UID && pod.Labels[batch.JobCompletionIndexAnnotation] == index && (live || succeeded) {
			a.violation("index %s gets Pod %s besides Pod %s, %s", index, created.Name, pod.Name, pod.Status.Phase)
		}
	}
	if active > int(*job.Spec.Parallelism) {
		a.violation("%d Pods are active, parallelism is %d", active, *job.Spec.Parallelism)
	}
}

// checkRecorded: no Pod that ended loses its finalizer before its end is in the status.
func (a *fakeAPI) checkRecorded(patched *corev1.Pod) {
	job := a.ownerOf(patched)
	before := a.podNamed(patched.Namespace, patched.Name)
	if job == nil || before == nil || job.DeletionTimestamp != nil || finished(job) || !ended(before) || before.DeletionTimestamp != nil ||
		!slices.Contains(before.Finalizers, batch.KubeTrackingFinalizer) || slices.Contains(patched.Finalizers, batch.KubeTrackingFinalizer) {
		return
	}
	if *job.Spec.CompletionMode == batchv1.IndexedCompletion && before.Status.Phase == corev1.PodSucceeded {
		return // recorded by its index
	}
	if ignoredByExitCode(job, before) {
		return // on no list
	}
	uncounted := job.Status.UncountedTerminatedPods
	if uncounted == nil || !slices.Contains(slices.Concat(uncounted.Succeeded, uncounted.Failed), before.UID) {
		a.violation("Pod %s, %s, loses its finalizer and is not recorded in %+v", before.Name, before.Status.Phase, job.Status)
	}
}

// ignoredByExitCode tells whether the first rule of the podFailurePolicy is to ignore how the Pod ended.
func ignoredByExitCode(job *batchv1.Job, pod *corev1.Pod) bool {
	if job.Spec.PodFailurePolicy == nil || len(pod.Status.ContainerStatuses) == 0 {
		return false
	}
	rule, ended := job.Spec.PodFailurePolicy.Rules[0], pod.Status.ContainerStatuses[0].State.Terminated
	return rule.Action == batchv1.PodFailurePolicyActionIgnore && rule.OnExitCodes != nil && ended != nil &&
		slices.Contains(rule.OnExitCodes.Values, ended.ExitCode)
}

func (a *fakeAPI) ownerOf(pod *corev1.Pod) *batchv1.Job {
	ref := metav1.GetControllerOf(pod)
	if ref == nil {
		return nil
	}
	obj, err := a.jobs.Tracker().Get(jobsResource, pod.Namespace, ref.Name)
	if err != nil {
		return nil
	}
	if job := obj.(*batchv1.Job); job.UID == ref.UID {
		return job
	}
	return nil
}

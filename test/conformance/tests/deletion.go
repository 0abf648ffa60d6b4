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

package tests

import (
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/jobserver-dev/jobserver/test/conformance/suite"
)

// preserved is the warning of a deletion that leaves the Pods alone without being asked to.
const preserved = "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning"

// orphaned tells whether a Pod has been left without owner and finalizer, and is not being deleted.
func orphaned(pod *corev1.Pod) bool {
	return pod != nil && len(pod.OwnerReferences) == 0 && !isTracked(*pod) && pod.DeletionTimestamp == nil
}

// collector is what deletions of Pods with their Job need.
var collector = []suite.Feature{suite.FeatureGarbageCollector}

// The propagation policies.
func init() {
	deleted := func(name, description, source, group string, policy metav1.DeletionPropagation, warnings []string, check func(t *suite.T, job *batchv1.Job, pods []corev1.Pod)) suite.Test {
		return suite.Test{Name: name, Description: description, Source: source, Group: group, Features: collector, Run: func(t *suite.T) {
			job := t.Create(newJob(completions(2), parallelism(2)))
			pods := t.WaitActive(job, 2)
			t.Warnings()
			t.Delete(job, policy)
			suite.Equal(t, "warnings", t.Warnings(), warnings)
			check(t, job, pods)
		}}
	}
	allGone := func(t *suite.T, job *batchv1.Job, pods []corev1.Pod) {
		t.WaitGone(job)
		t.WaitPodGone(pods[0])
		t.WaitPodGone(pods[1])
	}
	allOrphaned := func(t *suite.T, job *batchv1.Job, pods []corev1.Pod) {
		t.WaitGone(job)
		t.WaitPod(pods[0], "is an orphan", orphaned)
		t.WaitPod(pods[1], "is an orphan", orphaned)
	}

	subject("Deletion",
		deleted("Background", "A deletion in the background removes the Job, then its Pods.", "guide 10; reference B79", "", metav1.DeletePropagationBackground, nil, allGone),
		deleted("Foreground", "A deletion in the foreground removes the Pods, then the Job.", "guide 10; reference B80", "", metav1.DeletePropagationForeground, nil, allGone),
		deleted("Orphan", "A deletion that orphans removes the Job and leaves its Pods, without owner and finalizer.", "reference B81", "", metav1.DeletePropagationOrphan, nil, allOrphaned),
		deleted("DefaultOfKubernetes", "A deletion through batch/v1 that says nothing of the Pods leaves them alone, and warns.", "reference 1.11 and 1.15",
			suite.GroupKubernetes, "", []string{preserved}, allOrphaned),
		deleted("DefaultOfTheGuide", "A deletion through batch.jobserver.dev/v1 that says nothing of the Pods deletes them.", "guide 10 and 11",
			suite.GroupJobserver, "", nil, allGone),
	)
}

// What happens between the deletion of a Job and its end, and after it.
func init() {
	subject("Deletion",
		suite.Test{
			Name: "ForegroundWaits", Description: "A Job that is deleted in the foreground stays until its Pods are gone, and makes no more.", Source: "reference B27, B30 and B80", Features: collector,
			Run: func(t *suite.T) {
				job := t.Create(newJob(completions(3), parallelism(2)))
				pods := t.WaitActive(job, 2)
				t.Bind(pods...)
				t.Delete(job, metav1.DeletePropagationForeground)
				for _, pod := range pods {
					t.WaitPod(pod, "is being deleted", func(pod *corev1.Pod) bool { return pod != nil && pod.DeletionTimestamp != nil && !isTracked(*pod) })
				}
				found := t.Get(job)
				if found.DeletionTimestamp == nil || !slices.Contains(found.Finalizers, "foregroundDeletion") {
					t.Errorf("the Job has the deletionTimestamp %v and the finalizers %v", found.DeletionTimestamp, found.Finalizers)
				}
				t.EndDeleted(pods[0], 143)
				t.WaitPodGone(pods[0])
				another(t)
				suite.Equal(t, "number of Pods", len(t.Pods(job)), 1)
				t.EndDeleted(pods[1], 143)
				t.WaitGone(job)
			},
		},
		suite.Test{
			Name: "GracePeriodOfPods", Description: "Pods of a deleted Job get their grace period.", Source: "guide 12; reference B84", Features: collector,
			Run: func(t *suite.T) {
				job := t.Create(newJob())
				pod := t.WaitActive(job, 1)[0]
				t.Bind(pod)
				t.Delete(job, metav1.DeletePropagationBackground)
				t.WaitGone(job)
				t.WaitPod(pod, "is being deleted without finalizer", func(pod *corev1.Pod) bool {
					return pod != nil && pod.DeletionTimestamp != nil && !isTracked(*pod)
				})
				suite.Equal(t, "grace period", or(getPod(t, pod).DeletionGracePeriodSeconds, 0), int64(suite.GracePeriod.Seconds()))
				t.LetGo(pod)
				t.WaitPodGone(pod)
			},
		},
		suite.Test{
			Name: "Recreate", Description: "A Job of the name of a deleted one starts anew.", Source: "guide 11; reference B3 and B10", Features: collector,
			Run: func(t *suite.T) {
				first := t.Create(newJob(indexed(2), backoffLimit(1)))
				pods := t.WaitActive(first, 2)
				t.Succeed(pods[0])
				t.Fail(1, pods[1])
				t.WaitJob(first, "has counted both Pods", func(job *batchv1.Job) bool { return job.Status.Succeeded == 1 && job.Status.Failed == 1 })
				t.Delete(first, metav1.DeletePropagationBackground)
				t.WaitGone(first)
				second := t.Create(newJob(indexed(2), backoffLimit(1)))
				// The first Job's failure delays nothing of the second's.
				pods = t.WaitActive(second, 2)
				suite.Equal(t, "counters", [2]int32{second.Status.Succeeded, second.Status.Failed}, [2]int32{0, 0})
				t.Succeed(pods...)
				suite.Equal(t, "failed", t.WaitComplete(second, "CompletionsReached").Status.Failed, 0)
			},
		},
		suite.Test{
			Name: "RecreateManyTimes", Description: "A Job may be deleted and made anew as often as one likes.", Source: "guide 11; reference B3", Features: collector,
			Run: func(t *suite.T) {
				for range 5 {
					job := t.Create(newJob())
					t.WaitActive(job, 1)
					t.Delete(job, metav1.DeletePropagationBackground)
					t.WaitGone(job)
				}
				job := t.Create(newJob())
				t.Succeed(t.WaitActive(job, 1)...)
				t.WaitComplete(job, "CompletionsReached")
			},
		},
	)
}

// What holds a deletion up, or makes it none.
func init() {
	subject("Deletion",
		suite.Test{
			Name: "Finalizer", Description: "A Job with a finalizer of somebody stays until that is removed, and lets its Pods go.", Source: "API conventions; reference B30", Features: collector,
			Run: func(t *suite.T) {
				job := t.Create(newJob(func(job *batchv1.Job) { job.Finalizers = []string{"example.com/hold"} }))
				pod := t.WaitActive(job, 1)[0]
				t.Delete(job, metav1.DeletePropagationBackground)
				t.WaitPod(pod, "is not tracked any more", func(pod *corev1.Pod) bool { return pod == nil || !isTracked(*pod) })
				found := t.Get(job)
				if found.DeletionTimestamp == nil {
					t.Errorf("the Job has no deletionTimestamp")
				}
				_, err := t.TryUpdate(job, func(job *batchv1.Job) { job.Finalizers = append(job.Finalizers, "example.com/more") })
				t.Refused(err, `metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{"example.com/more"}`)
				t.Update(job, func(job *batchv1.Job) { job.Finalizers = nil })
				t.WaitGone(job)
			},
		},
		suite.Test{
			Name: "Precondition", Description: "A deletion that means a Job of another UID is a conflict.", Source: "API conventions",
			Run: func(t *suite.T) {
				job := t.Create(newJob(suspended))
				err := t.API().Delete(t.Context(), job.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: ptr.To[types.UID]("another")}})
				t.RefusedFor(err, metav1.StatusReasonConflict, "the UID in the precondition (another) does not match")
				t.Get(job)
			},
		},
		suite.Test{
			Name: "Missing", Description: "A Job that is not there can't be deleted.", Source: "API conventions",
			Run: func(t *suite.T) {
				t.RefusedFor(t.TryDelete(newJob(), metav1.DeletePropagationBackground), metav1.StatusReasonNotFound, `"job" not found`)
			},
		},
		suite.Test{
			Name: "DryRun", Description: "A deletion that is a dry run deletes nothing.", Source: "API conventions",
			Run: func(t *suite.T) {
				job := t.Create(newJob(suspended))
				t.Must(t.API().Delete(t.Context(), job.Name, metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}, PropagationPolicy: ptr.To(metav1.DeletePropagationBackground)}))
				suite.Equal(t, "deletionTimestamp", t.Get(job).DeletionTimestamp, nil)
			},
		},
		suite.Test{
			Name: "Collection", Description: "A deletion of a collection deletes the Jobs that the selector matches, and no others.", Source: "API conventions",
			Run: func(t *suite.T) {
				labelled := func(job *batchv1.Job) { job.Labels = map[string]string{"go": "yes"} }
				one, two, stays := t.Create(newJob(named("one"), labelled, suspended)), t.Create(newJob(named("two"), labelled, suspended)), t.Create(newJob(named("stays"), suspended))
				t.Must(t.API().DeleteCollection(t.Context(), metav1.DeleteOptions{PropagationPolicy: ptr.To(metav1.DeletePropagationBackground)}, metav1.ListOptions{LabelSelector: "go=yes"}))
				t.WaitGone(one)
				t.WaitGone(two)
				suite.Equal(t, "deletionTimestamp", t.Get(stays).DeletionTimestamp, nil)
			},
		},
		suite.Test{
			Name: "CollectionWarns", Description: "A deletion of a collection through batch/v1 that says nothing of the Pods warns, too.", Source: "reference 1.11", Group: suite.GroupKubernetes,
			Run: func(t *suite.T) {
				job := t.Create(newJob(suspended))
				t.Must(t.API().DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{}))
				suite.Equal(t, "warnings", t.Warnings(), []string{preserved})
				t.WaitGone(job)
			},
		},
	)
}

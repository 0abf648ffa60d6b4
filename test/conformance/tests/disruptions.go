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
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/jobserver-dev/jobserver/test/conformance/suite"
)

// Pods that are lost, and when Pods are replaced that are being deleted.
func init() {
	evict := func(t *suite.T, pod corev1.Pod) {
		t.Must(t.Kube.PolicyV1().Evictions(pod.Namespace).Evict(t.Context(), &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace}}))
	}
	subject("Disruption",
		kubernetesPolicies(suite.Test{
			Name: "DeletedPodCounts", Description: "With Kubernetes' policies, a Pod that somebody deletes counts as failed.", Source: "reference B20",
			Run: func(t *suite.T) {
				job := t.Create(newJob(completions(2), parallelism(2), backoffLimit(3)))
				pods := t.WaitActive(job, 2)
				t.DeletePod(pods[0])
				t.WaitStatus(job, 1, 0, 1)
				t.WaitPodGone(pods[0])
				t.WaitActive(job, 2)
			},
		}),
		kubernetesPolicies(suite.Test{
			Name: "DeletedPodFailsTheJob", Description: "With Kubernetes' policies and backoffLimit 0, a deleted Pod fails the Job.", Source: "reference B20 and B24",
			Run: func(t *suite.T) {
				job := t.Create(newJob(backoffLimit(0)))
				t.DeletePod(t.WaitActive(job, 1)[0])
				suite.Equal(t, "failed", t.WaitFailed(job, "BackoffLimitExceeded").Status.Failed, 1)
			},
		}),
		kubernetesPolicies(suite.Test{
			Name: "EvictedPodCounts", Description: "With Kubernetes' policies, an evicted Pod counts as failed.", Source: "reference B85", Features: []suite.Feature{suite.FeatureEviction},
			Run: func(t *suite.T) {
				job := t.Create(newJob(backoffLimit(0)))
				evict(t, t.WaitActive(job, 1)[0])
				suite.Equal(t, "failed", t.WaitFailed(job, "BackoffLimitExceeded").Status.Failed, 1)
			},
		}),
		inGroup(suite.GroupJobserver, suite.Test{
			Name: "DeletedPodIsReplaced", Description: "By the guide, a deleted Pod is no failure: it is replaced, and backoffLimit and status.failed are as before.",
			Source: "guide 5, 10 and 13",
			Run: func(t *suite.T) {
				job := t.Create(newJob(backoffLimit(0)))
				for range 3 {
					pod := t.WaitActive(job, 1)[0]
					t.DeletePod(pod)
					t.WaitPodGone(pod)
				}
				t.Succeed(t.WaitActive(job, 1)...)
				suite.Equal(t, "failed", t.WaitComplete(job, "CompletionsReached").Status.Failed, 0)
			},
		}),
		inGroup(suite.GroupJobserver, suite.Test{
			Name: "EvictedPodIsReplaced", Description: "By the guide, an evicted Pod is no failure.", Source: "guide 5 and 13", Features: []suite.Feature{suite.FeatureEviction},
			Run: func(t *suite.T) {
				job := t.Create(newJob(backoffLimit(0)))
				pod := t.WaitActive(job, 1)[0]
				evict(t, pod)
				t.WaitPodGone(pod)
				t.Succeed(t.WaitActive(job, 1)...)
				suite.Equal(t, "failed", t.WaitComplete(job, "CompletionsReached").Status.Failed, 0)
			},
		}),
		inGroup(suite.GroupJobserver, suite.Test{
			Name: "DisruptedPodIsReplaced", Description: "By the guide, a Pod that failed because its node preempted it is no failure.", Source: "guide 5 and 13",
			Run: func(t *suite.T) {
				job := t.Create(newJob(backoffLimit(0)))
				t.End(t.WaitActive(job, 1)[0], corev1.PodFailed, 137, suite.Disrupted("PreemptionByScheduler"))
				t.Succeed(t.WaitActive(job, 1)...)
				suite.Equal(t, "failed", t.WaitComplete(job, "CompletionsReached").Status.Failed, 0)
			},
		}),
		kubernetesPolicies(suite.Test{
			Name: "DisruptedPodCounts", Description: "With Kubernetes' policies, a Pod that failed because of a disruption counts.", Source: "reference B21; KEP-3329",
			Run: func(t *suite.T) {
				job := t.Create(newJob(backoffLimit(0)))
				t.End(t.WaitActive(job, 1)[0], corev1.PodFailed, 137, suite.Disrupted("PreemptionByScheduler"))
				suite.Equal(t, "failed", t.WaitFailed(job, "BackoffLimitExceeded").Status.Failed, 1)
			},
		}),
	)

}

func init() {
	replacing := func(policy batchv1.PodReplacementPolicy) edit {
		return spec(func(spec *batchv1.JobSpec) { spec.PodReplacementPolicy = &policy })
	}
	terminating := func(active, terminating, failed int32) func(job *batchv1.Job) bool {
		return func(job *batchv1.Job) bool {
			return job.Status.Active == active && ptr.Deref(job.Status.Terminating, -1) == terminating && job.Status.Failed == failed
		}
	}
	subject("Replacement",
		kubernetesPolicies(suite.Test{
			Name: "TerminatingOrFailed", Description: "With podReplacementPolicy TerminatingOrFailed, a Pod is replaced while it terminates.", Source: "KEP-3939; reference B20",
			Run: func(t *suite.T) {
				job := t.Create(newJob(backoffLimit(3), replacing(batchv1.TerminatingOrFailed)))
				pod := t.WaitActive(job, 1)[0]
				t.Bind(pod)
				t.DeletePod(pod)
				t.WaitJob(job, "has a terminating and an active Pod", terminating(1, 1, 1))
				t.EndDeleted(pod, 137)
				t.WaitJob(job, "has an active Pod", terminating(1, 0, 1))
			},
		}),
		kubernetesPolicies(suite.Test{
			Name: "Failed", Description: "With podReplacementPolicy Failed, a Pod is replaced, and counted, once it has ended.", Source: "KEP-3939; reference B49",
			Run: func(t *suite.T) {
				job := t.Create(newJob(backoffLimit(3), replacing(batchv1.Failed)))
				pod := t.WaitActive(job, 1)[0]
				t.Bind(pod)
				t.DeletePod(pod)
				t.WaitJob(job, "has a terminating Pod", terminating(0, 1, 0))
				another(t)
				suite.Equal(t, "number of Pods", len(t.Pods(job)), 1)
				t.EndDeleted(pod, 137)
				t.WaitJob(job, "has an active Pod", terminating(1, 0, 1))
			},
		}),
		kubernetesPolicies(suite.Test{
			Name: "FailedAndSucceeded", Description: "With podReplacementPolicy Failed, a Pod that succeeds while it terminates is no failure.", Source: "KEP-3939; reference B20",
			Run: func(t *suite.T) {
				job := t.Create(newJob(backoffLimit(3), replacing(batchv1.Failed)))
				pod := t.WaitActive(job, 1)[0]
				t.Bind(pod)
				t.DeletePod(pod)
				t.WaitJob(job, "has a terminating Pod", terminating(0, 1, 0))
				t.EndDeleted(pod, 0)
				job = t.WaitComplete(job, "CompletionsReached")
				suite.Equal(t, "counters", [2]int32{job.Status.Succeeded, job.Status.Failed}, [2]int32{1, 0})
			},
		}),
		kubernetesPolicies(suite.Test{
			Name: "FailedIndexed", Description: "With podReplacementPolicy Failed, no index has a Pod while another of its Pods terminates.", Source: "KEP-3939; reference B50",
			Run: func(t *suite.T) {
				job := t.Create(newJob(indexed(3), parallelism(2), backoffLimit(3), replacing(batchv1.Failed)))
				pods := t.WaitActive(job, 2)
				t.Bind(pods...)
				t.DeletePod(pods[0])
				t.WaitJob(job, "has a terminating Pod", terminating(1, 1, 0))
				t.Succeed(pods[1])
				waitIndexes(t, job, 2)
				t.EndDeleted(pods[0], 137)
				waitIndexes(t, job, 0, 2)
			},
		}),
	)
}

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
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/jobserver-dev/jobserver/test/conformance/suite"
)

// tracking is Kubernetes' finalizer that keeps a Pod until its Job has counted it.
const tracking = "batch.kubernetes.io/job-tracking"

// disruption is the condition of a Pod that says that it was disrupted, nil where it has none.
func disruption(pod corev1.Pod) *corev1.PodCondition {
	at := slices.IndexFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == corev1.DisruptionTarget })
	if at < 0 {
		return nil
	}
	return &pod.Status.Conditions[at]
}

// Pods that no kubelet will end.
func init() {
	replacing := spec(func(spec *batchv1.JobSpec) { spec.PodReplacementPolicy = ptr.To(batchv1.Failed) })
	// ends waits until the server has ended a Pod that nobody else ends.
	ends := func(t *suite.T, pod corev1.Pod) (ended corev1.Pod) {
		t.Patiently("the server ends the Pod", func() error {
			ended = getPod(t, pod)
			if ended.Status.Phase != corev1.PodFailed || ended.DeletionTimestamp == nil {
				return fmt.Errorf("it is %s and has the deletionTimestamp %v", ended.Status.Phase, ended.DeletionTimestamp)
			}
			return nil
		})
		return ended
	}
	subject("LostPod",
		kubernetesPolicies(suite.Test{
			Name: "Unscheduled", Description: "A Pod that is deleted before it had a node, and that a finalizer holds, is failed, and so replaced.", Source: "reference B83; KEP-3939",
			Run: func(t *suite.T) {
				job := t.Create(newJob(replacing))
				pod := t.WaitActive(job, 1)[0]
				release := hold(t, pod)
				t.DeletePod(pod)
				ends(t, pod)
				t.WaitStatus(job, 1, 0, 1)
				release()
				t.WaitPodGone(pod)
			},
		}),
		kubernetesPolicies(suite.Test{
			Name: "NodeIsGone", Description: "A Pod whose Node is deleted fails, with a condition that says why, and is replaced.", Source: "reference B83; KEP-3329; KEP-3939",
			Run: func(t *suite.T) {
				job := t.Create(newJob(replacing, backoffLimit(1)))
				pod := t.WaitActive(job, 1)[0]
				lost := t.BindToNew(pod)
				release := hold(t, pod)
				t.Start(true, pod)
				t.Must(t.Kube.CoreV1().Nodes().Delete(t.Context(), lost, metav1.DeleteOptions{}))
				condition := disruption(ends(t, pod))
				if condition == nil || condition.Status != corev1.ConditionTrue || condition.Reason != "DeletionByPodGC" {
					t.Errorf("the Pod has the condition %v", condition)
				}
				t.WaitStatus(job, 1, 0, 1)
				release()
				t.WaitPodGone(pod)
			},
		}),
		inGroup(suite.GroupJobserver, suite.Test{
			Name: "NodeIsGoneByTheGuide", Description: "By the guide, a Pod whose node died is no failure: it is replaced.", Source: "guide 13",
			Run: func(t *suite.T) {
				job := t.Create(newJob(backoffLimit(0)))
				pod := t.WaitActive(job, 1)[0]
				lost := t.BindToNew(pod)
				t.Start(true, pod)
				t.Must(t.Kube.CoreV1().Nodes().Delete(t.Context(), lost, metav1.DeleteOptions{}))
				t.Patiently("the Pod is replaced", func() error {
					active := t.ActivePods(job)
					if len(active) != 1 || active[0].UID == pod.UID {
						return fmt.Errorf("%d are active", len(active))
					}
					return nil
				})
				t.Succeed(t.WaitActive(job, 1)...)
				suite.Equal(t, "failed", t.WaitComplete(job, "CompletionsReached").Status.Failed, 0)
			},
		}),
	)
}

// Pods that others end, and finalizers without a Job.
func init() {
	subject("LostPod",
		suite.Test{
			Name: "Evicted", Description: "A Pod that is evicted has a condition that says so.", Source: "reference B85; KEP-3329", Features: []suite.Feature{suite.FeatureEviction},
			Run: func(t *suite.T) {
				job := t.Create(newJob())
				pod := t.WaitActive(job, 1)[0]
				t.Bind(pod)
				t.Start(true, pod)
				t.Must(t.Kube.PolicyV1().Evictions(pod.Namespace).Evict(t.Context(), &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace}}))
				evicted := getPod(t, pod)
				condition := disruption(evicted)
				if condition == nil || evicted.DeletionTimestamp == nil {
					t.Fatalf("the Pod has the condition %v and the deletionTimestamp %v", condition, evicted.DeletionTimestamp)
				}
				suite.Equal(t, "condition", [3]string{string(condition.Status), condition.Reason, condition.Message},
					[3]string{"True", "EvictionByEvictionAPI", "Eviction API: evicting"})
				t.EndDeleted(pod, 143)
			},
		},
		suite.Test{
			Name: "StrayFinalizer", Description: "A Pod of nobody that has the finalizer of a Job's Pods loses it.", Source: "reference B4 and B44; KEP-2307",
			Features: []suite.Feature{suite.FeatureAnyPod},
			Run: func(t *suite.T) {
				pod := freePod(t, "stray", map[string]string{"app": "stray"}, tracking)
				t.WaitPod(pod, "has lost the finalizer", func(pod *corev1.Pod) bool { return pod != nil && !isTracked(*pod) })
			},
		},
		suite.Test{
			Name: "LateFinalizer", Description: "A Pod of a finished Job that has the finalizer once more can be deleted.", Source: "reference B2, B6 and B44",
			Run: func(t *suite.T) {
				job := t.Create(newJob())
				pod := t.WaitActive(job, 1)[0]
				t.Succeed(pod)
				finished := t.WaitComplete(job, "CompletionsReached")
				_, err := t.Kube.CoreV1().Pods(pod.Namespace).Patch(t.Context(), pod.Name, "application/merge-patch+json",
					fmt.Appendf(nil, `{"metadata":{"finalizers":[%q]}}`, pod.Finalizers[0]), metav1.PatchOptions{})
				t.Must(err)
				t.DeletePod(pod)
				t.WaitPodGone(pod)
				suite.Equal(t, "status", t.Get(job).Status, finished.Status)
			},
		},
	)
}

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
	"cmp"
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/jobserver-dev/jobserver/test/conformance/suite"
)

var createOptions = metav1.CreateOptions{}

// waitOf waits until exactly n active Pods have some labels, and returns them by index, then name.
func waitOf(t *suite.T, of map[string]string, n int) (active []corev1.Pod) {
	t.Eventually(fmt.Sprintf("%d active Pods have the labels %v", n, of), func() error {
		pods, err := t.Kube.CoreV1().Pods(t.Namespace()).List(t.Context(), metav1.ListOptions{LabelSelector: labels.FormatLabels(of)})
		if err != nil {
			return err
		}
		active = slices.DeleteFunc(pods.Items, func(pod corev1.Pod) bool {
			return pod.DeletionTimestamp != nil || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
		})
		if len(active) != n {
			return fmt.Errorf("%d have", len(active))
		}
		return nil
	})
	slices.SortFunc(active, func(a, b corev1.Pod) int {
		return cmp.Or(cmp.Compare(suite.Index(a), suite.Index(b)), cmp.Compare(a.Name, b.Name))
	})
	return active
}

// label sets a label of a Pod.
func label(t *suite.T, pod corev1.Pod, key, value string) {
	_, err := t.Kube.CoreV1().Pods(t.Namespace()).Patch(t.Context(), pod.Name, types.MergePatchType,
		fmt.Appendf(nil, `{"metadata":{"labels":{%q:%q}}}`, key, value), metav1.PatchOptions{})
	t.Must(err)
}

// isControlledBy tells whether a Job is the controller of a Pod.
func isControlledBy(pod corev1.Pod, job *batchv1.Job) bool { return metav1.IsControlledBy(&pod, job) }

// app labels what belongs together in these tests.
var app = map[string]string{"app": "adoption"}

// What a Job adopts.
func init() {
	subject("Adoption",
		suite.Test{
			Name: "FreePod", Description: "A Job adopts a Pod without owner that its selector matches, whatever made it, and tracks it.", Source: "reference B32 and B33",
			Features: []suite.Feature{suite.FeatureAnyPod},
			Run: func(t *suite.T) {
				free := freePod(t, "free", app)
				job := t.Create(newJob(selecting(app)))
				t.WaitPod(free, "is adopted", func(pod *corev1.Pod) bool {
					return pod != nil && isControlledBy(*pod, job) && ptr.Deref(metav1.GetControllerOf(pod).BlockOwnerDeletion, false) && isTracked(*pod)
				})
				t.Succeed(free)
				t.WaitComplete(job, "CompletionsReached")
				all, err := t.Kube.CoreV1().Pods(t.Namespace()).List(t.Context(), metav1.ListOptions{})
				t.Must(err)
				suite.Equal(t, "number of Pods", len(all.Items), 1)
			},
		},
		suite.Test{
			Name: "LikePod", Description: "A Job adopts a Pod without owner that has all the labels of a Job's Pods and its selector matches, and tracks it.",
			Source: "reference B32 and B33",
			Run: func(t *suite.T) {
				free := freePod(t, "free", likePods(t, app))
				job := t.Create(newJob(selecting(app)))
				t.WaitPod(free, "is adopted", func(pod *corev1.Pod) bool {
					return pod != nil && isControlledBy(*pod, job) && ptr.Deref(metav1.GetControllerOf(pod).BlockOwnerDeletion, false) && isTracked(*pod)
				})
				t.Succeed(free)
				suite.Equal(t, "succeeded", t.WaitComplete(job, "CompletionsReached").Status.Succeeded, 1)
			},
		},
		suite.Test{
			Name: "SucceededPod", Description: "A Pod that succeeded before it was adopted counts.", Source: "reference B20 and B35",
			Run: func(t *suite.T) {
				free := freePod(t, "free", likePods(t, app))
				t.Succeed(free)
				job := t.WaitComplete(t.Create(newJob(selecting(app))), "CompletionsReached")
				suite.Equal(t, "succeeded", job.Status.Succeeded, 1)
				if pod := getPod(t, free); isTracked(pod) || !isControlledBy(pod, job) {
					t.Errorf("the Pod has the finalizers %v and the owners %v", pod.Finalizers, pod.OwnerReferences)
				}
			},
		},
		suite.Test{
			Name: "LaterPod", Description: "A Pod that comes after the Job is adopted, too.", Source: "reference B4",
			Run: func(t *suite.T) {
				like := likePods(t, app)
				job := t.Create(newJob(selecting(app), completions(3), parallelism(2), spec(func(spec *batchv1.JobSpec) { spec.PodReplacementPolicy = ptr.To(batchv1.Failed) })))
				own := waitOf(t, app, 2)
				// A Pod that terminates leaves room for one that the Job may not make itself yet. Without room, the Pod would be one too many.
				t.Bind(own[0])
				t.DeletePod(own[0])
				t.WaitJob(job, "has a terminating Pod", func(job *batchv1.Job) bool { return or(job.Status.Terminating, 0) == 1 })
				t.Succeed(freePod(t, "free", like))
				t.WaitJob(job, "has counted the Pod", func(job *batchv1.Job) bool { return job.Status.Succeeded == 1 })
				t.EndDeleted(own[0], 143)
			},
		},
	)
}

// What a Job leaves to others, and lets go.
func init() {
	subject("Adoption",
		suite.Test{
			Name: "OwnedPod", Description: "A Pod that another controls is not adopted, whatever its labels are.", Source: "reference B31",
			Run: func(t *suite.T) {
				first := t.Create(newJob(named("first"), selecting(app)))
				pod := waitOf(t, app, 1)[0]
				second := t.Create(newJob(named("second"), selecting(app)))
				waitOf(t, app, 2)
				t.WaitStatus(second, 1, 0, 0)
				if found := getPod(t, pod); !isControlledBy(found, first) || len(found.OwnerReferences) != 1 {
					t.Errorf("the Pod has the owners %v", found.OwnerReferences)
				}
				t.Succeed(pod)
				t.WaitComplete(first, "CompletionsReached")
				suite.Equal(t, "succeeded Pods of the second", t.Get(second).Status.Succeeded, 0)
			},
		},
		suite.Test{
			Name: "SuspendedJob", Description: "A suspended Job adopts, too: a Pod that succeeded counts.", Source: "reference B32 and B36",
			Run: func(t *suite.T) {
				t.Succeed(freePod(t, "free", likePods(t, app)))
				t.WaitStatus(t.Create(newJob(selecting(app), suspended, completions(2))), 0, 1, 0)
			},
		},
		suite.Test{
			Name: "Release", Description: "A Pod whose labels no longer match is released without the finalizer, and replaced.", Source: "reference B32 and B34",
			Run: func(t *suite.T) {
				job := t.Create(newJob(selecting(app)))
				pod := waitOf(t, app, 1)[0]
				label(t, pod, "app", "other")
				t.WaitPod(pod, "is released", func(pod *corev1.Pod) bool {
					return pod != nil && len(pod.OwnerReferences) == 0 && !isTracked(*pod) && pod.DeletionTimestamp == nil
				})
				replacement := waitOf(t, app, 1)[0]
				if replacement.UID == pod.UID {
					t.Fatalf("the released Pod is there still")
				}
				job = t.WaitStatus(job, 1, 0, 0)
				t.Succeed(pod)
				t.Succeed(replacement)
				suite.Equal(t, "succeeded", t.WaitComplete(job, "CompletionsReached").Status.Succeeded, 1)
			},
		},
		suite.Test{
			Name: "ReleasedAndBack", Description: "A released Pod whose labels match again is adopted again; a Pod too many is deleted.", Source: "reference B5 and B47",
			Run: func(t *suite.T) {
				job := t.Create(newJob(selecting(app)))
				pod := waitOf(t, app, 1)[0]
				label(t, pod, "app", "other")
				t.WaitPod(pod, "is released", func(pod *corev1.Pod) bool { return pod != nil && len(pod.OwnerReferences) == 0 })
				waitOf(t, app, 1)
				label(t, pod, "app", "adoption")
				left := waitOf(t, app, 1)
				t.Succeed(left...)
				job = t.WaitComplete(job, "CompletionsReached")
				suite.Equal(t, "counters", [2]int32{job.Status.Succeeded, job.Status.Failed}, [2]int32{1, 0})
			},
		},
	)
}

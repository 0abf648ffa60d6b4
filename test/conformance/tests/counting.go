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
	"errors"
	"fmt"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/jobserver-dev/jobserver/test/conformance/suite"
)

// finishedAt is a change for End: the containers ended some time ago.
func finishedAt(ago time.Duration) func(status *corev1.PodStatus) {
	return func(status *corev1.PodStatus) {
		for i := range status.ContainerStatuses {
			status.ContainerStatuses[i].State.Terminated.StartedAt = metav1.NewTime(time.Now().Add(-ago))
			status.ContainerStatuses[i].State.Terminated.FinishedAt = metav1.NewTime(time.Now().Add(-ago))
		}
	}
}

// The delay before a failed Pod is replaced. What is to happen at once would happen after several minutes, which no test waits for, if
// the rule didn't hold: six failures in a row make the delay 320 s.
func init() {
	const many = 6
	// started is a Job with so many Pods, and one more.
	started := func(t *suite.T) (*batchv1.Job, []corev1.Pod) {
		job := t.Create(newJob(completions(many+3), parallelism(many+1), backoffLimit(20)))
		return job, t.WaitActive(job, many+1)
	}
	subject("Failure",
		suite.Test{
			Name: "SuccessResetsDelay", Description: "After a Pod has succeeded, failures before it delay nothing any more.", Source: "reference B55",
			Run: func(t *suite.T) {
				job, pods := started(t)
				t.Fail(1, pods[:many]...)
				t.WaitStatus(job, 1, 0, many)
				// Times of a Pod's end are of whole seconds.
				later(t, metav1.NewTime(endOf(t, pods[many-1])))
				t.Succeed(pods[many])
				t.WaitStatus(job, many+1, 1, many)
			},
		},
		suite.Test{
			Name: "DelayAfterSuccess", Description: "A failure after a success waits as a first one does, however many there were before.", Source: "reference B55 and B56",
			Run: func(t *suite.T) {
				job, pods := started(t)
				t.Fail(1, pods[:many]...)
				t.WaitStatus(job, 1, 0, many)
				later(t, metav1.NewTime(endOf(t, pods[many-1])))
				t.Succeed(pods[many])
				active := t.WaitActive(job, many+1)
				later(t, metav1.NewTime(endOf(t, pods[many])))
				t.Fail(1, active[0])
				t.WaitStatus(job, many, 1, many+1)
				active = slices.DeleteFunc(t.WaitActive(job, many+1), func(pod corev1.Pod) bool {
					return slices.ContainsFunc(active, func(other corev1.Pod) bool { return other.UID == pod.UID })
				})
				notBefore(t, active[0], failedOf(t, job), 10*time.Second)
			},
		},
		suite.Test{
			Name: "DelayFromTheEnd", Description: "The delay counts from the end of the Pod's containers, not from when that is seen.", Source: "reference B56 and B57",
			Run: func(t *suite.T) {
				job, pods := started(t)
				for _, pod := range pods[:many] {
					t.End(pod, corev1.PodFailed, 1, finishedAt(time.Hour))
				}
				t.WaitStatus(job, many+1, 0, many)
			},
		},
		suite.Test{
			Name: "DelayFromNotReady", Description: "Where nothing says when a failed Pod's containers ended, the delay counts from when it was no longer ready.", Source: "reference B57",
			Run: func(t *suite.T) {
				job, pods := started(t)
				for _, pod := range pods[:many] {
					t.End(pod, corev1.PodFailed, 1, func(status *corev1.PodStatus) {
						status.ContainerStatuses = nil
						for i := range status.Conditions {
							status.Conditions[i].LastTransitionTime = metav1.NewTime(time.Now().Add(-time.Hour))
						}
					})
				}
				t.WaitStatus(job, many+1, 0, many)
			},
		},
		suite.Test{
			Name: "IgnoredDelays", Description: "A failure that a podFailurePolicy ignores counts for the delay: after two at a time it is 20 s or more.", Source: "KEP-3329; reference B58",
			Run: func(t *suite.T) {
				job := t.Create(newJob(completions(3), parallelism(2), backoffLimit(0), podFailurePolicy(onExitCodes(ignoreFailure, 42))))
				pods := t.WaitActive(job, 2)
				t.Fail(42, pods...)
				t.WaitStatus(job, 0, 0, 0)
				replacements := t.WaitActive(job, 2)
				notBefore(t, replacements[0], pods[1], 20*time.Second)
				suite.Equal(t, "failed", t.Get(job).Status.Failed, 0)
			},
		},
	)
}

// failedOf is the Pod of a Job that ended last as failed.
func failedOf(t *suite.T, job *batchv1.Job) (last corev1.Pod) {
	for _, pod := range t.Pods(job) {
		if pod.Status.Phase == corev1.PodFailed && (last.Name == "" || endOf(t, last).Before(endOf(t, pod))) {
			last = pod
		}
	}
	return last
}

// How Pods are counted: each is on record before its finalizer goes, and at most 500 at a time.
func init() {
	const limit = 500
	// history follows a watch until a Job is complete, and returns each status that it had.
	history := func(t *suite.T, job *batchv1.Job) (all []batchv1.JobStatus) {
		w := watched(t, metav1.ListOptions{FieldSelector: "metadata.name=" + job.Name, ResourceVersion: job.ResourceVersion})
		defer w.Stop()
		for {
			_, event := next(t, w)
			found := &batchv1.Job{}
			t.Must(runtime.DefaultUnstructuredConverter.FromUnstructured(event.Object, found))
			all = append(all, found.Status)
			if suite.IsTrue(found, batchv1.JobComplete) {
				return all
			}
		}
	}
	uncounted := func(status batchv1.JobStatus) int {
		if status.UncountedTerminatedPods == nil {
			return 0
		}
		return len(status.UncountedTerminatedPods.Succeeded) + len(status.UncountedTerminatedPods.Failed)
	}
	subject("Counting",
		suite.Test{
			Name: "OnRecordFirst", Description: "A Pod that has ended is on record as uncounted first; then it loses its finalizer and is counted.", Source: "KEP-2307; reference B36, B39 and B40",
			Run: func(t *suite.T) {
				job := t.Create(newJob())
				pod := t.WaitActive(job, 1)[0]
				t.Succeed(pod)
				t.WaitComplete(job, "CompletionsReached")
				onRecord := false
				for _, status := range history(t, job) {
					switch {
					case uncounted(status) == 1:
						suite.Equal(t, "UID on record", status.UncountedTerminatedPods.Succeeded[0], pod.UID)
						suite.Equal(t, "succeeded while it is on record", status.Succeeded, 0)
						onRecord = true
					case status.Succeeded == 1 && !onRecord:
						t.Errorf("the Pod is counted before it was on record")
					}
				}
				suite.Equal(t, "was on record", onRecord, true)
			},
		},
		suite.Test{
			Name: "ManyAtOnce", Description: "Of very many Pods that have ended at once, at most 500 are on record as uncounted, and each counts once.", Source: "KEP-2307; reference 2.0 and B36",
			Run: func(t *suite.T) {
				const pods = limit + 60
				selected := map[string]string{"many": "yes"}
				labels := likePods(t, selected)
				// They are all there, and have ended, before there is a Job that may count them.
				errs := make([]error, 20)
				sideBySide(len(errs), func(worker int) {
					for i := worker; i < pods && errs[worker] == nil; i += len(errs) {
						errs[worker] = endedPod(t, fmt.Sprintf("pod-%d", i), labels)
					}
				})
				t.Must(errors.Join(errs...))
				job := t.Create(newJob(completions(pods), parallelism(1), selecting(selected)))
				most := 0
				for _, status := range history(t, job) {
					most = max(most, uncounted(status))
					if got := uncounted(status) + int(status.Succeeded); got > pods {
						t.Errorf("%d Pods are counted or on record", got)
					}
				}
				suite.Equal(t, "at most on record", min(most, limit), most)
				suite.Equal(t, "succeeded", t.Get(job).Status.Succeeded, pods)
			},
		},
	)
}

// endedPod creates a Pod of nobody that has succeeded.
func endedPod(t *suite.T, name string, labels map[string]string) error {
	pods := t.Kube.CoreV1().Pods(t.Namespace())
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}, Spec: newJob().Spec.Template.Spec}
	made, err := pods.Create(t.Context(), pod, createOptions)
	if err != nil {
		return err
	}
	made.Status.Phase = corev1.PodSucceeded
	_, err = pods.UpdateStatus(t.Context(), made, metav1.UpdateOptions{})
	return err
}

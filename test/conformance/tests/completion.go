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
	"maps"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"

	"github.com/jobserver-dev/jobserver/test/conformance/suite"
)

// another creates a second Job and waits until it has its Pod. What the controller was to do before, it had its time for.
func another(t *suite.T) *batchv1.Job {
	job := t.Create(newJob(named("another")))
	t.WaitActive(job, 1)
	return job
}

// later waits until the server's clock shows a later second than some time of its own.
func later(t *suite.T, than metav1.Time) {
	t.Eventually("the clock goes on", func() error {
		config := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "clock-"}}
		made, err := t.Kube.CoreV1().ConfigMaps(t.Namespace()).Create(t.Context(), config, metav1.CreateOptions{})
		if err == nil && !than.Before(&made.CreationTimestamp) {
			err = fmt.Errorf("it is %v", made.CreationTimestamp)
		}
		return err
	})
}

// freePod creates a Pod that no controller made.
func freePod(t *suite.T, name string, labels map[string]string, finalizers ...string) corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels, Finalizers: finalizers}, Spec: newJob().Spec.Template.Spec}
	made, err := t.Kube.CoreV1().Pods(t.Namespace()).Create(t.Context(), pod, metav1.CreateOptions{})
	t.Must(err)
	return *made
}

// likePods returns labels with all that the server marks the Pods of Jobs with besides: it takes a Pod with them for one of a Job. What that is, a Job shows that
// selects its Pods by labels of its own.
func likePods(t *suite.T, of map[string]string) map[string]string {
	model := map[string]string{"model-of": "labels"}
	t.Create(newJob(named("model"), selecting(model)))
	marked := maps.Clone(waitOf(t, model, 1)[0].Labels)
	delete(marked, "model-of")
	maps.Copy(marked, of)
	return marked
}

// getPod reads a Pod.
func getPod(t *suite.T, pod corev1.Pod) corev1.Pod {
	found, err := t.Kube.CoreV1().Pods(t.Namespace()).Get(t.Context(), pod.Name, metav1.GetOptions{})
	t.Must(err)
	return *found
}

// selecting makes a Job select Pods by labels of its own.
func selecting(labels map[string]string) edit {
	return spec(func(spec *batchv1.JobSpec) {
		spec.ManualSelector, spec.Selector = ptr.To(true), &metav1.LabelSelector{MatchLabels: labels}
		spec.Template.Labels = labels
	})
}

func init() {
	subject("Completion",
		suite.Test{
			Name: "OnePod", Description: "A Job of one Pod is complete once the Pod has succeeded.", Source: "guide 1; reference B24",
			Run: func(t *suite.T) {
				job := t.Create(newJob())
				t.Succeed(t.WaitActive(job, 1)...)
				job = t.WaitComplete(job, "CompletionsReached")
				suite.Equal(t, "succeeded", job.Status.Succeeded, 1)
				suite.Equal(t, "active", job.Status.Active, 0)
				suite.Equal(t, "failed", job.Status.Failed, 0)
				t.WaitEvent(job, "Normal", "Completed", "Job completed")
			},
		},
		suite.Test{
			Name: "Condition", Description: "The conditions of a complete Job are SuccessCriteriaMet and Complete, with the same reason and message.",
			Source: "reference 2.15 and B39",
			Run: func(t *suite.T) {
				job := t.Create(newJob())
				t.Succeed(t.WaitActive(job, 1)...)
				job = t.WaitComplete(job, "CompletionsReached")
				suite.Equal(t, "number of conditions", len(job.Status.Conditions), 2)
				for _, kind := range []batchv1.JobConditionType{batchv1.JobSuccessCriteriaMet, batchv1.JobComplete} {
					condition := suite.Condition(job, kind)
					if condition == nil {
						t.Fatalf("there is no condition %s", kind)
					}
					suite.Equal(t, string(kind), [3]string{string(condition.Status), condition.Reason, condition.Message},
						[3]string{"True", "CompletionsReached", "Reached expected number of succeeded pods"})
				}
			},
		},
		suite.Test{
			Name: "Times", Description: "A Job has a startTime from the beginning, and a completionTime, that of its condition, once it is complete.",
			Source: "guide 2; reference B22 and B41",
			Run: func(t *suite.T) {
				job := t.Create(newJob())
				pods := t.WaitActive(job, 1)
				running := t.Get(job)
				if running.Status.StartTime == nil || running.Status.StartTime.Before(&job.CreationTimestamp) || running.Status.CompletionTime != nil {
					t.Errorf("a running Job has the startTime %v and the completionTime %v", running.Status.StartTime, running.Status.CompletionTime)
				}
				later(t, *running.Status.StartTime)
				t.Succeed(pods...)
				job = t.WaitComplete(job, "CompletionsReached")
				suite.Equal(t, "startTime", job.Status.StartTime, running.Status.StartTime)
				// Kubernetes asks its clock twice, and a second may end in between.
				transition := suite.Condition(job, batchv1.JobComplete).LastTransitionTime
				if difference := job.Status.CompletionTime.Sub(transition.Time).Abs(); difference > time.Second {
					t.Errorf("the completionTime is %v, that of the condition %v", job.Status.CompletionTime, transition)
				}
				if !job.Status.StartTime.Before(job.Status.CompletionTime) {
					t.Errorf("the Job ran from %v to %v", job.Status.StartTime, job.Status.CompletionTime)
				}
			},
		},
	)
}

// How many Pods there are until a Job is complete.
func init() {
	subject("Completion",
		suite.Test{
			Name: "Sequence", Description: "With parallelism 1, a Job's Pods run one after the other.", Source: "guide 3, matrix",
			Run: func(t *suite.T) {
				job := t.Create(newJob(completions(3), parallelism(1)))
				for done := range int32(3) {
					t.WaitStatus(job, 1, done, 0)
					suite.Equal(t, "number of Pods", len(t.Pods(job)), int(done)+1)
					t.Succeed(t.WaitActive(job, 1)...)
				}
				t.WaitComplete(job, "CompletionsReached")
				suite.Equal(t, "number of Pods in the end", len(t.Pods(job)), 3)
			},
		},
		suite.Test{
			Name: "NoMoreThanCompletions", Description: "A Job never has more active Pods than completions that are missing.", Source: "guide 3; reference B46",
			Run: func(t *suite.T) {
				job := t.Create(newJob(completions(3), parallelism(5)))
				pods := t.WaitActive(job, 3)
				t.Succeed(pods[0])
				t.WaitStatus(job, 2, 1, 0)
				t.Succeed(pods[1:]...)
				t.WaitComplete(job, "CompletionsReached")
				suite.Equal(t, "number of Pods", len(t.Pods(job)), 3)
			},
		},
		suite.Test{
			Name: "Refill", Description: "A Pod that succeeds is followed by another while completions are missing.", Source: "guide 1 and 3; reference B46",
			Run: func(t *suite.T) {
				job := t.Create(newJob(completions(5), parallelism(2)))
				for done := range int32(5) {
					pods := t.WaitActive(job, int(min(2, 5-done)))
					t.Succeed(pods[0])
					t.WaitStatus(job, min(2, 4-done), done+1, 0)
				}
				t.WaitComplete(job, "CompletionsReached")
				suite.Equal(t, "number of Pods", len(t.Pods(job)), 5)
			},
		},
		suite.Test{
			Name: "None", Description: "A Job with completions 0 is complete at once, without Pods.", Source: "reference B24",
			Run: func(t *suite.T) {
				job := t.WaitComplete(t.Create(newJob(completions(0))), "CompletionsReached")
				suite.Equal(t, "number of Pods", len(t.Pods(job)), 0)
			},
		},
	)
}

// What the status says, and that each Pod counts once.
func init() {
	subject("Completion",
		suite.Test{
			Name: "StatusShape", Description: "The status of a Job that the controller has seen has ready, terminating and an empty list of uncounted Pods.", Source: "reference 1.3 and B15",
			Run: func(t *suite.T) {
				job := t.Create(newJob())
				t.WaitActive(job, 1)
				status, _, _ := unstructured.NestedMap(t.GetFields(job).Object, "status")
				delete(status, "startTime")
				suite.Equal(t, "status", status, suite.Fields{"active": int64(1), "ready": int64(0), "terminating": int64(0), "uncountedTerminatedPods": suite.Fields{}})
			},
		},
		suite.Test{
			Name: "Ready", Description: "Status.ready is the number of active Pods that are ready.", Source: "reference B19 and B29; KEP-2879",
			Run: func(t *suite.T) {
				job := t.Create(newJob(completions(3), parallelism(3)))
				pods := t.WaitActive(job, 3)
				ready := func(n int32) {
					t.WaitJob(job, "has ready Pods", func(job *batchv1.Job) bool { return or(job.Status.Ready, -1) == n && job.Status.Active == 3 })
				}
				t.Start(true, pods[:2]...)
				ready(2)
				t.Start(false, pods[0])
				ready(1)
			},
		},
		suite.Test{
			Name: "PodsStay", Description: "The Pods of a complete Job stay, without the finalizer that tracks them.", Source: "guide 10 and 12; reference B36",
			Run: func(t *suite.T) {
				job := t.Create(newJob(completions(2), parallelism(2)))
				t.Succeed(t.WaitActive(job, 2)...)
				job = t.WaitComplete(job, "CompletionsReached")
				pods := t.Pods(job)
				suite.Equal(t, "number of Pods", len(pods), 2)
				for _, pod := range pods {
					if pod.DeletionTimestamp != nil || isTracked(pod) {
						t.Errorf("the Pod %s has the deletionTimestamp %v and the finalizers %v", pod.Name, pod.DeletionTimestamp, pod.Finalizers)
					}
				}
			},
		},
		suite.Test{
			Name: "CountedOnce", Description: "A Pod that has been counted stays counted when it is deleted.", Source: "KEP-2307",
			Run: func(t *suite.T) {
				job := t.Create(newJob(completions(2), parallelism(1)))
				first := t.WaitActive(job, 1)[0]
				t.Succeed(first)
				t.WaitStatus(job, 1, 1, 0)
				t.DeletePod(first)
				t.WaitPodGone(first)
				t.Succeed(t.WaitActive(job, 1)...)
				suite.Equal(t, "succeeded", t.WaitComplete(job, "CompletionsReached").Status.Succeeded, 2)
			},
		},
		suite.Test{
			Name: "DeletedBeforeCounted", Description: "A Pod that is deleted right after it has succeeded is counted.", Source: "KEP-2307",
			Run: func(t *suite.T) {
				job := t.Create(newJob())
				pod := t.WaitActive(job, 1)[0]
				t.Succeed(pod)
				t.DeletePod(pod)
				suite.Equal(t, "succeeded", t.WaitComplete(job, "CompletionsReached").Status.Succeeded, 1)
				t.WaitPodGone(pod)
			},
		},
	)
}

// What comes too late, or is too much.
func init() {
	subject("Completion",
		suite.Test{
			Name: "Final", Description: "A Job that has finished makes no Pods any more, whatever becomes of its spec and its Pods.", Source: "guide 1; reference B12",
			Run: func(t *suite.T) {
				job := t.Create(newJob())
				pod := t.WaitActive(job, 1)[0]
				t.Succeed(pod)
				finished := t.WaitComplete(job, "CompletionsReached")
				t.PatchSpec(job, suite.Fields{"parallelism": 5})
				t.DeletePod(pod)
				t.WaitPodGone(pod)
				another(t)
				suite.Equal(t, "status", t.Get(job).Status, finished.Status)
				suite.Equal(t, "number of Pods", len(t.Pods(job)), 0)
			},
		},
		suite.Test{
			Name: "TooMany", Description: "A Job with more succeeded Pods than completions is complete, and a warning tells of it.", Source: "reference 2.14",
			Run: func(t *suite.T) {
				labels := map[string]string{"app": "surplus"}
				like := likePods(t, labels)
				t.Succeed(freePod(t, "one", like), freePod(t, "two", like))
				job := t.WaitComplete(t.Create(newJob(selecting(labels))), "CompletionsReached")
				suite.Equal(t, "succeeded", job.Status.Succeeded, 2)
				t.WaitEvent(job, "Warning", "TooManySucceededPods", "Too many succeeded pods running after completion count reached")
			},
		},
	)

}

func init() {
	queue := spec(func(spec *batchv1.JobSpec) { spec.Completions = nil })
	subject("WorkQueue",
		kubernetesPolicies(suite.Test{
			Name: "FirstSuccess", Description: "Once a Pod of a work queue has succeeded, no more are made, and the Job is complete when all have ended.",
			Source: "reference B24 and B46",
			Run: func(t *suite.T) {
				job := t.Create(newJob(parallelism(3), queue))
				pods := t.WaitActive(job, 3)
				t.Succeed(pods[0])
				t.WaitStatus(job, 2, 1, 0)
				t.Succeed(pods[1])
				job = t.WaitStatus(job, 1, 2, 0)
				if suite.IsTrue(job, batchv1.JobComplete) || suite.IsTrue(job, batchv1.JobSuccessCriteriaMet) {
					t.Errorf("the Job is complete while a Pod is active: %v", job.Status.Conditions)
				}
				t.Succeed(pods[2])
				suite.Equal(t, "succeeded", t.WaitComplete(job, "CompletionsReached").Status.Succeeded, 3)
				suite.Equal(t, "number of Pods", len(t.Pods(job)), 3)
			},
		}),
		kubernetesPolicies(suite.Test{
			Name: "FailureAfterSuccess", Description: "A Pod of a work queue that fails after another has succeeded is counted and not replaced.", Source: "reference B24 and B46",
			Run: func(t *suite.T) {
				job := t.Create(newJob(parallelism(2), queue, backoffLimit(3)))
				pods := t.WaitActive(job, 2)
				t.Succeed(pods[0])
				t.WaitStatus(job, 1, 1, 0)
				t.Fail(1, pods[1])
				suite.Equal(t, "failed", t.WaitComplete(job, "CompletionsReached").Status.Failed, 1)
				suite.Equal(t, "number of Pods", len(t.Pods(job)), 2)
			},
		}),
		kubernetesPolicies(suite.Test{
			Name: "NoScaleUpAfterSuccess", Description: "A work queue of which a Pod has succeeded makes no Pods for a higher parallelism.", Source: "reference B46",
			Run: func(t *suite.T) {
				job := t.Create(newJob(parallelism(2), queue))
				pods := t.WaitActive(job, 2)
				t.Succeed(pods[0])
				t.WaitStatus(job, 1, 1, 0)
				t.PatchSpec(job, suite.Fields{"parallelism": 4})
				another(t)
				suite.Equal(t, "number of Pods", len(t.Pods(job)), 2)
				t.Succeed(pods[1])
				t.WaitComplete(job, "CompletionsReached")
			},
		}),
		inGroup(suite.GroupJobserver, suite.Test{
			Name: "WorkerPool", Description: "By the guide, a Job with parallelism and without completions is a pool of workers: who succeeds is replaced, and the Job never completes.",
			Source: "guide 3, 6, 7 and 13",
			Run: func(t *suite.T) {
				job := t.Create(newJob(parallelism(2)))
				for done := range int32(3) {
					pods := t.WaitActive(job, 2)
					t.Succeed(pods[0])
					job = t.WaitStatus(job, 2, done+1, 0)
				}
				suite.Equal(t, "number of conditions", len(job.Status.Conditions), 0)
			},
		}),
	)
}

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

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/jobserver-dev/jobserver/test/conformance/suite"
)

// waitLeft waits until exactly some Pods of a Job are active.
func waitLeft(t *suite.T, job *batchv1.Job, want ...corev1.Pod) {
	t.Eventually("the Pods that should be left are the active ones", func() error {
		left := map[string]bool{}
		for _, pod := range t.ActivePods(job) {
			left[pod.Name] = true
		}
		for _, pod := range want {
			if !left[pod.Name] {
				// Who is deleted never comes back.
				t.Fatalf("the Pod %s is not left, but %v", pod.Name, left)
			}
		}
		if len(left) != len(want) {
			return fmt.Errorf("%d Pods are active", len(left))
		}
		return nil
	})
}

// More Pods, fewer, and none.
func init() {
	subject("Scaling",
		suite.Test{
			Name: "Up", Description: "With a higher parallelism, a running Job gets more Pods.", Source: "guide 7 and 12; reference B46",
			Run: func(t *suite.T) {
				job := t.Create(newJob(completions(5), parallelism(1)))
				t.WaitActive(job, 1)
				t.PatchSpec(job, suite.Fields{"parallelism": 3})
				t.WaitActive(job, 3)
			},
		},
		suite.Test{
			Name: "Down", Description: "With a lower parallelism, Pods are deleted; they are no failures, and an event tells of each.", Source: "reference B47 and B61",
			Run: func(t *suite.T) {
				job := t.Create(newJob(completions(5), parallelism(3)))
				t.WaitActive(job, 3)
				t.PatchSpec(job, suite.Fields{"parallelism": 1})
				left := t.WaitActive(job, 1)
				t.WaitStatus(job, 1, 0, 0)
				t.WaitEvent(job, "Normal", "SuccessfulDelete", "Deleted pod: job-")
				t.Eventually("the deleted Pods are gone", func() error {
					if n := len(t.Pods(job)); n != 1 {
						return fmt.Errorf("there are %d Pods", n)
					}
					return nil
				})
				t.Succeed(left...)
				t.WaitStatus(job, 1, 1, 0)
			},
		},
		suite.Test{
			Name: "Zero", Description: "With parallelism 0, a Job has no Pods and is not suspended; it goes on with a higher parallelism.", Source: "guide 3, matrix",
			Run: func(t *suite.T) {
				job := t.Create(newJob(completions(2), parallelism(0)))
				job = t.WaitJob(job, "is seen by the controller", func(job *batchv1.Job) bool { return job.Status.StartTime != nil })
				another(t)
				suite.Equal(t, "number of Pods", len(t.Pods(job)), 0)
				suite.Equal(t, "number of conditions", len(t.Get(job).Status.Conditions), 0)
				t.PatchSpec(job, suite.Fields{"parallelism": 2})
				t.WaitActive(job, 2)
				t.PatchSpec(job, suite.Fields{"parallelism": 0})
				t.WaitActive(job, 0)
				suite.Equal(t, "failed", t.Get(job).Status.Failed, 0)
			},
		},
	)
}

// Which Pods are deleted, and how they end.
func init() {
	subject("Scaling",
		suite.Test{
			Name: "WhoGoesFirst", Description: "Pods too many are deleted in an order: without node, pending, not ready, ready.", Source: "reference B48",
			Run: func(t *suite.T) {
				job := t.Create(newJob(completions(8), parallelism(4)))
				pods := t.WaitActive(job, 4)
				unassigned, pending, running, ready := pods[2], pods[0], pods[3], pods[1]
				t.Bind(pending, running, ready)
				t.Start(false, running)
				t.Start(true, ready)
				t.WaitJob(job, "has a ready Pod", func(job *batchv1.Job) bool { return or(job.Status.Ready, 0) == 1 })
				t.PatchSpec(job, suite.Fields{"parallelism": 3})
				waitLeft(t, job, pending, running, ready)
				t.WaitPodGone(unassigned)
				t.PatchSpec(job, suite.Fields{"parallelism": 2})
				waitLeft(t, job, running, ready)
				t.LetGo(pending)
				t.PatchSpec(job, suite.Fields{"parallelism": 1})
				waitLeft(t, job, ready)
				t.LetGo(running)
				suite.Equal(t, "failed", t.Get(job).Status.Failed, 0)
			},
		},
		suite.Test{
			Name: "TerminatingPodsOfScaling", Description: "Status.terminating is the number of Pods that are being deleted and have not ended.", Source: "reference B19; KEP-3939",
			Run: func(t *suite.T) {
				job := t.Create(newJob(completions(5), parallelism(2)))
				pods := t.WaitActive(job, 2)
				t.Bind(pods...)
				t.PatchSpec(job, suite.Fields{"parallelism": 0})
				t.WaitJob(job, "has two terminating Pods", func(job *batchv1.Job) bool {
					return or(job.Status.Terminating, -1) == 2 && job.Status.Active == 0
				})
				t.LetGo(pods[0])
				t.WaitJob(job, "has one terminating Pod", func(job *batchv1.Job) bool { return or(job.Status.Terminating, -1) == 1 })
				t.LetGo(pods[1])
				job = t.WaitJob(job, "has no terminating Pod", func(job *batchv1.Job) bool { return or(job.Status.Terminating, -1) == 0 })
				suite.Equal(t, "failed", job.Status.Failed, 0)
			},
		},
	)
}

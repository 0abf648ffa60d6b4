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
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/jobserver-dev/jobserver/test/conformance/suite"
)

// indexesOf are the indexes of Pods, in their order.
func indexesOf(pods []corev1.Pod) (indexes []int) {
	for _, pod := range pods {
		indexes = append(indexes, suite.Index(pod))
	}
	return indexes
}

// waitIndexes waits until exactly the Pods of some indexes are active and returns them in this order.
func waitIndexes(t *suite.T, job *batchv1.Job, want ...int) (pods []corev1.Pod) {
	t.Eventually(fmt.Sprintf("the indexes %v are active", want), func() error {
		pods = t.ActivePods(job)
		if got := indexesOf(pods); fmt.Sprint(got) != fmt.Sprint(want) {
			return fmt.Errorf("the indexes %v are", got)
		}
		return nil
	})
	return pods
}

// waitIndexLists waits until the status of a Job lists these indexes as completed, and as failed where the Job has that list.
func waitIndexLists(t *suite.T, job *batchv1.Job, completed, failed string) *batchv1.Job {
	return t.WaitJob(job, fmt.Sprintf("has completed %q and failed %q", completed, failed), func(job *batchv1.Job) bool {
		return job.Status.CompletedIndexes == completed && or(job.Status.FailedIndexes, "") == failed
	})
}

func init() {
	subject("Indexed",
		suite.Test{
			Name: "AllIndexes", Description: "An Indexed Job is complete when a Pod of each index has succeeded.", Source: "guide 1 and 6; reference B38",
			Run: func(t *suite.T) {
				job := t.Create(newJob(indexed(3)))
				t.Succeed(t.WaitActive(job, 3)...)
				job = t.WaitComplete(job, "CompletionsReached")
				suite.Equal(t, "completedIndexes", job.Status.CompletedIndexes, "0-2")
				suite.Equal(t, "succeeded", job.Status.Succeeded, 3)
				suite.Equal(t, "failedIndexes", job.Status.FailedIndexes, nil)
			},
		},
		suite.Test{
			Name: "LowestFirst", Description: "The lowest indexes that have neither succeeded nor an active Pod are run first.", Source: "guide 6; reference B50",
			Run: func(t *suite.T) {
				job := t.Create(newJob(indexed(5), parallelism(2)))
				pods := waitIndexes(t, job, 0, 1)
				t.Succeed(pods[1])
				pods = waitIndexes(t, job, 0, 2)
				t.Succeed(pods[0])
				pods = waitIndexes(t, job, 2, 3)
				t.Succeed(pods[0])
				pods = waitIndexes(t, job, 3, 4)
				t.Succeed(pods...)
				t.WaitComplete(job, "CompletionsReached")
				suite.Equal(t, "number of Pods", len(t.Pods(job)), 5)
			},
		},
		suite.Test{
			Name: "CompletedIndexes", Description: "CompletedIndexes has intervals for three indexes in sequence or more.", Source: "reference 1.3 and B38",
			Run: func(t *suite.T) {
				job := t.Create(newJob(indexed(8)))
				pods := t.WaitActive(job, 8)
				for _, step := range []struct {
					index int
					want  string
				}{{3, "3"}, {1, "1,3"}, {7, "1,3,7"}, {6, "1,3,6,7"}, {2, "1-3,6,7"}, {0, "0-3,6,7"}} {
					t.Succeed(pods[step.index])
					waitIndexLists(t, job, step.want, "")
				}
				suite.Equal(t, "succeeded", t.Get(job).Status.Succeeded, 6)
			},
		},
		suite.Test{
			Name: "Retry", Description: "A Pod that fails is followed by another of the same index.", Source: "guide 6; reference B50",
			Run: func(t *suite.T) {
				job := t.Create(newJob(indexed(3), backoffLimit(3)))
				pods := t.WaitActive(job, 3)
				t.Fail(1, pods[1])
				t.WaitActiveIndex(job, 1, pods[1])
				again := waitIndexes(t, job, 0, 1, 2)
				suite.Equal(t, "failed", t.WaitStatus(job, 3, 0, 1).Status.Failed, 1)
				t.Succeed(again...)
				job = t.WaitComplete(job, "CompletionsReached")
				suite.Equal(t, "completedIndexes", job.Status.CompletedIndexes, "0-2")
				suite.Equal(t, "failed in the end", job.Status.Failed, 1)
			},
		},
	)
}

// An index ends once.
func init() {
	subject("Indexed",
		suite.Test{
			Name: "NeverAgain", Description: "An index that has succeeded is not run again when its Pod is deleted.", Source: "KEP-2214; KEP-2307",
			Run: func(t *suite.T) {
				job := t.Create(newJob(indexed(3), parallelism(1)))
				for index, want := range []string{"0", "0,1"} {
					pod := waitIndexes(t, job, index)[0]
					t.Succeed(pod)
					waitIndexLists(t, job, want, "")
					t.DeletePod(pod)
					t.WaitPodGone(pod)
				}
				t.Succeed(waitIndexes(t, job, 2)...)
				suite.Equal(t, "succeeded", t.WaitComplete(job, "CompletionsReached").Status.Succeeded, 3)
			},
		},
		suite.Test{
			Name: "Duplicate", Description: "Of two active Pods of one index one is deleted, and the index counts once.", Source: "reference B47",
			Run: func(t *suite.T) {
				labels := map[string]string{"app": "duplicate"}
				job := t.Create(newJob(indexed(2), selecting(labels)))
				own := waitOf(t, labels, 2)
				copied := own[0].DeepCopy()
				copied.ObjectMeta.Name, copied.ObjectMeta.ResourceVersion, copied.ObjectMeta.UID = "copy", "", ""
				_, err := t.Kube.CoreV1().Pods(t.Namespace()).Create(t.Context(), copied, createOptions)
				t.Must(err)
				left := waitOf(t, labels, 2)
				t.Succeed(left...)
				job = t.WaitComplete(job, "CompletionsReached")
				suite.Equal(t, "succeeded", job.Status.Succeeded, 2)
				suite.Equal(t, "failed", job.Status.Failed, 0)
			},
		},
		suite.Test{
			Name: "ForeignPod", Description: "A Pod without index that an Indexed Job adopts is deleted, and counts for nothing.", Source: "reference B20 and B47",
			Run: func(t *suite.T) {
				labels := map[string]string{"app": "foreign"}
				foreign := freePod(t, "foreign", likePods(t, labels))
				job := t.Create(newJob(indexed(2), selecting(labels)))
				t.WaitPodGone(foreign)
				t.Succeed(waitOf(t, labels, 2)...)
				job = t.WaitComplete(job, "CompletionsReached")
				suite.Equal(t, "completedIndexes", job.Status.CompletedIndexes, "0,1")
				suite.Equal(t, "failed", job.Status.Failed, 0)
			},
		},
		suite.Test{
			Name: "ThousandIndexes", Description: "An Indexed Job of 1000 completions runs each index once.", Source: "KEP-2214; reference B36 and B49",
			Run: thousandIndexes,
		},
	)

}

func init() {
	tandem := func(n int) suite.Fields { return suite.Fields{"completions": n, "parallelism": n} }
	subject("Elastic",
		suite.Test{
			Name: "Up", Description: "An Indexed Job that is scaled up runs the further indexes.", Source: "KEP-3715",
			Run: func(t *suite.T) {
				job := t.Create(newJob(indexed(2)))
				t.Succeed(t.WaitActive(job, 2)[0])
				waitIndexLists(t, job, "0", "")
				t.PatchSpec(job, tandem(4))
				t.Succeed(waitIndexes(t, job, 1, 2, 3)...)
				suite.Equal(t, "completedIndexes", t.WaitComplete(job, "CompletionsReached").Status.CompletedIndexes, "0-3")
			},
		},
		suite.Test{
			Name: "Down", Description: "An Indexed Job that is scaled down deletes the Pods of the highest indexes, which are no failures.", Source: "KEP-3715; reference B47",
			Run: func(t *suite.T) {
				job := t.Create(newJob(indexed(4)))
				pods := t.WaitActive(job, 4)
				t.PatchSpec(job, tandem(2))
				t.WaitPodGone(pods[2])
				t.WaitPodGone(pods[3])
				job = t.WaitStatus(job, 2, 0, 0)
				t.Succeed(waitIndexes(t, job, 0, 1)...)
				suite.Equal(t, "completedIndexes", t.WaitComplete(job, "CompletionsReached").Status.CompletedIndexes, "0,1")
			},
		},
		suite.Test{
			Name: "DownOverCompleted", Description: "Indexes that succeeded and are no longer among the completions don't count.", Source: "KEP-3715; reference S25 and B38",
			Run: func(t *suite.T) {
				job := t.Create(newJob(indexed(4)))
				pods := t.WaitActive(job, 4)
				t.Succeed(pods[0], pods[3])
				waitIndexLists(t, job, "0,3", "")
				t.PatchSpec(job, tandem(2))
				job = waitIndexLists(t, job, "0", "")
				suite.Equal(t, "succeeded", job.Status.Succeeded, 1)
				t.Succeed(waitIndexes(t, job, 1)...)
				suite.Equal(t, "succeeded in the end", t.WaitComplete(job, "CompletionsReached").Status.Succeeded, 2)
			},
		},
		suite.Test{
			Name: "DownToCompleted", Description: "An Indexed Job that is scaled down to the indexes that have succeeded is complete.", Source: "KEP-3715",
			Run: func(t *suite.T) {
				job := t.Create(newJob(indexed(3)))
				t.Succeed(t.WaitActive(job, 3)[0])
				waitIndexLists(t, job, "0", "")
				t.PatchSpec(job, tandem(1))
				job = t.WaitComplete(job, "CompletionsReached")
				suite.Equal(t, "failed", job.Status.Failed, 0)
			},
		},
	)
}

// thousandIndexes ends the Pods of an Indexed Job as they come. Each step waits only for some more Pods, because how long the whole takes
// is up to the server.
func thousandIndexes(t *suite.T) {
	const n = 1000
	job := t.Create(newJob(indexed(n), parallelism(250)))
	seen := map[int]bool{}
	for len(seen) < n {
		t.Eventually("further Pods are active", func() error {
			pods := t.ActivePods(job)
			for _, pod := range pods {
				seen[suite.Index(pod)] = true
			}
			t.Succeed(pods...)
			if len(pods) == 0 {
				return fmt.Errorf("%d indexes have run", len(seen))
			}
			return nil
		})
	}
	job = t.WaitComplete(job, "CompletionsReached")
	suite.Equal(t, "completedIndexes", job.Status.CompletedIndexes, "0-999")
	suite.Equal(t, "failed", job.Status.Failed, 0)
	pods := t.Pods(job)
	suite.Equal(t, "number of Pods", len(pods), n)
	for _, pod := range pods {
		if isTracked(pod) || !strings.HasPrefix(pod.Name, fmt.Sprintf("job-%d-", suite.Index(pod))) {
			t.Errorf("the Pod %s of index %d has the finalizers %v", pod.Name, suite.Index(pod), pod.Finalizers)
		}
	}
}

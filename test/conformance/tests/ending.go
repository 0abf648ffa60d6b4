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
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/jobserver-dev/jobserver/test/conformance/suite"
)

// Processes that fail, are started again, or are ended.
func init() {
	subject("Restarting",
		runs("InPlace", "With restartPolicy OnFailure, a failed container is started again in the same Pod, which keeps its volumes.", "guide 2 and 4",
			"echo try >> /tmp/scratch/tries; test $(wc -l < /tmp/scratch/tries) -ge 2", func(t *suite.T, job *batchv1.Job, pods []corev1.Pod) {
				suite.Equal(t, "number of Pods", len(pods), 1)
				suite.Equal(t, "restarts", pods[0].Status.ContainerStatuses[0].RestartCount, 1)
				suite.Equal(t, "failed", job.Status.Failed, 0)
			}, onFailure(5), scratch),
		runs("Previous", "The log of the container before the last restart can be read.", "guide 4, 11 and 12",
			"echo try >> /tmp/scratch/tries; wc -l < /tmp/scratch/tries; test $(wc -l < /tmp/scratch/tries) -ge 2", func(t *suite.T, _ *batchv1.Job, pods []corev1.Pod) {
				suite.Equal(t, "log", strings.TrimSpace(logs(t, pods[0], corev1.PodLogOptions{})), "2")
				suite.Equal(t, "log before", strings.TrimSpace(logs(t, pods[0], corev1.PodLogOptions{Previous: true})), "1")
			}, onFailure(5), scratch),
		onNode(suite.Test{
			Name: "Limit", Description: "With restartPolicy OnFailure, restarts in place count against backoffLimit.", Source: "guide 3, 4 and 12; reference B26",
			Run: func(t *suite.T) {
				job := t.WaitFailed(t.Create(runningJob("exit 1", onFailure(1))), "BackoffLimitExceeded")
				suite.Equal(t, "failed", job.Status.Failed, 1)
			},
		}),
		onNode(suite.Test{
			Name: "NewPod", Description: "With restartPolicy Never, a failed Pod stays with its log, and another one is made after 10 s or more.", Source: "guide 2, 4 and 5",
			Run: func(t *suite.T) {
				job := t.WaitFailed(t.Create(runningJob("echo this is $NAME; exit 1", backoffLimit(1), env(fromField("NAME", "metadata.name")))), "BackoffLimitExceeded")
				pods := t.Pods(job)
				suite.Equal(t, "number of Pods", len(pods), 2)
				notBefore(t, pods[1], pods[0], 10*time.Second)
				for _, pod := range pods {
					printed(t, pod, "this is "+pod.Name+"\n")
				}
			},
		}),
		onNode(suite.Test{
			Name: "FailJob", Description: "A podFailurePolicy sees the exit codes of real processes.", Source: "KEP-3329",
			Run: func(t *suite.T) {
				job := t.Create(runningJob("exit 42", podFailurePolicy(onExitCodes(failJob, 42))))
				suite.Equal(t, "failed", t.WaitFailed(job, "PodFailurePolicy").Status.Failed, 1)
			},
		}),
		onNode(suite.Test{
			Name: "FailIndex", Description: "An index whose process fails for good fails, and the others run.", Source: "KEP-3850",
			Run: func(t *suite.T) {
				job := t.Create(runningJob("test $JOB_COMPLETION_INDEX -ne 1 || exit 42", indexed(3), backoffLimitPerIndex(2),
					podFailurePolicy(onExitCodes(failIndex, 42))))
				job = t.WaitFailed(job, "FailedIndexes")
				suite.Equal(t, "indexes", [2]string{job.Status.CompletedIndexes, or(job.Status.FailedIndexes, "")}, [2]string{"0,2", "1"})
			},
		}),
		onNode(suite.Test{
			Name: "SuccessPolicy", Description: "A leader that succeeds ends its workers.", Source: "KEP-3998",
			Run: func(t *suite.T) {
				job := t.Create(runningJob("test $JOB_COMPLETION_INDEX -eq 0 || "+forever, indexed(3),
					successPolicy(batchv1.SuccessPolicyRule{SucceededIndexes: ptr.To("0")})))
				job = t.WaitComplete(job, "SuccessPolicy")
				suite.Equal(t, "counters", [3]int32{job.Status.Active, job.Status.Succeeded, job.Status.Failed}, [3]int32{0, 1, 0})
			},
		}),
	)

}

func init() {
	subject("Ending",
		onNode(suite.Test{
			Name: "Deadline", Description: "The deadline of a Job ends its processes.", Source: "guide 9",
			Run: func(t *suite.T) {
				job := t.Create(runningJob(forever, activeDeadline(3)))
				pods := t.WaitPods(job, 1)
				suite.Equal(t, "failed", t.WaitFailed(job, "DeadlineExceeded").Status.Failed, 1)
				t.WaitPodGone(pods[0])
			},
		}),
		fails("DeadlineOfPod", "The deadline of a Pod fails the Pod.", "guide 9", forever, func(t *suite.T, _ *batchv1.Job, pod corev1.Pod) {
			suite.Equal(t, "phase and reason", [2]string{string(pod.Status.Phase), pod.Status.Reason}, [2]string{"Failed", "DeadlineExceeded"})
		}, podSpec(func(spec *corev1.PodSpec) { spec.ActiveDeadlineSeconds = ptr.To[int64](2) })),
		onNode(suite.Test{
			Name: "Grace", Description: "A process that is to end gets SIGTERM, and may end in its own way.", Source: "guide 9; Pod lifecycle",
			Run: func(t *suite.T) {
				job := t.Create(runningJob("trap 'exit 42' TERM; " + forever))
				pod := waitRunning(t, job, 1)[0]
				defer hold(t, pod)()
				t.Delete(job, metav1.DeletePropagationBackground)
				t.WaitPod(pod, "has ended by itself", func(pod *corev1.Pod) bool {
					return pod != nil && len(pod.Status.ContainerStatuses) == 1 && pod.Status.ContainerStatuses[0].State.Terminated != nil &&
						pod.Status.ContainerStatuses[0].State.Terminated.ExitCode == 42
				})
			},
		}),
		onNode(suite.Test{
			Name: "EndOfGrace", Description: "A process that ignores SIGTERM is killed after its grace period.", Source: "guide 9; Pod lifecycle",
			Run: func(t *suite.T) {
				job := t.Create(runningJob("trap '' TERM; "+forever, podSpec(func(spec *corev1.PodSpec) { spec.TerminationGracePeriodSeconds = ptr.To[int64](1) })))
				pod := waitRunning(t, job, 1)[0]
				defer hold(t, pod)()
				t.Delete(job, metav1.DeletePropagationBackground)
				t.WaitPod(pod, "was killed", func(pod *corev1.Pod) bool {
					return pod != nil && len(pod.Status.ContainerStatuses) == 1 && pod.Status.ContainerStatuses[0].State.Terminated != nil &&
						pod.Status.ContainerStatuses[0].State.Terminated.ExitCode == 137
				})
			},
		}),
		onNode(suite.Test{
			Name: "Suspend", Description: "With Kubernetes' policies, suspending a Job ends its processes, and resuming it starts others.", Source: "KEP-2232", KubernetesPolicies: true,
			Run: func(t *suite.T) {
				job := t.Create(runningJob(forever))
				pod := waitRunning(t, job, 1)[0]
				t.Suspend(job, true)
				t.WaitPodGone(pod)
				t.Suspend(job, false)
				if again := waitRunning(t, job, 1)[0]; again.UID == pod.UID {
					t.Errorf("the Pod is the same")
				}
			},
		}),
		onNode(suite.Test{
			Name: "Delete", Description: "Deleting a Job ends its processes.", Source: "guide 10",
			Run: func(t *suite.T) {
				job := t.Create(runningJob(forever, completions(2), parallelism(2)))
				pods := waitRunning(t, job, 2)
				t.Delete(job, metav1.DeletePropagationBackground)
				t.WaitPodGone(pods[0])
				t.WaitPodGone(pods[1])
			},
		}),
		onNode(suite.Test{
			Name: "TTL", Description: "A finished Job with ttlSecondsAfterFinished is deleted with its Pods.", Source: "guide 7 and 8",
			Run: func(t *suite.T) {
				job := t.Create(runningJob("exit 0", ttl(1)))
				t.WaitGone(job)
			},
		}),
	)
}

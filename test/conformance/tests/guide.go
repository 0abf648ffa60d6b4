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
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"

	"github.com/jobserver-dev/jobserver/test/conformance/suite"
)

// anatomy is the manifest that the guide explains the fields of a Job with, for a group and version.
const anatomy = `
apiVersion: %s
kind: Job
metadata:
  name: job
  labels: {app: data-processor}
spec:
  completions: 10
  parallelism: 3
  completionMode: NonIndexed
  backoffLimit: 4
  activeDeadlineSeconds: 3600
  ttlSecondsAfterFinished: 600
  suspend: false
  manualSelector: false
  template:
    metadata:
      labels: {app: data-processor}
    spec:
      schedulerName: ` + suite.SchedulerName + `
      restartPolicy: OnFailure
      activeDeadlineSeconds: 3600
      backoffLimit: 4
      containers:
      - name: processor
        image: myorg/processor:2.1
        env:
        - name: JOB_COMPLETION_INDEX
          valueFrom: {fieldRef: {fieldPath: "metadata.annotations['batch.kubernetes.io/job-completion-index']"}}
        resources: {requests: {cpu: 500m, memory: 512Mi}, limits: {cpu: 2, memory: 2Gi}}
`

// Statements of the guide that are about no rule of their own.
func init() {
	resources := podSpec(func(spec *corev1.PodSpec) {
		spec.Containers[0].Resources = corev1.ResourceRequirements{
			Requests: corev1.ResourceList{"cpu": resource.MustParse("500m"), "memory": resource.MustParse("512Mi")},
			Limits:   corev1.ResourceList{"cpu": resource.MustParse("2"), "memory": resource.MustParse("2Gi")},
		}
		spec.Volumes = []corev1.Volume{{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
		spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "scratch", MountPath: "/scratch"}}
		spec.Tolerations = []corev1.Toleration{{Key: "dedicated", Operator: corev1.TolerationOpExists}}
		spec.NodeSelector = map[string]string{"disk": "fast"}
	})
	subject("Guide",
		suite.Test{
			Name: "Anatomy", Description: "The guide's manifest of a Job with all its fields makes Pods; of its backoffLimit in the Pod template, which there is not, a warning tells.", Source: "guide 2",
			Run: func(t *suite.T) {
				response := t.Do(suite.Request{Method: "POST", ContentType: "application/yaml", Body: fmt.Appendf(nil, anatomy, t.Target().Jobs.GroupVersion())})
				suite.Equal(t, "code", response.Code, 201)
				suite.Equal(t, "warning", warned(response), `299 - "unknown field \"spec.template.spec.backoffLimit\""`)
				job := t.Get(newJob())
				suite.Equal(t, "numbers", []int64{int64(*job.Spec.Completions), int64(*job.Spec.Parallelism), int64(*job.Spec.BackoffLimit), *job.Spec.ActiveDeadlineSeconds,
					int64(*job.Spec.TTLSecondsAfterFinished), *job.Spec.Template.Spec.ActiveDeadlineSeconds}, []int64{10, 3, 4, 3600, 600, 3600})
				for _, pod := range t.WaitActive(job, 3) {
					suite.Equal(t, "label", pod.Labels["app"], "data-processor")
				}
			},
		},
		made("Template", "A Job's Pods have the resources, volumes, tolerations and the nodeSelector of the Pod template: they are not part of the Job's own spec.",
			"guide 12 and 13; reference 1.16", func(t *suite.T, job *batchv1.Job, pods []corev1.Pod) {
				got, want := pods[0].Spec, job.Spec.Template.Spec
				suite.Equal(t, "resources", got.Containers[0].Resources, want.Containers[0].Resources)
				suite.Equal(t, "volume", got.Volumes[0], want.Volumes[0])
				suite.Equal(t, "mount", got.Containers[0].VolumeMounts[0], want.Containers[0].VolumeMounts[0])
				suite.Equal(t, "nodeSelector", got.NodeSelector, want.NodeSelector)
				// The API adds tolerations of its own.
				suite.Equal(t, "toleration is there", slices.Contains(got.Tolerations, want.Tolerations[0]), true)
			}, resources),
		suite.Test{
			Name: "Pipeline", Description: "An Indexed Job of parallelism 1 runs its indexes one after the other, in order.", Source: "guide 7, pattern 4; reference B50",
			Run: func(t *suite.T) {
				job := t.Create(newJob(indexed(4), parallelism(1)))
				for index := range 4 {
					pod := t.WaitActive(job, 1)[0]
					suite.Equal(t, "index", suite.Index(pod), index)
					t.Succeed(pod)
					t.WaitJob(job, "has counted the index", func(job *batchv1.Job) bool { return int(job.Status.Succeeded) == index+1 })
				}
				suite.Equal(t, "completedIndexes", t.WaitComplete(job, "CompletionsReached").Status.CompletedIndexes, "0-3")
			},
		},
	)
}

// What the guide says of running Jobs.
func init() {
	subject("Guide",
		suite.Test{
			Name: "ScaledWhileSuspended", Description: "A suspended Job gets no Pods for a higher parallelism until it is resumed.", Source: "guide 8 and 12",
			Run: func(t *suite.T) {
				job := t.Create(newJob(suspended, completions(4), parallelism(1)))
				t.WaitCondition(job, batchv1.JobSuspended, corev1.ConditionTrue)
				t.PatchSpec(job, suite.Fields{"parallelism": 3})
				another(t)
				suite.Equal(t, "number of Pods", len(t.Pods(job)), 0)
				t.Suspend(job, false)
				t.WaitActive(job, 3)
			},
		},
		suite.Test{
			Name: "DeadlineOfBoth", Description: "A Pod whose own deadline is later ends with that of its Job.", Source: "guide 9",
			Run: func(t *suite.T) {
				job := t.Create(newJob(podSpec(func(spec *corev1.PodSpec) { spec.ActiveDeadlineSeconds = ptr.To[int64](3600) })))
				pod := t.WaitActive(job, 1)[0]
				t.PatchSpec(job, suite.Fields{"activeDeadlineSeconds": 1})
				t.WaitFailed(job, "DeadlineExceeded")
				t.WaitPodGone(pod)
			},
		},
		suite.Test{
			Name: "ForcedPod", Description: "A Pod that hangs while it terminates is gone when it is deleted by force, and its Job's status says so.", Source: "guide 12; reference B84",
			Run: func(t *suite.T) {
				job := t.Create(newJob(completions(2), parallelism(1)))
				pod := t.WaitActive(job, 1)[0]
				t.Bind(pod)
				t.Start(true, pod)
				t.PatchSpec(job, suite.Fields{"parallelism": 0})
				t.WaitPod(pod, "terminates", isGoing)
				t.LetGo(pod)
				t.WaitPodGone(pod)
				t.WaitJob(job, "has no terminating Pod", func(job *batchv1.Job) bool { return job.Status.Active == 0 && or(job.Status.Terminating, -1) == 0 })
			},
		},
		suite.Test{
			Name: "LabelsOfNobody", Description: "A Job without labels, whose Pod template has none, has those that its Pods get.", Source: "reference 1.2",
			Run: func(t *suite.T) {
				job := t.Create(newJob(suspended))
				suite.Equal(t, "labels", t.Get(job).Labels, job.Spec.Template.Labels)
			},
		},
	)
}

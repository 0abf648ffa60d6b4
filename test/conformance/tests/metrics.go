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
	"k8s.io/utils/ptr"

	"github.com/jobserver-dev/jobserver/test/conformance/suite"
)

// Names and labels of the metrics (reference 2.16).
const (
	jobMetrics = "job_controller_"

	jobsFinishedMetric = jobMetrics + "jobs_finished_total"
	podsFinishedMetric = jobMetrics + "job_pods_finished_total"
	podsHandledMetric  = jobMetrics + "pod_failures_handled_by_failure_policy_total"
	indexesMetric      = jobMetrics + "job_finished_indexes_total"
	podsCreatedMetric  = jobMetrics + "job_pods_creation_total"

	modeLabel, resultLabel, reasonLabel, actionLabel = "completion_mode", "result", "reason", "action"
)

// counted is a test that looks at the metrics before and after.
func counted(name, description string, run func(t *suite.T, before suite.Metrics)) suite.Test {
	return suite.Test{
		Name: name, Description: description, Source: "reference 2.16", Features: []suite.Feature{suite.FeatureMetrics},
		Run: func(t *suite.T) { run(t, t.Metrics()) },
	}
}

// The metrics of Job controllers. They are of the whole server, and other tests may add to them.
func init() {
	subject("Metrics",
		counted("Complete", "A Job that completes is counted, by its mode and the reason.", func(t *suite.T, before suite.Metrics) {
			job := t.Create(newJob(indexed(3), successPolicy(batchv1.SuccessPolicyRule{SucceededIndexes: ptr.To("1")})))
			t.Succeed(t.WaitActive(job, 3)[1])
			t.WaitComplete(job, "SuccessPolicy")
			t.WaitGain(before, 1, jobsFinishedMetric, modeLabel, "Indexed", resultLabel, "succeeded", reasonLabel, "SuccessPolicy")
			other := t.Create(newJob(named("other")))
			t.Succeed(t.WaitActive(other, 1)...)
			t.WaitGain(before, 1, jobsFinishedMetric, modeLabel, "NonIndexed", resultLabel, "succeeded", reasonLabel, "CompletionsReached")
		}),
		counted("Failed", "A Job that fails is counted, by its mode and the reason.", func(t *suite.T, before suite.Metrics) {
			job := t.Create(newJob(activeDeadline(1)))
			t.WaitFailed(job, "DeadlineExceeded")
			t.WaitGain(before, 1, jobsFinishedMetric, modeLabel, "NonIndexed", resultLabel, "failed", reasonLabel, "DeadlineExceeded")
			other := t.Create(newJob(named("other"), indexed(2), backoffLimitPerIndex(0), maxFailedIndexes(0)))
			t.Fail(1, t.WaitActive(other, 2)[0])
			t.WaitFailed(other, "MaxFailedIndexesExceeded")
			t.WaitGain(before, 1, jobsFinishedMetric, modeLabel, "Indexed", resultLabel, "failed", reasonLabel, "MaxFailedIndexesExceeded")
		}),
		counted("Pods", "Each Pod that has ended is counted, by its result.", func(t *suite.T, before suite.Metrics) {
			job := t.Create(newJob(completions(3), parallelism(3), backoffLimit(5)))
			pods := t.WaitActive(job, 3)
			t.Succeed(pods[:2]...)
			t.Fail(1, pods[2])
			t.WaitJob(job, "has counted them", func(job *batchv1.Job) bool { return job.Status.Succeeded == 2 && job.Status.Failed == 1 })
			t.WaitGain(before, 2, podsFinishedMetric, modeLabel, "NonIndexed", resultLabel, "succeeded")
			t.WaitGain(before, 1, podsFinishedMetric, modeLabel, "NonIndexed", resultLabel, "failed")
		}),
		counted("Finalizers", "A Pod that has ended is counted when it still has its finalizer, and when that is gone.", func(t *suite.T, before suite.Metrics) {
			job := t.Create(newJob(completions(2), parallelism(2)))
			t.Succeed(t.WaitActive(job, 2)...)
			t.WaitComplete(job, "CompletionsReached")
			for _, event := range []string{"add", "delete"} {
				t.WaitGain(before, 2, jobMetrics+"terminated_pods_tracking_finalizer_total", "event", event)
			}
		}),
		counted("Indexes", "Each index that has succeeded or failed is counted, by whose limit holds.", func(t *suite.T, before suite.Metrics) {
			job := t.Create(newJob(indexed(3), backoffLimitPerIndex(0)))
			pods := t.WaitActive(job, 3)
			t.Succeed(pods[0])
			t.Fail(1, pods[1:]...)
			t.WaitFailed(job, "FailedIndexes")
			t.WaitGain(before, 1, indexesMetric, "status", "succeeded", "backoffLimit", "perIndex")
			t.WaitGain(before, 2, indexesMetric, "status", "failed", "backoffLimit", "perIndex")
			other := t.Create(newJob(named("other"), indexed(2)))
			t.Succeed(t.WaitActive(other, 2)...)
			t.WaitGain(before, 2, indexesMetric, "status", "succeeded", "backoffLimit", "global")
		}),
	)
}

// Metrics of single Pods.
func init() {
	subject("Metrics",
		inSource("reference 2.16 and B68", counted("FailurePolicy", "Each failed Pod that a rule of a podFailurePolicy matches is counted, by the action.", func(t *suite.T, before suite.Metrics) {
			rules := podFailurePolicy(
				onExitCodes(failJob, 1), onExitCodes(ignoreFailure, 2),
				onExitCodes(countFailure, 3), onExitCodes(failIndex, 4))
			job := t.Create(newJob(indexed(4), backoffLimitPerIndex(1), rules))
			pods := t.WaitActive(job, 4)
			for i, policyAction := range []batchv1.PodFailurePolicyAction{"Ignore", "Count", "FailIndex"} {
				t.Fail(int32(i+2), pods[i+1])
				// Those that are ignored or counted keep their finalizer, and so are not accounted for, until they are replaced.
				t.WaitGain(before, 1, podsHandledMetric, actionLabel, string(policyAction))
			}
			t.Fail(1, pods[0])
			t.WaitFailed(job, "PodFailurePolicy")
			t.WaitGain(before, 1, podsHandledMetric, actionLabel, "FailJob")
		})),
		counted("Creations", "Each Pod that is created is counted, by why it is.", func(t *suite.T, before suite.Metrics) {
			job := t.Create(newJob(completions(2), parallelism(2)))
			pods := t.WaitActive(job, 2)
			t.WaitGain(before, 2, podsCreatedMetric, reasonLabel, "new", "status", "succeeded")
			t.Fail(1, pods...)
			t.WaitStatus(job, 0, 0, 2)
			t.WaitActive(job, 2)
			t.WaitGain(before, 2, podsCreatedMetric, reasonLabel, "recreate_terminating_or_failed", "status", "succeeded")
			failed := t.Create(newJob(named("failed"), spec(func(spec *batchv1.JobSpec) { spec.PodReplacementPolicy = ptr.To(batchv1.Failed) })))
			t.Fail(1, t.WaitActive(failed, 1)...)
			t.WaitStatus(failed, 0, 0, 1)
			t.WaitActive(failed, 1)
			t.WaitGain(before, 1, podsCreatedMetric, reasonLabel, "recreate_failed", "status", "succeeded")
		}),
	)
}

// Metrics of the controllers' work.
func init() {
	subject("Metrics",
		counted("Syncs", "Each sync of a Job is counted and timed, by what it did.", func(t *suite.T, before suite.Metrics) {
			job := t.Create(newJob(indexed(3)))
			pods := t.WaitActive(job, 3)
			t.Succeed(pods[0])
			t.WaitStatus(job, 2, 1, 0)
			t.Suspend(job, true)
			for _, did := range []string{"pods_created", "tracking"} {
				t.WaitGain(before, 1, jobMetrics+"job_syncs_total", modeLabel, "Indexed", resultLabel, "success", actionLabel, did)
				t.WaitGain(before, 1, jobMetrics+"job_sync_duration_seconds", modeLabel, "Indexed", resultLabel, "success", actionLabel, did)
			}
		}),
		inSource("reference 2.16, B1 and B11", counted("ExternalController", "A Job of another controller is counted once, by the controller's name.", func(t *suite.T, before suite.Metrics) {
			const metric, label = jobMetrics + "jobs_by_external_controller_total", "controller_name"
			name := "example.com/" + t.Namespace()
			job := t.Create(newJob(managedBy(name)))
			t.WaitGain(before, 1, metric, label, name)
			t.PatchSpec(job, suite.Fields{"parallelism": 2})
			other := "example.com/other-" + t.Namespace()
			t.Create(newJob(named("other"), managedBy(other)))
			t.WaitGain(before, 1, metric, label, other)
			suite.Equal(t, "count of the first", t.Metrics().Value(metric, label, name), 1)
		})),
		inSource("reference 2.16 and B71", counted("TTL", "The time from when a Job's TTL is over to its deletion is measured.", func(t *suite.T, before suite.Metrics) {
			job := t.Create(newJob(ttl(0)))
			t.Succeed(t.WaitActive(job, 1)...)
			t.WaitGone(job)
			t.WaitGain(before, 1, "ttl_after_finished_controller_job_deletion_duration_seconds")
		})),
		inSource("reference 2.16, B13 and B42", counted("OnceAJob", "A Job that has finished is not counted again, whatever is written to it.", func(t *suite.T, before suite.Metrics) {
			job := t.Create(newJob(spec(func(spec *batchv1.JobSpec) {
				spec.PodFailurePolicy = &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{onExitCodes(failJob, 9)}}
			})))
			const label = "PodFailurePolicy"
			t.Fail(9, t.WaitActive(job, 1)...)
			t.WaitFailed(job, label)
			t.WaitGain(before, 1, jobsFinishedMetric, modeLabel, "NonIndexed", resultLabel, "failed", reasonLabel, label)
			t.WaitEvent(job, "Warning", label, "")
			for _, name := range []string{"a", "b"} {
				t.Update(job, func(job *batchv1.Job) { metav1.SetMetaDataAnnotation(&job.ObjectMeta, name, "yes") })
			}
			another(t)
			suite.Equal(t, "number of events", len(slices.DeleteFunc(t.Events(job), func(event corev1.Event) bool { return event.Reason != label })), 1)
		})),
	)
}

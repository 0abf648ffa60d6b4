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

package metrics

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/component-base/metrics/legacyregistry"
)

// The names, types and labels are Kubernetes 1.37's; dashboards depend on them.
func TestMetricsAreUpstreams(t *testing.T) {
	t.Parallel()
	Register()
	Register()
	SyncDurationSeconds.WithLabelValues("NonIndexed", ResultSuccess, "tracking").Observe(1)
	SyncsTotal.WithLabelValues("NonIndexed", ResultSuccess, "tracking").Inc()
	SyncLagSeconds.Observe(1)
	FinishedTotal.WithLabelValues("NonIndexed", Succeeded, "CompletionsReached").Inc()
	ByExternalControllerTotal.WithLabelValues("example.com/other").Inc()
	PodsFinishedTotal.WithLabelValues("NonIndexed", Succeeded).Inc()
	PodFailuresHandledTotal.WithLabelValues("Ignore").Inc()
	TerminatedPodsTrackingFinalizerTotal.WithLabelValues(EventAdd).Inc()
	FinishedIndexesTotal.WithLabelValues(Succeeded, BackoffLimitGlobal).Inc()
	PodsCreationTotal.WithLabelValues("new", Succeeded).Inc()
	StaleSyncSkipsTotal.WithLabelValues("", "pods").Inc()

	type series struct {
		Type   string
		Labels []string
	}
	want := map[string]series{
		"job_controller_job_sync_duration_seconds":                    {"HISTOGRAM", []string{"action", "completion_mode", "result"}},
		"job_controller_job_syncs_total":                              {"COUNTER", []string{"action", "completion_mode", "result"}},
		"job_controller_job_sync_lag_seconds":                         {"HISTOGRAM", nil},
		"job_controller_jobs_finished_total":                          {"COUNTER", []string{"completion_mode", "reason", "result"}},
		"job_controller_jobs_by_external_controller_total":            {"COUNTER", []string{"controller_name"}},
		"job_controller_job_pods_finished_total":                      {"COUNTER", []string{"completion_mode", "result"}},
		"job_controller_pod_failures_handled_by_failure_policy_total": {"COUNTER", []string{"action"}},
		"job_controller_terminated_pods_tracking_finalizer_total":     {"COUNTER", []string{"event"}},
		"job_controller_job_finished_indexes_total":                   {"COUNTER", []string{"backoffLimit", "status"}},
		"job_controller_job_pods_creation_total":                      {"COUNTER", []string{"reason", "status"}},
		"job_controller_stale_sync_skips_total":                       {"COUNTER", []string{"group", "resource"}},
	}
	families, err := legacyregistry.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]series{}
	for _, family := range families {
		if _, ours := want[family.GetName()]; !ours {
			continue
		}
		var labels []string
		for _, label := range family.GetMetric()[0].GetLabel() {
			labels = append(labels, label.GetName())
		}
		slices.Sort(labels)
		got[family.GetName()] = series{family.GetType().String(), labels}
		if family.GetName() == "job_controller_job_sync_duration_seconds" {
			buckets := family.GetMetric()[0].GetHistogram().GetBucket()
			// 15 buckets of 4 ms and its doubles; the one without a bound isn't listed.
			if len(buckets) != 15 || buckets[0].GetUpperBound() != 0.004 || buckets[14].GetUpperBound() != 0.004*(1<<14) {
				t.Errorf("%d buckets: %v", len(buckets), buckets)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
}

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

// Package metrics holds the metrics of the Job controller. Names, types, labels and buckets are those of Kubernetes 1.37's
// controller, so that dashboards and alerts made for it work here; job_sync_lag_seconds alone is ours. What a sync decides, it decides in package
// plan, and so do the values of the labels action and reason. Depth, latency and
// retries of the queues are client-go's workqueue metrics (workqueue_depth{name="job"} and neighbours).
package metrics

import (
	"sync"

	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/legacyregistry"

	// Gives every named workqueue of the process its metrics.
	_ "k8s.io/component-base/metrics/prometheus/workqueue"
)

const subsystem = "job_controller"

// Values of the label result of a sync.
const (
	ResultSuccess = "success"
	ResultError   = "error"
)

// Values of the labels result (jobs and Pods) and status (creations and indexes).
const (
	Succeeded = "succeeded"
	Failed    = "failed"
)

// Values of the label event of TerminatedPodsTrackingFinalizerTotal.
const (
	EventAdd    = "add"
	EventDelete = "delete"
)

// Values of the label backoffLimit of FinishedIndexesTotal.
const (
	BackoffLimitPerIndex = "perIndex"
	BackoffLimitGlobal   = "global"
)

var (
	// SyncDurationSeconds is how long a sync of a Job took. Labels: completion_mode, result, action.
	SyncDurationSeconds = metrics.NewHistogramVec(&metrics.HistogramOpts{
		Subsystem:      subsystem,
		Name:           "job_sync_duration_seconds",
		Help:           "Duration of a sync of one Job in seconds.",
		StabilityLevel: metrics.STABLE,
		Buckets:        metrics.ExponentialBuckets(0.004, 2, 15),
	}, []string{"completion_mode", "result", "action"})

	// SyncsTotal counts the syncs of Jobs. Labels: completion_mode, result, action.
	SyncsTotal = metrics.NewCounterVec(&metrics.CounterOpts{
		Subsystem:      subsystem,
		Name:           "job_syncs_total",
		Help:           "Syncs of Jobs, by outcome and by what was done.",
		StabilityLevel: metrics.STABLE,
	}, []string{"completion_mode", "result", "action"})

	// SyncLagSeconds is the time from the first event that asks for a sync of a Job to the begin of that sync; delays by
	// batching count, delays that a Job asks for (back-off, deadline) and delays after an error do not.
	SyncLagSeconds = metrics.NewHistogram(&metrics.HistogramOpts{
		Subsystem:      subsystem,
		Name:           "job_sync_lag_seconds",
		Help:           "Time from the first event that concerns a Job to the sync that acts on it, in seconds.",
		StabilityLevel: metrics.ALPHA,
		Buckets:        metrics.ExponentialBuckets(0.001, 2, 16),
	})

	// FinishedTotal counts Jobs that reached Complete or Failed. Labels: completion_mode, result (failed, succeeded), reason
	// of the condition.
	FinishedTotal = metrics.NewCounterVec(&metrics.CounterOpts{
		Subsystem:      subsystem,
		Name:           "jobs_finished_total",
		Help:           "Jobs that finished, by result and reason.",
		StabilityLevel: metrics.STABLE,
	}, []string{"completion_mode", "result", "reason"})

	// ByExternalControllerTotal counts Jobs seen whose spec.managedBy names another controller. Label: controller_name.
	ByExternalControllerTotal = metrics.NewCounterVec(&metrics.CounterOpts{
		Subsystem:      subsystem,
		Name:           "jobs_by_external_controller_total",
		Help:           "Jobs seen that another controller manages.",
		StabilityLevel: metrics.ALPHA,
	}, []string{"controller_name"})

	// PodsFinishedTotal counts Pods whose end is in the counters of their Job. Labels: completion_mode, result.
	PodsFinishedTotal = metrics.NewCounterVec(&metrics.CounterOpts{
		Subsystem:      subsystem,
		Name:           "job_pods_finished_total",
		Help:           "Pods that ended and are counted in the status of their Job.",
		StabilityLevel: metrics.STABLE,
	}, []string{"completion_mode", "result"})

	// PodFailuresHandledTotal counts failed Pods that a rule of a podFailurePolicy matched. Label: action of the rule.
	PodFailuresHandledTotal = metrics.NewCounterVec(&metrics.CounterOpts{
		Subsystem:      subsystem,
		Name:           "pod_failures_handled_by_failure_policy_total",
		Help:           "Failed Pods that a podFailurePolicy rule matched, by the action of the rule.",
		StabilityLevel: metrics.BETA,
	}, []string{"action"})

	// TerminatedPodsTrackingFinalizerTotal counts Pods that became ended while having a tracking finalizer (add) and that
	// stopped being so (delete). Adds minus deletes is the number of ended Pods that wait for their accounting.
	TerminatedPodsTrackingFinalizerTotal = metrics.NewCounterVec(&metrics.CounterOpts{
		Subsystem:      subsystem,
		Name:           "terminated_pods_tracking_finalizer_total",
		Help:           "Ended Pods that got into (add) and out of (delete) the state of having a tracking finalizer.",
		StabilityLevel: metrics.BETA,
	}, []string{"event"})

	// FinishedIndexesTotal counts indexes of Indexed Jobs that ended. Labels: status, backoffLimit (perIndex, global).
	FinishedIndexesTotal = metrics.NewCounterVec(&metrics.CounterOpts{
		Subsystem:      subsystem,
		Name:           "job_finished_indexes_total",
		Help:           "Indexes that succeeded or were given up.",
		StabilityLevel: metrics.ALPHA,
	}, []string{"status", "backoffLimit"})

	// PodsCreationTotal counts attempts to create a Pod. Labels: reason, status.
	PodsCreationTotal = metrics.NewCounterVec(&metrics.CounterOpts{
		Subsystem:      subsystem,
		Name:           "job_pods_creation_total",
		Help:           "Attempts to create a Pod, by why it was needed and whether it succeeded.",
		StabilityLevel: metrics.ALPHA,
	}, []string{"reason", "status"})

	// StaleSyncSkipsTotal counts syncs put off because the cache did not hold our own last write. Labels: group, resource.
	StaleSyncSkipsTotal = metrics.NewCounterVec(&metrics.CounterOpts{
		Subsystem:      subsystem,
		Name:           "stale_sync_skips_total",
		Help:           "Syncs put off because the cache was older than our own last write.",
		StabilityLevel: metrics.ALPHA,
	}, []string{"group", "resource"})
)

var registerOnce sync.Once

// Register adds the metrics to the process's registry. It may be called any number of times.
func Register() {
	registerOnce.Do(func() {
		legacyregistry.MustRegister(
			SyncDurationSeconds,
			SyncsTotal,
			SyncLagSeconds,
			FinishedTotal,
			ByExternalControllerTotal,
			PodsFinishedTotal,
			PodFailuresHandledTotal,
			TerminatedPodsTrackingFinalizerTotal,
			FinishedIndexesTotal,
			PodsCreationTotal,
			StaleSyncSkipsTotal,
		)
	})
}

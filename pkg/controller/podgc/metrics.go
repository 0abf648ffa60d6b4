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

package podgc

import (
	"sync"

	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/legacyregistry"
)

// Values of the label reason, upstream's.
const (
	reasonTerminated   = "terminated"
	reasonOutOfService = "out-of-service"
	reasonOrphaned     = "orphaned"
	reasonUnscheduled  = "unscheduled"
)

// All of these have upstream's names, labels and buckets.
var (
	forceDeleted = metrics.NewCounterVec(&metrics.CounterOpts{
		Subsystem:      "pod_gc_collector",
		Name:           "force_delete_pods_total",
		Help:           "Pods that were deleted without a grace period, by why.",
		StabilityLevel: metrics.ALPHA,
	}, []string{"namespace", "reason"})

	forceDeleteErrors = metrics.NewCounterVec(&metrics.CounterOpts{
		Subsystem:      "pod_gc_collector",
		Name:           "force_delete_pod_errors_total",
		Help:           "Pods that could not be deleted without a grace period, by why they should have been.",
		StabilityLevel: metrics.ALPHA,
	}, []string{"namespace", "reason"})

	evictions = metrics.NewCounter(&metrics.CounterOpts{
		Subsystem:      "taint_eviction_controller",
		Name:           "pod_deletions_total",
		Help:           "Pods that were evicted because their node does not report.",
		StabilityLevel: metrics.ALPHA,
	})
	evictionDuration = metrics.NewHistogram(&metrics.HistogramOpts{
		Subsystem:      "taint_eviction_controller",
		Name:           "pod_deletion_duration_seconds",
		Help:           "Seconds from the time until which a Pod tolerated that its node does not report, to its eviction.",
		Buckets:        []float64{0.005, 0.025, 0.1, 0.5, 1, 2.5, 10, 30, 60, 120, 180, 240},
		StabilityLevel: metrics.ALPHA,
	})
)

// registerMetrics adds the metrics of this package to the registry that /metrics serves.
var registerMetrics = sync.OnceFunc(func() {
	legacyregistry.MustRegister(forceDeleted, forceDeleteErrors, evictions, evictionDuration)
})

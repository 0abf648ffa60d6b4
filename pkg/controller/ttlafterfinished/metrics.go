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

package ttlafterfinished

import (
	"sync"

	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/legacyregistry"
)

// deletionDuration has upstream's name and buckets: 0.1 s to about 27 minutes.
var deletionDuration = metrics.NewHistogram(&metrics.HistogramOpts{
	Subsystem:      "ttl_after_finished_controller",
	Name:           "job_deletion_duration_seconds",
	Help:           "Seconds from the time a Job could be deleted, as its TTL had passed, to its deletion",
	Buckets:        metrics.ExponentialBuckets(0.1, 2, 14),
	StabilityLevel: metrics.ALPHA,
})

// registerMetrics adds the metrics of this package to the registry that /metrics serves.
var registerMetrics = sync.OnceFunc(func() {
	legacyregistry.MustRegister(deletionDuration)
})

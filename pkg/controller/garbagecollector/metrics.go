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

package garbagecollector

import (
	"sync"

	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/legacyregistry"
)

// syncErrors has upstream's name. Upstream counts failures to bring its watches in line with discovery; here, where the kinds are given,
// it counts failed lists and watches of a kind that has not synced yet.
var syncErrors = metrics.NewCounter(&metrics.CounterOpts{
	Subsystem:      "garbagecollector_controller",
	Name:           "resources_sync_error_total",
	Help:           "Number of failures of the garbage collector to sync the kinds of objects that it watches",
	StabilityLevel: metrics.ALPHA,
})

// registerMetrics adds the metrics of this package to the registry that /metrics serves.
var registerMetrics = sync.OnceFunc(func() {
	legacyregistry.MustRegister(syncErrors)
})

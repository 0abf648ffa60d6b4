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

package leaderelection

import (
	"sync"

	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/legacyregistry"
)

// masterStatus has the name, the label and the values of client-go's metric.
var masterStatus = metrics.NewGaugeVec(&metrics.GaugeOpts{
	Name:           "leader_election_master_status",
	Help:           "Whether this process is the leader of the election of this name (1) or not (0).",
	StabilityLevel: metrics.ALPHA,
}, []string{"name"})

var registerMetrics = sync.OnceFunc(func() { legacyregistry.MustRegister(masterStatus) })

func setMasterStatus(name string, leading bool) {
	registerMetrics()
	value := 0.0
	if leading {
		value = 1
	}
	masterStatus.WithLabelValues(name).Set(value)
}

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

package nodeagent

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime"
)

// probeResult is what a probe has found so far, its thresholds taken into account.
type probeResult int

const (
	probeUnknown probeResult = iota
	probeSuccess
	probeFailure
)

// probeResults are the results of the probes of one attempt.
type probeResults struct{ startup, liveness, readiness probeResult }

// probeKind is one of a container's three probes.
type probeKind int

const (
	startupProbe probeKind = iota
	livenessProbe
	readinessProbe
)

// String is how events call it.
func (k probeKind) String() string {
	switch k {
	case startupProbe:
		return "Startup"
	case livenessProbe:
		return "Liveness"
	case readinessProbe:
		return "Readiness"
	}
	return fmt.Sprintf("probeKind(%d)", int(k))
}

// of returns the result of one probe.
func (r *probeResults) of(kind probeKind) *probeResult {
	switch kind {
	case startupProbe:
		return &r.startup
	case livenessProbe:
		return &r.liveness
	default:
		return &r.readiness
	}
}

// probeOf returns the container's probe of a kind, or nil.
func probeOf(container *corev1.Container, kind probeKind) *corev1.Probe {
	switch kind {
	case startupProbe:
		return container.StartupProbe
	case livenessProbe:
		return container.LivenessProbe
	default:
		return container.ReadinessProbe
	}
}

// wantsProbe tells whether a probe is to run now beside a running attempt: a startup probe until it has found something, the others once the
// container has started. Whether a container that is being stopped is alive no longer matters; whether it is ready does.
func wantsProbe(o observation, container *corev1.Container, attempt *runtime.Container, kind probeKind) bool {
	if probeOf(container, kind) == nil || o.hooks[attempt.ID] != hookNone {
		return false
	}
	found := o.probes[attempt.ID]
	stopping := attempt.Stopping || o.pod.DeletionTimestamp != nil
	switch kind {
	case startupProbe:
		return !stopping && found.startup == probeUnknown
	case livenessProbe:
		return !stopping && found.liveness != probeFailure && hasStarted(o, container, attempt)
	default:
		return hasStarted(o, container, attempt)
	}
}

// thresholds counts what a probe finds in a row.
type thresholds struct {
	last probeResult
	run  int
}

// add takes in what the probe found this time, and returns whether it has found that often enough to count.
func (t *thresholds) add(found probeResult, probe *corev1.Probe) bool {
	if t.last != found {
		t.last, t.run = found, 0
	}
	t.run++
	threshold := probe.FailureThreshold
	if found == probeSuccess {
		threshold = probe.SuccessThreshold
	}
	return t.run >= int(threshold)
}

// hookState is the state of an attempt's postStart hook.
type hookState int

const (
	hookNone hookState = iota
	hookRunning
	hookFailed
)

// hookRuns tells whether a postStart hook of the Pod runs.
func hookRuns(o observation) bool {
	for _, state := range o.hooks {
		if state == hookRunning {
			return true
		}
	}
	return false
}

// hasStarted is status.started of an attempt: it runs, its postStart hook has ended, and its startup probe has succeeded.
func hasStarted(o observation, container *corev1.Container, attempt *runtime.Container) bool {
	return attempt.Running && o.hooks[attempt.ID] == hookNone &&
		(container.StartupProbe == nil || o.probes[attempt.ID].startup == probeSuccess)
}

// isReady is status.ready of an attempt at a main container or sidecar: it has started, and its readiness probe succeeds.
func isReady(o observation, container *corev1.Container, attempt *runtime.Container) bool {
	return hasStarted(o, container, attempt) &&
		(container.ReadinessProbe == nil || o.probes[attempt.ID].readiness == probeSuccess)
}

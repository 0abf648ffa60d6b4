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
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/probe"
	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime"
)

// maxProbeTries is how often a probe that couldn't be made is tried in a row, as with a kubelet.
const maxProbeTries = 3

// tendProbes starts the probes that are to run beside a running attempt, and ends those that are not.
func (a *Agent) tendProbes(ctx context.Context, target execTarget, attempt runtime.Container, adopted bool) {
	observed := observation{pod: target.pod, now: a.config.Clock.Now()}
	target.beside.observe(&observed)
	for _, kind := range []probeKind{startupProbe, livenessProbe, readinessProbe} {
		if !wantsProbe(observed, target.container, &attempt, kind) {
			target.beside.endProber(target.id, kind)
			continue
		}
		proberCtx, cancel := context.WithCancel(ctx)
		if !target.beside.addProber(target.id, kind, cancel) {
			cancel()
			continue
		}
		worker := &prober{agent: a, target: target, kind: kind, spec: probeOf(target.container, kind)}
		delay := attempt.StartedAt.Add(time.Duration(worker.spec.InitialDelaySeconds) * time.Second).Sub(observed.now)
		if adopted {
			// Those of all containers that an earlier agent left would be made at the same time.
			delay = max(delay, time.Duration(rand.Float64()*float64(worker.period())))
		}
		a.besides.Go(func() {
			defer cancel()
			worker.run(proberCtx, delay)
		})
	}
}

// prober makes one probe of one attempt, again and again.
type prober struct {
	agent      *Agent
	target     execTarget
	kind       probeKind
	spec       *corev1.Probe
	thresholds thresholds
}

func (p *prober) period() time.Duration {
	return time.Duration(max(1, p.spec.PeriodSeconds)) * time.Second
}

// run probes after the delay, and then once a period, until ctx ends or the result is final.
func (p *prober) run(ctx context.Context, delay time.Duration) {
	clock := p.agent.config.Clock
	timer := clock.NewTimer(max(0, delay))
	defer timer.Stop()
	next := clock.Now().Add(max(0, delay))
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C():
		}
		found, err := p.probe(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil && p.thresholds.add(found, p.spec) {
			if p.target.beside.setProbe(p.target.id, p.kind, found) {
				p.agent.queue.Add(p.target.pod.UID)
			}
			if p.kind == startupProbe || (p.kind == livenessProbe && found == probeFailure) {
				return // the container goes on, or is stopped: there is no more to find out
			}
		}
		// A probe that took longer than a period is not made up for.
		for now := clock.Now(); !next.After(now); {
			next = next.Add(p.period())
		}
		timer.Reset(next.Sub(clock.Now()))
	}
}

// probe probes once, says in an event what is not well, and returns what was found. The error says that nothing could be found out, which leaves
// everything as it is.
func (p *prober) probe(ctx context.Context) (probeResult, error) {
	var (
		result probe.Result
		output string
		err    error
	)
	for range maxProbeTries {
		if result, output, err = p.ask(ctx); err == nil || errors.Is(err, runtime.ErrNotRunning) || ctx.Err() != nil {
			break
		}
	}
	if errors.Is(err, runtime.ErrNotRunning) || ctx.Err() != nil {
		return probeUnknown, errors.New("the container has ended")
	}
	klog.FromContext(ctx).V(4).Info("Probed a container", "container", p.target.container.Name, "probe", p.kind.String(), "result", result, "output", output)
	switch {
	case err != nil:
		p.say(reasonUnhealthy, "%s probe errored and resulted in %s state: %s", p.kind, result, err)
		return probeUnknown, err
	case result == probe.Success:
		return probeSuccess, nil
	case result == probe.Warning:
		p.say(reasonProbeWarning, "%s probe warning: %s", p.kind, output)
		return probeSuccess, nil
	default:
		p.say(reasonUnhealthy, "%s probe failed: %s", p.kind, output)
		return probeFailure, nil
	}
}

func (p *prober) say(reason, format string, arguments ...any) {
	p.agent.recorder.Eventf(containerReference(p.target.pod, p.target.container.Name), corev1.EventTypeWarning, reason, format, arguments...)
}

// ask makes the probe's request or runs its command.
func (p *prober) ask(ctx context.Context) (probe.Result, string, error) {
	timeout := time.Duration(max(1, p.spec.TimeoutSeconds)) * time.Second
	if p.spec.Exec == nil {
		return p.agent.prober.Probe(&p.spec.ProbeHandler, p.target.container, p.agent.nodeIP(), timeout)
	}
	argv := expandStatic(p.spec.Exec.Command, p.target.container.Env)
	late := fmt.Errorf("command timed out: %q timed out after %v", strings.Join(argv, " "), timeout)
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, late)
	defer cancel()
	output, err := p.agent.execInContainer(ctx, p.target, argv)
	var exited *exitError
	switch {
	case err == nil:
		return probe.Success, string(output), nil
	case errors.As(err, &exited):
		return probe.Failure, string(output), nil
	case context.Cause(ctx) == late:
		return probe.Failure, late.Error(), nil
	}
	return probe.Unknown, "", err
}

// expandStatic expands references to variables that the container's env gives a value as it stands: a kubelet knows no others when it probes.
func expandStatic(words []string, env []corev1.EnvVar) []string {
	values := map[string]string{}
	for i := range env {
		values[env[i].Name] = env[i].Value
	}
	expanded := make([]string, len(words))
	for i, word := range words {
		expanded[i] = expand(word, func(name string) (string, bool) {
			value, ok := values[name]
			return value, ok
		})
	}
	return expanded
}

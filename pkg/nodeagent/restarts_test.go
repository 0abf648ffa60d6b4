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
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime"
)

// restartRule is a rule on exit codes.
func restartRule(action corev1.ContainerRestartRuleAction, operator corev1.ContainerRestartRuleOnExitCodesOperator, codes ...int32) corev1.ContainerRestartRule {
	return corev1.ContainerRestartRule{Action: action, ExitCodes: &corev1.ContainerRestartRuleOnExitCodes{Operator: operator, Values: codes}}
}

const (
	restart    = corev1.ContainerRestartRuleActionRestart
	restartAll = corev1.ContainerRestartRuleActionRestartAllContainers
	in         = corev1.ContainerRestartRuleOnExitCodesOpIn
	notIn      = corev1.ContainerRestartRuleOnExitCodesOpNotIn
)

func TestRestartsAfter(t *testing.T) {
	t.Parallel()
	const (
		always    = corev1.ContainerRestartPolicyAlways
		onFailure = corev1.ContainerRestartPolicyOnFailure
		never     = corev1.ContainerRestartPolicyNever
		none      = corev1.ContainerRestartPolicy("")
	)
	tests := map[string]struct {
		pod        corev1.RestartPolicy
		container  corev1.ContainerRestartPolicy
		rules      []corev1.ContainerRestartRule
		exitCode   int
		stopReason string
		want       bool
	}{
		"Never":                               {"Never", none, nil, 1, "", false},
		"OnFailure, failed":                   {"OnFailure", none, nil, 1, "", true},
		"OnFailure, succeeded":                {"OnFailure", none, nil, 0, "", false},
		"Always":                              {"Always", none, nil, 0, "", true},
		"own Never over Always":               {"Always", never, nil, 1, "", false},
		"own Always over Never":               {"Never", always, nil, 0, "", true},
		"own OnFailure over Never, failed":    {"Never", onFailure, nil, 1, "", true},
		"own OnFailure over Never, succeeded": {"Never", onFailure, nil, 0, "", false},
		"a rule that matches":                 {"Never", never, []corev1.ContainerRestartRule{restartRule(restart, in, 42, 43)}, 43, "", true},
		"a rule that doesn't":                 {"Never", never, []corev1.ContainerRestartRule{restartRule(restart, in, 42, 43)}, 44, "", false},
		"NotIn matches":                       {"Never", never, []corev1.ContainerRestartRule{restartRule(restart, notIn, 0, 1)}, 2, "", true},
		"NotIn doesn't":                       {"Never", never, []corev1.ContainerRestartRule{restartRule(restart, notIn, 0, 1)}, 1, "", false},
		"the second rule":                     {"Never", never, []corev1.ContainerRestartRule{restartRule(restart, in, 1), restartRule(restart, in, 2)}, 2, "", true},
		"a rule, even for success":            {"Never", never, []corev1.ContainerRestartRule{restartRule(restart, in, 0)}, 0, "", true},
		"RestartAllContainers":                {"Never", never, []corev1.ContainerRestartRule{restartRule(restartAll, in, 9)}, 9, "", true},
		"not alive, exits well":               {"OnFailure", none, nil, 0, "LivenessProbe", true},
		"not alive, Never":                    {"Never", none, nil, 137, "LivenessProbe", false},
		"not alive, own Never":                {"Always", never, nil, 137, "StartupProbe", false},
		"not alive, rules don't count":        {"Never", never, []corev1.ContainerRestartRule{restartRule(restart, in, 137)}, 137, "LivenessProbe", false},
		"hook failed":                         {"OnFailure", none, nil, 137, "PostStartHook", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pod := &corev1.Pod{Spec: corev1.PodSpec{RestartPolicy: test.pod, Containers: []corev1.Container{{Name: "one", RestartPolicyRules: test.rules}}}}
			if test.container != none {
				pod.Spec.Containers[0].RestartPolicy = &test.container
			}
			if got := restartsAfter(pod, &pod.Spec.Containers[0], &runtime.Container{ExitCode: test.exitCode, StopReason: test.stopReason}); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
		})
	}
}

// inRound puts an attempt into a round.
func inRound(number int, change func(*runtime.Container)) func(*runtime.Container) {
	return func(c *runtime.Container) {
		change(c)
		c.Round = number
	}
}

// killed is an attempt that was killed for the next round.
func killed(c *runtime.Container) {
	ended(137, 0)(c)
	c.StopReason = "RestartAllContainers"
}

func TestRounds(t *testing.T) {
	t.Parallel()
	rules := func(pod *corev1.Pod) {
		pod.Spec.InitContainers = []corev1.Container{{Name: "init-a"}}
		pod.Spec.Containers[0].RestartPolicy = new(corev1.ContainerRestartPolicyNever)
		pod.Spec.Containers[0].RestartPolicyRules = []corev1.ContainerRestartRule{restartRule(restartAll, in, 9)}
		pod.Status.Phase = corev1.PodRunning
	}
	done := ended(0, time.Minute)
	tests := map[string]struct {
		attempts      []runtime.Container
		want          summary
		wantRound     int // of what is started
		wantContainer string
		wantRestarts  string
	}{
		"another exit code": {attempts("init-a", done, "one", ended(1, 0), "two", running), summary{}, 0, "terminated Error", "False"},
		"the round ends": {attempts("init-a", done, "one", ended(9, 0), "two", running),
			summary{Stop: "two", Message: "Container two is killed since all containers of the Pod will be restarted"}, 0, "terminated Error", "True"},
		"a new round": {attempts("init-a", done, "one", ended(9, 0), "two", killed), summary{Start: "init-a"}, 1, "waiting RestartingAllContainers, last Error", "False"},
		"the second new round waits": {[]runtime.Container{
			attempt("init-a", 1, inRound(1, done)), attempt("one", 1, inRound(1, after(10*time.Second, ended(9, time.Second)))), attempt("two", 1, inRound(1, killed)),
		}, summary{Again: 9 * time.Second}, 0, "waiting RestartingAllContainers, last Error", "True"},
		"in the new round, init containers first": {[]runtime.Container{
			attempt("init-a", 1, inRound(1, running)), attempt("one", 0, ended(9, time.Minute)), attempt("two", 0, killed),
		}, summary{}, 0, "waiting RestartingAllContainers, last Error", "False"},
		"then the others": {[]runtime.Container{
			attempt("init-a", 1, inRound(1, done)), attempt("one", 0, ended(9, time.Minute)), attempt("two", 0, killed),
		}, summary{Start: "one two"}, 1, "waiting RestartingAllContainers, last Error", "False"},
		"and the end": {[]runtime.Container{
			attempt("init-a", 1, inRound(1, done)), attempt("one", 1, inRound(1, done)), attempt("two", 1, inRound(1, done)),
		}, summary{Ended: true}, 0, "terminated Completed", "False PodCompleted"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := observe(rules, false, 0, test.attempts)
			a := computeActions(o)
			if diff := cmp.Diff(test.want, summarize(a)); diff != "" {
				t.Errorf("actions differ (-want +got):\n%s", diff)
			}
			if len(a.start) > 0 && (a.start[0].round != test.wantRound || a.start[0].attempt != 1) {
				t.Errorf("attempt %d in round %d is started, want the second attempt, in round %d", a.start[0].attempt, a.start[0].round, test.wantRound)
			}
			got := shorten(computeStatus(o, a))
			if got.Containers["one"] != test.wantContainer {
				t.Errorf("the container is %q, want %q", got.Containers["one"], test.wantContainer)
			}
			if got.Conditions[corev1.AllContainersRestarting] != test.wantRestarts && got.Conditions[corev1.AllContainersRestarting] != test.wantRestarts+" RestartAllContainersStarted" {
				t.Errorf("condition AllContainersRestarting is %q, want %q", got.Conditions[corev1.AllContainersRestarting], test.wantRestarts)
			}
			if got.Phase != corev1.PodRunning && !a.ended {
				t.Errorf("phase %s, want Running", got.Phase)
			}
		})
	}
}

func TestProbesAndHooksDecide(t *testing.T) {
	t.Parallel()
	always := func(pod *corev1.Pod) { pod.Spec.RestartPolicy = corev1.RestartPolicyAlways }
	never := func(*corev1.Pod) {}
	liveness := &corev1.Probe{TerminationGracePeriodSeconds: new(int64(3))}
	id := runtime.ID{PodUID: "uid", Container: "one"}
	notAlive := map[runtime.ID]probeResults{id: {liveness: probeFailure}}
	stopping := func(c *runtime.Container) { running(c); c.Stopping, c.StopReason = true, "LivenessProbe" }
	tests := map[string]struct {
		change   func(*corev1.Pod)
		attempts []runtime.Container
		probes   map[runtime.ID]probeResults
		hooks    map[runtime.ID]hookState
		want     summary
	}{
		"alive": {always, attempts("one", running, "two", running), map[runtime.ID]probeResults{id: {liveness: probeSuccess}}, nil, summary{}},
		"not alive": {always, attempts("one", running, "two", running), notAlive, nil,
			summary{Stop: "one", Grace: 3 * time.Second, Message: "Container one failed liveness probe, will be restarted"}},
		"not alive, and not to be restarted": {never, attempts("one", running, "two", running), notAlive, nil,
			summary{Stop: "one", Grace: 3 * time.Second, Message: "Container one failed liveness probe"}},
		"the last one isn't alive": {never, attempts("one", running, "two", ended(0, 0)), notAlive, nil,
			summary{Stop: "one", Grace: 3 * time.Second, Message: "Container one failed liveness probe"}},
		"another agent found it": {always, attempts("one", stopping, "two", running), nil, nil,
			summary{Stop: "one", Grace: 3 * time.Second, Message: "Container one failed liveness probe, will be restarted"}},
		"its hook runs":      {always, attempts("one", running), nil, map[runtime.ID]hookState{id: hookRunning}, summary{}},
		"its hook failed":    {always, attempts("one", running), nil, map[runtime.ID]hookState{id: hookFailed}, summary{Start: "two", Stop: "one", Grace: 30 * time.Second, Message: "FailedPostStartHook"}},
		"its hook has ended": {always, attempts("one", running), nil, nil, summary{Start: "two"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := observe(func(pod *corev1.Pod) { test.change(pod); pod.Spec.Containers[0].LivenessProbe = liveness }, false, 0, test.attempts)
			o.probes, o.hooks = test.probes, test.hooks
			if diff := cmp.Diff(test.want, summarize(computeActions(o))); diff != "" {
				t.Errorf("actions differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestThresholds(t *testing.T) {
	t.Parallel()
	spec := &corev1.Probe{SuccessThreshold: 2, FailureThreshold: 3}
	counts := thresholds{}
	for i, step := range []struct {
		found probeResult
		want  bool
	}{
		{probeFailure, false}, {probeFailure, false}, {probeSuccess, false}, {probeFailure, false}, {probeFailure, false},
		{probeFailure, true}, {probeFailure, true}, {probeSuccess, false}, {probeSuccess, true},
	} {
		if got := counts.add(step.found, spec); got != step.want {
			t.Errorf("step %d: settled %t, want %t", i, got, step.want)
		}
	}
}

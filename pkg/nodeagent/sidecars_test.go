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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime"
)

// withSidecars gives the Pod the init containers init-a, side-b, init-c and side-d, of which the second and the last are sidecars.
func withSidecars(changes ...func(*corev1.Pod)) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		always := new(corev1.ContainerRestartPolicyAlways)
		pod.Spec.InitContainers = []corev1.Container{
			{Name: "init-a"}, {Name: "side-b", RestartPolicy: always}, {Name: "init-c"}, {Name: "side-d", RestartPolicy: always},
		}
		for _, change := range changes {
			change(pod)
		}
	}
}

// attempts makes one attempt at each container, in the state that comes after its name.
func attempts(states ...any) []runtime.Container {
	var made []runtime.Container
	for i := 0; i < len(states); i += 2 {
		made = append(made, attempt(states[i].(string), 0, states[i+1].(func(*runtime.Container))))
	}
	return made
}

func TestComputeActionsWithSidecars(t *testing.T) {
	t.Parallel()
	never := func(*corev1.Pod) {}
	startup := func(pod *corev1.Pod) { pod.Spec.InitContainers[1].StartupProbe = &corev1.Probe{} }
	liveness := func(pod *corev1.Pod) {
		pod.Spec.InitContainers[1].LivenessProbe = &corev1.Probe{TerminationGracePeriodSeconds: new(int64(3))}
	}
	deleted := func(pod *corev1.Pod) {
		pod.DeletionTimestamp, pod.DeletionGracePeriodSeconds = new(metav1.NewTime(now)), new(int64(7))
	}
	deadline := func(pod *corev1.Pod) { pod.Spec.ActiveDeadlineSeconds = new(int64(60)) }
	done := ended(0, time.Second)
	sideB := runtime.ID{PodUID: "uid", Container: "side-b"}
	tests := map[string]struct {
		change   func(*corev1.Pod)
		attempts []runtime.Container
		probes   map[runtime.ID]probeResults
		age      time.Duration
		want     summary
	}{
		"the first is a regular one":        {never, nil, nil, 0, summary{Start: "init-a"}},
		"a sidecar's turn":                  {never, attempts("init-a", done), nil, 0, summary{Start: "side-b"}},
		"it runs, on to the next":           {never, attempts("init-a", done, "side-b", running), nil, 0, summary{Start: "init-c"}},
		"the next runs":                     {never, attempts("init-a", done, "side-b", running, "init-c", running), nil, 0, summary{}},
		"not before its startup probe says": {startup, attempts("init-a", done, "side-b", running), nil, 0, summary{}},
		"its startup probe has said so":     {startup, attempts("init-a", done, "side-b", running), map[runtime.ID]probeResults{sideB: {startup: probeSuccess}}, 0, summary{Start: "init-c"}},
		"its startup probe has failed": {startup, attempts("init-a", done, "side-b", running), map[runtime.ID]probeResults{sideB: {startup: probeFailure}}, 0,
			summary{Stop: "side-b", Grace: 30 * time.Second, Message: "Init container side-b failed startup probe"}},
		"it is not alive": {liveness, attempts("init-a", done, "side-b", running, "init-c", running), map[runtime.ID]probeResults{sideB: {liveness: probeFailure}}, 0,
			summary{Stop: "side-b", Grace: 3 * time.Second, Message: "Init container side-b failed liveness probe"}},
		"it ended before the next was started": {never, attempts("init-a", done, "side-b", done), nil, 0, summary{Start: "side-b", NextBackoff: 10 * time.Second}},
		"it ended while the next runs":         {never, attempts("init-a", done, "side-b", ended(1, 0), "init-c", running), nil, 0, summary{Start: "side-b", NextBackoff: 10 * time.Second}},
		"it waits for its restart": {never, []runtime.Container{attempt("init-a", 0, done), attempt("side-b", 1, after(10*time.Second, ended(1, time.Second))), attempt("init-c", 0, done)}, nil, 0,
			summary{Start: "side-d", Again: 9 * time.Second}},
		"the last sidecar runs, on to the main ones": {never, attempts("init-a", done, "side-b", running, "init-c", done, "side-d", running), nil, 0, summary{Start: "one two"}},
		"one ended while the main ones run":          {never, attempts("init-a", done, "side-b", running, "init-c", done, "side-d", done, "one", running, "two", running), nil, 0, summary{Start: "side-d", NextBackoff: 10 * time.Second}},
		"a main one has ended":                       {never, attempts("init-a", done, "side-b", running, "init-c", done, "side-d", running, "one", done, "two", running), nil, 0, summary{}},
		"all main ones have ended": {never, attempts("init-a", done, "side-b", running, "init-c", done, "side-d", running, "one", done, "two", done), nil, 0,
			summary{Stop: "side-d side-b>side-d", Grace: 30 * time.Second}},
		"the last sidecar has ended too": {never, attempts("init-a", done, "side-b", running, "init-c", done, "side-d", ended(143, 0), "one", done, "two", done), nil, 0,
			summary{Stop: "side-b", Grace: 30 * time.Second}},
		"all have ended": {never, attempts("init-a", done, "side-b", ended(143, 0), "init-c", done, "side-d", ended(143, 0), "one", done, "two", done), nil, 0, summary{Ended: true}},
		"an init one failed for good": {never, attempts("init-a", done, "side-b", running, "init-c", ended(1, 0)), nil, 0,
			summary{Stop: "side-b", Grace: 30 * time.Second}},
		"deleted": {deleted, attempts("init-a", done, "side-b", running, "init-c", done, "side-d", running, "one", running, "two", done), nil, 0,
			summary{Stop: "one side-d>one side-b>one,side-d", Grace: 7 * time.Second}},
		"deleted while an init one runs": {deleted, attempts("init-a", done, "side-b", running, "init-c", running), nil, 0,
			summary{Stop: "init-c side-b", Grace: 7 * time.Second}},
		"past its deadline while the sidecars end": {deadline, attempts("init-a", done, "side-b", running, "init-c", done, "side-d", ended(0, 0), "one", done, "two", done), nil, time.Minute,
			summary{Stop: "side-b", Grace: 30 * time.Second, Failure: "DeadlineExceeded"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := observe(withSidecars(test.change), false, test.age, test.attempts)
			o.probes = test.probes
			if diff := cmp.Diff(test.want, summarize(computeActions(o))); diff != "" {
				t.Errorf("actions differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestComputeStatusWithSidecars(t *testing.T) {
	t.Parallel()
	never := func(*corev1.Pod) {}
	startup := func(pod *corev1.Pod) { pod.Spec.InitContainers[1].StartupProbe = &corev1.Probe{} }
	readiness := func(pod *corev1.Pod) { pod.Spec.InitContainers[1].ReadinessProbe = &corev1.Probe{} }
	done := ended(0, time.Second)
	all := func(sideB, sideD, one, two func(*runtime.Container)) []runtime.Container {
		return attempts("init-a", done, "side-b", sideB, "init-c", done, "side-d", sideD, "one", one, "two", two)
	}
	tests := map[string]struct {
		change    func(*corev1.Pod)
		attempts  []runtime.Container
		probes    map[runtime.ID]probeResults
		wantPhase corev1.PodPhase
		wantSideB string
		want      map[corev1.PodConditionType]string
	}{
		"the sidecar runs":                   {never, attempts("init-a", done, "side-b", running), nil, corev1.PodPending, "running, ready", conditions("True", "False ContainersNotInitialized", "False ContainersNotReady")},
		"it has no started":                  {startup, attempts("init-a", done, "side-b", running), nil, corev1.PodPending, "running", conditions("True", "False ContainersNotInitialized", "False ContainersNotReady")},
		"all run":                            {never, all(running, running, running, running), nil, corev1.PodRunning, "running, ready", conditions("True", "True", "True")},
		"it isn't ready":                     {readiness, all(running, running, running, running), nil, corev1.PodRunning, "running", conditions("True", "True", "False ContainersNotReady")},
		"it is down":                         {never, all(ended(1, 0), running, running, running), nil, corev1.PodRunning, "terminated Error", conditions("True", "True", "False ContainersNotReady")},
		"the main ones ended, it still runs": {never, all(running, ended(0, 0), done, done), nil, corev1.PodRunning, "running, ready", conditions("True", "True", "False ContainersNotReady")},
		"how it ends doesn't matter":         {never, all(ended(3, 0), ended(137, 0), done, done), nil, corev1.PodSucceeded, "terminated Error", conditions("False", "True PodCompleted", "False PodCompleted")},
		"how the main ones end does":         {never, all(ended(0, 0), ended(0, 0), done, ended(1, 0)), nil, corev1.PodFailed, "terminated Completed", conditions("False", "True", "False PodFailed")},
		"an init one failed":                 {never, attempts("init-a", done, "side-b", ended(143, 0), "init-c", ended(1, 0)), nil, corev1.PodFailed, "terminated Error", conditions("False", "False ContainersNotInitialized", "False PodFailed")},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := observe(withSidecars(test.change), false, 0, test.attempts)
			o.probes = test.probes
			got := shorten(computeStatus(o, computeActions(o)))
			if got.Phase != test.wantPhase || got.Containers["side-b"] != test.wantSideB {
				t.Errorf("phase %s, sidecar %s; want %s and %s", got.Phase, got.Containers["side-b"], test.wantPhase, test.wantSideB)
			}
			if diff := cmp.Diff(test.want, got.Conditions); diff != "" {
				t.Errorf("conditions differ (-want +got):\n%s", diff)
			}
		})
	}
}

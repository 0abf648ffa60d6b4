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

package pod

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubernetes/pkg/apis/core"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func ago(d time.Duration) metav1.Time { return metav1.NewTime(now.Add(-d)) }

// podWith returns a Pod with ordinary containers of these statuses, and as many containers in its spec.
func podWith(phase core.PodPhase, statuses ...core.ContainerStatus) *core.Pod {
	pod := &core.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", CreationTimestamp: ago(10 * time.Minute)}}
	pod.Status.Phase = phase
	pod.Status.ContainerStatuses = statuses
	pod.Spec.Containers = make([]core.Container, len(statuses))
	return pod
}

// withInit adds init containers of these statuses; those that have Started set are sidecars.
func withInit(pod *core.Pod, statuses ...core.ContainerStatus) *core.Pod {
	for i := range statuses {
		c := core.Container{Name: string(rune('a' + i))}
		if statuses[i].Started != nil {
			c.RestartPolicy = new(core.ContainerRestartPolicyAlways)
		}
		statuses[i].Name = c.Name
		pod.Spec.InitContainers = append(pod.Spec.InitContainers, c)
	}
	pod.Status.InitContainerStatuses = statuses
	return pod
}

func withCondition(pod *core.Pod, t core.PodConditionType, reason string) *core.Pod {
	pod.Status.Conditions = append(pod.Status.Conditions, core.PodCondition{Type: t, Status: core.ConditionTrue, Reason: reason})
	return pod
}

func deleted(pod *core.Pod) *core.Pod {
	pod.DeletionTimestamp = new(ago(0))
	return pod
}

func running(ready bool) core.ContainerStatus {
	return core.ContainerStatus{Ready: ready, State: core.ContainerState{Running: &core.ContainerStateRunning{}}}
}

func waiting(reason string) core.ContainerStatus {
	return core.ContainerStatus{State: core.ContainerState{Waiting: &core.ContainerStateWaiting{Reason: reason}}}
}

func terminated(code, signal int32, reason string) core.ContainerStatus {
	return core.ContainerStatus{State: core.ContainerState{Terminated: &core.ContainerStateTerminated{ExitCode: code, Signal: signal, Reason: reason}}}
}

func sidecar(s core.ContainerStatus, started bool) core.ContainerStatus {
	s.Started = &started
	return s
}

// restarted adds restarts, the last of which followed an end some time ago; a negative time stands for unknown.
func restarted(s core.ContainerStatus, count int32, last time.Duration) core.ContainerStatus {
	s.RestartCount = count
	if last >= 0 {
		s.LastTerminationState.Terminated = &core.ContainerStateTerminated{FinishedAt: ago(last)}
	}
	return s
}

func TestReadyStatusRestarts(t *testing.T) {
	t.Parallel()
	lost := deleted(podWith(core.PodRunning, running(true)))
	lost.Status.Reason = "NodeLost"
	evicted := podWith(core.PodFailed)
	evicted.Status.Reason = "Evicted"
	for name, tc := range map[string]struct {
		pod  *core.Pod
		want []any
	}{
		"new":              {podWith(core.PodPending), []any{"0/0", "Pending", "0"}},
		"gated":            {withCondition(podWith(core.PodPending), core.PodScheduled, "SchedulingGated"), []any{"0/0", "SchedulingGated", "0"}},
		"evicted":          {evicted, []any{"0/0", "Evicted", "0"}},
		"starting":         {podWith(core.PodPending, waiting("ContainerCreating")), []any{"0/1", "ContainerCreating", "0"}},
		"running":          {podWith(core.PodRunning, running(true), running(false)), []any{"1/2", "Running", "0"}},
		"crash loop":       {podWith(core.PodRunning, restarted(waiting("CrashLoopBackOff"), 3, 5*time.Minute)), []any{"0/1", "CrashLoopBackOff", "3 (5m ago)"}},
		"restart time n/a": {podWith(core.PodRunning, restarted(running(true), 2, -1)), []any{"1/1", "Running", "2"}},
		"latest restart":   {podWith(core.PodRunning, restarted(running(true), 1, time.Hour), restarted(running(true), 2, time.Minute)), []any{"2/2", "Running", "3 (60s ago)"}},
		"completed":        {podWith(core.PodSucceeded, terminated(0, 0, "Completed")), []any{"0/1", "Completed", "0"}},
		"error":            {podWith(core.PodFailed, terminated(1, 0, "Error")), []any{"0/1", "Error", "0"}},
		"exit code":        {podWith(core.PodFailed, terminated(3, 0, "")), []any{"0/1", "ExitCode:3", "0"}},
		"signal":           {podWith(core.PodFailed, terminated(137, 9, "")), []any{"0/1", "Signal:9", "0"}},
		"first of two":     {podWith(core.PodFailed, terminated(1, 0, "OOMKilled"), terminated(1, 0, "Error")), []any{"0/2", "OOMKilled", "0"}},
		"one done, ready":  {withCondition(podWith(core.PodRunning, terminated(0, 0, "Completed"), running(true)), core.PodReady, ""), []any{"1/2", "Running", "0"}},
		"one done, not":    {podWith(core.PodRunning, terminated(0, 0, "Completed"), running(true)), []any{"1/2", "NotReady", "0"}},
		"one done, failed": {podWith(core.PodFailed, terminated(0, 0, "Completed"), terminated(2, 0, "Error")), []any{"0/2", "Error", "0"}},
		"terminating":      {deleted(podWith(core.PodRunning, running(true))), []any{"1/1", "Terminating", "0"}},
		"deleted and done": {deleted(podWith(core.PodSucceeded, terminated(0, 0, "Completed"))), []any{"0/1", "Completed", "0"}},
		"node lost":        {lost, []any{"1/1", "Unknown", "0"}},

		"init running":        {withInit(podWith(core.PodPending, waiting("PodInitializing")), running(false), waiting("PodInitializing")), []any{"0/1", "Init:0/2", "0"}},
		"second init":         {withInit(podWith(core.PodPending, waiting("PodInitializing")), terminated(0, 0, "Completed"), waiting("PodInitializing")), []any{"0/1", "Init:1/2", "0"}},
		"init error":          {withInit(podWith(core.PodFailed, waiting("PodInitializing")), terminated(1, 0, "Error")), []any{"0/1", "Init:Error", "0"}},
		"init exit code":      {withInit(podWith(core.PodFailed, waiting("PodInitializing")), terminated(4, 0, "")), []any{"0/1", "Init:ExitCode:4", "0"}},
		"init signal":         {withInit(podWith(core.PodFailed, waiting("PodInitializing")), terminated(143, 15, "")), []any{"0/1", "Init:Signal:15", "0"}},
		"init crash loop":     {withInit(podWith(core.PodPending, waiting("PodInitializing")), restarted(waiting("CrashLoopBackOff"), 2, time.Hour)), []any{"0/1", "Init:CrashLoopBackOff", "2 (60m ago)"}},
		"init done":           {withInit(podWith(core.PodRunning, running(true)), restarted(terminated(0, 0, "Completed"), 2, time.Hour)), []any{"1/1", "Running", "0"}},
		"init runs again":     {withCondition(withInit(podWith(core.PodRunning, running(true)), running(false)), core.PodInitialized, ""), []any{"1/1", "Init:0/1", "0"}},
		"sidecar":             {withInit(podWith(core.PodRunning, restarted(running(true), 1, time.Hour)), sidecar(restarted(running(true), 2, 3*time.Minute), true)), []any{"2/2", "Running", "3 (3m ago)"}},
		"sidecar starting":    {withInit(podWith(core.PodPending, waiting("PodInitializing")), sidecar(running(false), false)), []any{"0/2", "Init:0/1", "0"}},
		"sidecar, then init":  {withInit(podWith(core.PodPending, waiting("PodInitializing")), sidecar(running(true), true), running(false)), []any{"1/2", "Init:1/2", "0"}},
		"sidecar not ready":   {withInit(podWith(core.PodRunning, running(true)), sidecar(running(false), true)), []any{"1/2", "Running", "0"}},
		"sidecar has stopped": {withInit(podWith(core.PodSucceeded, terminated(0, 0, "Completed")), sidecar(terminated(0, 0, "Completed"), false)), []any{"0/2", "Completed", "0"}},
	} {
		if diff := cmp.Diff(tc.want, row(tc.pod, now).Cells[1:4]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestRow(t *testing.T) {
	t.Parallel()
	pod := podWith(core.PodSucceeded, terminated(0, 0, "Completed"))
	pod.Spec.NodeName = "node-1"
	pod.Status.NominatedNodeName = "node-2"
	pod.Status.PodIPs = []core.PodIP{{IP: "127.0.0.1"}, {IP: "::1"}}
	pod.Spec.ReadinessGates = []core.PodReadinessGate{{ConditionType: "x"}, {ConditionType: "y"}}
	withCondition(pod, "x", "")
	got := row(pod, now)
	if diff := cmp.Diff([]any{"p", "0/1", "Completed", "0", "10m", "127.0.0.1", "node-1", "node-2", "1/2"}, got.Cells); diff != "" {
		t.Errorf("cells (-want +got):\n%s", diff)
	}
	want := []metav1.TableRowCondition{{Type: "Completed", Status: "True", Reason: "Succeeded", Message: "The pod has completed successfully."}}
	if diff := cmp.Diff(want, got.Conditions); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}

	empty := row(&core.Pod{}, now)
	if diff := cmp.Diff([]any{"", "0/0", "", "0", "<unknown>", "<none>", "<none>", "<none>", "<none>"}, empty.Cells); diff != "" || empty.Conditions != nil {
		t.Errorf("an empty Pod (-want +got):\n%s%v", diff, empty.Conditions)
	}
	if failed := row(podWith(core.PodFailed), now); len(failed.Conditions) != 1 || failed.Conditions[0].Reason != "Failed" {
		t.Errorf("conditions of a failed Pod: %v", failed.Conditions)
	}
}

func TestResolveContainer(t *testing.T) {
	t.Parallel()
	one := &core.Pod{Spec: core.PodSpec{
		InitContainers:      []core.Container{{Name: "init"}},
		Containers:          []core.Container{{Name: "main"}},
		EphemeralContainers: []core.EphemeralContainer{{EphemeralContainerCommon: core.EphemeralContainerCommon{Name: "debug"}}},
	}}
	one.Name = "p"
	for ask, want := range map[string]string{"": "main", "main": "main", "init": "init", "debug": "debug"} {
		if got, err := resolveContainer(one, ask); err != nil || got != want {
			t.Errorf("container %q resolves to %q, %v; want %q", ask, got, err, want)
		}
	}
	if got, err := resolveContainer(&core.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}}, ""); err == nil || err.Error() != "a container name must be specified for pod p" {
		t.Errorf("a Pod without containers: %q, %v", got, err)
	}
}

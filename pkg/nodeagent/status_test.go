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
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime"
)

// shortStatus is what a case expects of a status: phase, reason, each container's state, each condition.
type shortStatus struct {
	Phase      corev1.PodPhase
	Reason     string
	Containers map[string]string
	Conditions map[corev1.PodConditionType]string
}

func shorten(status corev1.PodStatus) shortStatus {
	s := shortStatus{Phase: status.Phase, Reason: status.Reason, Containers: map[string]string{}, Conditions: map[corev1.PodConditionType]string{}}
	for _, list := range [][]corev1.ContainerStatus{status.InitContainerStatuses, status.ContainerStatuses} {
		for _, container := range list {
			text := ""
			switch {
			case container.State.Waiting != nil:
				text = "waiting " + container.State.Waiting.Reason
			case container.State.Running != nil:
				text = "running"
			case container.State.Terminated != nil:
				text = "terminated " + container.State.Terminated.Reason
			}
			if container.Ready {
				text += ", ready"
			}
			if container.LastTerminationState.Terminated != nil {
				text += ", last " + container.LastTerminationState.Terminated.Reason
			}
			s.Containers[container.Name] = text
		}
	}
	for _, condition := range status.Conditions {
		s.Conditions[condition.Type] = string(condition.Status)
		if condition.Reason != "" {
			s.Conditions[condition.Type] += " " + condition.Reason
		}
	}
	return s
}

// conditions in the order ready to start, initialized, ready and containers ready, which mostly agree.
func conditions(start, initialized, ready string) map[corev1.PodConditionType]string {
	if start == "False" {
		start += " PodSandboxNotReady"
	}
	return map[corev1.PodConditionType]string{
		corev1.PodReadyToStartContainers: start, corev1.PodInitialized: initialized, corev1.PodReady: ready,
		corev1.ContainersReady: ready, corev1.PodScheduled: "True",
	}
}

func TestComputeStatus(t *testing.T) {
	t.Parallel()
	always := func(p *corev1.Pod) { p.Spec.RestartPolicy = corev1.RestartPolicyAlways }
	deleted := func(p *corev1.Pod) { p.DeletionTimestamp = new(metav1.NewTime(now)) }
	tests := map[string]struct {
		change   func(*corev1.Pod)
		withInit bool
		attempts []runtime.Container
		waiting  map[string]waitReason
		age      time.Duration
		want     shortStatus
	}{
		"nothing started": {want: shortStatus{
			Phase: corev1.PodPending, Containers: map[string]string{"one": "waiting ContainerCreating", "two": "waiting ContainerCreating"},
			Conditions: conditions("True", "True", "False ContainersNotReady"),
		}},
		"init runs": {withInit: true, attempts: []runtime.Container{attempt("init-a", 0, running)}, want: shortStatus{
			Phase:      corev1.PodPending,
			Containers: map[string]string{"init-a": "running", "init-b": "waiting PodInitializing", "one": "waiting PodInitializing", "two": "waiting PodInitializing"},
			Conditions: conditions("True", "False ContainersNotInitialized", "False ContainersNotReady"),
		}},
		"init failed": {withInit: true, attempts: []runtime.Container{attempt("init-a", 0, ended(1, 0))}, want: shortStatus{
			Phase:      corev1.PodFailed,
			Containers: map[string]string{"init-a": "terminated Error", "init-b": "waiting PodInitializing", "one": "waiting PodInitializing", "two": "waiting PodInitializing"},
			Conditions: conditions("False", "False ContainersNotInitialized", "False PodFailed"),
		}},
		"all run": {attempts: []runtime.Container{attempt("one", 0, running), attempt("two", 0, running)}, want: shortStatus{
			Phase: corev1.PodRunning, Containers: map[string]string{"one": "running, ready", "two": "running, ready"}, Conditions: conditions("True", "True", "True"),
		}},
		"one ended": {attempts: []runtime.Container{attempt("one", 0, ended(0, 0)), attempt("two", 0, running)}, want: shortStatus{
			Phase: corev1.PodRunning, Containers: map[string]string{"one": "terminated Completed", "two": "running, ready"},
			Conditions: conditions("True", "True", "False ContainersNotReady"),
		}},
		"all succeeded": {attempts: []runtime.Container{attempt("one", 0, ended(0, 0)), attempt("two", 0, ended(0, 0))}, want: shortStatus{
			Phase: corev1.PodSucceeded, Containers: map[string]string{"one": "terminated Completed", "two": "terminated Completed"},
			Conditions: conditions("False", "True PodCompleted", "False PodCompleted"),
		}},
		"one failed": {attempts: []runtime.Container{attempt("one", 0, ended(2, 0)), attempt("two", 0, ended(0, 0))}, want: shortStatus{
			Phase: corev1.PodFailed, Containers: map[string]string{"one": "terminated Error", "two": "terminated Completed"},
			Conditions: conditions("False", "True", "False PodFailed"),
		}},
		"in back-off": {change: always, attempts: []runtime.Container{attempt("one", 1, after(10*time.Second, ended(2, time.Second))), attempt("two", 0, running)}, want: shortStatus{
			Phase: corev1.PodRunning, Containers: map[string]string{"one": "waiting CrashLoopBackOff, last Error", "two": "running, ready"},
			Conditions: conditions("True", "True", "False ContainersNotReady"),
		}},
		"waiting for a configMap": {waiting: map[string]waitReason{"one": {"CreateContainerConfigError", "why"}}, attempts: []runtime.Container{attempt("two", 0, running)}, want: shortStatus{
			Phase: corev1.PodPending, Containers: map[string]string{"one": "waiting CreateContainerConfigError", "two": "running, ready"},
			Conditions: conditions("True", "True", "False ContainersNotReady"),
		}},
		"could not be run": {attempts: []runtime.Container{attempt("one", 0, func(c *runtime.Container) { c.Failure, c.ExitCode = runtime.FailureStart, 127 }), attempt("two", 0, ended(0, 0))}, want: shortStatus{
			Phase: corev1.PodFailed, Containers: map[string]string{"one": "terminated ContainerCannotRun", "two": "terminated Completed"},
			Conditions: conditions("False", "True", "False PodFailed"),
		}},
		"being deleted, still running": {change: func(p *corev1.Pod) { deleted(p); p.Status.Phase = corev1.PodRunning }, attempts: []runtime.Container{attempt("one", 0, running), attempt("two", 0, ended(0, 0))}, want: shortStatus{
			Phase: corev1.PodRunning, Containers: map[string]string{"one": "running, ready", "two": "terminated Completed"},
			Conditions: conditions("True", "True", "False ContainersNotReady"),
		}},
		"deleted before its start": {change: deleted, want: shortStatus{
			Phase: corev1.PodFailed, Containers: map[string]string{"one": "terminated ContainerStatusUnknown", "two": "terminated ContainerStatusUnknown"},
			Conditions: conditions("False", "True", "False PodFailed"),
		}},
		"deleted, all exited 0": {change: func(p *corev1.Pod) { always(p); deleted(p) }, attempts: []runtime.Container{attempt("one", 0, ended(0, 0)), attempt("two", 0, ended(0, 0))}, want: shortStatus{
			Phase: corev1.PodSucceeded, Containers: map[string]string{"one": "terminated Completed", "two": "terminated Completed"},
			Conditions: conditions("False", "True PodCompleted", "False PodCompleted"),
		}},
		"past its deadline": {change: func(p *corev1.Pod) { p.Spec.ActiveDeadlineSeconds = new(int64(1)) }, age: time.Minute, attempts: []runtime.Container{attempt("one", 0, ended(0, 0)), attempt("two", 0, ended(0, 0))}, want: shortStatus{
			Phase: corev1.PodFailed, Reason: "DeadlineExceeded", Containers: map[string]string{"one": "terminated Completed", "two": "terminated Completed"},
			Conditions: conditions("False", "True", "False PodFailed"),
		}},
		"a final phase stays": {change: func(p *corev1.Pod) { p.Status.Phase, p.Status.Reason = corev1.PodFailed, "Evicted" }, attempts: []runtime.Container{attempt("one", 0, ended(0, 0)), attempt("two", 0, ended(0, 0))}, want: shortStatus{
			Phase: corev1.PodFailed, Reason: "Evicted", Containers: map[string]string{"one": "terminated Completed", "two": "terminated Completed"},
			Conditions: conditions("False", "True", "False PodFailed"),
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := observe(test.change, test.withInit, test.age, test.attempts)
			o.waiting = test.waiting
			status := computeStatus(o, computeActions(o))
			if diff := cmp.Diff(test.want, shorten(status)); diff != "" {
				t.Errorf("status differs (-want +got):\n%s", diff)
			}
			if status.ObservedGeneration != 3 {
				t.Errorf("observed generation %d, want 3", status.ObservedGeneration)
			}
			// What the server returns must compute to itself, or every look would write again.
			o.pod.Status = status
			if diff := cmp.Diff(status, computeStatus(o, computeActions(o))); diff != "" {
				t.Errorf("the status computed from itself differs (-first +second):\n%s", diff)
			}
		})
	}
}

func TestStatusKeepsWhatOthersWrote(t *testing.T) {
	t.Parallel()
	since := metav1.NewTime(now.Add(-time.Hour))
	o := observe(func(pod *corev1.Pod) {
		pod.Status.QOSClass = corev1.PodQOSBurstable
		pod.Status.Conditions = []corev1.PodCondition{
			{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "EvictionByEvictionAPI", LastTransitionTime: since},
			{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: since},
			{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: since},
		}
	}, false, 0, []runtime.Container{attempt("one", 0, running)})
	status := computeStatus(o, computeActions(o))
	if status.QOSClass != corev1.PodQOSBurstable || findCondition(status.Conditions, corev1.DisruptionTarget) == nil {
		t.Errorf("status %+v lost what others wrote", status)
	}
	if got := findCondition(status.Conditions, corev1.PodScheduled).LastTransitionTime; !got.Equal(&since) {
		t.Errorf("PodScheduled changed at %v, want %v: its status is the same", got, since)
	}
	if got := findCondition(status.Conditions, corev1.PodReady).LastTransitionTime; !got.Equal(new(metav1.NewTime(now))) {
		t.Errorf("Ready changed at %v, want now", got)
	}
}

// A command that couldn't be run was never started: its startedAt is the zero of a container runtime, as with a kubelet, not that of Go.
func TestStatusOfWhatCannotBeRun(t *testing.T) {
	t.Parallel()
	failed := attempt("one", 0, func(c *runtime.Container) {
		c.Failure, c.ExitCode, c.StartedAt, c.FinishedAt = runtime.FailureStart, 127, time.Time{}, now
	})
	o := observe(nil, false, 0, []runtime.Container{failed, attempt("two", 0, running)})
	status := computeStatus(o, computeActions(o)).ContainerStatuses[0]
	if got := status.State.Terminated.StartedAt.UTC().Format(time.RFC3339); got != "1970-01-01T00:00:00Z" {
		t.Errorf("started at %s", got)
	}
	if status.User == nil || status.User.Linux == nil {
		t.Errorf("no user in %+v", status)
	}
}

func TestStatusTellsWhatTheContainerGot(t *testing.T) {
	t.Parallel()
	requests := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m")}
	limits := corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Gi")}
	o := observe(func(pod *corev1.Pod) {
		one := &pod.Spec.Containers[0]
		one.Lifecycle = &corev1.Lifecycle{StopSignal: new(corev1.SIGINT)}
		one.Resources = corev1.ResourceRequirements{Requests: requests, Limits: limits}
		one.VolumeMounts = []corev1.VolumeMount{
			{Name: "data", MountPath: "/data", SubPath: "below"},
			{Name: "config", MountPath: "/config", ReadOnly: true},
			{Name: "data", MountPath: "/frozen", ReadOnly: true, RecursiveReadOnly: new(corev1.RecursiveReadOnlyIfPossible)},
			{Name: "data", MountPath: "/shallow", ReadOnly: true, RecursiveReadOnly: new(corev1.RecursiveReadOnlyDisabled)},
		}
		pod.Spec.Containers[1].VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: "/data"}}
	}, false, 0, []runtime.Container{attempt("one", 0, running)})
	type told struct {
		StopSignal *corev1.Signal
		Allocated  corev1.ResourceList
		Resources  *corev1.ResourceRequirements
		Mounts     []corev1.VolumeMountStatus
	}
	var got []told
	for _, status := range computeStatus(o, computeActions(o)).ContainerStatuses {
		got = append(got, told{status.StopSignal, status.AllocatedResources, status.Resources, status.VolumeMounts})
	}
	want := []told{
		{
			StopSignal: new(corev1.SIGINT), Allocated: requests, Resources: &corev1.ResourceRequirements{Requests: requests, Limits: limits},
			Mounts: []corev1.VolumeMountStatus{
				{Name: "data", MountPath: "/data"},
				{Name: "config", MountPath: "/config", ReadOnly: true, RecursiveReadOnly: new(corev1.RecursiveReadOnlyDisabled)},
				{Name: "data", MountPath: "/frozen", ReadOnly: true, RecursiveReadOnly: new(corev1.RecursiveReadOnlyEnabled)},
				{Name: "data", MountPath: "/shallow", ReadOnly: true, RecursiveReadOnly: new(corev1.RecursiveReadOnlyDisabled)},
			},
		},
		{Mounts: []corev1.VolumeMountStatus{{Name: "data", MountPath: "/data"}}}, // never started: nothing is allocated
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("statuses differ (-want +got):\n%s", diff)
	}
}

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
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestDeletionEndsTheProcesses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		script    string
		grace     *int64
		wantPhase corev1.PodPhase
		wantCode  int32
	}{
		"by SIGTERM":       {"", nil, corev1.PodFailed, 143},
		"handles SIGTERM":  {"trap 'exit 0' TERM; ", nil, corev1.PodSucceeded, 0},
		"ignores SIGTERM":  {"trap '' TERM; ", new(int64(1)), corev1.PodFailed, 137},
		"has left a child": {"setsid sleep 1000 & echo $! > child; ", nil, corev1.PodFailed, 143},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t)
			pod := shellPod("victim", test.script+"echo $$ > pid; while :; do sleep 0.01; done")
			// What a Job's Pods have: the status must be written before the object may go.
			pod.Finalizers = []string{"batch.kubernetes.io/job-tracking"}
			pod = c.create(t, pod)
			c.wait(t, "victim", "running", isRunning)
			pids := []string{c.waitWorkFile(t, pod, "pid"), c.workFile(pod, "child")}
			c.delete(t, "victim", metav1.DeleteOptions{GracePeriodSeconds: test.grace})
			got := c.waitPhase(t, "victim", test.wantPhase)
			if state := mainState(got).Terminated; state == nil || state.ExitCode != test.wantCode {
				t.Errorf("the container's state is %+v, want exit code %d", mainState(got), test.wantCode)
			}
			for _, text := range pids {
				if pid, err := strconv.Atoi(text); err == nil && alive(pid) {
					t.Errorf("process %d is still alive", pid)
				}
			}
			// The agent has asked for the final deletion, which the finalizer holds up. It must not ask again and again.
			got = c.wait(t, "victim", "finally deleted", func(pod *corev1.Pod) bool { return *pod.DeletionGracePeriodSeconds == 0 })
			got.Finalizers = nil
			if err := c.Tracker().Delete(corev1.SchemeGroupVersion.WithResource("pods"), namespace, "victim"); err != nil {
				t.Fatal(err)
			}
			c.waitGone(t, pod)
			deletions := 0
			for _, action := range c.Actions() {
				if action.Matches("delete", "pods") {
					deletions++
				}
			}
			if deletions != 2 {
				t.Errorf("%d deletions, want ours and the agent's one", deletions)
			}
			c.waitEvents(t, "victim", "Killing")
		})
	}
}

func TestForcedDeletionKills(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	pod := c.create(t, shellPod("forced", "trap '' TERM; echo $$ > pid; while :; do sleep 0.01; done"))
	c.wait(t, "forced", "running", isRunning)
	pid, err := strconv.Atoi(c.waitWorkFile(t, pod, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	c.delete(t, "forced", metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))})
	c.waitGone(t, pod)
	if alive(pid) {
		t.Errorf("process %d is still alive", pid)
	}
}

// However short the grace, a container gets its signal, and 2 s to obey it, as with a kubelet.
func TestLeastGrace(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		grace  int64 // of the Pod
		delete *int64
		signal corev1.Signal
	}{
		"no grace in the Pod":        {0, nil, corev1.SIGTERM},
		"a second":                   {1, nil, corev1.SIGTERM},
		"deleted by force":           {30, new(int64(0)), corev1.SIGTERM},
		"by force, with its own one": {30, new(int64(0)), corev1.SIGUSR1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t)
			farewell := t.TempDir() + "/farewell" // the Pod's own folder goes with it
			pod := shellPod("brief", "trap 'sleep 0.5; echo bye > "+farewell+"; exit' "+strings.TrimPrefix(string(test.signal), "SIG")+"; echo up > up; while :; do sleep 0.01; done")
			pod.Spec.TerminationGracePeriodSeconds = &test.grace
			pod.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{StopSignal: &test.signal}
			pod = c.create(t, pod)
			c.waitWorkFile(t, pod, "up")
			c.delete(t, "brief", metav1.DeleteOptions{GracePeriodSeconds: test.delete})
			c.waitGone(t, pod)
			if data, err := os.ReadFile(farewell); err != nil || string(data) != "bye\n" {
				t.Errorf("the container wrote %q, %v", data, err)
			}
		})
	}
}

func TestPodReplacedUnderItsName(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	old := c.create(t, shellPod("name", "echo $$ > pid; sleep 1000"))
	c.wait(t, "name", "running", isRunning)
	pid, err := strconv.Atoi(c.waitWorkFile(t, old, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	fresh := shellPod("name", "echo fresh")
	fresh.UID, fresh.Status.Phase = "another", corev1.PodPending
	if err := c.Tracker().Update(corev1.SchemeGroupVersion.WithResource("pods"), fresh, namespace); err != nil {
		t.Fatal(err)
	}
	c.waitPhase(t, "name", corev1.PodSucceeded)
	if log := c.log(t, "name", nil); log != "fresh\n" {
		t.Errorf("the log is %q", log)
	}
	waitFor(t, "the end of the old Pod's process", func() bool { return !alive(pid) })
	waitFor(t, "the end of the old Pod's files", func() bool {
		_, err := os.Stat(c.root + "/pods/" + string(old.UID))
		return os.IsNotExist(err)
	})
}

func TestPreStopHook(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	pod := shellPod("hook", "while [ ! -e hooked ]; do sleep 0.01; done; echo hooked; touch seen; sleep 1000")
	pod.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"sh", "-c", "touch hooked; until [ -e seen ]; do sleep 0.01; done"}}}}
	pod.Finalizers = []string{"example.com/keep"}
	c.create(t, pod)
	c.wait(t, "hook", "running", isRunning)
	c.delete(t, "hook", metav1.DeleteOptions{})
	c.waitPhase(t, "hook", corev1.PodFailed)
	if log := c.log(t, "hook", nil); log != "hooked\n" {
		t.Errorf("the log is %q, want the hook to have run", log)
	}
}

func TestActiveDeadline(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	pod := shellPod("late", "trap 'exit 0' TERM; echo $$ > pid; while :; do sleep 0.01; done")
	pod.Spec.ActiveDeadlineSeconds = new(int64(1))
	pod = c.create(t, pod)
	got := c.waitPhase(t, "late", corev1.PodFailed)
	if got.Status.Reason != "DeadlineExceeded" || got.Status.Message != "Pod was active on the node longer than the specified deadline" {
		t.Errorf("reason %q, message %q", got.Status.Reason, got.Status.Message)
	}
	if pid, err := strconv.Atoi(c.workFile(pod, "pid")); err != nil || alive(pid) {
		t.Errorf("process %d is still alive (%v)", pid, err)
	}
	c.waitEvents(t, "late", "DeadlineExceeded")
}

func TestStopAll(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	polite := c.create(t, shellPod("polite", "trap 'exit 0' TERM; echo $$ > pid; while :; do sleep 0.01; done"))
	c.waitWorkFile(t, polite, "pid")
	c.wait(t, "polite", "running", isRunning)
	if err := c.agent.StopAll(t.Context()); err != nil {
		t.Error(err)
	}
	c.waitPhase(t, "polite", corev1.PodSucceeded)
	c.create(t, shellPod("late", "true"))
	c.wait(t, "late", "bound", func(pod *corev1.Pod) bool { return pod.Spec.NodeName != "" })
	if containers := c.agent.runtime.Containers("uid-2"); len(containers) > 0 {
		t.Errorf("started %v after StopAll", containers)
	}
}

// A disk may be full, and nobody make room: how a container ended is then not on record, and whoever stops everything must not wait for that for ever.
func TestStopAllGivesUp(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	pod := c.create(t, shellPod("unrecorded", "echo $$ > pid; sleep 1000"))
	c.waitWorkFile(t, pod, "pid")
	c.wait(t, "unrecorded", "running", isRunning)
	obstacle := filepath.Join(c.root, "pods", string(pod.UID), "main", "0.exit", "in-the-way")
	if err := os.MkdirAll(obstacle, 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := c.agent.StopAll(ctx)
	const want = "1 containers did not end in time and were killed: context canceled; of 1 the end is not on record"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if pid, err := strconv.Atoi(c.workFile(pod, "pid")); err != nil || alive(pid) {
		t.Errorf("process %d is still alive (%v)", pid, err)
	}
	if err := os.RemoveAll(filepath.Dir(obstacle)); err != nil {
		t.Fatal(err)
	}
	c.waitPhase(t, "unrecorded", corev1.PodFailed)
}

// A Job with podReplacementPolicy=Failed replaces a Pod once it has failed, and keeps it by a finalizer until then.
func TestDeletionBeforeTheStart(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*corev1.Pod)
		before func(*corev1.Pod) bool
	}{
		"does not fit": {
			func(pod *corev1.Pod) { pod.Spec.NodeSelector = map[string]string{"no": "where"} },
			func(pod *corev1.Pod) bool { return len(pod.Status.Conditions) > 0 },
		},
		"is gated": {
			func(pod *corev1.Pod) {
				pod.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "example.com/gate"}}
			},
			func(*corev1.Pod) bool { return true },
		},
		"names another scheduler": {
			func(pod *corev1.Pod) { pod.Spec.SchedulerName = "another" },
			func(*corev1.Pod) bool { return true },
		},
		"lacks its configMap": {
			func(pod *corev1.Pod) {
				pod.Spec.Containers[0].EnvFrom = []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "missing"}}}}
			},
			func(pod *corev1.Pod) bool { return mainState(pod).Waiting != nil },
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t)
			pod := shellPod("unstarted", "true")
			pod.Finalizers = []string{"batch.kubernetes.io/job-tracking"}
			test.change(pod)
			pod = c.create(t, pod)
			c.wait(t, "unstarted", "waiting", test.before)
			c.delete(t, "unstarted", metav1.DeleteOptions{})
			got := c.waitPhase(t, "unstarted", corev1.PodFailed)
			if got.Status.ObservedGeneration != got.Generation {
				t.Errorf("observed generation %d of %d", got.Status.ObservedGeneration, got.Generation)
			}
			c.wait(t, "unstarted", "finally deleted", func(pod *corev1.Pod) bool { return *pod.DeletionGracePeriodSeconds == 0 })
			if err := c.Tracker().Delete(corev1.SchemeGroupVersion.WithResource("pods"), namespace, "unstarted"); err != nil {
				t.Fatal(err)
			}
			c.waitGone(t, pod)
			waitFor(t, "the agent to forget the Pod", func() bool {
				c.agent.mu.Lock()
				defer c.agent.mu.Unlock()
				return c.agent.states[pod.UID] == nil
			})
		})
	}
}

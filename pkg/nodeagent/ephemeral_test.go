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
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime"
)

// debugger gives the Pod an ephemeral container with a command.
func debugger(name, target string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Spec.EphemeralContainers = append(pod.Spec.EphemeralContainers, corev1.EphemeralContainer{
			EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: name, Image: "none", Command: []string{"sh"}}, TargetContainerName: target,
		})
	}
}

// changes makes several changes of a Pod one.
func changes(all ...func(*corev1.Pod)) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		for _, change := range all {
			change(pod)
		}
	}
}

func TestComputeActionsWithEphemeralContainers(t *testing.T) {
	t.Parallel()
	always := func(pod *corev1.Pod) { pod.Spec.RestartPolicy = corev1.RestartPolicyAlways }
	deleted := func(pod *corev1.Pod) {
		pod.DeletionTimestamp, pod.DeletionGracePeriodSeconds = new(metav1.NewTime(now)), new(int64(7))
	}
	noCommand := func(pod *corev1.Pod) { pod.Spec.EphemeralContainers[0].Command = nil }
	allRestart := func(pod *corev1.Pod) {
		pod.Spec.Containers[0].RestartPolicy = new(corev1.ContainerRestartPolicyNever)
		pod.Spec.Containers[0].RestartPolicyRules = []corev1.ContainerRestartRule{restartRule(restartAll, in, 9)}
	}
	const grace = 30 * time.Second
	tests := map[string]struct {
		change   func(*corev1.Pod)
		withInit bool
		attempts []runtime.Container
		want     summary
		state    string // of the ephemeral container
	}{
		"beside what runs":               {debugger("debug", ""), false, attempts("one", running, "two", running), summary{Start: "debug"}, "waiting ContainerCreating"},
		"while init containers run":      {debugger("debug", ""), true, attempts("init-a", running), summary{Start: "debug"}, "waiting ContainerCreating"},
		"before everything":              {debugger("debug", ""), false, nil, summary{Start: "debug one two"}, "waiting ContainerCreating"},
		"runs":                           {debugger("debug", ""), false, attempts("one", running, "two", running, "debug", running), summary{}, "running"},
		"is never started again":         {changes(always, debugger("debug", "")), false, attempts("one", running, "two", running, "debug", ended(1, time.Hour)), summary{}, "terminated Error"},
		"waits for its target":           {debugger("debug", "two"), false, attempts("one", running), summary{Start: "two"}, "waiting CreateContainerConfigError"},
		"its target has ended":           {debugger("debug", "two"), false, attempts("one", running, "two", ended(0, 0)), summary{Start: "debug"}, "waiting ContainerCreating"},
		"can't be run, and the Pod goes": {changes(debugger("debug", ""), noCommand), false, attempts("one", running, "two", running), summary{}, "terminated UnsupportedField"},
		"is stopped with its Pod":        {debugger("debug", ""), false, attempts("one", ended(0, 0), "two", ended(0, 0), "debug", running), summary{Stop: "debug", Grace: grace}, "running"},
		"isn't started in an ended Pod":  {debugger("debug", ""), false, attempts("one", ended(0, 0), "two", ended(0, 0)), summary{Ended: true}, "waiting ContainerCreating"},
		"sidecars don't wait for it": {changes(withSidecars(), debugger("debug", ""), deleted), false,
			attempts("init-a", ended(0, 0), "side-b", running, "init-c", ended(0, 0), "side-d", running, "one", running, "two", ended(0, 0), "debug", running),
			summary{Stop: "debug one side-d>one side-b>one,side-d", Grace: 7 * time.Second}, "running"},
		"is of no round": {changes(allRestart, debugger("debug", "")), false, attempts("one", ended(9, 0), "two", running, "debug", running),
			summary{Stop: "two", Message: "Container two is killed since all containers of the Pod will be restarted"}, "running"},
		"holds up no round": {changes(allRestart, debugger("debug", "")), false, attempts("one", ended(9, 0), "two", killed, "debug", running), summary{Start: "one two"}, "running"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := observe(test.change, test.withInit, 0, test.attempts)
			actions := computeActions(o)
			if diff := cmp.Diff(test.want, summarize(actions)); diff != "" {
				t.Errorf("actions differ (-want +got):\n%s", diff)
			}
			status := computeStatus(o, actions)
			if len(status.EphemeralContainerStatuses) != 1 {
				t.Fatalf("statuses %+v", status.EphemeralContainerStatuses)
			}
			got := shorten(corev1.PodStatus{ContainerStatuses: status.EphemeralContainerStatuses}).Containers["debug"]
			if got != test.state {
				t.Errorf("the ephemeral container is %q, want %q", got, test.state)
			}
			// What the server returns must compute to itself, at any time, or every look would write again.
			o.pod.Status, o.now = status, now.Add(time.Second)
			if diff := cmp.Diff(status, computeStatus(o, computeActions(o))); diff != "" {
				t.Errorf("the status computed from itself differs (-first +second):\n%s", diff)
			}
		})
	}
}

// addEphemeral adds an ephemeral container that runs a script, as kubectl debug does.
func (c *cluster) addEphemeral(t *testing.T, pod, name, script string) {
	t.Helper()
	changed := c.get(t, pod)
	changed.Spec.EphemeralContainers = append(changed.Spec.EphemeralContainers, corev1.EphemeralContainer{
		EphemeralContainerCommon: corev1.EphemeralContainerCommon(shellContainer(name, script)),
	})
	changed.Generation++
	if _, err := c.CoreV1().Pods(namespace).UpdateEphemeralContainers(t.Context(), pod, changed, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// ephemeralState is the state of the Pod's only ephemeral container; nothing of it is set while there is no status.
func ephemeralState(pod *corev1.Pod) (state corev1.ContainerState) {
	if len(pod.Status.EphemeralContainerStatuses) == 1 {
		state = pod.Status.EphemeralContainerStatuses[0].State
	}
	return state
}

// An ephemeral container runs among those of its Pod, an agent that is restarted finds it again, and it is gone with its Pod, whose end it has no part in.
func TestEphemeralContainer(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	pod := c.create(t, shellPod("debugged", "echo here > shared; until [ -e end ]; do sleep 0.05; done"))
	c.waitWorkFile(t, pod, "shared")
	c.addEphemeral(t, "debugged", "debug", "cat shared; echo why > /dev/termination-log; echo up > up; until [ -e never ]; do sleep 0.05; done")
	c.waitWorkFile(t, pod, "up")
	c.wait(t, "debugged", "debugged", func(pod *corev1.Pod) bool { return ephemeralState(pod).Running != nil })
	id := c.get(t, "debugged").Status.EphemeralContainerStatuses[0].ContainerID
	c.stopAgent()
	c.startAgent(t)
	c.waitEvents(t, "debugged", "Started")
	if log := c.containerLog(t, "debugged", "debug", nil); log != "here\n" {
		t.Errorf("the container printed %q", log)
	}
	c.touch(t, pod, "end")
	ended := c.waitPhase(t, "debugged", corev1.PodSucceeded)
	if state := ephemeralState(ended).Terminated; state == nil || state.ExitCode == 0 || ended.Status.EphemeralContainerStatuses[0].ContainerID != id {
		t.Errorf("the container has ended with %+v", ended.Status.EphemeralContainerStatuses)
	}
	c.delete(t, "debugged", metav1.DeleteOptions{})
	c.waitGone(t, pod)
}

// An ephemeral container that this node can't run says so, and its Pod goes on.
func TestRefusedEphemeralContainer(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	pod := c.create(t, shellPod("debugged", "echo up > up; until [ -e end ]; do sleep 0.05; done"))
	c.waitWorkFile(t, pod, "up")
	changed := c.get(t, "debugged")
	changed.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug", Image: "busybox"}}}
	if _, err := c.CoreV1().Pods(namespace).UpdateEphemeralContainers(t.Context(), "debugged", changed, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	refused := ephemeralState(c.wait(t, "debugged", "refused", func(pod *corev1.Pod) bool { return ephemeralState(pod).Terminated != nil })).Terminated
	const message = `spec.ephemeralContainers[0].command: is required: images are not pulled here, so nothing says what "busybox" would run; name a command of this machine`
	if refused.Reason != "UnsupportedField" || refused.ExitCode != 128 || refused.Message != message {
		t.Errorf("the container has ended with %+v", refused)
	}
	c.waitEvents(t, "debugged", "Failed")
	if got := c.eventMessage(t, "debugged", "Failed"); got != "Error: "+message {
		t.Errorf("the event says %q", got)
	}
	if _, err := c.agent.OpenLog(t.Context(), c.get(t, "debugged"), "debug", nil); err == nil || !strings.Contains(err.Error(), message) {
		t.Errorf("its log: %v", err)
	}
	c.touch(t, pod, "end")
	c.waitPhase(t, "debugged", corev1.PodSucceeded)
}

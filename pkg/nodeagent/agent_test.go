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
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime/supervisor"
)

func alive(pid int) bool {
	process, err := supervisor.ReadProcess(pid)
	return err == nil && !process.Zombie
}

// mainState is the state of the Pod's only container.
func mainState(pod *corev1.Pod) corev1.ContainerState {
	if len(pod.Status.ContainerStatuses) == 0 {
		return corev1.ContainerState{}
	}
	return pod.Status.ContainerStatuses[0].State
}

func isRunning(pod *corev1.Pod) bool { return mainState(pod).Running != nil }

func TestPodRunsToItsEnd(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	tests := map[string]struct {
		script     string
		wantPhase  corev1.PodPhase
		wantCode   int32
		wantReason string
	}{
		"succeeds":    {"echo hello", corev1.PodSucceeded, 0, "Completed"},
		"fails":       {"echo oops; exit 3", corev1.PodFailed, 3, "Error"},
		"kills-self":  {"kill -9 $$", corev1.PodFailed, 137, "Error"},
		"takes-a-bit": {"sleep 0.2", corev1.PodSucceeded, 0, "Completed"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c.create(t, shellPod(name, test.script))
			pod := c.waitPhase(t, name, test.wantPhase)
			state := mainState(pod).Terminated
			if state == nil || state.ExitCode != test.wantCode || state.Reason != test.wantReason || state.FinishedAt.IsZero() || state.ContainerID == "" {
				t.Errorf("the container's state is %+v, want it terminated with code %d and reason %s", state, test.wantCode, test.wantReason)
			}
			if pod.Spec.NodeName != "node" || pod.Status.PodIP != "127.0.0.1" || pod.Status.HostIP != "127.0.0.1" || pod.Status.StartTime == nil {
				t.Errorf("node %q, status %+v", pod.Spec.NodeName, pod.Status)
			}
			c.waitEvents(t, name, "Scheduled", "ImageNotPulled", "Created", "Started")
		})
	}
}

func TestFewStatusWrites(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.create(t, shellPod("brief", "true"))
	c.waitPhase(t, "brief", corev1.PodSucceeded)
	c.create(t, shellPod("long", "sleep 0.5"))
	c.wait(t, "long", "running", isRunning)
	c.waitPhase(t, "long", corev1.PodSucceeded)
	writes := map[string]int{}
	for _, action := range c.Actions() {
		if action.Matches("patch", "pods/status") {
			writes[action.(interface{ GetName() string }).GetName()]++
		}
	}
	if writes["brief"] != 1 && writes["brief"] != 2 || writes["long"] != 2 {
		t.Errorf("status writes: %v, want one of the brief Pod (two on a slow machine), and two of the long one", writes)
	}
}

func TestInitContainersRunInOrder(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	pod := shellPod("order", "echo main >> order; cat order")
	pod.Spec.InitContainers = []corev1.Container{
		shellContainer("first", "sleep 0.1; echo first >> order"), shellContainer("second", "echo second >> order"),
	}
	c.create(t, pod)
	c.waitPhase(t, "order", corev1.PodSucceeded)
	if got, want := c.log(t, "order", nil), "first\nsecond\nmain\n"; got != want {
		t.Errorf("the log is %q, want %q", got, want)
	}
}

func TestFailedInitContainerFailsThePod(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	pod := shellPod("init", "echo never")
	pod.Spec.InitContainers = []corev1.Container{shellContainer("first", "exit 7")}
	c.create(t, pod)
	got := c.waitPhase(t, "init", corev1.PodFailed)
	if state := got.Status.InitContainerStatuses[0].State.Terminated; state == nil || state.ExitCode != 7 {
		t.Errorf("the init container's state is %+v, want exit code 7", got.Status.InitContainerStatuses[0].State)
	}
	if waiting := mainState(got).Waiting; waiting == nil || waiting.Reason != "PodInitializing" {
		t.Errorf("the container's state is %+v, want it waiting", mainState(got))
	}
}

func TestRestartOnFailure(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	pod := shellPod("again", "if [ -e tried ]; then echo second; exit 0; fi; touch tried; echo first; exit 1")
	pod.Spec.RestartPolicy = corev1.RestartPolicyOnFailure
	c.create(t, pod)
	got := c.waitPhase(t, "again", corev1.PodSucceeded)
	status := got.Status.ContainerStatuses[0]
	if status.RestartCount != 1 || status.LastTerminationState.Terminated == nil || status.LastTerminationState.Terminated.ExitCode != 1 {
		t.Errorf("the container's status is %+v, want one restart after exit code 1", status)
	}
	if current, previous := c.log(t, "again", nil), c.log(t, "again", &corev1.PodLogOptions{Previous: true}); current != "second\n" || previous != "first\n" {
		t.Errorf("the logs are %q and before that %q", current, previous)
	}
}

func TestCrashLoopBackOff(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	pod := shellPod("crash", "echo run; exit 1")
	pod.Spec.RestartPolicy = corev1.RestartPolicyAlways
	c.create(t, pod)
	// The first restart comes at once, the second after 10 s.
	got := c.wait(t, "crash", "in back-off", func(pod *corev1.Pod) bool {
		state := mainState(pod).Waiting
		return state != nil && state.Reason == "CrashLoopBackOff"
	})
	status := got.Status.ContainerStatuses[0]
	if got.Status.Phase != corev1.PodRunning || status.RestartCount != 1 || status.LastTerminationState.Terminated == nil {
		t.Errorf("phase %s, container status %+v; want it running, restarted once", got.Status.Phase, status)
	}
	if want := "back-off 10s restarting failed container=main pod=crash_default(" + string(got.UID) + ")"; status.State.Waiting.Message != want {
		t.Errorf("message %q, want %q", status.State.Waiting.Message, want)
	}
	c.waitEvents(t, "crash", "BackOff")
}

func TestCommandNotFound(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	pod := shellPod("missing", "")
	pod.Spec.Containers[0].Command = []string{"no-such-command"}
	c.create(t, pod)
	got := c.waitPhase(t, "missing", corev1.PodFailed)
	state := mainState(got).Terminated
	if state == nil || state.ExitCode != 127 || state.Reason != "ContainerCannotRun" || state.Message != `exec: "no-such-command": executable file not found in $PATH` {
		t.Errorf("the container's state is %+v", state)
	}
	c.waitEvents(t, "missing", "Failed")
}

func TestUnsupportedPodFails(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	pod := shellPod("volumes", "true")
	pod.Spec.Volumes = []corev1.Volume{{Name: "data"}}
	c.create(t, pod)
	got := c.waitPhase(t, "volumes", corev1.PodFailed)
	if got.Status.Reason != "UnsupportedField" || !strings.HasPrefix(got.Status.Message, "spec.volumes: ") {
		t.Errorf("reason %q, message %q", got.Status.Reason, got.Status.Message)
	}
}

func TestEnvironmentFromConfigMapThatComesLater(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	pod := shellPod("config", "true")
	pod.Spec.Containers[0].EnvFrom = []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "settings"}}}}
	c.create(t, pod)
	got := c.wait(t, "config", "waiting for its configMap", func(pod *corev1.Pod) bool {
		state := mainState(pod).Waiting
		return state != nil && state.Reason == "CreateContainerConfigError"
	})
	if message := mainState(got).Waiting.Message; !strings.Contains(message, `configmap "settings" not found`) {
		t.Errorf("message %q", message)
	}
	if got.Status.Phase != corev1.PodPending {
		t.Errorf("phase %s, want Pending", got.Status.Phase)
	}
	_, err := c.agent.OpenLog(t.Context(), got, "main", nil)
	if want := `container "main" in pod "config" is waiting to start: CreateContainerConfigError`; !apierrors.IsBadRequest(err) || err.Error() != want {
		t.Errorf("the log is refused with %v, want %s", err, want)
	}
	if _, err := c.CoreV1().ConfigMaps(namespace).Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "settings"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	c.waitPhase(t, "config", corev1.PodSucceeded)
}

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
	pod := shellPod("hook", "while [ ! -e hooked ]; do sleep 0.01; done; echo hooked; sleep 1000")
	pod.Spec.Containers[0].Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"sh", "-c", "touch hooked; sleep 0.1"}}}}
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
}

func TestFallbackToLogs(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	pod := shellPod("message", "echo why; exit 1")
	pod.Spec.Containers[0].TerminationMessagePolicy = corev1.TerminationMessageFallbackToLogsOnError
	c.create(t, pod)
	got := c.waitPhase(t, "message", corev1.PodFailed)
	if message := mainState(got).Terminated.Message; message != "why\n" {
		t.Errorf("termination message %q, want the log", message)
	}
}

func TestPodWaitsForRoom(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	big := func(name, script string) *corev1.Pod {
		pod := shellPod(name, script)
		node, err := c.agent.describeNode()
		if err != nil {
			t.Fatal(err)
		}
		pod.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: node.Status.Allocatable[corev1.ResourceCPU]}
		return pod
	}
	c.create(t, big("first", "while [ ! -e go ]; do sleep 0.01; done"))
	first := c.wait(t, "first", "running", isRunning)
	c.create(t, big("second", "true"))
	got := c.wait(t, "second", "refused", func(pod *corev1.Pod) bool { return len(pod.Status.Conditions) > 0 })
	condition := got.Status.Conditions[0]
	if condition.Type != corev1.PodScheduled || condition.Status != corev1.ConditionFalse || condition.Reason != "Unschedulable" || condition.Message != "0/1 nodes are available: 1 Insufficient cpu." {
		t.Errorf("condition %+v", condition)
	}
	c.waitEvents(t, "second", "FailedScheduling")
	small := shellPod("small", "true")
	small.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Mi")}
	c.create(t, small)
	c.waitPhase(t, "small", corev1.PodSucceeded)
	if err := os.WriteFile(c.agent.runtime.WorkingDir(first.UID)+"/go", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c.waitPhase(t, "second", corev1.PodSucceeded)
}

func TestNode(t *testing.T) {
	t.Parallel()
	c := newCluster(t, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node", Labels: map[string]string{"disk": "ssd"}}, Spec: corev1.NodeSpec{Unschedulable: true}})
	node, err := c.CoreV1().Nodes().Get(t.Context(), "node", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if node.Labels["disk"] != "ssd" || node.Labels["kubernetes.io/hostname"] != "node" || !node.Spec.Unschedulable {
		t.Errorf("labels %v, unschedulable %t; want both what was there and ours", node.Labels, node.Spec.Unschedulable)
	}
	if node.Status.Allocatable.Cpu().IsZero() || node.Status.Allocatable.Memory().IsZero() || node.Status.Allocatable.Pods().Value() != 1000 {
		t.Errorf("allocatable %v", node.Status.Allocatable)
	}
	c.create(t, shellPod("cordoned", "true"))
	c.wait(t, "cordoned", "refused", func(pod *corev1.Pod) bool {
		return len(pod.Status.Conditions) > 0 && pod.Status.Conditions[0].Message == "0/1 nodes are available: 1 node(s) were unschedulable."
	})
	node.Spec.Unschedulable = false
	if _, err := c.CoreV1().Nodes().Update(t.Context(), node, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	c.waitPhase(t, "cordoned", corev1.PodSucceeded)
}

func TestRestartOfTheAgent(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	wait := "while [ ! -e go ]; do sleep 0.01; done; echo run >> runs; cat runs; exit 5"
	pods := map[string]*corev1.Pod{}
	for _, name := range []string{"ended", "running", "killed", "deleted"} {
		pods[name] = c.create(t, shellPod(name, wait))
	}
	for name := range pods {
		c.wait(t, name, "running", isRunning)
	}
	letGo := func(name string) {
		if err := os.WriteFile(c.agent.runtime.WorkingDir(pods[name].UID)+"/go", nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c.stopAgent()
	letGo("ended")
	exitRecord := fmt.Sprintf("%s/pods/%s/main/0.exit", c.root, pods["ended"].UID)
	waitFor(t, "the end of the container", func() bool {
		_, err := os.Stat(exitRecord)
		return err == nil
	})
	var running supervisor.Running
	if _, err := supervisor.ReadRecord(fmt.Sprintf("%s/pods/%s/main/0.running", c.root, pods["killed"].UID), &running); err != nil {
		t.Fatal(err)
	}
	if process, err := os.FindProcess(running.SupervisorPID); err != nil || process.Kill() != nil {
		t.Fatalf("can't kill the supervisor %d: %v", running.SupervisorPID, err)
	}
	if err := c.Tracker().Delete(corev1.SchemeGroupVersion.WithResource("pods"), namespace, "deleted"); err != nil {
		t.Fatal(err)
	}
	c.startAgent(t)
	for name, wantCode := range map[string]int32{"ended": 5, "killed": 137} {
		pod := c.waitPhase(t, name, corev1.PodFailed)
		if state := mainState(pod).Terminated; state == nil || state.ExitCode != wantCode {
			t.Errorf("the state of %s is %+v, want exit code %d", name, state, wantCode)
		}
	}
	c.waitGone(t, pods["deleted"])
	if got := c.get(t, "running"); !isRunning(got) {
		t.Errorf("the status of the running Pod is %+v", got.Status)
	}
	letGo("running")
	c.waitPhase(t, "running", corev1.PodFailed)
	for _, name := range []string{"ended", "running"} {
		if log := c.log(t, name, nil); log != "run\n" {
			t.Errorf("the log of %s is %q, want one run", name, log)
		}
	}
}

func TestLostRootFolderDoesNotRunAPodTwice(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	pod := c.create(t, shellPod("once", "while [ ! -e go ]; do sleep 0.01; done"))
	c.wait(t, "once", "running", isRunning)
	ctx := t.Context()
	if err := c.agent.StopAll(ctx); err != nil {
		t.Fatal(err)
	}
	c.waitPhase(t, "once", corev1.PodFailed)
	// Put back what the API knew before, and take the records away.
	c.stopAgent()
	got := c.get(t, "once")
	got.Status.Phase = corev1.PodRunning
	got.Status.ContainerStatuses[0].State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	if err := c.Tracker().Update(corev1.SchemeGroupVersion.WithResource("pods"), got, namespace); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(c.root + "/pods/" + string(pod.UID)); err != nil {
		t.Fatal(err)
	}
	c.startAgent(t)
	got = c.waitPhase(t, "once", corev1.PodFailed)
	if state := mainState(got).Terminated; state == nil || state.Reason != "ContainerStatusUnknown" || state.ExitCode != 137 {
		t.Errorf("the container's state is %+v", state)
	}
}

func TestFollowLog(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	pod := c.create(t, shellPod("follow", "echo one; while [ ! -e go ]; do sleep 0.01; done; echo two; printf three"))
	c.wait(t, "follow", "running", isRunning)
	reader, err := c.agent.OpenLog(t.Context(), c.get(t, "follow"), "main", &corev1.PodLogOptions{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	buffer := make([]byte, 100)
	n, err := reader.Read(buffer)
	if err != nil || string(buffer[:n]) != "one\n" {
		t.Fatalf("read %q, error %v", buffer[:n], err)
	}
	if err := os.WriteFile(c.agent.runtime.WorkingDir(pod.UID)+"/go", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var rest strings.Builder
	for {
		n, err := reader.Read(buffer)
		rest.Write(buffer[:n])
		if err != nil {
			break
		}
	}
	if rest.String() != "two\nthree" {
		t.Errorf("read %q, want the rest of the log", rest.String())
	}
}

func TestLogOptions(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.create(t, shellPod("log", "echo one; echo two; echo three; echo oops >&2"))
	c.waitPhase(t, "log", corev1.PodSucceeded)
	// The order of lines of different streams is not defined, so each case reads one of them, and tails reach over both.
	stdout, stderr := new(corev1.LogStreamStdout), new(corev1.LogStreamStderr)
	tests := map[string]struct {
		options corev1.PodLogOptions
		want    string
	}{
		"all":     {corev1.PodLogOptions{Stream: stdout}, "one\ntwo\nthree\n"},
		"stderr":  {corev1.PodLogOptions{Stream: stderr}, "oops\n"},
		"limit":   {corev1.PodLogOptions{Stream: stdout, LimitBytes: new(int64(5))}, "one\nt"},
		"tail":    {corev1.PodLogOptions{Stream: stdout, TailLines: new(int64(100))}, "one\ntwo\nthree\n"},
		"no tail": {corev1.PodLogOptions{TailLines: new(int64(0))}, ""},
		"since":   {corev1.PodLogOptions{SinceTime: new(metav1.NewTime(time.Now().Add(time.Hour)))}, ""},
		"seconds": {corev1.PodLogOptions{Stream: stdout, SinceSeconds: new(int64(1000))}, "one\ntwo\nthree\n"},
	}
	for name, test := range tests {
		if got := c.log(t, "log", &test.options); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
	if got := c.log(t, "log", &corev1.PodLogOptions{TailLines: new(int64(2))}); strings.Count(got, "\n") != 2 {
		t.Errorf("tail of two lines: %q", got)
	}
	stamped := c.log(t, "log", &corev1.PodLogOptions{Stream: stderr, Timestamps: true})
	stamp, rest, _ := strings.Cut(stamped, " ")
	if _, err := time.Parse(time.RFC3339Nano, stamp); err != nil || rest != "oops\n" {
		t.Errorf("with timestamps: %q (%v)", stamped, err)
	}
	_, err := c.agent.OpenLog(t.Context(), c.get(t, "log"), "main", &corev1.PodLogOptions{Previous: true})
	if want := `previous terminated container "main" in pod "log" not found`; !apierrors.IsBadRequest(err) || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
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

func TestNewRefusesBadSettings(t *testing.T) {
	t.Parallel()
	good := Config{NodeName: "node", RootDir: t.TempDir(), Client: fake.NewClientset()}
	tests := map[string]struct {
		spoil func(*Config)
		want  string
	}{
		"no name":        {func(c *Config) { c.NodeName = "" }, "node name"},
		"bad name":       {func(c *Config) { c.NodeName = "No Name" }, `node name "No Name"`},
		"relative root":  {func(c *Config) { c.RootDir = "data" }, `root folder "data"`},
		"no client":      {func(c *Config) { c.Client = nil }, "client"},
		"negative Pods":  {func(c *Config) { c.MaxPods = -1 }, "number of Pods"},
		"impossible dir": {func(c *Config) { c.RootDir = "/proc/nowhere" }, "root folder"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := good
			test.spoil(&config)
			if _, err := New(config); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q in it", err, test.want)
			}
		})
	}
}

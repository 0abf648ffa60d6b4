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

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

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
		if action.Matches("update", "pods/status") {
			writes[action.(clienttesting.UpdateAction).GetObject().(*corev1.Pod).Name]++
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
	pod.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{NFS: &corev1.NFSVolumeSource{Server: "a", Path: "/"}}}}
	c.create(t, pod)
	got := c.waitPhase(t, "volumes", corev1.PodFailed)
	if len(got.Status.ContainerStatuses) != 0 {
		t.Errorf("a Pod that the node refuses has container statuses, which kubectl shows in place of the reason: %v", got.Status.ContainerStatuses)
	}
	if got.Status.Reason != "UnsupportedField" || !strings.HasPrefix(got.Status.Message, "spec.volumes[0].nfs: ") {
		t.Errorf("reason %q, message %q", got.Status.Reason, got.Status.Message)
	}
	c.waitEvents(t, "volumes", "UnsupportedField")
	if said := c.eventMessage(t, "volumes", "UnsupportedField"); said != got.Status.Message {
		t.Errorf("the event says %q, the status %q", said, got.Status.Message)
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

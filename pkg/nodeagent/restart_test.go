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
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime/supervisor"
)

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

// The server may be killed between making a Pod's folder and writing the record in it.
func TestFolderWithoutRecordDoesNotHoldAPodUp(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{"no record": "", "cut short": "{"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t)
			c.stopAgent()
			pod := shellPod("begun", "true")
			pod.Spec.NodeName = c.config.NodeName
			c.create(t, pod)
			dir := fmt.Sprintf("%s/pods/%s", c.root, pod.UID)
			if err := os.MkdirAll(dir+"/work.dir", 0o700); err != nil {
				t.Fatal(err)
			}
			if content != "" {
				if err := os.WriteFile(dir+"/pod.json", []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			c.startAgent(t)
			c.waitPhase(t, "begun", corev1.PodSucceeded)
		})
	}
}

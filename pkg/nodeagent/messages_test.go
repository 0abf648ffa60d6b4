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
	"os"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime"
)

func TestTerminationMessage(t *testing.T) {
	t.Parallel()
	requireRoot(t)
	c := newCluster(t)
	long := strings.Repeat("a", 5000)
	fallback := corev1.TerminationMessageFallbackToLogsOnError
	tests := map[string]struct {
		script, path string
		policy       corev1.TerminationMessagePolicy
		want         string
	}{
		"usual path":          {"printf done > /dev/termination-log", "", "", "done"},
		"own path":            {"printf why > /jobserver-test/deep/why; exit 3", "/jobserver-test/deep/why", "", "why"},
		"relative path":       {"printf why > /jobserver-test-why", "jobserver-test-why", "", "why"},
		"nothing written":     {"echo printed; exit 3", "", "", ""},
		"end of a long one":   {"printf b" + long + "c > /dev/termination-log", "", "", long[:4095] + "c"},
		"no text":             {`printf 'a\377b' > /dev/termination-log`, "", "", "a\uFFFDb"},
		"fallback":            {"echo printed; exit 3", "", fallback, "printed\n"},
		"file before log":     {"echo printed; printf why > /dev/termination-log; exit 3", "", fallback, "why"},
		"no fallback":         {"echo printed", "", fallback, ""},
		"80 lines of the log": {"seq 100; exit 3", "", fallback, "21\n"},
		"2048 bytes of it":    {"echo " + long + "; exit 3", "", fallback, long[:2047] + "\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			podName := strings.ReplaceAll(name, " ", "-")
			pod := shellPod(podName, test.script)
			container := &pod.Spec.Containers[0]
			if test.path != "" {
				container.TerminationMessagePath = test.path
			}
			if test.policy != "" {
				container.TerminationMessagePolicy = test.policy
			}
			c.create(t, pod)
			ended := c.wait(t, podName, "at its end", func(pod *corev1.Pod) bool { return isTerminal(pod.Status.Phase) })
			got := mainState(ended).Terminated.Message
			if name == "80 lines of the log" {
				if strings.Count(got, "\n") != 80 || !strings.HasPrefix(got, test.want) {
					t.Errorf("message %q, want 80 lines from 21 on", got)
				}
				return
			}
			if got != test.want {
				t.Errorf("message %q, want %q", got, test.want)
			}
		})
	}
	if _, err := os.Stat("/jobserver-test-why"); !os.IsNotExist(err) {
		t.Errorf("the file is on the machine: %v", err)
	}
}

func TestTerminationMessagesOfAPodAreBounded(t *testing.T) {
	t.Parallel()
	pod := shellPod("pod", "true")
	for range 5 {
		pod.Spec.InitContainers = append(pod.Spec.InitContainers, shellContainer("init", "true"))
	}
	o := observation{pod: pod, messages: map[runtime.ID]string{{}: strings.Repeat("ä", 2000)}}
	if got := terminated(o, &runtime.Container{}).Message; got != strings.Repeat("ä", 1024) {
		t.Errorf("%d bytes, want 12288 in six equal parts", len(got))
	}
	if got := cutMessage(pod, "x"+strings.Repeat("ä", 2000)); len(got) != 2047 {
		t.Errorf("%d bytes, want half a character to be left out", len(got))
	}
}

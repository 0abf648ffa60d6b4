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
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

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

// A follower must cost nothing that a user has few of: inotify instances are limited to 128.
func TestManyFollowers(t *testing.T) {
	t.Parallel()
	const followers = 300
	c := newCluster(t)
	pod := c.create(t, shellPod("busy", "echo one; while [ ! -e go ]; do sleep 0.01; done; seq 1000; printf end"))
	c.wait(t, "busy", "running", isRunning)
	var want strings.Builder
	want.WriteString("one\n")
	for i := range 1000 {
		fmt.Fprintln(&want, i+1)
	}
	want.WriteString("end")
	running := c.get(t, "busy")
	var group sync.WaitGroup
	var begun atomic.Int64
	for range followers {
		group.Go(func() {
			reader, err := c.agent.OpenLog(t.Context(), running, "main", &corev1.PodLogOptions{Follow: true})
			if err != nil {
				begun.Add(1)
				t.Error(err)
				return
			}
			defer reader.Close()
			first := make([]byte, len("one\n"))
			_, err = io.ReadFull(reader, first)
			begun.Add(1)
			if err != nil {
				t.Error(err)
				return
			}
			rest, err := io.ReadAll(reader)
			if got := string(first) + string(rest); err != nil || got != want.String() {
				t.Errorf("a follower read %d bytes, want %d (error %v)", len(got), want.Len(), err)
			}
		})
	}
	waitFor(t, "all followers to have begun", func() bool { return begun.Load() == followers })
	if err := os.WriteFile(c.agent.runtime.WorkingDir(pod.UID)+"/go", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	group.Wait()
}

func TestFollowEndsWithItsContext(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.create(t, shellPod("silent", "sleep 1000"))
	c.wait(t, "silent", "running", isRunning)
	ctx, cancel := context.WithCancel(t.Context())
	reader, err := c.agent.OpenLog(ctx, c.get(t, "silent"), "main", &corev1.PodLogOptions{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	cancel()
	if _, err := io.ReadAll(reader); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that of the context", err)
	}
}

func TestLogInSeveralFiles(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.stopAgent()
	c.config.Logs = LogLimits{MaxSize: 64 << 10, MaxFiles: 3}
	c.startAgent(t)
	pod := c.create(t, shellPod("talks", "seq -f 'line %g' 10000; until [ -e go ]; do sleep 0.01; done; seq -f 'line %g' 10001 20000"))
	c.waitPhase(t, "talks", corev1.PodRunning)
	reader, err := c.agent.OpenLog(t.Context(), pod, "main", &corev1.PodLogOptions{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	lines := bufio.NewScanner(reader)
	for lines.Scan() && lines.Text() != "line 10000" {
	}
	if err := os.WriteFile(c.agent.runtime.WorkingDir(pod.UID)+"/go", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	last := ""
	for lines.Scan() {
		last = lines.Text()
	}
	if last != "line 20000" {
		t.Errorf("the last line that was followed is %q", last)
	}
	c.waitPhase(t, "talks", corev1.PodSucceeded)
	kept := strings.Split(strings.TrimSpace(c.log(t, "talks", nil)), "\n")
	if len(kept) < 2000 || len(kept) > 6000 {
		t.Errorf("%d lines are kept, want what is in 2 or 3 files of 64 KiB", len(kept))
	}
	for i, line := range kept {
		if want := fmt.Sprintf("line %d", 20000-len(kept)+i+1); line != want {
			t.Fatalf("line %d of the log is %q, want %q", i, line, want)
		}
	}
	if got, want := c.log(t, "talks", &corev1.PodLogOptions{TailLines: new(int64(1900))}), strings.Join(kept[len(kept)-min(1900, len(kept)):], "\n")+"\n"; got != want {
		t.Errorf("the last 1900 lines are %d bytes, want %d", len(got), len(want))
	}
}

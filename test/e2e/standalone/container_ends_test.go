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

package standalone

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTerminationMessages: what a container says at its end, in a file or, where it failed, in its log.
func TestTerminationMessages(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	const fallback = "    terminationMessagePolicy: FallbackToLogsOnError"
	for name, test := range map[string]struct {
		script, want string
		mounts       bool
		container    []string
	}{
		"file":             {"printf told >/dev/termination-log; echo logged; exit 3", "told", true, nil},
		"own-file":         {"printf told >/run/own/message; exit 3", "told", true, []string{"    terminationMessagePath: /run/own/message"}},
		"success":          {"printf told >/dev/termination-log", "told", true, nil},
		"file-first":       {"printf told >/dev/termination-log; echo logged; exit 3", "told", true, []string{fallback}},
		"too-long":         {"printf %05000d 7 >/dev/termination-log; exit 3", strings.Repeat("0", 4095) + "7", true, nil},
		"no-file":          {"echo logged; exit 3", "", false, nil},
		"fallback":         {"echo first; echo last words; exit 3", "first\nlast words\n", false, []string{fallback}},
		"fallback-success": {"echo logged", "", false, []string{fallback}},
		"fallback-long":    {"i=0; while [ $i -lt 100 ]; do i=$((i+1)); echo $i; done; exit 3", numbers(21, 100), false, []string{fallback}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if test.mounts && !needsRoot(t) {
				return
			}
			c.apply(t, podManifest(name, test.script, test.container...))
			c.run(t, "wait", "--for=jsonpath={.status.containerStatuses[0].state.terminated}", "--timeout=60s", "pod/"+name)
			if got := c.run(t, "get", "pod", name, "-o", "jsonpath={.status.containerStatuses[0].state.terminated.message}"); got != test.want {
				t.Errorf("message %q, want %q", got, test.want)
			}
		})
	}
}

// numbers are those from first to last, one a line.
func numbers(first, last int) string {
	var text strings.Builder
	for i := first; i <= last; i++ {
		fmt.Fprintln(&text, i)
	}
	return text.String()
}

// TestCommandsThatCannotRun: why, with the exit code of a shell.
func TestCommandsThatCannotRun(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, []byte("no program"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ command, code, says string }{
		"nowhere":        {"[no-such-command]", "127", `exec: "no-such-command": executable file not found in $PATH`},
		"no-file":        {"[/no/such]", "127", `exec: "/no/such": stat /no/such: no such file or directory`},
		"not-executable": {"[" + plain + "]", "126", "permission denied"},
		"folder":         {"[/usr]", "126", `exec: "/usr": is a directory`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.apply(t, strings.Replace(podManifest(name, ""), `[sh, -c, ""]`, test.command, 1))
			c.waitPhase(t, name, "Failed")
			if got, want := c.podEnd(t, name), "Failed///ContainerCannotRun/"+test.code; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			if got := c.run(t, "get", "pod", name, "-o", "jsonpath={.status.containerStatuses[0].state.terminated.message}"); !strings.Contains(got, test.says) {
				t.Errorf("message %q doesn't say %q", got, test.says)
			}
		})
	}
	// Images are not pulled, so none can say what to run.
	c.apply(t, strings.Replace(podManifest("no-command", ""), `    command: [sh, -c, ""]`+"\n", "", 1))
	c.waitPhase(t, "no-command", "Failed")
	if got := c.run(t, "get", "pod", "no-command", "-o", "jsonpath={.status.reason} {.status.message}"); !strings.HasPrefix(got, "UnsupportedField spec.containers[0].command: ") || !strings.Contains(got, "image") {
		t.Errorf("without a command: %s", got)
	}
	c.apply(t, podManifest("image", "true"))
	c.waitPhase(t, "image", "Succeeded")
	c.waitEvent(t, "image", "ImageNotPulled", "none")
}

// TestCrashLoopBackOff: a container that fails is started again, at once and then after 10 s, and the log of the attempt before is there.
func TestCrashLoopBackOff(t *testing.T) {
	t.Parallel()
	c, d, g := newClient(t, shared), newDiary(t), newGate(t)
	script := "echo x >>" + d.path + "; n=$(wc -l <" + d.path + "); echo attempt $n; [ $n -lt 3 ] && exit 4; " + g.await()
	c.apply(t, strings.Replace(podManifest("p", script), "restartPolicy: Never", "restartPolicy: OnFailure", 1))
	if got := c.waitWaiting(t, "p", "CrashLoopBackOff"); !strings.HasPrefix(got, "back-off 10s restarting failed container=main pod=p_"+c.namespace) {
		t.Errorf("message %q", got)
	}
	if got := c.run(t, "get", "pod", "p", "-o", "jsonpath={.status.phase} {.status.containerStatuses[0].restartCount} {.status.containerStatuses[0].lastState.terminated.exitCode}"); got != "Running 1 4" {
		t.Errorf("in back-off: %s", got)
	}
	if got := c.run(t, "get", "pod", "p", "--no-headers"); !strings.Contains(got, "CrashLoopBackOff") {
		t.Errorf("kubectl get shows %s", got)
	}
	c.waitEvent(t, "p", "BackOff", "Back-off restarting failed container main in pod p_")
	eventually(t, time.Minute, func() string {
		if current, previous := c.run(t, "logs", "p"), c.run(t, "logs", "p", "--previous"); current != "attempt 3\n" || previous != "attempt 2\n" {
			return fmt.Sprintf("logs %q, before that %q", current, previous)
		}
		return ""
	})
	g.open(t)
	c.waitPhase(t, "p", "Succeeded")
	if got := d.lines(t); len(got) != 3 {
		t.Errorf("the machine saw %d attempts", len(got))
	}
}

// TestPodActiveDeadline: a Pod's own deadline ends it, with everything it started.
func TestPodActiveDeadline(t *testing.T) {
	t.Parallel()
	c, mark := newClient(t, shared), newMark()
	c.apply(t, podWith("p", "sleep "+mark+" & wait", []string{"activeDeadlineSeconds: 3"}))
	mustRun(t, mark)
	c.waitPhase(t, "p", "Failed")
	if got := c.run(t, "get", "pod", "p", "-o", "jsonpath={.status.reason}: {.status.message}"); got != "DeadlineExceeded: Pod was active on the node longer than the specified deadline" {
		t.Errorf("got %s", got)
	}
	mustNotRun(t, mark)
}

// TestStubbornContainer: what ignores SIGTERM is killed after the grace period, with what left its session.
func TestStubbornContainer(t *testing.T) {
	t.Parallel()
	c, mark, d := newClient(t, shared), newMark(), newDiary(t)
	c.apply(t, podManifest("p", "trap '' TERM; setsid sleep "+mark+" & echo up >>"+d.path+"; while :; do sleep "+mark+"; done"))
	eventually(t, time.Minute, func() string {
		if len(d.lines(t)) > 0 && len(processesWith(mark)) >= 3 { // sh and two of sleep
			return ""
		}
		return "the container has not started its processes"
	})
	started := time.Now()
	c.run(t, "delete", "pod", "p", "--timeout=60s")
	if took := time.Since(started); took < 2*time.Second {
		t.Errorf("the container was killed after %s, its grace period is 2s", took)
	}
	if left := processesWith(mark); len(left) > 0 {
		t.Errorf("the Pod is gone, its processes %v run", left)
	}
}

// TestStopSignalAndHooks: postStart comes after the start, preStop before the signal, and the signal is the one that was asked for.
func TestStopSignalAndHooks(t *testing.T) {
	t.Parallel()
	c, d := newClient(t, shared), newDiary(t)
	hook := func(line string) string { return "{exec: {command: [sh, -c, \"echo " + line + " >>" + d.path + "\"]}}" }
	manifest := podWith("p", "trap 'echo usr1 >>"+d.path+"; exit 0' USR1; trap 'echo term >>"+d.path+"; exit 0' TERM; echo up; while :; do sleep 0.1; done",
		[]string{"os: {name: linux}"}, "    lifecycle: {stopSignal: SIGUSR1, postStart: "+hook("post")+", preStop: "+hook("pre")+"}")
	c.apply(t, strings.Replace(manifest, "terminationGracePeriodSeconds: 2", "terminationGracePeriodSeconds: 60", 1))
	c.run(t, "wait", "--for=condition=Ready", "--timeout=60s", "pod/p")
	eventually(t, time.Minute, func() string {
		if got := c.run(t, "logs", "p"); got != "up\n" {
			return fmt.Sprintf("the container says %q", got)
		}
		return ""
	})
	c.run(t, "delete", "pod", "p", "--timeout=90s")
	if got := strings.Join(d.lines(t), " "); got != "post pre usr1" {
		t.Errorf("the machine saw %q", got)
	}
	c.apply(t, podManifest("fails", "sleep 300", `    lifecycle: {postStart: {exec: {command: ["false"]}}}`))
	c.waitPhase(t, "fails", "Failed")
	c.waitEvent(t, "fails", "FailedPostStartHook", "PostStartHook failed")
}

// TestSidecars: they start in their turn, run beside the main containers, and end after them, the last one first.
func TestSidecars(t *testing.T) {
	t.Parallel()
	c, d, g := newClient(t, shared), newDiary(t), newGate(t)
	say := func(line string) string { return "echo " + line + " >>" + d.path }
	folder := t.TempDir()
	sidecar := func(name string) string {
		return fmt.Sprintf(`  - name: %[1]s
    image: none
    restartPolicy: Always
    command: [sh, -c, "trap '%[2]s; exit 0' TERM; %[3]s; touch %[4]s/%[1]s; while :; do sleep 0.1; done"]
    startupProbe: {exec: {command: [test, -e, %[4]s/%[1]s]}, periodSeconds: 1, failureThreshold: 60}
`, name, say("-"+name), say("+"+name), folder)
	}
	c.apply(t, podWith("p", say("+main")+"; "+g.await()+"; "+say("-main"), nil)+"  initContainers:\n"+
		"  - {name: first, image: none, command: [sh, -c, \""+say("first")+"\"]}\n"+sidecar("one")+
		"  - {name: second, image: none, command: [sh, -c, \""+say("second")+"\"]}\n"+sidecar("two"))
	eventually(t, time.Minute, func() string {
		if got := c.run(t, "get", "pod", "p", "--no-headers"); !strings.Contains(got, "3/3") || !strings.Contains(got, "Running") {
			return "kubectl get shows " + got
		}
		return ""
	})
	g.open(t)
	c.waitPhase(t, "p", "Succeeded")
	if got := strings.Join(d.lines(t), " "); got != "first +one second +two +main -main -two -one" {
		t.Errorf("the machine saw %s", got)
	}
}

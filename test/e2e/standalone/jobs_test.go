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
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const hello = `
apiVersion: batch/v1
kind: Job
metadata:
  name: hello
spec:
  template:
    spec:
      containers:
      - name: hello
        image: busybox:1.36
        command: ["echo", "hello world"]
      restartPolicy: OnFailure
`

// jobManifest makes a batch/v1 Job of one container that runs a shell script. spec holds further lines of the Job's spec, each
// "field: value".
func jobManifest(name, script string, spec ...string) string {
	fields := ""
	for _, line := range spec {
		fields += "  " + line + "\n"
	}
	return fmt.Sprintf(`
apiVersion: batch/v1
kind: Job
metadata:
  name: %s
spec:
%s  template:
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 1
      containers:
      - name: main
        image: busybox:1.36
        command: ["sh", "-c", %q]
`, name, fields, script)
}

func TestHello(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	c.apply(t, hello)
	c.wait(t, "hello", "Complete")
	if got, want := c.run(t, "logs", "job/hello"), "hello world\n"; got != want {
		t.Errorf("logs: %q, want %q", got, want)
	}
	status := c.job(t, "job", "hello").Status
	if status.Succeeded != 1 || status.Failed != 0 || status.Active != 0 {
		t.Errorf("status: %+v, want 1 succeeded and nothing else", status)
	}
	if status.StartTime == nil || status.CompletionTime == nil || status.CompletionTime.Before(*status.StartTime) {
		t.Errorf("started %v, completed %v: want both, in order", status.StartTime, status.CompletionTime)
	}
}

func TestPodOfAJob(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	c.apply(t, hello)
	c.wait(t, "hello", "Complete")
	pods := c.pods(t, "hello")
	if len(pods) != 1 {
		t.Fatalf("%d Pods, want 1", len(pods))
	}
	p, uid := pods[0], c.job(t, "job", "hello").Metadata.UID
	for label, want := range map[string]string{
		"batch.kubernetes.io/controller-uid": uid,
		"batch.kubernetes.io/job-name":       "hello",
		"controller-uid":                     uid,
		"job-name":                           "hello",
	} {
		if got := p.Metadata.Labels[label]; got != want {
			t.Errorf("label %s: %q, want %q", label, got, want)
		}
	}
	if len(p.Metadata.OwnerReferences) != 1 {
		t.Fatalf("owners: %+v, want the Job alone", p.Metadata.OwnerReferences)
	}
	if o := p.Metadata.OwnerReferences[0]; o.APIVersion != "batch/v1" || o.Kind != "Job" || o.UID != uid || !o.Controller {
		t.Errorf("owner: %+v, want the batch/v1 Job as controller", o)
	}
	if len(p.Metadata.Finalizers) != 0 {
		t.Errorf("finalizers of a counted Pod: %v", p.Metadata.Finalizers)
	}
	if p.Status.Phase != "Succeeded" || !strings.HasPrefix(p.Status.PodIP, "127.") {
		t.Errorf("phase %q, IP %q: want Succeeded on the loopback", p.Status.Phase, p.Status.PodIP)
	}
	if s := p.Status.ContainerStatuses; len(s) != 1 || s[0].State.Terminated == nil || s[0].State.Terminated.Reason != "Completed" {
		t.Errorf("containers: %+v, want one terminated with reason Completed", s)
	}
}

func TestParallelismIsNeverExceeded(t *testing.T) {
	t.Parallel()
	c, d := newClient(t, shared), newDiary(t)
	script := fmt.Sprintf("echo + >>%[1]s; sleep 0.3; echo - >>%[1]s", d.path)
	c.apply(t, jobManifest("ten", script, "completions: 10", "parallelism: 3", "suspend: true"))
	watch := c.watch(t, "get", "job", "ten", "--watch", "-o", `jsonpath={.status.active}{"\n"}`)
	eventually(t, time.Minute, func() string {
		if watch.stdout.String() == "" {
			return "the watch printed nothing"
		}
		return ""
	})
	c.run(t, "patch", "job", "ten", "-p", `{"spec":{"suspend":false}}`, "--type=merge")
	c.wait(t, "ten", "Complete")

	if most := d.atOnce(t); most > 3 {
		t.Errorf("%d processes ran at once, want 3 at most", most)
	}
	if lines := d.lines(t); len(lines) != 20 {
		t.Errorf("%d lines in the diary, want a start and an end of 10 processes", len(lines))
	}
	if got := c.job(t, "job", "ten").Status.Succeeded; got != 10 {
		t.Errorf("%d succeeded, want 10", got)
	}
	seen := strings.Fields(watch.stdout.String())
	if len(seen) == 0 {
		t.Error("the watch saw no active Pod")
	}
	for _, active := range seen {
		if n, err := strconv.Atoi(active); err != nil || n > 3 {
			t.Errorf("the watch saw %q active Pods, want 3 at most", active)
		}
	}
}

func TestIndexedPrintsEachIndexOnce(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	c.apply(t, jobManifest("indexed", "echo $JOB_COMPLETION_INDEX", "completionMode: Indexed", "completions: 5", "parallelism: 3"))
	c.wait(t, "indexed", "Complete")

	printed := strings.Fields(c.run(t, "logs", "-l", "job-name=indexed", "--tail=-1"))
	slices.Sort(printed)
	if want := indexes(5); !slices.Equal(printed, want) {
		t.Errorf("printed %v, want %v", printed, want)
	}
	if got := c.job(t, "job", "indexed").Status.CompletedIndexes; got != "0-4" {
		t.Errorf("completedIndexes: %q, want 0-4", got)
	}
	const key = "batch.kubernetes.io/job-completion-index"
	var found []string
	for _, p := range c.pods(t, "indexed") {
		index := p.Metadata.Annotations[key]
		found = append(found, index)
		if p.Metadata.Labels[key] != index || p.Spec.Hostname != "indexed-"+index || !strings.HasPrefix(p.Metadata.Name, "indexed-"+index+"-") {
			t.Errorf("index %q: label %q, hostname %q, name %q", index, p.Metadata.Labels[key], p.Spec.Hostname, p.Metadata.Name)
		}
	}
	slices.Sort(found)
	if want := indexes(5); !slices.Equal(found, want) {
		t.Errorf("Pods have indexes %v, want %v", found, want)
	}
}

func TestBackoffLimitExceeded(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	c.apply(t, jobManifest("failing", "exit 1", "backoffLimit: 1"))
	c.wait(t, "failing", "Failed")
	j := c.job(t, "job", "failing")
	got := j.condition("Failed")
	want := condition{Type: "Failed", Status: "True", Reason: "BackoffLimitExceeded", Message: "Job has reached the specified backoff limit"}
	if got != want {
		t.Errorf("condition: %+v, want %+v", got, want)
	}
	if j.Status.Failed != 2 || j.Status.Succeeded != 0 {
		t.Errorf("status: %+v, want 2 failed", j.Status)
	}
	pods := c.pods(t, "failing")
	if len(pods) != 2 {
		t.Fatalf("%d Pods, want the 2 that failed", len(pods))
	}
	for _, p := range pods {
		if s := p.Status.ContainerStatuses; len(s) != 1 || s[0].State.Terminated == nil || s[0].State.Terminated.ExitCode != 1 {
			t.Errorf("containers of %s: %+v, want exit code 1", p.Metadata.Name, s)
		}
	}
}

func TestRestartInPlace(t *testing.T) {
	t.Parallel()
	c, g := newClient(t, shared), newGate(t)
	script := fmt.Sprintf("if [ -e %[1]s ]; then echo second; else : >%[1]s; echo first; exit 3; fi", g.path)
	c.apply(t, strings.Replace(jobManifest("again", script), "restartPolicy: Never", "restartPolicy: OnFailure", 1))
	c.wait(t, "again", "Complete")
	pods := c.pods(t, "again")
	if len(pods) != 1 || len(pods[0].Status.ContainerStatuses) != 1 || pods[0].Status.ContainerStatuses[0].RestartCount != 1 {
		t.Fatalf("Pods: %+v, want one whose container was restarted once", pods)
	}
	if got := c.run(t, "logs", pods[0].Metadata.Name); got != "second\n" {
		t.Errorf("logs: %q, want those of the second run", got)
	}
	if got := c.run(t, "logs", pods[0].Metadata.Name, "--previous"); got != "first\n" {
		t.Errorf("logs --previous: %q, want those of the first run", got)
	}
}

func TestActiveDeadline(t *testing.T) {
	t.Parallel()
	c, mark := newClient(t, shared), newMark()
	c.apply(t, jobManifest("deadline", "sleep "+mark, "activeDeadlineSeconds: 5"))
	mustRun(t, mark)
	c.wait(t, "deadline", "Failed")
	got := c.job(t, "job", "deadline").condition("Failed")
	want := condition{Type: "Failed", Status: "True", Reason: "DeadlineExceeded", Message: "Job was active longer than specified deadline"}
	if got != want {
		t.Errorf("condition: %+v, want %+v", got, want)
	}
	mustNotRun(t, mark)
}

func TestTTLDeletesJobAndPods(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	c.apply(t, jobManifest("brief", "true", "ttlSecondsAfterFinished: 3"))
	c.wait(t, "brief", "Complete")
	eventually(t, 30*time.Second, func() string {
		if left := c.run(t, "get", "jobs,pods", "-o", "name"); left != "" {
			return "left: " + left
		}
		return ""
	})
}

func TestSuspendAndResume(t *testing.T) {
	t.Parallel()
	c, g, mark := newClient(t, shared), newGate(t), newMark()
	c.apply(t, jobManifest("my-job", fmt.Sprintf("if [ ! -e %s ]; then sleep %s; fi", g.path, mark)))
	mustRun(t, mark)

	c.run(t, "patch", "job", "my-job", "-p", `{"spec":{"suspend":true}}`, "--type=merge")
	c.wait(t, "my-job", "Suspended")
	mustNotRun(t, mark)
	eventually(t, time.Minute, func() string {
		if status := c.job(t, "job", "my-job").Status; status.Active != 0 || len(c.pods(t, "my-job")) != 0 {
			return fmt.Sprintf("suspended, but the status is %+v", status)
		}
		return ""
	})
	j := c.job(t, "job", "my-job")
	if got := j.condition("Suspended"); got.Reason != "JobSuspended" || got.Message != "Job suspended" {
		t.Errorf("condition: %+v, want reason JobSuspended", got)
	}
	if j.Status.StartTime != nil || j.Status.Failed != 0 {
		t.Errorf("status: %+v, want no start time and nothing failed", j.Status)
	}

	g.open(t)
	c.run(t, "patch", "job", "my-job", "-p", `{"spec":{"suspend":false}}`, "--type=merge")
	c.wait(t, "my-job", "Complete")
	j = c.job(t, "job", "my-job")
	if got := j.condition("Suspended"); got.Status != "False" || got.Reason != "JobResumed" {
		t.Errorf("condition: %+v, want False with reason JobResumed", got)
	}
	if j.Status.Succeeded != 1 || j.Status.Failed != 0 {
		t.Errorf("status: %+v, want 1 succeeded, nothing failed", j.Status)
	}
}

func TestDeleteJobRemovesItsPods(t *testing.T) {
	t.Parallel()
	c, mark := newClient(t, shared), newMark()
	c.apply(t, jobManifest("endless", "sleep "+mark, "completions: 2", "parallelism: 2"))
	mustRun(t, mark)
	c.run(t, "delete", "job", "endless")
	mustNotRun(t, mark)
	eventually(t, time.Minute, func() string {
		if left := c.run(t, "get", "jobs,pods", "-o", "name"); left != "" {
			return "left: " + left
		}
		return ""
	})
}

func TestDeleteJobCascades(t *testing.T) {
	t.Parallel()
	for cascade, wantPods := range map[string]int{"background": 0, "foreground": 0, "orphan": 1} {
		t.Run(cascade, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, shared)
			c.apply(t, hello)
			c.wait(t, "hello", "Complete")
			c.run(t, "delete", "job", "hello", "--cascade="+cascade)
			if cascade == "foreground" {
				if left := c.pods(t, "hello"); len(left) != 0 {
					t.Errorf("%d Pods outlived the Job", len(left))
				}
			}
			eventually(t, time.Minute, func() string {
				if got := len(c.pods(t, "hello")); got != wantPods {
					return fmt.Sprintf("%d Pods, want %d", got, wantPods)
				}
				return ""
			})
			for _, p := range c.pods(t, "hello") {
				if len(p.Metadata.OwnerReferences) != 0 {
					t.Errorf("the orphaned Pod still has owners: %+v", p.Metadata.OwnerReferences)
				}
			}
		})
	}
}

func TestEnvironmentFromConfigMapAndSecret(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	c.run(t, "create", "configmap", "settings", "--from-literal=HOST=db.example.com")
	c.run(t, "create", "secret", "generic", "login", "--from-literal=password=secret1")
	c.apply(t, `
apiVersion: batch/v1
kind: Job
metadata: {name: env}
spec:
  template:
    spec:
      restartPolicy: Never
      initContainers:
      - name: first
        image: busybox:1.36
        command: ["echo", "init of $(HOST)"]
        envFrom: [{configMapRef: {name: settings}}]
      containers:
      - name: main
        image: busybox:1.36
        command: ["echo", "$(URL) $(POD) $$(HOST)"]
        envFrom: [{configMapRef: {name: settings}}]
        env:
        - {name: PASSWORD, valueFrom: {secretKeyRef: {name: login, key: password}}}
        - {name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
        - {name: URL, value: "db://$(PASSWORD)@$(HOST)"}
`)
	c.wait(t, "env", "Complete")
	if got := c.run(t, "logs", "job/env", "-c", "first"); got != "init of db.example.com\n" {
		t.Errorf("logs of the init container: %q", got)
	}
	want := "db://secret1@db.example.com " + c.pods(t, "env")[0].Metadata.Name + " $(HOST)\n"
	if got := c.run(t, "logs", "job/env", "-c", "main"); got != want {
		t.Errorf("logs: %q, want %q", got, want)
	}
}

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
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// columns splits the lines of a table; columns are separated by two spaces at least.
func columns(table string) [][]string {
	var rows [][]string
	for line := range strings.Lines(table) {
		rows = append(rows, regexp.MustCompile(` {2,}`).Split(strings.TrimSpace(line), -1))
	}
	return rows
}

func TestGetJobsColumns(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	c.apply(t, hello)
	c.wait(t, "hello", "Complete")
	c.apply(t, jobManifest("later", "true", "suspend: true", "completions: 4"))
	c.apply(t, jobManifest("queue", "true", "suspend: true", "parallelism: 3"))
	c.wait(t, "later", "Suspended")
	c.wait(t, "queue", "Suspended")

	for _, resource := range []string{"jobs", "jobs.batch", "jobs.batch.jobserver.dev", "bj"} {
		rows := columns(c.run(t, "get", resource))
		if want := []string{"NAME", "STATUS", "COMPLETIONS", "DURATION", "AGE"}; len(rows) != 4 || !slices.Equal(rows[0], want) {
			t.Fatalf("get %s: %v, want three Jobs under the columns %v", resource, rows, want)
		}
		for i, want := range [][]string{{"hello", "Complete", "1/1"}, {"later", "Suspended", "0/4"}, {"queue", "Suspended", "0/1 of 3"}} {
			if got := rows[i+1]; len(got) < 3 || !slices.Equal(got[:3], want) {
				t.Errorf("get %s: row %v, want %v", resource, got, want)
			}
		}
		if got := rows[1]; len(got) != 5 || !regexp.MustCompile(`^\d+s$`).MatchString(got[3]) {
			t.Errorf("get %s: row %v, want a duration in seconds", resource, got)
		}
	}

	rows := columns(c.run(t, "get", "job", "hello", "-o", "wide"))
	want := []string{"NAME", "STATUS", "COMPLETIONS", "DURATION", "AGE", "CONTAINERS", "IMAGES", "SELECTOR"}
	if !slices.Equal(rows[0], want) {
		t.Errorf("get -o wide: columns %v, want %v", rows[0], want)
	}
	selector := "batch.kubernetes.io/controller-uid=" + c.job(t, "job", "hello").Metadata.UID
	if got := rows[1][len(rows[1])-3:]; !slices.Equal(got, []string{"hello", "busybox:1.36", selector}) {
		t.Errorf("get -o wide: %v, want container, image and %s", got, selector)
	}
}

func TestKindThatIsNotServed(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	manifest := `{"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "nightly"}}`
	for _, verb := range []string{"apply", "create"} {
		if says := c.refused(t, manifest, verb, "-f", "-"); !strings.Contains(says, `no matches for kind "CronJob" in version "batch/v1"`) {
			t.Errorf("kubectl %s: %s", verb, says)
		}
	}
}

func TestMayDoEverything(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	rows := columns(c.run(t, "auth", "can-i", "--list"))
	if len(rows) != 3 || rows[1][0] != "*.*" {
		t.Errorf("auth can-i --list: %v, want all resources and all paths", rows)
	}
}

func TestGetAllListsEachJobOnce(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	c.apply(t, hello)
	c.wait(t, "hello", "Complete")
	var jobs []string
	for _, name := range strings.Fields(c.run(t, "get", "all", "-o", "name")) {
		if !strings.HasPrefix(name, "pod/") {
			jobs = append(jobs, name)
		}
	}
	if want := []string{"job.batch/hello"}; !slices.Equal(jobs, want) {
		t.Errorf("get all: %v, want %v", jobs, want)
	}
}

func TestWatch(t *testing.T) {
	t.Parallel()
	c, g := newClient(t, shared), newGate(t)
	c.apply(t, jobManifest("watched", g.await()))
	watch := c.watch(t, "get", "job", "watched", "-w")
	completions := func() []string {
		var seen []string
		for _, row := range columns(watch.stdout.String())[1:] {
			if len(row) > 2 {
				seen = append(seen, row[1]+" "+row[2])
			}
		}
		return seen
	}
	waitFor := func(want string) {
		t.Helper()
		eventually(t, time.Minute, func() string {
			if watch.stdout.String() != "" && slices.Contains(completions(), want) {
				return ""
			}
			return fmt.Sprintf("the watch showed no %q:\n%s", want, watch.stdout.String())
		})
	}
	waitFor("Running 0/1")
	g.open(t)
	waitFor("Complete 1/1")
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	c.apply(t, hello)
	c.wait(t, "hello", "Complete")
	for _, want := range []string{
		`(?m)^Name: +hello$`,
		`(?m)^Parallelism: +1$`,
		`(?m)^Completions: +1$`,
		`(?m)^Completion Mode: +NonIndexed$`,
		`(?m)^Suspend: +false$`,
		`(?m)^Backoff Limit: +6$`,
		`(?m)^Pods Statuses: +0 Active \(0 Ready\) / 1 Succeeded / 0 Failed$`,
		`Normal +SuccessfulCreate +\S+ +job-controller +Created pod: hello-`,
		`Normal +Completed +\S+ +job-controller +Job completed`,
	} {
		// Events are recorded in the background.
		eventually(t, 30*time.Second, func() string {
			if description := c.run(t, "describe", "job", "hello"); !regexp.MustCompile(want).MatchString(description) {
				return fmt.Sprintf("describe has nothing like %s:\n%s", want, description)
			}
			return ""
		})
	}
	if description := c.run(t, "describe", "pods", "-l", "job-name=hello"); !strings.Contains(description, "Exit Code:    0") {
		t.Errorf("describe pods has no exit code:\n%s", description)
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	for _, test := range []struct {
		args []string
		want []string // patterns
	}{
		{
			args: []string{"job.spec.completionMode"},
			want: []string{`GROUP: +batch\n`, `KIND: +Job\n`, `VERSION: +v1\n`, `FIELD: completionMode <string>`, `DESCRIPTION:\n +\S+`},
		}, {
			args: []string{"job.spec.completionMode", "--api-version=batch.jobserver.dev/v1"},
			want: []string{`GROUP: +batch\.jobserver\.dev\n`, `KIND: +Job\n`, `FIELD: completionMode <string>`, `DESCRIPTION:\n +\S+`},
		}, {
			args: []string{"bj.spec.disruptionPolicy"},
			want: []string{`GROUP: +batch\.jobserver\.dev\n`, `FIELD: disruptionPolicy <string>`, `DESCRIPTION:\n +\S+`},
		}, {
			args: []string{"job.spec.template.spec.containers.command"},
			want: []string{`FIELD: command <\[\]string>`, `DESCRIPTION:\n +\S+`},
		}, {
			args: []string{"pod.spec.restartPolicy"},
			want: []string{`FIELD: restartPolicy <string>`},
		},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			t.Parallel()
			got := c.run(t, append([]string{"explain"}, test.args...)...)
			for _, want := range test.want {
				if !regexp.MustCompile(want).MatchString(got) {
					t.Errorf("nothing like %q in:\n%s", want, got)
				}
			}
		})
	}
}

func TestCreateJob(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	c.run(t, "create", "job", "x", "--image=busybox", "--", "echo", "hi")
	c.wait(t, "x", "Complete")
	if got := c.run(t, "logs", "job/x"); got != "hi\n" {
		t.Errorf("logs: %q, want hi", got)
	}
}

func TestLogs(t *testing.T) {
	t.Parallel()
	c, g := newClient(t, shared), newGate(t)
	c.apply(t, jobManifest("talker", "echo one; sleep 0.5; echo two >&2; "+g.await()+"; echo three"))
	eventually(t, time.Minute, func() string {
		if pods := c.pods(t, "talker"); len(pods) != 1 || pods[0].Status.Phase != "Running" {
			return fmt.Sprintf("Pods: %+v, want one that runs", pods)
		}
		return ""
	})
	follow := c.watch(t, "logs", "job/talker", "-f")
	eventually(t, time.Minute, func() string {
		if got := follow.stdout.String(); got != "one\ntwo\n" {
			return fmt.Sprintf("logs -f shows %q and says %q", got, follow.stderr.String())
		}
		return ""
	})
	if follow.ended() {
		t.Error("logs -f ended before the container did")
	}
	g.open(t)
	if !follow.endsWithin(time.Minute) {
		t.Fatal("logs -f goes on after the container ended")
	}
	if got, want := follow.stdout.String(), "one\ntwo\nthree\n"; got != want {
		t.Errorf("logs -f: %q, want %q", got, want)
	}
	if got := c.run(t, "logs", "job/talker", "--tail=1"); got != "three\n" {
		t.Errorf("logs --tail=1: %q, want the last line", got)
	}
	if got := c.refused(t, "", "logs", "job/talker", "-c", "nobody"); !strings.Contains(got, "nobody") {
		t.Errorf("logs of an unknown container: %s, want its name", got)
	}
}

// TestBothGroups reads and changes one Job under all its names.
func TestBothGroups(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	c.apply(t, jobManifest("both", "true", "suspend: true"))
	first := c.job(t, "jobs.batch", "both")
	for resource, apiVersion := range map[string]string{
		"job":                      "batch/v1",
		"jobs.batch":               "batch/v1",
		"jobs.batch.jobserver.dev": "batch.jobserver.dev/v1",
		"bj":                       "batch.jobserver.dev/v1",
	} {
		got := c.job(t, resource, "both")
		if got.APIVersion != apiVersion || got.Metadata.UID != first.Metadata.UID {
			t.Errorf("get %s: %s with UID %s, want %s with UID %s", resource, got.APIVersion, got.Metadata.UID, apiVersion, first.Metadata.UID)
		}
	}
	// A Job made through batch/v1 behaves as Kubernetes' does, and our group says so.
	if spec := c.job(t, "bj", "both").Spec; spec.DisruptionPolicy != "Count" || spec.SuspendPolicy != "DeletePods" {
		t.Errorf("policies %q and %q, want Count and DeletePods", spec.DisruptionPolicy, spec.SuspendPolicy)
	}

	for i, resource := range []string{"jobs.batch.jobserver.dev", "bj", "job"} {
		c.run(t, "patch", resource, "both", "--type=merge", "-p", fmt.Sprintf(`{"spec":{"parallelism":%d}}`, i+2))
		for _, reader := range []string{"jobs.batch", "bj"} {
			if got := c.job(t, reader, "both").Spec.Parallelism; got == nil || *got != i+2 {
				t.Errorf("patched as %s, read as %s: parallelism %v, want %d", resource, reader, got, i+2)
			}
		}
	}
	if spec := c.job(t, "bj", "both").Spec; spec.DisruptionPolicy != "Count" || spec.SuspendPolicy != "DeletePods" {
		t.Errorf("policies %q and %q after patches, want Count and DeletePods", spec.DisruptionPolicy, spec.SuspendPolicy)
	}
	c.run(t, "patch", "bj", "both", "--type=merge", "-p", `{"spec":{"suspend":false}}`)
	c.wait(t, "both", "Complete")
	c.run(t, "delete", "bj", "both")
	if got := c.refused(t, "", "get", "jobs.batch", "both"); !strings.Contains(got, `jobs.batch "both" not found`) {
		t.Errorf("deleted through our group, yet batch/v1 says: %s", got)
	}
}

func TestOwnGroupDefaults(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	c.apply(t, strings.Replace(hello, "apiVersion: batch/v1", "apiVersion: batch.jobserver.dev/v1", 1))
	spec := c.job(t, "bj", "hello").Spec
	if spec.DisruptionPolicy != "Ignore" || spec.SuspendPolicy != "KeepPods" || spec.BackoffLimit == nil || *spec.BackoffLimit != 4 {
		t.Errorf("spec: %+v, want the guide's defaults", spec)
	}
	if got := c.job(t, "jobs.batch", "hello").Spec.BackoffLimit; got == nil || *got != 4 {
		t.Errorf("backoffLimit in batch/v1: %v, want 4", got)
	}
	c.run(t, "wait", "--for=condition=Complete", "--timeout=60s", "bj/hello")
}

func TestRefusedJobs(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	bare := jobManifest("bad", "true")
	for name, test := range map[string]struct {
		manifest string
		want     string
	}{
		"restartPolicy Always": {
			manifest: strings.Replace(bare, "restartPolicy: Never", "restartPolicy: Always", 1),
			want:     `The Job "bad" is invalid: spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"`,
		},
		"no restartPolicy": {
			manifest: strings.Replace(bare, "      restartPolicy: Never\n", "", 1),
			want:     `The Job "bad" is invalid: spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"`,
		},
		"negative parallelism": {
			manifest: jobManifest("bad", "true", "parallelism: -1"),
			want:     `The Job "bad" is invalid: spec.parallelism: Invalid value: -1: must be greater than or equal to 0`,
		},
		"Indexed without completions": {
			manifest: jobManifest("bad", "true", "completionMode: Indexed", "parallelism: 2"),
			want:     `The Job "bad" is invalid: spec.completions: Required value: when completion mode is Indexed`,
		},
		"unknown completionMode": {
			manifest: jobManifest("bad", "true", "completionMode: Sorted"),
			want:     `The Job "bad" is invalid: spec.completionMode: Unsupported value: "Sorted": supported values: "NonIndexed", "Indexed"`,
		},
		"unknown field": {
			manifest: jobManifest("bad", "true", "compleTions: 3"),
			want:     `unknown field "spec.compleTions"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := c.refused(t, test.manifest, "create", "-f", "-"); !strings.Contains(got, test.want) {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestImmutableFieldsAreRefused(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	c.apply(t, jobManifest("fixed", "true", "suspend: true", "completions: 2"))
	for field, patch := range map[string]string{
		"spec.completions":    `{"spec":{"completions":3}}`,
		"spec.completionMode": `{"spec":{"completionMode":"Indexed"}}`,
		"spec.selector":       `{"spec":{"selector":{"matchLabels":{"a":"b"}}}}`,
	} {
		got := c.refused(t, "", "patch", "job", "fixed", "--type=merge", "-p", patch)
		if !strings.Contains(got, field+": Invalid value") || !strings.Contains(got, "field is immutable") {
			t.Errorf("patching %s: %s, want that the field is immutable", field, got)
		}
	}
}

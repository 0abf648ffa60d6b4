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
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// runCommand starts "apiserver run" and ends it with the test, should it still run.
func runCommand(t *testing.T, stdin string, args ...string) *process {
	t.Helper()
	p, err := startProcess(*apiserverPath, stdin, append([]string{"run"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	return p
}

// mustExit waits until "apiserver run" has ended with an exit code.
func mustExit(t *testing.T, p *process, code int) {
	t.Helper()
	if !p.endsWithin(2 * time.Minute) {
		t.Fatalf("still running\nstandard output:\n%s\nstandard error:\n%s", p.stdout.tail(), p.stderr.tail())
	}
	if got := p.exitCode(); got != code {
		t.Fatalf("exit code %d, want %d\nstandard output:\n%s\nstandard error:\n%s", got, code, p.stdout.tail(), p.stderr.tail())
	}
}

func manifestFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "manifest")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestRunKilled: nothing of a run survives it, even where it could not clean up itself.
func TestRunKilled(t *testing.T) {
	t.Parallel()
	mark, folder := newMark(), t.TempDir()
	job := jobManifest("long", "trap 'sleep 0.3; exit 0' TERM; sleep "+mark+" & wait")
	command := exec.Command(*apiserverPath, "run", "-f", manifestFile(t, job))
	command.Env = append(os.Environ(), "TMPDIR="+folder)
	run, err := startCommand(command, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(run.kill)
	mustRun(t, mark)
	run.kill()
	mustNotRun(t, mark)
	eventually(t, time.Minute, func() string {
		left, err := os.ReadDir(folder)
		if err != nil || len(left) > 0 {
			return fmt.Sprintf("left behind: %v, error %v", left, err)
		}
		return ""
	})
}

func TestRunExitCodes(t *testing.T) {
	t.Parallel()
	failing := jobManifest("failing", "echo so far; exit 7", "backoffLimit: 0")
	list := `{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"json"},"spec":{"template":{"spec":{"restartPolicy":"Never",
		"containers":[{"name":"main","image":"busybox","command":["echo","from JSON"]}]}}}}`
	for name, test := range map[string]struct {
		files []string // manifests, each in a file of its own
		stdin string
		args  []string
		code  int
		says  []string // on either output
	}{
		"complete":          {files: []string{hello}, code: 0, says: []string{"hello world"}},
		"failed":            {files: []string{failing}, code: 1, says: []string{"so far", "BackoffLimitExceeded"}},
		"one of two failed": {files: []string{hello, failing}, code: 1, says: []string{"hello world", "so far"}},
		"two files":         {files: []string{hello, jobManifest("second", "echo the second")}, code: 0, says: []string{"hello world", "the second"}},
		"two documents":     {files: []string{hello + "---\n" + jobManifest("second", "echo the second")}, code: 0, says: []string{"hello world", "the second"}},
		"JSON":              {files: []string{list}, code: 0, says: []string{"from JSON"}},
		"standard input":    {stdin: hello, args: []string{"-f", "-"}, code: 0, says: []string{"hello world"}},
		"our group": {
			files: []string{strings.Replace(hello, "batch/v1", "batch.jobserver.dev/v1", 1)}, code: 0, says: []string{"hello world"},
		},
		"with a ConfigMap": {
			files: []string{"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {GREETING: salut}\n---\n" +
				strings.Replace(jobManifest("greeter", "echo $GREETING tous"), "        command:",
					"        envFrom: [{configMapRef: {name: settings}}]\n        command:", 1)},
			code: 0, says: []string{"salut tous"},
		},
		"no YAML": {files: []string{"apiVersion: [batch/v1\nkind: Job"}, code: 2, says: []string{"yaml"}},
		"refused by the server": {
			files: []string{strings.Replace(hello, "restartPolicy: OnFailure", "restartPolicy: Always", 1)},
			code:  2,
			says:  []string{`spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"`},
		},
		"unknown kind":  {files: []string{"apiVersion: batch/v1\nkind: Jobb\nmetadata: {name: x}"}, code: 2, says: []string{"Jobb"}},
		"unknown field": {files: []string{jobManifest("typo", "true", "compleTions: 3")}, code: 2, says: []string{"compleTions"}},
		"missing file":  {args: []string{"-f", "/nonexistent/job.yaml"}, code: 2, says: []string{"/nonexistent/job.yaml"}},
		"empty input":   {args: []string{"-f", "-"}, code: 2},
		"no file":       {code: 2, says: []string{"-f"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := slices.Clone(test.args)
			for _, manifest := range test.files {
				args = append(args, "-f", manifestFile(t, manifest))
			}
			p := runCommand(t, test.stdin, args...)
			mustExit(t, p, test.code)
			said := p.stdout.String() + p.stderr.String()
			for _, want := range test.says {
				if !strings.Contains(said, want) {
					t.Errorf("nothing says %q\nstandard output:\n%s\nstandard error:\n%s", want, p.stdout.tail(), p.stderr.tail())
				}
			}
			if strings.Contains(said, "\x1b") {
				t.Error("terminal control sequences without a terminal")
			}
		})
	}
}

func TestRunStopsItsPods(t *testing.T) {
	t.Parallel()
	mark := newMark()
	p := runCommand(t, "", "-f", manifestFile(t, jobManifest("endless", "sleep "+mark, "completions: 2", "parallelism: 2")))
	mustRun(t, mark)
	if err := p.signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	mustExit(t, p, 130)
	if left := processesWith(mark); len(left) != 0 {
		t.Errorf("processes of the Pods still run: %v", left)
	}
}

func TestRunLeavesNoProcesses(t *testing.T) {
	t.Parallel()
	mark := newMark()
	p := runCommand(t, "", "-f", manifestFile(t, jobManifest("deadline", "sleep "+mark, "activeDeadlineSeconds: 2")))
	mustExit(t, p, 1)
	if left := processesWith(mark); len(left) != 0 {
		t.Errorf("processes of the Pods still run: %v", left)
	}
}

// TestRunTerminated: SIGTERM ends it as Ctrl-C does, so that a CI runner that cancels leaves nothing behind.
func TestRunTerminated(t *testing.T) {
	t.Parallel()
	mark := newMark()
	p := runCommand(t, "", "-f", manifestFile(t, jobManifest("endless", "sleep "+mark)))
	mustRun(t, mark)
	if err := p.signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if !p.endsWithin(time.Minute) || p.exitCode() == 0 {
		t.Fatalf("want a non-zero exit soon after SIGTERM\n%s", p.stderr.tail())
	}
	mustNotRun(t, mark)
}

// TestExamples runs the examples that end by themselves.
func TestExamples(t *testing.T) {
	t.Parallel()
	for example, test := range map[string]struct {
		code int
		says []string
	}{
		"hello":          {says: []string{"hello world"}},
		"indexed-shards": {says: []string{"shard 0: 1229 primes", "shard 7: 902 primes"}},
		"work-queue":     {says: []string{"works on item-1", "works on item-12", "nothing left to do"}},
		"retry":          {says: []string{"first attempt", "second attempt"}},
		"env-from":       {says: []string{"reports: Monthly figures", "from db.example.com, with a password of 14 characters"}},
		"deadline":       {code: 1, says: []string{"DeadlineExceeded"}},
	} {
		t.Run(example, func(t *testing.T) {
			t.Parallel()
			p := runCommand(t, "", "-f", filepath.Join("..", "..", "..", "artifacts", "examples", example+".yaml"))
			mustExit(t, p, test.code)
			for _, want := range test.says {
				if !strings.Contains(p.stdout.String()+p.stderr.String(), want) {
					t.Errorf("nothing says %q\nstandard output:\n%s\nstandard error:\n%s", want, p.stdout.tail(), p.stderr.tail())
				}
			}
		})
	}
}

// TestExamplesOnAServer applies the examples that need somebody to act, or time.
func TestExamplesOnAServer(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	examples := filepath.Join("..", "..", "..", "artifacts", "examples")
	c.run(t, "apply", "-f", filepath.Join(examples, "suspended.yaml"), "-f", filepath.Join(examples, "ttl.yaml"))
	c.wait(t, "ttl", "Complete")
	c.wait(t, "suspended", "Suspended")
	c.run(t, "patch", "job", "suspended", "-p", `{"spec":{"suspend":false}}`, "--type=merge")
	c.wait(t, "suspended", "Complete")
	eventually(t, time.Minute, func() string {
		if left := c.run(t, "get", "job", "ttl", "--ignore-not-found", "-o", "name"); left != "" {
			return "still there after its time to live"
		}
		return ""
	})
}

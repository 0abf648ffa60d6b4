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
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What people do to Jobs by hand, through each group: the resource as kubectl names it, and its manifests' apiVersion.
var resources = map[string]string{"jobs.batch": "batch/v1", "jobs.batch.jobserver.dev": "batch.jobserver.dev/v1"}

// forEachResource runs a test once through each group.
func forEachResource(t *testing.T, test func(t *testing.T, c *client, resource, version string)) {
	for resource, version := range resources {
		t.Run(resource, func(t *testing.T) {
			t.Parallel()
			test(t, newClient(t, shared), resource, version)
		})
	}
}

// inGroup turns a manifest of batch/v1 into one of another group.
func inGroup(version, manifest string) string {
	return strings.Replace(manifest, "apiVersion: batch/v1", "apiVersion: "+version, 1)
}

// TestExplainRecursive: every field is there, down to those of the containers, and each of the ones that only our group has.
func TestExplainRecursive(t *testing.T) {
	t.Parallel()
	forEachResource(t, func(t *testing.T, c *client, resource, version string) {
		text := c.run(t, "explain", "job", "--recursive", "--api-version="+version)
		for _, want := range []string{
			"\n  spec\t<JobSpec>", "\n    podFailurePolicy\t<PodFailurePolicy>", "\n        onExitCodes\t<PodFailurePolicyOnExitCodesRequirement>",
			"\n    template\t<PodTemplateSpec> -required-", "\n            preStop\t<LifecycleHandler>", "\n    uncountedTerminatedPods\t<UncountedTerminatedPods>",
			"enum: Indexed, NonIndexed",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("nothing like %q in %d lines", want, strings.Count(text, "\n"))
			}
		}
		own := strings.Contains(text, "disruptionPolicy") && strings.Contains(text, "suspendPolicy") && strings.Contains(text, "workQueuePolicy")
		if want := version != "batch/v1"; own != want {
			t.Errorf("the policies are explained: %t, want %t", own, want)
		}
	})
}

// TestDiff: what an apply would change, without changing it; exit code 1 says that there is something.
func TestDiff(t *testing.T) {
	t.Parallel()
	forEachResource(t, func(t *testing.T, c *client, resource, version string) {
		manifest := inGroup(version, jobManifest("diffed", "true", "suspend: true", "parallelism: 1"))
		c.apply(t, manifest)
		if out, err := c.server.kubectl(c.namespace, manifest, "diff", "-f", "-"); err != nil || out != "" {
			t.Errorf("the diff of what is there: %v\n%s", err, out)
		}
		changed := strings.Replace(manifest, "parallelism: 1", "parallelism: 3", 1)
		for _, args := range [][]string{{"diff", "-f", "-"}, {"diff", "--server-side", "--force-conflicts", "-f", "-"}} {
			out, err := c.server.kubectl(c.namespace, changed, args...)
			if err == nil || !strings.Contains(err.Error(), "exit status 1") || !strings.Contains(out, "-  parallelism: 1\n+  parallelism: 3\n") {
				t.Errorf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
			}
		}
		if got := c.job(t, resource, "diffed").Spec.Parallelism; got == nil || *got != 1 {
			t.Errorf("parallelism %v after diffs, want 1", got)
		}
	})
}

// TestEdit: an editor changes a Job; what is refused comes back to the editor with the reason in a comment, and nothing is lost.
func TestEdit(t *testing.T) {
	t.Parallel()
	forEachResource(t, func(t *testing.T, c *client, resource, version string) {
		c.apply(t, inGroup(version, jobManifest("edited", "true", "suspend: true", "parallelism: 1")))
		edit := func(script string) (string, error) {
			editor := filepath.Join(t.TempDir(), "editor")
			if err := os.WriteFile(editor, []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
				t.Fatal(err)
			}
			return c.server.kubectlWith([]string{"KUBE_EDITOR=" + editor}, c.namespace, "", "edit", resource, "edited")
		}
		if out, err := edit(`sed -i 's/parallelism: 1/parallelism: 4/' "$1"`); err != nil || !strings.Contains(out, "edited") {
			t.Errorf("edit: %v\n%s", err, out)
		}
		if got := c.job(t, resource, "edited").Spec.Parallelism; got == nil || *got != 4 {
			t.Errorf("parallelism %v after the edit, want 4", got)
		}
		generation := c.job(t, resource, "edited").Metadata.Generation
		if out, err := edit("true"); err != nil || out != "" || c.job(t, resource, "edited").Metadata.Generation != generation {
			t.Errorf("an edit that changes nothing: %v\n%s", err, out)
		}
		// The second time the editor finds the reason, and leaves the file alone.
		seen := filepath.Join(t.TempDir(), "seen")
		out, err := edit(fmt.Sprintf(`if [ -e %[1]s ]; then cp "$1" %[1]s; else touch %[1]s; sed -i 's/completionMode: NonIndexed/completionMode: Indexed/' "$1"; fi`, seen))
		if err == nil {
			t.Errorf("an edit of an immutable field succeeded: %s", out)
		}
		reason, readErr := os.ReadFile(seen)
		if readErr != nil || !strings.Contains(string(reason), "spec.completionMode: Invalid value") {
			t.Errorf("the editor was not told why (%v): %s\n%.500s", readErr, out, reason)
		}
	})
}

// TestReplaceForce: a Job is deleted and made anew, with another template and another UID.
func TestReplaceForce(t *testing.T) {
	t.Parallel()
	forEachResource(t, func(t *testing.T, c *client, resource, version string) {
		manifest := inGroup(version, jobManifest("replaced", "echo one"))
		c.apply(t, manifest)
		c.run(t, "wait", "--for=condition=Complete", "--timeout=90s", resource+"/replaced")
		before := c.job(t, resource, "replaced")
		changed := strings.Replace(manifest, "echo one", "echo two", 1)
		if got := c.refused(t, changed, "replace", "-f", "-"); !strings.Contains(got, "field is immutable") {
			t.Errorf("a plain replace: %s, want that the template is immutable", got)
		}
		if _, err := c.server.kubectl(c.namespace, changed, "replace", "--force", "-f", "-"); err != nil {
			t.Fatal(err)
		}
		c.run(t, "wait", "--for=condition=Complete", "--timeout=90s", resource+"/replaced")
		after := c.job(t, resource, "replaced")
		if after.Metadata.UID == before.Metadata.UID {
			t.Error("replace --force kept the Job")
		}
		if got := c.run(t, "logs", "-l", "controller-uid="+after.Metadata.UID); got != "two\n" {
			t.Errorf("logs of the new Job's Pods: %q, want two", got)
		}
	})
}

// TestFieldSelectors: Jobs are found by what they are selectable by in Kubernetes, and by nothing else.
func TestFieldSelectors(t *testing.T) {
	t.Parallel()
	forEachResource(t, func(t *testing.T, c *client, resource, version string) {
		c.apply(t, inGroup(version, jobManifest("good", "true")))
		c.apply(t, inGroup(version, jobManifest("waiting", "true", "suspend: true")))
		c.run(t, "wait", "--for=condition=Complete", "--timeout=90s", resource+"/good")
		for selector, want := range map[string]string{
			"status.successful=1":                       "good",
			"status.successful!=1":                      "waiting",
			"metadata.name=waiting":                     "waiting",
			"metadata.namespace=" + c.namespace:         "good waiting",
			"metadata.namespace=default":                "",
			"status.successful=0,metadata.name=waiting": "waiting",
		} {
			names := strings.Fields(c.run(t, "get", resource, "--field-selector", selector, "-o", "jsonpath={.items[*].metadata.name}"))
			slices.Sort(names)
			if got := strings.Join(names, " "); got != want {
				t.Errorf("get --field-selector %s: %q, want %q", selector, got, want)
			}
		}
		if got := c.refused(t, "", "get", resource, "--field-selector", "status.active=1"); !strings.Contains(got, "status.active") {
			t.Errorf("an unknown selector: %s", got)
		}
	})
}

// TestApplyTakesOut: a manifest from which something is taken takes it out of the Job, list by list, map by map, and leaves alone what others have set.
func TestApplyTakesOut(t *testing.T) {
	t.Parallel()
	forEachResource(t, func(t *testing.T, c *client, resource, version string) {
		manifest := inGroup(version, jobManifest("shrinking", "true", "suspend: true", "ttlSecondsAfterFinished: 60"))
		manifest = strings.Replace(manifest, "metadata:\n", "metadata:\n  labels: {mine: a, gone: b}\n  annotations: {gone: c}\n  finalizers: [example.com/kept, example.com/gone]\n", 1)
		manifest = strings.Replace(manifest, "        image:", "        resources: {requests: {cpu: 1m, memory: 1Mi}}\n        image:", 1)
		manifest = strings.Replace(manifest, "    spec:\n", "    spec:\n      nodeSelector: {kept: a, gone: b}\n", 1)
		if version != "batch/v1" { // where any field of a suspended template may be edited
			manifest = strings.Replace(manifest, "        image:", "        env: [{name: KEPT, value: a}, {name: GONE, value: b}]\n        image:", 1)
		}
		c.apply(t, manifest)
		c.run(t, "label", resource, "shrinking", "theirs=x")
		for from, to := range map[string]string{
			"{mine: a, gone: b}": "{mine: a}", "  annotations: {gone: c}\n": "", ", example.com/gone": "", ", memory: 1Mi": "",
			"{kept: a, gone: b}": "{kept: a}", ", {name: GONE, value: b}": "", "  ttlSecondsAfterFinished: 60\n": "",
		} {
			manifest = strings.Replace(manifest, from, to, 1)
		}
		c.apply(t, manifest)
		out := c.run(t, "get", resource, "shrinking", "-o", "json")
		var stored struct {
			Metadata struct {
				Labels     map[string]string
				Finalizers []string
			}
		}
		if err := json.Unmarshal([]byte(out), &stored); err != nil {
			t.Fatal(err)
		}
		// The annotation in which kubectl keeps the manifest would hide what is left.
		if strings.Contains(strings.ToLower(out), "gone") || strings.Contains(out, "ttlSecondsAfterFinished") || strings.Contains(out, `"memory"`) {
			t.Errorf("something was not taken out:\n%s", out)
		}
		if labels := stored.Metadata.Labels; labels["mine"] != "a" || labels["theirs"] != "x" || !slices.Equal(stored.Metadata.Finalizers, []string{"example.com/kept"}) {
			t.Errorf("labels %v and finalizers %v, want mine, theirs and example.com/kept", labels, stored.Metadata.Finalizers)
		}
		c.run(t, "patch", resource, "shrinking", "--type=merge", "-p", `{"metadata":{"finalizers":null}}`)
	})
}

// TestCreateJobOptions: the forms of kubectl create job, and what it says where there is nothing to make a Job from.
func TestCreateJobOptions(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	dry := c.run(t, "create", "job", "made", "--image=busybox", "--dry-run=server", "-o", "yaml", "--", "true")
	if !strings.Contains(dry, "backoffLimit: 6") {
		t.Errorf("a dry run at the server is not defaulted:\n%s", dry)
	}
	if got := c.refused(t, "", "get", "job", "made"); !strings.Contains(got, "not found") {
		t.Errorf("after a dry run: %s", got)
	}
	client := c.run(t, "create", "job", "made", "--image=busybox", "--dry-run=client", "-o", "yaml", "--", "true")
	if strings.Contains(client, "backoffLimit") {
		t.Errorf("a dry run at the client asked the server:\n%s", client)
	}
	c.run(t, "create", "job", "made", "--image=busybox", "--", "true")
	c.wait(t, "made", "Complete")
	if got := c.refused(t, "", "create", "job", "made", "--image=busybox"); !strings.Contains(got, `jobs.batch "made" already exists`) {
		t.Errorf("a second one: %s", got)
	}
	// CronJobs are not served.
	if got := c.refused(t, "", "create", "job", "from", "--from=cronjob/none"); !strings.Contains(got, `the server doesn't have a resource type "cronjob"`) {
		t.Errorf("from a CronJob: %s", got)
	}
}

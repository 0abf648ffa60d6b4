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

package aggregated

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestManifests has a real API server check every field of every overlay.
func TestManifests(t *testing.T) {
	t.Parallel()
	for _, name := range overlays {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rendered := shared.admin.run(t, "kustomize", *manifestsPath+"/overlays/"+name)
			output, err := shared.admin.try(rendered, "apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "-f", "-")
			if err != nil {
				t.Fatal(err)
			}
			if want := strings.Count(rendered, "\nkind: "); strings.Count(output, "serverside-applied") != want {
				t.Errorf("want %d objects, got:\n%s", want, output)
			}
		})
	}
}

// TestInstalledAgain installs the manifests a second time, as an upgrade does: what the server wrote into its registration must stay.
func TestInstalledAgain(t *testing.T) {
	t.Parallel()
	bundle := shared.admin.run(t, "get", "apiservice", registrationName, "-o", "jsonpath={.spec.caBundle}")
	if bundle == "" {
		t.Fatal("the server has written no caBundle")
	}
	if err := shared.applyManifests("embedded-etcd"); err != nil {
		t.Fatal(err)
	}
	if after := shared.admin.run(t, "get", "apiservice", registrationName, "-o", "jsonpath={.spec.caBundle}"); after != bundle {
		t.Errorf("caBundle is another after a second installation:\n%s", after)
	}
	insecure := shared.admin.run(t, "get", "apiservice", registrationName, "-o", "jsonpath={.spec.insecureSkipTLSVerify}")
	if insecure != "" && insecure != "false" {
		t.Errorf("insecureSkipTLSVerify is %s", insecure)
	}
}

// TestDiscovery sees our Jobs beside the cluster's: "jobs" keeps its meaning, "bj" is ours.
func TestDiscovery(t *testing.T) {
	t.Parallel()
	resources := shared.admin.run(t, "api-resources", "--api-group=batch.jobserver.dev", "--no-headers")
	if fields := strings.Fields(resources); len(fields) != 5 || strings.Join(fields, " ") != "jobs bj batch.jobserver.dev/v1 true Job" {
		t.Errorf("api-resources:\n%s", resources)
	}
	u := shared.newNamespace(t)
	u.apply(t, jobYAML("ours", "true", "suspend: true"))
	u.apply(t, jobOf("batch/v1", "theirs", "true", "suspend: true"))
	for resource, want := range map[string]string{
		"jobs":                     "job.batch/theirs\n",
		"jobs.batch":               "job.batch/theirs\n",
		"jobs.batch.jobserver.dev": "job.batch.jobserver.dev/ours\n",
		"bj":                       "job.batch.jobserver.dev/ours\n",
	} {
		if got := u.run(t, "get", resource, "-o", "name"); got != want {
			t.Errorf("get %s: got %q, want %q", resource, got, want)
		}
	}
	explained := u.run(t, "explain", "jobs.spec.disruptionPolicy", "--api-version=batch.jobserver.dev/v1")
	if !strings.Contains(explained, "FIELD: disruptionPolicy") {
		t.Errorf("explain:\n%s", explained)
	}
}

// TestJob takes a Job from its manifest to its end, as a user sees it, with the rights that the manifests give the server.
func TestJob(t *testing.T) {
	t.Parallel()
	u := shared.newNamespace(t)
	u.apply(t, jobYAML("hello", "echo hello from $JOB_COMPLETION_INDEX", "completions: 2", "parallelism: 2", "completionMode: Indexed"))
	u.wait(t, "hello", "Complete")

	pods, err := shared.kube.CoreV1().Pods(u.namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "batch.kubernetes.io/job-name=hello"})
	if err != nil {
		t.Fatal(err)
	}
	logs := map[string]string{}
	for _, pod := range pods.Items {
		if pod.Spec.NodeName != nodeName {
			t.Errorf("Pod %s ran on %q", pod.Name, pod.Spec.NodeName)
		}
		logs[pod.Annotations["batch.kubernetes.io/job-completion-index"]] = u.run(t, "logs", pod.Name)
	}
	if len(logs) != 2 || logs["0"] != "hello from 0\n" || logs["1"] != "hello from 1\n" {
		t.Errorf("logs by index: %q", logs)
	}

	table := strings.Fields(u.run(t, "get", "bj", "hello", "--no-headers"))
	if len(table) < 3 || table[0] != "hello" || table[1] != "Complete" || table[2] != "2/2" {
		t.Errorf("get: %q", table)
	}
	description := u.run(t, "describe", "bj", "hello")
	for _, want := range []string{"API Version:  batch.jobserver.dev/v1", "Completed Indexes:  0,1", "SuccessfulCreate", "Job completed"} {
		if !strings.Contains(description, want) {
			t.Errorf("describe has no %q:\n%s", want, description)
		}
	}
	u.run(t, "delete", "bj", "hello", "--cascade=foreground", "--timeout=60s")
	if left := u.run(t, "get", "pods", "-o", "name"); left != "" {
		t.Errorf("Pods are left: %s", left)
	}
}

// TestFailedJob sees the verdict of a Job whose Pods fail.
func TestFailedJob(t *testing.T) {
	t.Parallel()
	u := shared.newNamespace(t)
	u.apply(t, jobYAML("broken", "exit 3", "backoffLimit: 0"))
	u.wait(t, "broken", "Failed")
	var job jobObject
	u.read(t, &job, "get", "bj", "broken")
	if got := job.condition("Failed").Reason; got != "BackoffLimitExceeded" || job.Status.Failed != 1 {
		t.Errorf("reason %q, failed %d", got, job.Status.Failed)
	}
}

// TestServerSideApply keeps the fields of two managers apart through the cluster's API server.
func TestServerSideApply(t *testing.T) {
	t.Parallel()
	u := shared.newNamespace(t)
	manifest := jobYAML("shared", "true", "suspend: true", "parallelism: 2", "disruptionPolicy: Count")
	if _, err := u.try(manifest, "apply", "--server-side", "--field-manager=first", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	second := strings.Replace(manifest, "parallelism: 2", "parallelism: 3", 1)
	if refusal := u.refused(t, second, "apply", "--server-side", "--field-manager=second", "-f", "-"); !strings.Contains(refusal, `conflict with "first"`) {
		t.Errorf("refused, but not for the conflict: %s", refusal)
	}
	u.run(t, "patch", "bj", "shared", "--type=merge", "-p", `{"spec":{"parallelism":4}}`)
	var job jobObject
	u.read(t, &job, "get", "bj", "shared")
	if job.Spec.DisruptionPolicy != "Count" || *job.Spec.Parallelism != 4 {
		t.Errorf("disruptionPolicy %q, parallelism %d", job.Spec.DisruptionPolicy, *job.Spec.Parallelism)
	}
}

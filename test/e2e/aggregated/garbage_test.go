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
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	ourFinalizer   = "batch.jobserver.dev/job-tracking"
	theirFinalizer = "batch.kubernetes.io/job-tracking"

	// longCommand runs until its Pod is deleted.
	longCommand = "exec sleep 3600"
)

// TestOwnership sees whose the Pods of a Job are, while they run and after they ended.
func TestOwnership(t *testing.T) {
	t.Parallel()
	u := shared.newNamespace(t)
	u.apply(t, jobYAML("owner", longCommand))
	pod := u.running(t, "owner", 1)[0]
	var job jobObject
	u.read(t, &job, "get", "bj", "owner")
	yes := true
	want := metav1.OwnerReference{APIVersion: "batch.jobserver.dev/v1", Kind: "Job", Name: "owner", UID: job.UID, Controller: &yes, BlockOwnerDeletion: &yes}
	if len(pod.OwnerReferences) != 1 || fmt.Sprint(pod.OwnerReferences[0].String()) != want.String() {
		t.Errorf("owners: %v, want %v", pod.OwnerReferences, want)
	}
	if !slices.Equal(pod.Finalizers, []string{ourFinalizer}) {
		t.Errorf("finalizers: %v", pod.Finalizers)
	}

	u.apply(t, jobYAML("ended", "true"))
	u.wait(t, "ended", "Complete")
	for _, pod := range u.pods(t, "ended") {
		if len(pod.Finalizers) > 0 {
			t.Errorf("finalizers of a counted Pod: %v", pod.Finalizers)
		}
	}
}

// TestBackground deletes a Job: its Pods follow.
func TestBackground(t *testing.T) {
	t.Parallel()
	u := shared.newNamespace(t)
	u.apply(t, jobYAML("doomed", longCommand, "parallelism: 2", "completions: 2"))
	u.running(t, "doomed", 2)
	u.run(t, "delete", "bj", "doomed", "--cascade=background", "--timeout=60s")
	eventually(t, waitLong, func() string {
		if pods := u.pods(t, "doomed"); len(pods) > 0 {
			return describeCount("Pods left", len(pods), 0)
		}
		return ""
	})
}

// TestForeground deletes a Job after its Pods: while one of them is held, the Job is there, on its way out.
func TestForeground(t *testing.T) {
	t.Parallel()
	u := shared.newNamespace(t)
	u.apply(t, jobYAML("doomed", longCommand, "parallelism: 2", "completions: 2"))
	pods := u.running(t, "doomed", 2)
	held := pods[0].Name
	u.run(t, "patch", "pod", held, "--type=json", "-p", `[{"op":"add","path":"/metadata/finalizers/-","value":"example.com/held"}]`)
	u.run(t, "delete", "bj", "doomed", "--cascade=foreground", "--wait=false")
	eventually(t, waitLong, func() string {
		if pods := u.pods(t, "doomed"); len(pods) != 1 || pods[0].Name != held {
			return describeCount("Pods left", len(pods), 1)
		}
		return ""
	})
	var job jobObject
	u.read(t, &job, "get", "bj", "doomed")
	if job.DeletionTimestamp == nil || !slices.Contains(job.Finalizers, metav1.FinalizerDeleteDependents) {
		t.Errorf("deletion %v, finalizers %v", job.DeletionTimestamp, job.Finalizers)
	}
	u.run(t, "patch", "pod", held, "--type=json", "-p", `[{"op":"replace","path":"/metadata/finalizers","value":[]}]`)
	u.run(t, "wait", "--for=delete", "bj/doomed", "--timeout=120s")
}

// TestOrphan deletes a Job and leaves its Pods: they run on, and nobody's marks are on them.
func TestOrphan(t *testing.T) {
	t.Parallel()
	u := shared.newNamespace(t)
	u.apply(t, jobYAML("gone", longCommand))
	before := u.running(t, "gone", 1)[0]
	u.run(t, "delete", "bj", "gone", "--cascade=orphan", "--timeout=60s")
	eventually(t, waitLong, func() string {
		pod, err := shared.kube.CoreV1().Pods(u.namespace).Get(t.Context(), before.Name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if pod.DeletionTimestamp != nil || pod.UID != before.UID || pod.Status.Phase != corev1.PodRunning {
			t.Fatalf("the Pod does not run on: %v", pod.Status)
		}
		if len(pod.OwnerReferences) > 0 || len(pod.Finalizers) > 0 {
			return fmt.Sprintf("owners %v, finalizers %v", pod.OwnerReferences, pod.Finalizers)
		}
		return ""
	})
}

// TestBesideTheirController runs Jobs of one name in both groups: each controller counts its own Pods and leaves the other's alone.
func TestBesideTheirController(t *testing.T) {
	t.Parallel()
	u := shared.newNamespace(t)
	for _, group := range []string{"batch/v1", "batch.jobserver.dev/v1"} {
		u.apply(t, jobOf(group, "twin", "sleep 1", "parallelism: 3", "completions: 6", "completionMode: Indexed"))
	}
	u.waitFor(t, "jobs.batch/twin", "Complete")
	u.wait(t, "twin", "Complete")

	uids := map[string]string{}
	for _, resource := range []string{"jobs.batch", ours} {
		var job jobObject
		u.read(t, &job, "get", resource, "twin")
		if job.Status.Succeeded != 6 || job.Status.Failed != 0 || job.Status.CompletedIndexes != "0-5" {
			t.Errorf("status of %s: %+v", resource, job.Status)
		}
		uids[string(job.UID)] = resource
	}
	count := map[string]int{}
	for _, pod := range u.pods(t, "twin") {
		owner := metav1.GetControllerOf(&pod)
		if owner == nil {
			t.Fatalf("Pod %s has no owner", pod.Name)
		}
		resource := uids[string(owner.UID)]
		count[resource]++
		for _, entry := range pod.ManagedFields {
			if entry.Subresource == "" && (entry.Manager == "kube-controller-manager") != (resource == "jobs.batch") {
				t.Errorf("a Pod of %s was written by %s", resource, entry.Manager)
			}
		}
	}
	if count["jobs.batch"] != 6 || count[ours] != 6 {
		t.Errorf("Pods by owner: %v", count)
	}
}

// TestNamespaceDeletion deletes a namespace with Jobs of all kinds in it.
func TestNamespaceDeletion(t *testing.T) {
	t.Parallel()
	u := shared.newNamespace(t)
	u.apply(t, jobYAML("running", longCommand)+"---\n"+jobYAML("suspended", "true", "suspend: true")+"---\n"+jobYAML("done", "true"))
	u.running(t, "running", 1)
	u.wait(t, "done", "Complete")
	u.run(t, "delete", "namespace", u.namespace, "--timeout=150s")
	if left := u.run(t, "get", ours, "-o", "name"); strings.TrimSpace(left) != "" {
		t.Errorf("Jobs are left: %s", left)
	}
	_, err := shared.kube.CoreV1().Namespaces().Get(t.Context(), u.namespace, metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("the namespace is there: %v", err)
	}
}

// TestEvents finds the events of a Job in the cluster, from the controller that says so.
func TestEvents(t *testing.T) {
	t.Parallel()
	u := shared.newNamespace(t)
	u.apply(t, jobYAML("told", "true"))
	u.wait(t, "told", "Complete")
	eventually(t, waitLong, func() string {
		events, err := shared.kube.CoreV1().Events(u.namespace).List(t.Context(), metav1.ListOptions{FieldSelector: "involvedObject.name=told"})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, event := range events.Items {
			got = append(got, event.InvolvedObject.APIVersion+" "+event.Source.Component+" "+event.Reason)
		}
		slices.Sort(got)
		want := []string{"batch.jobserver.dev/v1 job-controller Completed", "batch.jobserver.dev/v1 job-controller SuccessfulCreate"}
		if !slices.Equal(got, want) {
			return fmt.Sprintf("events: %q, want %q", got, want)
		}
		return ""
	})
}

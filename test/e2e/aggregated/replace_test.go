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
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
)

// TestReplace takes batch/v1 over in a cluster that switched its own off. Clients of batch/v1 notice nothing.
func TestReplace(t *testing.T) {
	t.Parallel()
	in := ownInstallation(t, setup{
		overlay:               "replace",
		apiServerArgs:         []string{"--runtime-config=batch/v1=false"},
		controllerManagerArgs: []string{"--controllers=*,-job-controller,-cronjob-controller,-ttl-after-finished-controller"},
		serverArgs:            []string{"--serve-batch-v1"},
	})
	if err := in.waitAvailable("v1.batch"); err != nil {
		t.Fatal(err)
	}
	t.Run("kubectl", func(t *testing.T) { testReplacedKubectl(t, in.newNamespace(t)) })
	t.Run("client-go", func(t *testing.T) { testReplacedClient(t, in.newNamespace(t)) })
	t.Run("names", func(t *testing.T) { testReplacedNames(t, in.newNamespace(t)) })
	t.Run("garbage", func(t *testing.T) { testReplacedGarbage(t, in.newNamespace(t)) })
}

func testReplacedKubectl(t *testing.T, u user) {
	u.run(t, "create", "job", "hello", "--image=none", "--", "echo", "hello")
	u.waitFor(t, "job/hello", "Complete")
	if got := u.run(t, "logs", "job/hello"); got != "hello\n" {
		t.Errorf("logs: %q", got)
	}
	if got := u.run(t, "get", "jobs", "-o", "name"); got != "job.batch/hello\n" {
		t.Errorf("get jobs: %q", got)
	}
	if fields := strings.Fields(u.run(t, "get", "job", "hello", "--no-headers")); len(fields) < 3 || fields[1] != "Complete" || fields[2] != "1/1" {
		t.Errorf("get job: %q", fields)
	}
	if description := u.run(t, "describe", "job", "hello"); !strings.Contains(description, "Pods Statuses:    0 Active (0 Ready) / 1 Succeeded / 0 Failed") ||
		!strings.Contains(description, "SuccessfulCreate") {
		t.Errorf("describe:\n%s", description)
	}
	// The same Job, by its other name.
	if got := u.run(t, "get", "bj", "-o", "name"); got != "job.batch.jobserver.dev/hello\n" {
		t.Errorf("get bj: %q", got)
	}
	if got := u.run(t, "get", "all", "-o", "name"); strings.Count(got, "/hello\n") != 1 {
		t.Errorf("get all lists the Job so often: %s", got)
	}
	u.run(t, "delete", "job", "hello", "--timeout=60s")
}

func testReplacedClient(t *testing.T, u user) {
	client, err := kubernetes.NewForConfig(asUser(t, u.kubeconfig))
	if err != nil {
		t.Fatal(err)
	}
	jobs := client.BatchV1().Jobs(u.namespace)
	watcher, err := jobs.Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer watcher.Stop()
	two := int32(2)
	made, err := jobs.Create(t.Context(), &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "typed-"},
		Spec: batchv1.JobSpec{
			Completions: &two, Parallelism: &two,
			Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
				RestartPolicy: corev1.RestartPolicyNever,
				Containers:    []corev1.Container{{Name: "main", Image: "none", Command: []string{"true"}}},
			}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if *made.Spec.BackoffLimit != 6 {
		t.Errorf("backoffLimit: %d", *made.Spec.BackoffLimit)
	}
	complete := awaitJob(t, watcher, func(job *batchv1.Job) bool {
		for _, c := range job.Status.Conditions {
			if c.Type == batchv1.JobComplete && c.Status == corev1.ConditionTrue {
				return true
			}
		}
		return false
	})
	if complete.Status.Succeeded != 2 || complete.Status.CompletionTime == nil {
		t.Errorf("status: %+v", complete.Status)
	}
	list, err := jobs.List(t.Context(), metav1.ListOptions{})
	if err != nil || len(list.Items) != 1 || list.Items[0].Name != made.Name {
		t.Errorf("list: %v, %v", list, err)
	}
	background := metav1.DeletePropagationBackground
	if err := jobs.Delete(t.Context(), made.Name, metav1.DeleteOptions{PropagationPolicy: &background}); err != nil {
		t.Error(err)
	}
}

func awaitJob(t *testing.T, watcher watch.Interface, done func(*batchv1.Job) bool) *batchv1.Job {
	t.Helper()
	timeout := time.After(waitLong)
	for {
		select {
		case event, ok := <-watcher.ResultChan():
			if !ok {
				t.Fatal("the watch ended")
			}
			if job, ok := event.Object.(*batchv1.Job); ok && done(job) {
				return job
			}
		case <-timeout:
			t.Fatal("the Job does not come that far")
		}
	}
}

// testReplacedNames sees the names that tools know on the Pods.
func testReplacedNames(t *testing.T, u user) {
	u.apply(t, jobOf("batch/v1", "named", longCommand))
	pod := u.running(t, "named", 1)[0]
	owner := metav1.GetControllerOf(&pod)
	if owner == nil || owner.APIVersion != "batch/v1" || owner.Kind != "Job" || owner.Name != "named" {
		t.Errorf("owner: %v", owner)
	}
	if fmt.Sprint(pod.Finalizers) != "["+theirFinalizer+"]" {
		t.Errorf("finalizers: %v", pod.Finalizers)
	}
	u.run(t, "patch", "job", "named", "--type=merge", "-p", `{"spec":{"suspend":true}}`)
	u.waitFor(t, "job/named", "Suspended")
	u.run(t, "wait", "--for=delete", "pod/"+pod.Name, "--timeout=120s")
}

// testReplacedGarbage has the cluster's garbage collector see one Job where two groups show it.
func testReplacedGarbage(t *testing.T, u user) {
	u.apply(t, jobOf("batch/v1", "doomed", longCommand))
	u.running(t, "doomed", 1)
	u.run(t, "delete", "job", "doomed", "--cascade=foreground", "--timeout=120s")
	if pods := u.pods(t, "doomed"); len(pods) > 0 {
		t.Error(describeCount("Pods left", len(pods), 0))
	}
	u.apply(t, jobOf("batch/v1", "left", longCommand))
	before := u.running(t, "left", 1)[0]
	u.run(t, "delete", "job", "left", "--cascade=orphan", "--timeout=120s")
	eventually(t, waitLong, func() string {
		pod, err := u.in.kube.CoreV1().Pods(u.namespace).Get(t.Context(), before.Name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if len(pod.OwnerReferences) > 0 || len(pod.Finalizers) > 0 {
			return fmt.Sprintf("owners %v, finalizers %v", pod.OwnerReferences, pod.Finalizers)
		}
		return ""
	})
	u.run(t, "delete", "namespace", u.namespace, "--timeout=150s")
}

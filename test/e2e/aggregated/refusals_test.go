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
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// failedCreate waits for an event which says that a Pod of the Job was refused, and why.
func (u user) failedCreate(t *testing.T, job, reason string) {
	t.Helper()
	eventually(t, waitLong, func() string {
		events, err := u.in.kube.CoreV1().Events(u.namespace).List(t.Context(), metav1.ListOptions{FieldSelector: "involvedObject.name=" + job})
		if err != nil {
			t.Fatal(err)
		}
		var seen []string
		for _, event := range events.Items {
			if event.Type == "Warning" && event.Reason == "FailedCreate" && strings.Contains(event.Message, reason) {
				return ""
			}
			seen = append(seen, event.Reason+": "+event.Message)
		}
		return "events: " + strings.Join(seen, "; ")
	})
}

// goesOn checks that a Job whose Pods were refused has not failed, and completes once they no longer are.
func (u user) goesOn(t *testing.T, job string) {
	t.Helper()
	u.wait(t, job, "Complete")
	var got jobObject
	u.read(t, &got, "get", "bj", job)
	if got.Status.Failed != 0 || got.Status.Succeeded != 2 {
		t.Errorf("status: %+v", got.Status)
	}
}

// TestPodsBeyondQuota runs a Job in a namespace whose quota leaves no room for its Pods.
func TestPodsBeyondQuota(t *testing.T) {
	t.Parallel()
	u := shared.newNamespace(t)
	u.run(t, "create", "quota", "none", "--hard=pods=0")
	u.waitForQuota(t, "none", "pods")
	u.apply(t, jobYAML("refused", "true", "completions: 2", "parallelism: 2"))
	u.failedCreate(t, "refused", "exceeded quota: none")
	u.run(t, "delete", "quota", "none")
	u.goesOn(t, "refused")
}

// waitForQuota waits until the cluster has counted: before that it refuses everything, for another reason.
func (u user) waitForQuota(t *testing.T, name, resource string) {
	t.Helper()
	eventually(t, waitLong, func() string {
		if used := u.run(t, "get", "quota", name, "-o", `jsonpath={.status.used.`+strings.ReplaceAll(resource, ".", `\.`)+`}`); used == "" {
			return "quota " + name + " is not counted"
		}
		return ""
	})
}

// quotaOfJobs makes a quota of our Jobs and waits until the cluster has counted. A quota controller that started a moment ago does not know our Jobs yet, counts
// without them, and looks again minutes later: then the quota is made anew.
func (u user) quotaOfJobs(t *testing.T, name string, limit int) {
	t.Helper()
	made := time.Time{}
	eventually(t, waitLong, func() string {
		if time.Since(made) > 5*time.Second {
			u.run(t, "delete", "quota", name, "--ignore-not-found")
			u.run(t, "create", "quota", name, fmt.Sprintf("--hard=count/%s=%d", ours, limit))
			made = time.Now()
		}
		if used := u.usedJobs(t, name); used == "" {
			return "quota " + name + " is not counted"
		}
		return ""
	})
}

// usedJobs is how many of our Jobs a quota has counted; "" where it has not.
func (u user) usedJobs(t *testing.T, name string) string {
	t.Helper()
	return u.run(t, "get", "quota", name, "-o", `jsonpath={.status.used.count/jobs\.batch\.jobserver\.dev}`)
}

// TestPodSecurity runs a Job in a namespace with a standard that its Pods don't meet.
func TestPodSecurity(t *testing.T) {
	t.Parallel()
	u := shared.newNamespace(t)
	u.run(t, "label", "namespace", u.namespace, "pod-security.kubernetes.io/enforce=restricted")
	u.apply(t, jobYAML("refused", "true", "completions: 2", "parallelism: 2"))
	u.failedCreate(t, "refused", `violates PodSecurity "restricted:latest"`)
	u.run(t, "label", "namespace", u.namespace, "pod-security.kubernetes.io/enforce-")
	u.goesOn(t, "refused")
}

// TestPodsRefusedByWebhook has a webhook refuse the Pods of a Job: the server tries again, less and less often.
func TestPodsRefusedByWebhook(t *testing.T) {
	t.Parallel()
	u := shared.newNamespace(t)
	var open atomic.Bool
	hook := serveWebhook(t, func(request *admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
		if open.Load() {
			return allow(request)
		}
		return deny("not today")(request)
	})
	shared.configure(t, hook.configuration("ValidatingWebhookConfiguration", u.namespace, u.namespace, "", "pods"))
	// The cluster's API server takes a moment to know of the webhook.
	eventually(t, waitLong, func() string {
		const pod = `{apiVersion: v1, kind: Pod, metadata: {name: probe}, spec: {containers: [{name: main, image: none}]}}`
		if _, err := u.try(pod, "create", "--dry-run=server", "-f", "-"); err == nil {
			return "the webhook is not called"
		}
		return ""
	})
	probes := len(hook.got())
	u.apply(t, jobYAML("refused", "true", "completions: 2", "parallelism: 1"))
	u.failedCreate(t, "refused", "denied the request: not today")

	const tries = 4
	eventually(t, waitLong, func() string {
		if got := len(hook.got()) - probes; got < tries {
			return describeCount("tries", got, tries)
		}
		return ""
	})
	// Waits are 1 s, 2 s, 4 s; a machine under load makes them longer, and nothing shorter.
	calls := hook.got()[probes:]
	for i := range tries - 1 {
		least := time.Second << i * 9 / 10
		if gap := calls[i+1].at.Sub(calls[i].at); gap < least {
			t.Errorf("try %d came %s after the one before, want %s or more", i+1, gap, least)
		}
	}
	open.Store(true)
	u.goesOn(t, "refused")
}

// TestJobQuota counts our Jobs in a ResourceQuota of the cluster, however many come at once, and gives back what is deleted.
func TestJobQuota(t *testing.T) {
	t.Parallel()
	u := shared.newNamespace(t)
	const limit = 3
	u.quotaOfJobs(t, "few", limit)

	var wait sync.WaitGroup
	var made, refused atomic.Int32
	for i := range 10 {
		wait.Go(func() {
			_, err := shared.jobs.Namespace(u.namespace).Create(context.Background(), jobFrom(t, jobYAML(fmt.Sprintf("job-%d", i), "true", "suspend: true")), metav1.CreateOptions{})
			switch {
			case err == nil:
				made.Add(1)
			case apierrors.IsForbidden(err) && strings.Contains(err.Error(), "exceeded quota: few"):
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if made.Load() != limit || refused.Load() != 10-limit {
		t.Errorf("%d Jobs were made, %d refused; the limit is %d", made.Load(), refused.Load(), limit)
	}
	if used := u.usedJobs(t, "few"); used != fmt.Sprint(limit) {
		t.Errorf("used: %s", used)
	}

	u.run(t, "delete", ours, "--all", "--timeout=60s")
	eventually(t, waitLong, func() string {
		if _, err := u.try(jobYAML("after", "true", "suspend: true"), "create", "-f", "-"); err != nil {
			return err.Error()
		}
		return ""
	})
}

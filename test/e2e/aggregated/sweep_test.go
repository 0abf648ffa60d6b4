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
	"syscall"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestSweep deletes namespaces behind the server's back, and makes one of them again: Jobs of the earlier ones are gone once the server is there again, whoever waited for
// their end, and none of them runs. Jobs of namespaces that stayed, and of the new one, stay.
func TestSweep(t *testing.T) {
	t.Parallel()
	e := startEtcd(t, 1)
	in := ownInstallation(t, setup{overlay: "external-etcd", serverArgs: []string{e.flag()}, noNode: true})
	gone, remade, stays := in.newNamespace(t), in.newNamespace(t), in.newNamespace(t)
	for _, u := range []user{gone, remade, stays} {
		u.apply(t, jobYAML("left", "true", "suspend: true"))
		u.apply(t, jobYAML("running", "true"))
		eventually(t, waitLong, func() string {
			if got := len(u.pods(t, "running")); got != 1 {
				return describeCount("Pods", got, 1)
			}
			return ""
		})
	}
	uids := map[string]string{}
	for _, u := range []user{gone, remade, stays} {
		uids[u.namespace] = u.run(t, "get", "namespace", u.namespace, "-o", "jsonpath={.metadata.uid}")
	}
	eventually(t, waitLong, func() string {
		for namespace, uid := range uids {
			if known := e.get(t, "/registry/jobserver.dev/namespaces/"+namespace); !strings.Contains(known, uid) {
				return fmt.Sprintf("of namespace %s, %s, the server knows %q", namespace, uid, known)
			}
		}
		return ""
	})
	in.admin.apply(t, selectingWebhook)
	in.stopWhileDeleting(t, gone)
	for _, u := range []user{gone, remade} {
		u.run(t, "patch", "pod", u.pods(t, "running")[0].Name, "--type=json", "-p", `[{"op":"replace","path":"/metadata/finalizers","value":[]}]`)
	}
	// As an uninstallation does: a registration that nobody answers for would hold the namespace.
	in.admin.run(t, "delete", "apiservice", registrationName)
	in.admin.run(t, "delete", "namespace", gone.namespace, remade.namespace, "--timeout=150s")
	in.admin.run(t, "create", "namespace", remade.namespace)

	if err := in.applyManifests("external-etcd"); err != nil {
		t.Fatal(err)
	}
	if err := in.replicas[0].Start(); err != nil {
		t.Fatal(err)
	}
	if err := in.waitAvailable(registrationName); err != nil {
		t.Fatal(err)
	}
	eventually(t, waitLong, func() string {
		_, err := remade.try(jobYAML("new", "true", "suspend: true"), "apply", "-f", "-")
		return describeError(err)
	})
	want := []string{stays.namespace + "/running", stays.namespace + "/left", remade.namespace + "/new"}
	slices.Sort(want)
	eventually(t, waitLong, func() string {
		if got := in.allJobs(t); !slices.Equal(got, want) {
			return fmt.Sprintf("Jobs: %v, want %v", got, want)
		}
		return ""
	})
	events := remade.run(t, "get", "events", "-o", "jsonpath={range .items[*]}{.involvedObject.name} {.reason} {.message};{end}")
	if pods := remade.pods(t, "running"); len(pods) > 0 || strings.Contains(events, "SuccessfulCreate") {
		t.Errorf("a Job of the earlier namespace ran in the new one: %d Pods, events:\n%s", len(pods), events)
	}
	// Once the new namespace is known, its Jobs stay.
	eventually(t, waitLong, func() string {
		uid := remade.run(t, "get", "namespace", remade.namespace, "-o", "jsonpath={.metadata.uid}")
		if known := e.get(t, "/registry/jobserver.dev/namespaces/"+remade.namespace); !strings.Contains(known, uid) {
			return fmt.Sprintf("the server knows %q", known)
		}
		return ""
	})
	if got := in.allJobs(t); !slices.Equal(got, want) {
		t.Errorf("Jobs: %v, want %v", got, want)
	}
}

// selectingWebhook is asked, in some namespaces, before Jobs are deleted. Nobody is there, which does not matter; but whether a namespace that is gone is one of them can't be
// told, and the answer to the deletion is that it does not exist.
const selectingWebhook = `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: selecting}
webhooks:
- name: selecting.example.com
  clientConfig: {url: "https://127.0.0.1:1/"}
  rules: [{apiGroups: ["*"], apiVersions: ["*"], resources: ["*/*"], operations: [DELETE]}]
  namespaceSelector: {matchLabels: {example.com/selected: "yes"}}
  failurePolicy: Ignore
  sideEffects: None
  admissionReviewVersions: [v1]
`

// stopWhileDeleting stops the server while Jobs of a namespace are on their way out, and wait for what the cluster's garbage collector does for them.
func (in *installation) stopWhileDeleting(t *testing.T, u user) {
	t.Helper()
	for propagation, finalizer := range map[string]string{"foreground": metav1.FinalizerDeleteDependents, "orphan": metav1.FinalizerOrphanDependents} {
		u.apply(t, jobYAML(propagation, "true", "suspend: true"))
		in.signal(t, syscall.SIGSTOP)
		defer in.signal(t, syscall.SIGCONT)
		u.run(t, "delete", "bj", propagation, "--cascade="+propagation, "--wait=false")
		var job jobObject
		u.read(t, &job, "get", "bj", propagation)
		if job.DeletionTimestamp == nil || !slices.Contains(job.Finalizers, finalizer) {
			t.Fatalf("deletion %v, finalizers %v", job.DeletionTimestamp, job.Finalizers)
		}
	}
	if err := in.replicas[0].Stop(); err != nil {
		t.Fatal(err)
	}
}

// signal stops the cluster's controllers, or lets them go on.
func (in *installation) signal(t *testing.T, signal syscall.Signal) {
	t.Helper()
	if err := in.cluster.ControllerManager.Signal(signal); err != nil {
		t.Error(err)
	}
}

// allJobs are the Jobs of all namespaces, sorted.
func (in *installation) allJobs(t *testing.T) []string {
	t.Helper()
	list, err := in.jobs.List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, job := range list.Items {
		names = append(names, job.GetNamespace()+"/"+job.GetName())
	}
	slices.Sort(names)
	return names
}

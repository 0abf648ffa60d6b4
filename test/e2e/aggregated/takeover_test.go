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
	"os"
	"path/filepath"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestTakeOver changes a cluster that has the server beside its own Jobs to one that has it in their place, as the documentation says, while a Job of ours runs: its Pods are
// recognised, and those that are made afterwards have the names that tools know.
func TestTakeOver(t *testing.T) {
	slow(t)
	e := startEtcd(t, 1)
	in := ownInstallation(t, setup{overlay: "external-etcd", serverArgs: []string{e.flag()}})
	u := in.newNamespace(t)
	d, goOn := newDiary(t), filepath.Join(t.TempDir(), "go-on")
	const indexes, parallelism = 4, 2
	command := fmt.Sprintf("until [ -e %s ]; do sleep 0.1; done; %s", goOn, d.command("moved", "0"))
	u.apply(t, jobYAML("moved", command, fmt.Sprintf("completions: %d", indexes), fmt.Sprintf("parallelism: %d", parallelism), "completionMode: Indexed"))
	before := map[string]bool{}
	for _, pod := range u.running(t, "moved", parallelism) {
		before[string(pod.UID)] = true
	}

	in.takeOver(t)
	if err := os.WriteFile(goOn, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	u.waitFor(t, "job/moved", "Complete")
	for _, resource := range []string{"jobs.batch", ours} {
		var job jobObject
		u.read(t, &job, "get", resource, "moved")
		if job.Status.Succeeded != indexes || job.Status.Failed != 0 || job.Status.CompletedIndexes != "0-3" {
			t.Errorf("status of %s: %+v", resource, job.Status)
		}
	}
	pods := u.pods(t, "moved")
	if len(pods) != indexes {
		t.Error(describeCount("Pods", len(pods), indexes))
	}
	for _, pod := range pods {
		want := "batch/v1"
		if before[string(pod.UID)] {
			want = "batch.jobserver.dev/v1"
		}
		if owner := metav1.GetControllerOf(&pod); owner == nil || owner.APIVersion != want || len(pod.Finalizers) > 0 {
			t.Errorf("Pod %s: owner %v, want one of %s; finalizers %v", pod.Name, owner, want, pod.Finalizers)
		}
	}
	d.check(t, []string{"moved"}, indexes)
	u.run(t, "delete", "job", "moved", "--cascade=foreground", "--timeout=120s")
	if left := u.pods(t, "moved"); len(left) > 0 {
		t.Error(describeCount("Pods left", len(left), 0))
	}
}

// takeOver switches the cluster's own Jobs off, and has the server take their place.
func (in *installation) takeOver(t *testing.T) {
	t.Helper()
	api, manager, server := in.cluster.APIServer, in.cluster.ControllerManager, in.replicas[0]
	for _, step := range []func() error{
		manager.Stop, api.Kill, // clients that watch would hold up a stop
		func() error {
			api.Args = append(api.Args, "--runtime-config=batch/v1=false")
			return api.Start()
		},
		func() error { return in.cluster.WaitReady(t.Context()) },
		func() error {
			manager.Args = append(manager.Args, "--controllers=*,-job-controller,-cronjob-controller,-ttl-after-finished-controller")
			return manager.Start()
		},
		func() error { return in.applyManifests("replace") },
		server.Stop,
		func() error {
			server.Args = append(server.Args, "--serve-batch-v1")
			return server.Start()
		},
		func() error { return in.waitAvailable("v1.batch") },
		func() error { return in.waitAvailable(registrationName) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
}

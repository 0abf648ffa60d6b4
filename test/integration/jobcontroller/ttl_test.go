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

package jobcontroller

import (
	"context"
	"errors"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jobserver-dev/jobserver/test/framework"
)

func now() time.Time { return time.Now() }

func ttl(seconds int32) func(*batchv1.JobSpec) {
	return func(spec *batchv1.JobSpec) { spec.TTLSecondsAfterFinished = &seconds }
}

func waitNamespaceGone(t *testing.T, server *framework.Server, name string) {
	t.Helper()
	framework.Eventually(t, "the namespace is gone", func(ctx context.Context) error {
		namespace, err := server.Kube.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			return nil
		case err != nil:
			return err
		}
		return errors.New(namespace.Status.String())
	})
}

// TestTTL: a Job goes with its Pods when its time has passed, and not before.
func TestTTL(t *testing.T) {
	t.Parallel()
	job := start(t, ttl(2))
	watch, err := server.Kube.BatchV1().Jobs(job.namespace).Watch(t.Context(), metav1.SingleObject(metav1.ObjectMeta{Name: job.name}))
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Stop()
	pod := job.running(1)[0]
	kubelet.Succeed(t, pod)
	var last *batchv1.Job
	for event := range watch.ResultChan() {
		if changed, ok := event.Object.(*batchv1.Job); ok && changed.DeletionTimestamp != nil {
			last = changed
			break
		}
	}
	if last == nil {
		t.Fatal("the watch ended before the Job was deleted")
	}
	if waited := last.DeletionTimestamp.Sub(last.Status.CompletionTime.Time); waited < 2*time.Second {
		t.Errorf("deleted %v after its end, want 2 s", waited)
	}
	job.waitGone()
	job.waitPodsGone(pod)
}

// TestTTLOfZero: a Job that shall not stay goes as soon as it has ended, whichever way it ended.
func TestTTLOfZero(t *testing.T) {
	t.Parallel()
	job := start(t, ttl(0), backoffLimit(0))
	kubelet.FailedLongAgo(t, 1, job.running(1)...)
	job.waitGone()
}

// TestTTLIsSetLater: a finished Job may get a TTL that has passed already.
func TestTTLIsSetLater(t *testing.T) {
	t.Parallel()
	job := start(t)
	kubelet.Succeed(t, job.running(1)...)
	job.wait(state{Succeeded: 1, Conditions: complete("CompletionsReached")})
	job.update(ttl(0))
	job.waitGone()
}

// TestTTLSurvivesARestart: what expires while no server runs goes when one does, what doesn't stays until its time.
func TestTTLSurvivesARestart(t *testing.T) {
	t.Parallel()
	options := withoutNodes
	options.DataDir = t.TempDir()
	before := framework.Start(t, options)
	node, err := before.Kubelet(t.Context(), "node")
	if err != nil {
		t.Fatal(err)
	}
	jobs := func(server *framework.Server, name string) *testJob {
		return &testJob{t: t, server: server, kubelet: node, namespace: metav1.NamespaceDefault, name: name}
	}
	for name, seconds := range map[string]int32{"soon": 2, "late": 3600} {
		job := newJob(ttl(seconds))
		job.Name = name
		created, err := before.Kube.BatchV1().Jobs(metav1.NamespaceDefault).Create(t.Context(), job, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		j := jobs(before, name)
		j.uid = string(created.UID)
		node.Succeed(t, j.running(1)...)
		j.wait(state{Succeeded: 1, Conditions: complete("CompletionsReached")})
	}
	before.Stop(t)

	after := framework.Start(t, options)
	jobs(after, "soon").waitGone()
	if job := jobs(after, "late").get(); job.DeletionTimestamp != nil {
		t.Errorf("the Job that stays for an hour is being deleted at %v", job.DeletionTimestamp)
	}
}

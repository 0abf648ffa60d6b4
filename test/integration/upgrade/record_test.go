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

package upgrade

import (
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
	"github.com/jobserver-dev/jobserver/pkg/apiserver"
	"github.com/jobserver-dev/jobserver/test/framework"
)

// TestRecord: what is recorded of this version is good for the test of the next.
func TestRecord(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server := framework.Start(t, framework.Options{DataDir: dir, Controllers: framework.NoControllers()})
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "recorded"}}
	job.Spec.Template.Spec = corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "main", Image: "busybox"}}}
	if _, err := server.Jobserver.BatchV1().Jobs("default").Create(t.Context(), job, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	etcd, err := apiserver.Etcd{Servers: []string{"unix://" + filepath.Join(dir, "etcd", "client.sock")}}.Client()
	if err != nil {
		t.Fatal(err)
	}
	defer etcd.Close()
	jobs, err := Record(t.Context(), etcd, server.Kube.CoreV1().RESTClient())
	if err != nil {
		t.Fatal(err)
	}
	if len(jobs) != 1 || jobs[0].Key != "/registry/jobs/default/recorded" || len(jobs[0].Shown) != 2 {
		t.Fatalf("recorded %+v", jobs)
	}
	checkStored(t, jobs)
}

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
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// sleeper is a Job whose Pod runs for as long as the test does.
const sleeper = `{"apiVersion": "batch.jobserver.dev/v1", "kind": "Job", "metadata": {"name": %q}, "spec": {"template": {"spec": {
  "restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [{"name": "c", "image": "none", "command": ["sleep", "3600"]}]}}}}`

// TestRestoredBackup puts back data of before a Job. Nothing is served, so that the cluster's garbage collector can't kill the Job's Pod, until somebody
// accepts the data; then the Pod lives on without an owner, and the other Job goes on.
func TestRestoredBackup(t *testing.T) {
	t.Parallel()
	in := ownInstallation(t, setup{})
	u := in.newNamespace(t)
	server := in.replicas[0]
	data, backup := filepath.Join(in.dir, "server-0"), filepath.Join(in.dir, "backup")

	u.apply(t, fmt.Sprintf(sleeper, "kept"))
	kept := u.running(t, "kept", 1)[0]
	before := in.generation(t)
	in.stopAndCopy(t, server, data, backup)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	if err := in.waitAvailable(registrationName); err != nil {
		t.Fatal(err)
	}
	eventually(t, waitLong, func() string {
		_, err := u.try(fmt.Sprintf(sleeper, "forgotten"), "apply", "-f", "-")
		return reason(err)
	})
	forgotten := u.running(t, "forgotten", 1)[0]
	eventually(t, waitLong, func() string {
		if got := in.generation(t); got <= before {
			return fmt.Sprintf("the cluster has seen generation %d", got)
		}
		return ""
	})

	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(data); err != nil {
		t.Fatal(err)
	}
	copyFolder(t, backup, data)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	var marks *corev1.ConfigMap
	eventually(t, waitLong, func() string {
		marks = in.marks(t)
		if !strings.Contains(marks.Data["refused"], "restored from a backup") {
			return fmt.Sprintf("the ConfigMap has %v", marks.Data)
		}
		return ""
	})
	if !server.healthy("/livez") || server.healthy("/readyz") {
		t.Error("a server that refuses to serve lives, and is not ready")
	}
	code, body, err := caller{}.get(server, "/apis/batch.jobserver.dev/v1/jobs")
	if err != nil || code != 503 || !strings.Contains(body, "the data in etcd is not what the cluster has seen last") {
		t.Errorf("a request is answered with %d %s, %v", code, body, err)
	}
	if report, healthy := in.doctorOutput(t); healthy || !strings.Contains(report, marks.Data["accept"]) {
		t.Errorf("the doctor says:\n%s", report)
	}

	command := strings.Fields(marks.Data["accept"])
	if _, err := in.admin.try("", command[1:]...); err != nil {
		t.Fatal(err)
	}
	if err := in.waitAvailable(registrationName); err != nil {
		t.Fatal(err)
	}
	// The Job of the backup is worked on: its Pod is replaced.
	eventually(t, waitLong, func() string {
		_, err := u.try("", "delete", "pod", kept.Name, "--wait=false", "--ignore-not-found")
		return reason(err)
	})
	if again := u.running(t, "kept", 1)[0]; again.Name == kept.Name {
		t.Error("the Pod was not replaced")
	}
	pod, err := in.kube.CoreV1().Pods(u.namespace).Get(t.Context(), forgotten.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if pod.UID != forgotten.UID || pod.DeletionTimestamp != nil || pod.Status.Phase != corev1.PodRunning ||
		pod.Labels["batch.jobserver.dev/released-from"] == "" || len(pod.OwnerReferences) != 0 || len(pod.Finalizers) != 0 {
		t.Errorf("the Pod of the forgotten Job: %+v, phase %s", pod.ObjectMeta, pod.Status.Phase)
	}
}

// reason is the error's text, empty where there is none.
func reason(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func (in *installation) stopAndCopy(t *testing.T, server *replica, from, to string) {
	t.Helper()
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	copyFolder(t, from, to)
}

func copyFolder(t *testing.T, from, to string) {
	t.Helper()
	if output, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
}

// marks is the ConfigMap with the marks of the data.
func (in *installation) marks(t *testing.T) *corev1.ConfigMap {
	t.Helper()
	found, err := in.kube.CoreV1().ConfigMaps(systemNamespace).Get(t.Context(), "jobserver-storage", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// generation is how far the data had come when the cluster saw it last.
func (in *installation) generation(t *testing.T) int64 {
	t.Helper()
	var mark struct{ Generation int64 }
	if err := json.Unmarshal([]byte(in.marks(t).Data["mark"]), &mark); err != nil {
		t.Fatal(err)
	}
	return mark.Generation
}

// doctorOutput runs the doctor as the administrator. healthy is its exit code.
func (in *installation) doctorOutput(t *testing.T) (report string, healthy bool) {
	t.Helper()
	output, err := exec.Command(*apiserverPath, "doctor", "--kubeconfig", in.cluster.Kubeconfig()).CombinedOutput()
	return string(output), err == nil
}

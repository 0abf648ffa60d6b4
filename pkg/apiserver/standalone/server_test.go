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

package standalone_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/jobserver-dev/jobserver/pkg/apiserver/controllers"
	"github.com/jobserver-dev/jobserver/pkg/apiserver/standalone"
)

const (
	interval = 20 * time.Millisecond
	timeout  = time.Minute
)

func TestServesRunsAndResumes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server := start(t, standalone.Options{DataDir: dir})
	client := adminClient(t, server)
	waitReady(t, client)

	for _, namespace := range []string{"default", "kube-system", "kube-node-lease"} {
		if _, err := client.CoreV1().Namespaces().Get(t.Context(), namespace, metav1.GetOptions{}); err != nil {
			t.Error(err)
		}
	}
	create(t, client, "before", "true")
	waitComplete(t, client, "before")
	// This one outlives its first server: its process waits for the file.
	release := filepath.Join(t.TempDir(), "release")
	create(t, client, "across", "until test -e "+release+"; do sleep 0.05; done; echo released")
	waitRunning(t, client, "across")
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}

	server = start(t, standalone.Options{DataDir: dir})
	defer stop(t, server)
	client = adminClient(t, server)
	if err := os.WriteFile(release, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	waitComplete(t, client, "across")
	job, err := client.BatchV1().Jobs("default").Get(t.Context(), "across", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if job.Status.Succeeded != 1 || job.Status.Failed != 0 {
		t.Errorf("succeeded %d and failed %d, want 1 and 0", job.Status.Succeeded, job.Status.Failed)
	}
}

func TestReadyzNamesItsParts(t *testing.T) {
	t.Parallel()
	server := start(t, standalone.Options{DataDir: t.TempDir()})
	defer stop(t, server)
	client := adminClient(t, server)
	waitReady(t, client)
	body, err := client.CoreV1().RESTClient().Get().AbsPath("/readyz").Param("verbose", "").DoRaw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range append(controllers.StandaloneNames(), "etcd", "poststarthook/start-system-namespaces") {
		if !strings.Contains(string(body), "[+]"+part+" ok") {
			t.Errorf("readyz does not name %s:\n%s", part, body)
		}
	}
}

func TestStrangersSeeHealthOnly(t *testing.T) {
	t.Parallel()
	server := start(t, standalone.Options{DataDir: t.TempDir()})
	defer stop(t, server)
	waitReady(t, adminClient(t, server))
	// Whom a stranger talks to is not what this test is about.
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer transport.CloseIdleConnections()
	stranger := http.Client{Transport: transport, Timeout: timeout}
	for path, open := range map[string]bool{
		"/healthz": true, "/livez": true, "/readyz": true, "/readyz/etcd": true,
		"/version": false, "/metrics": false, "/api": false, "/apis/batch/v1/jobs": false, "/openapi/v2": false, "/debug/pprof/": false,
	} {
		response, err := stranger.Get(server.URL() + path)
		if err != nil {
			t.Fatal(err)
		}
		if err := response.Body.Close(); err != nil {
			t.Error(err)
		}
		refused := response.StatusCode == http.StatusUnauthorized || response.StatusCode == http.StatusForbidden
		if refused == open {
			t.Errorf("%s answers a stranger with %s", path, response.Status)
		}
	}
}

func TestStartErrors(t *testing.T) {
	t.Parallel()
	used := t.TempDir()
	server := start(t, standalone.Options{DataDir: used})
	defer stop(t, server)
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		options standalone.Options
		want    string
	}{
		"no folder":              {want: "data folder"},
		"a folder in use":        {options: standalone.Options{DataDir: used}, want: "in use by another server"},
		"no folder but a file":   {options: standalone.Options{DataDir: file}, want: file},
		"a port in use":          {options: standalone.Options{DataDir: t.TempDir(), Port: busy.Addr().(*net.TCPAddr).Port}, want: "address already in use"},
		"an address not of ours": {options: standalone.Options{DataDir: t.TempDir(), BindAddress: "192.0.2.1"}, want: "192.0.2.1"},
		"no address":             {options: standalone.Options{DataDir: t.TempDir(), BindAddress: "localhost"}, want: "bind address"},
		"no such controller":     {options: standalone.Options{DataDir: t.TempDir(), Controllers: []string{"cronjob"}}, want: "cronjob"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			started, err := standalone.Start(t.Context(), test.options)
			if err == nil {
				stop(t, started)
				t.Fatal("started")
			}
			if !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q is not one line that says %q", err, test.want)
			}
		})
	}
}

func TestStopsInTimeWithOpenWatches(t *testing.T) {
	t.Parallel()
	server := start(t, standalone.Options{DataDir: t.TempDir()})
	client := adminClient(t, server)
	waitReady(t, client)
	watch, err := client.BatchV1().Jobs("").Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Stop()
	stopped := make(chan error, 1)
	go func() { stopped <- server.Stop() }()
	select {
	case err := <-stopped:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(timeout):
		t.Fatal("not stopped")
	}
	if _, err := client.Discovery().ServerVersion(); err == nil {
		t.Error("the stopped server answers")
	}
}

func start(t *testing.T, options standalone.Options) *standalone.Server {
	t.Helper()
	server, err := standalone.Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	return server
}

func stop(t *testing.T, server *standalone.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), timeout)
	defer cancel()
	if err := server.StopPods(ctx); err != nil {
		t.Error(err)
	}
	if err := server.Stop(); err != nil {
		t.Error(err)
	}
}

// adminClient goes the way of a user: through the kubeconfig.
func adminClient(t *testing.T, server *standalone.Server) *kubernetes.Clientset {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", server.AdminKubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func waitReady(t *testing.T, client kubernetes.Interface) {
	t.Helper()
	poll(t, "the server is ready", func(ctx context.Context) (bool, error) {
		return client.CoreV1().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error() == nil, nil
	})
}

func create(t *testing.T, client kubernetes.Interface, name, script string) {
	t.Helper()
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: name}}
	job.Spec.Template.Spec = corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever,
		Containers:    []corev1.Container{{Name: "main", Image: "busybox", Command: []string{"sh", "-c", script}}},
	}
	if _, err := client.BatchV1().Jobs("default").Create(t.Context(), job, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func waitRunning(t *testing.T, client kubernetes.Interface, name string) {
	t.Helper()
	poll(t, "job "+name+" runs", func(ctx context.Context) (bool, error) {
		pods, err := client.CoreV1().Pods("default").List(ctx, metav1.ListOptions{LabelSelector: "job-name=" + name})
		return err == nil && len(pods.Items) == 1 && pods.Items[0].Status.Phase == corev1.PodRunning, err
	})
}

func waitComplete(t *testing.T, client kubernetes.Interface, name string) {
	t.Helper()
	poll(t, "job "+name+" is complete", func(ctx context.Context) (bool, error) {
		job, err := client.BatchV1().Jobs("default").Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			// The server may have only just begun to serve.
			return false, ignoreStarting(err)
		}
		for _, condition := range job.Status.Conditions {
			if condition.Type == batchv1.JobComplete && condition.Status == corev1.ConditionTrue {
				return true, nil
			}
		}
		return false, nil
	})
}

func ignoreStarting(err error) error {
	if apierrors.IsNotFound(err) {
		return err
	}
	return nil
}

func poll(t *testing.T, what string, condition wait.ConditionWithContextFunc) {
	t.Helper()
	if err := wait.PollUntilContextTimeout(t.Context(), interval, timeout, true, condition); err != nil {
		t.Fatalf("wait until %s: %v", what, err)
	}
}

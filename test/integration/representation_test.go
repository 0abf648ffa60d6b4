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

package integration

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"

	ourv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
	"github.com/jobserver-dev/jobserver/pkg/generated/clientset/versioned"
	"github.com/jobserver-dev/jobserver/test/framework"
)

const (
	protobufType = "application/vnd.kubernetes.protobuf"
	tableType    = "application/json;as=Table;v=v1;g=meta.k8s.io"
	partialType  = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
	partialList  = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
)

// TestProtobufClients: the typed clients of both groups speak protobuf with the server, and lose nothing by it.
func TestProtobufClients(t *testing.T) {
	t.Parallel()
	config := server.Config()
	config.ContentType, config.AcceptContentTypes = protobufType, protobufType
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := versioned.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	namespace := server.Namespace(t)

	sent := &ourv1.Job{}
	sent.Name = "job"
	sent.Spec = ourv1.JobSpec{
		Template: typedTemplate(), Parallelism: new(int32(2)), DisruptionPolicy: new(ourv1.DisruptionCount),
		SuspendPolicy: new(ourv1.SuspendDeletePods), WorkQueuePolicy: new(ourv1.WorkQueueCompleteOnFirstSuccess),
	}
	created, err := ours.BatchV1().Jobs(namespace).Create(t.Context(), sent, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := server.Jobserver.BatchV1().Jobs(namespace).Get(t.Context(), "job", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := toObject(t, created), toObject(t, asJSON); diffObjects(want, got) != "" {
		t.Errorf("protobuf and JSON differ (-json +protobuf):\n%s", diffObjects(want, got))
	}
	if policiesOf(get(t, ourJobs, namespace, "job")) != (policies{"Count", "DeletePods", "CompleteOnFirstSuccess"}) {
		t.Error("protobuf lost a policy")
	}

	kubeJob, err := kube.BatchV1().Jobs(namespace).Get(t.Context(), "job", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	kubeJob.Spec.Suspend = new(true)
	kubeJob.Status = batchv1.JobStatus{Active: 2}
	if kubeJob, err = kube.BatchV1().Jobs(namespace).Update(t.Context(), kubeJob, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	kubeJob.Status.Active = 2
	if _, err := kube.BatchV1().Jobs(namespace).UpdateStatus(t.Context(), kubeJob, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	job := get(t, ourJobs, namespace, "job")
	if field(job, "spec", "suspend") != true || field(job, "status", "active") != int64(2) {
		t.Errorf("the writes in protobuf are not there: %v", job.Object)
	}
	if policiesOf(job) != (policies{"Count", "DeletePods", "CompleteOnFirstSuccess"}) {
		t.Error("a write in protobuf lost a policy")
	}
}

func toObject(t *testing.T, typed any) object {
	t.Helper()
	converted, err := runtime.DefaultUnstructuredConverter.ToUnstructured(typed)
	if err != nil {
		t.Fatal(err)
	}
	return converted
}

func TestYAML(t *testing.T) {
	t.Parallel()
	forEachGroup(t, func(t *testing.T, resource schema.GroupVersionResource) {
		namespace := server.Namespace(t)
		body, err := yaml.Marshal(newJob(resource, "job", nil).Object)
		if err != nil {
			t.Fatal(err)
		}
		if response := send(t, http.MethodPost, jobsPath(resource, namespace, ""), "application/yaml", body); response.Code != http.StatusCreated {
			t.Fatalf("answer %d: %s", response.Code, response.Body)
		}
		response := fetch(t, jobsPath(resource, namespace, "/job"), "application/yaml")
		var got object
		if err := yaml.Unmarshal(response.Body, &got); err != nil || got["kind"] != "Job" || bytes.HasPrefix(response.Body, []byte("{")) {
			t.Errorf("answer %d is no Job in YAML (%v): %.200s", response.Code, err, response.Body)
		}
	})
}

func TestTable(t *testing.T) {
	t.Parallel()
	forEachGroup(t, func(t *testing.T, resource schema.GroupVersionResource) {
		namespace := server.Namespace(t)
		create(t, namespace, newJob(resource, "job", object{"completions": int64(5)}))
		for _, under := range []string{"", "/job", "/job/status"} {
			table := decode[metav1.Table](t, fetch(t, jobsPath(resource, namespace, under), tableType), http.StatusOK)
			var columns []string
			for _, column := range table.ColumnDefinitions {
				columns = append(columns, column.Name)
			}
			if got := strings.Join(columns, " "); got != "Name Status Completions Duration Age Containers Images Selector" || len(table.Rows) != 1 {
				t.Fatalf("%q: columns %q with %d rows", under, got, len(table.Rows))
			}
			if cells := table.Rows[0].Cells; cells[0] != "job" || cells[1] != "Running" || cells[2] != "0/5" || cells[6] != "busybox" {
				t.Errorf("%q: cells %v", under, cells)
			}
			if table.ResourceVersion == "" || !strings.Contains(string(table.Rows[0].Object.Raw), `"kind":"PartialObjectMetadata"`) {
				t.Errorf("%q: resourceVersion %q, object %.200s", under, table.ResourceVersion, table.Rows[0].Object.Raw)
			}
		}
	})
}

func TestMetadataOnly(t *testing.T) {
	t.Parallel()
	forEachGroup(t, func(t *testing.T, resource schema.GroupVersionResource) {
		namespace := server.Namespace(t)
		created := create(t, namespace, newJob(resource, "job", nil))
		one, err := server.Metadata.Resource(resource).Namespace(namespace).Get(t.Context(), "job", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		list, err := server.Metadata.Resource(resource).Namespace(namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if one.UID != created.GetUID() || len(list.Items) != 1 || list.Items[0].UID != created.GetUID() {
			t.Errorf("metadata of %s and of %d Jobs, want of %s alone", one.UID, len(list.Items), created.GetUID())
		}
		for accept, path := range map[string]string{partialType: jobsPath(resource, namespace, "/job"), partialList: jobsPath(resource, namespace, "")} {
			response := fetch(t, path, accept)
			if body := string(response.Body); response.Code != http.StatusOK || strings.Contains(body, `"spec"`) || !strings.Contains(body, `"PartialObjectMetadata`) {
				t.Errorf("answer %d: %.300s", response.Code, body)
			}
		}
	})
}

// TestContentTypes: what the server doesn't speak it refuses, with the codes that clients fall back on.
func TestContentTypes(t *testing.T) {
	t.Parallel()
	forEachGroup(t, func(t *testing.T, resource schema.GroupVersionResource) {
		namespace := server.Namespace(t)
		for _, contentType := range []string{"text/plain", "application/xml", "application/cbor", "application/json-patch+json"} {
			if got := send(t, http.MethodPost, jobsPath(resource, namespace, ""), contentType, newJob(resource, "job", nil)).Code; got != http.StatusUnsupportedMediaType {
				t.Errorf("a create as %s: answer %d, want 415", contentType, got)
			}
		}
		for _, contentType := range []string{"", "application/json", "application/patch"} {
			if got := send(t, http.MethodPatch, jobsPath(resource, namespace, "/job"), contentType, "{}").Code; got != http.StatusUnsupportedMediaType {
				t.Errorf("a patch as %q: answer %d, want 415", contentType, got)
			}
		}
		for _, accept := range []string{"text/html", "application/cbor", "application/json;as=Table;v=v9;g=meta.k8s.io"} {
			if got := fetch(t, jobsPath(resource, namespace, ""), accept).Code; got != http.StatusNotAcceptable {
				t.Errorf("a list as %s: answer %d, want 406", accept, got)
			}
		}
		// A list of what is acceptable is gone through in order.
		if got := fetch(t, jobsPath(resource, namespace, ""), "application/cbor,"+protobufType+",application/json").Header.Get("Content-Type"); got != protobufType {
			t.Errorf("answered as %s, want %s", got, protobufType)
		}
	})
}

// TestCompression: a large answer is compressed for whom it asks so.
func TestCompression(t *testing.T) {
	t.Parallel()
	namespace := server.Namespace(t)
	job := newJob(ourJobs, "job", nil)
	job.SetAnnotations(map[string]string{"large": strings.Repeat("x", 200_000)})
	create(t, namespace, job)
	response := server.Do(t, framework.Request{
		Method: http.MethodGet, Path: jobsPath(ourJobs, namespace, "/job"), Header: map[string]string{"Accept-Encoding": "gzip"},
	})
	if response.Header.Get("Content-Encoding") != "gzip" || len(response.Body) > 20_000 {
		t.Fatalf("encoding %q, %d bytes; want gzip and few", response.Header.Get("Content-Encoding"), len(response.Body))
	}
	reader, err := gzip.NewReader(bytes.NewReader(response.Body))
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(reader); err != nil || len(body) < 200_000 {
		t.Errorf("%d bytes when read, error %v", len(body), err)
	}
}

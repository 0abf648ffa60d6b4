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
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/jobserver-dev/jobserver/pkg/apiserver"
	"github.com/jobserver-dev/jobserver/pkg/etcd"
	"github.com/jobserver-dev/jobserver/test/framework"
)

// TestStoredByEarlierVersions: what an earlier version had in etcd is shown as that version showed it, and nothing of it gets lost when it is written again.
func TestStoredByEarlierVersions(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var jobs []Job
			if err := json.Unmarshal(content, &jobs); err != nil {
				t.Fatal(err)
			}
			checkStored(t, jobs)
		})
	}
}

// checkStored starts a server on the Jobs, and looks at each.
func checkStored(t *testing.T, jobs []Job) {
	t.Helper()
	server := framework.Start(t, framework.Options{DataDir: store(t, jobs), Controllers: framework.NoControllers()})
	for _, job := range jobs {
		checkShown(t, server, job, "resourceVersion")
		checkWritten(t, server, job)
	}
}

// store makes a data folder with these Jobs in its etcd, in the encoding in which Jobs are stored.
func store(t *testing.T, jobs []Job) string {
	t.Helper()
	dir := t.TempDir()
	member, err := etcd.Start(t.Context(), filepath.Join(dir, "etcd"))
	if err != nil {
		t.Fatal(err)
	}
	client, err := apiserver.Etcd{Servers: []string{member.Endpoint()}}.Client()
	if err != nil {
		t.Fatal(err)
	}
	for _, job := range jobs {
		if !bytes.HasPrefix(job.Value, []byte("k8s\x00")) {
			t.Errorf("%s is not stored as protobuf", job.Key)
		}
		if _, err := client.Put(t.Context(), job.Key, string(job.Value)); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	if err := member.Stop(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// checkShown compares what a Job's groups show with what they showed, but for these fields of the metadata. There may be more: fields that are younger.
func checkShown(t *testing.T, server *framework.Server, job Job, except ...string) {
	t.Helper()
	for group, shown := range job.Shown {
		now, err := server.Kube.CoreV1().RESTClient().Get().AbsPath(job.Path(group)).DoRaw(t.Context())
		if err != nil {
			t.Errorf("%s: %v", job.Path(group), err)
			continue
		}
		var before, after map[string]any
		for into, raw := range map[*map[string]any][]byte{&before: shown, &after: now} {
			if err := json.Unmarshal(raw, into); err != nil {
				t.Fatal(err)
			}
		}
		for _, field := range except {
			delete(before["metadata"].(map[string]any), field)
		}
		if lost := missing("", before, after); lost != "" {
			t.Errorf("%s: %s", job.Path(group), lost)
		}
	}
}

// missing finds the first value of before that after does not have. Lists have to be as long as they were.
func missing(path string, before, after any) string {
	switch before := before.(type) {
	case map[string]any:
		after, ok := after.(map[string]any)
		if !ok {
			return fmt.Sprintf("%s is gone", path)
		}
		for key, value := range before {
			if lost := missing(path+"."+key, value, after[key]); lost != "" {
				return lost
			}
		}
	case []any:
		after, ok := after.([]any)
		if !ok || len(after) != len(before) {
			return fmt.Sprintf("%s: %v, it was %v", path, after, before)
		}
		for i := range before {
			if lost := missing(fmt.Sprintf("%s[%d]", path, i), before[i], after[i]); lost != "" {
				return lost
			}
		}
	default:
		if !reflect.DeepEqual(before, after) {
			return fmt.Sprintf("%s: %v, it was %v", path, after, before)
		}
	}
	return ""
}

// checkWritten changes a Job through batch/v1, which does not know all of its fields, and finds the rest unchanged. A Job on its way out goes with its last finalizer.
func checkWritten(t *testing.T, server *framework.Server, job Job) {
	t.Helper()
	var shown metav1.PartialObjectMetadata
	if err := json.Unmarshal(job.Shown[Groups[0]], &shown); err != nil {
		t.Fatal(err)
	}
	jobs := server.Kube.BatchV1().Jobs(shown.Namespace)
	if shown.DeletionTimestamp != nil {
		if _, err := jobs.Patch(t.Context(), shown.Name, types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}); err != nil {
			t.Error(err)
		}
		if _, err := jobs.Get(t.Context(), shown.Name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("%s is still there: %v", job.Key, err)
		}
		return
	}
	if _, err := jobs.Patch(t.Context(), shown.Name, types.MergePatchType, []byte(`{"metadata":{"labels":{"upgraded":"yes"}}}`), metav1.PatchOptions{}); err != nil {
		t.Error(err)
	}
	checkShown(t, server, job, "resourceVersion", "managedFields")
}

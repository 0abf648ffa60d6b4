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
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/jobserver-dev/jobserver/pkg/apiserver"
)

var (
	recordFrom = flag.String("record-from", "", "data folder of a standalone server that runs, to record what it has stored")
	recordAs   = flag.String("record-as", "", "its version, the name of the file")
)

// stored is a Job of an earlier version.
type stored struct {
	Key string `json:"key"`
	// Value is what stands in etcd.
	Value []byte `json:"value"`
	// Shown is what the version that stored it answered, by the path it was asked for.
	Shown map[string]json.RawMessage `json:"shown"`
}

// groups are the paths of the groups that show a Job.
var groups = []string{"/apis/batch.jobserver.dev/v1", "/apis/batch/v1"}

// jobsPrefix is what the keys of Jobs have begun with in all versions.
const jobsPrefix = "/registry/jobs/"

// path is that of a stored Job in a group.
func (s stored) path(group string) string {
	namespace, name, _ := strings.Cut(strings.TrimPrefix(s.Key, jobsPrefix), "/")
	return group + "/namespaces/" + namespace + "/jobs/" + name
}

// TestRecord writes a file of testdata, when told to.
func TestRecord(t *testing.T) {
	if *recordFrom == "" || *recordAs == "" {
		t.Skip("only with -record-from and -record-as")
	}
	etcd, err := apiserver.Etcd{Servers: []string{"unix://" + filepath.Join(*recordFrom, "etcd", "client.sock")}}.Client()
	if err != nil {
		t.Fatal(err)
	}
	defer etcd.Close()
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(*recordFrom, "admin.kubeconfig"))
	if err != nil {
		t.Fatal(err)
	}
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	found, err := etcd.Get(t.Context(), jobsPrefix, clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	var all []stored
	for _, kv := range found.Kvs {
		job := stored{Key: string(kv.Key), Value: kv.Value, Shown: map[string]json.RawMessage{}}
		for _, group := range groups {
			if job.Shown[group], err = kube.RESTClient().Get().AbsPath(job.path(group)).DoRaw(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		all = append(all, job)
	}
	content, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join("testdata", *recordAs+".json"), append(bytes.TrimSpace(content), '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

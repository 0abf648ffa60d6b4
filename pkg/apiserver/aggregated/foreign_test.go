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
	"errors"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/jobserver-dev/jobserver/pkg/apiserver"
	"github.com/jobserver-dev/jobserver/pkg/etcd"
)

func TestCheckForeign(t *testing.T) {
	t.Parallel()
	server, err := etcd.Start(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{server.Endpoint()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(client.Close(), server.Stop()); err != nil {
			t.Error(err)
		}
	})
	for _, key := range []string{"/registry/jobs/default/ours", "/ours/namespaces-not/x"} {
		if _, err := client.Put(t.Context(), key, "x"); err != nil {
			t.Fatal(err)
		}
	}
	if err := checkForeign(t.Context(), client, apiserver.Etcd{}); err != nil {
		t.Errorf("our own Jobs: %v", err)
	}
	if _, err := client.Put(t.Context(), "/registry/namespaces/kube-system", "x"); err != nil {
		t.Fatal(err)
	}
	if err := checkForeign(t.Context(), client, apiserver.Etcd{}); err == nil || !strings.Contains(err.Error(), "/registry/namespaces/kube-system") {
		t.Errorf("a kube-apiserver's etcd: %v", err)
	}
	if err := checkForeign(t.Context(), client, apiserver.Etcd{Prefix: "/ours"}); err != nil {
		t.Errorf("the same with a prefix of ours: %v", err)
	}
}

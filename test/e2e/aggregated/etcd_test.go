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
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jobserver-dev/jobserver/test/e2e/cluster"
)

// etcdMembers is an etcd cluster of the server's own.
type etcdMembers struct {
	members []*cluster.Process
	clients []string
	pki     *etcdPKI // nil: without TLS
}

// startEtcd starts an etcd cluster, which ends with the test. Clients come without TLS.
func startEtcd(t *testing.T, count int) *etcdMembers {
	t.Helper()
	return startEtcdWith(t, count, nil)
}

// startEtcdWith is startEtcd for clients that come over mutual TLS, unless pki is nil.
func startEtcdWith(t *testing.T, count int, pki *etcdPKI) *etcdMembers {
	t.Helper()
	e := &etcdMembers{pki: pki}
	scheme := "http"
	if pki != nil {
		scheme = "https"
	}
	var peers, initial []string
	for i := range count {
		client, peer := mustFreePort(t), mustFreePort(t)
		e.clients = append(e.clients, fmt.Sprintf("%s://127.0.0.1:%d", scheme, client))
		peers = append(peers, fmt.Sprintf("http://127.0.0.1:%d", peer))
		initial = append(initial, fmt.Sprintf("m%d=%s", i, peers[i]))
	}
	dir := t.TempDir()
	for i := range count {
		name := fmt.Sprintf("m%d", i)
		e.members = append(e.members, &cluster.Process{
			Name: "etcd " + name, Path: filepath.Join(*binariesPath, "etcd"), LogPath: filepath.Join(dir, name+".log"),
			Args: []string{
				"--name=" + name, "--data-dir=" + filepath.Join(dir, name), "--log-level=warn", "--unsafe-no-fsync",
				"--listen-client-urls=" + e.clients[i], "--advertise-client-urls=" + e.clients[i],
				"--listen-peer-urls=" + peers[i], "--initial-advertise-peer-urls=" + peers[i],
				"--initial-cluster=" + strings.Join(initial, ","),
			},
		})
		if pki != nil {
			e.members[i].Args = append(e.members[i].Args, pki.serverArgs()...)
		}
		t.Cleanup(func() {
			if err := e.members[i].Kill(); err != nil {
				t.Error(err)
			}
		})
		e.start(t, i)
	}
	for i := range count {
		e.waitHealthy(t, i)
	}
	return e
}

func (e *etcdMembers) start(t *testing.T, i int) {
	t.Helper()
	if err := e.members[i].Start(); err != nil {
		t.Fatal(err)
	}
}

func (e *etcdMembers) kill(t *testing.T, i int) {
	t.Helper()
	if err := e.members[i].Kill(); err != nil {
		t.Fatal(err)
	}
}

// get is what etcd has at a key; empty where that is nothing.
func (e *etcdMembers) get(t *testing.T, key string) string {
	t.Helper()
	request := fmt.Sprintf(`{"key": %q}`, base64.StdEncoding.EncodeToString([]byte(key)))
	response, err := http.Post(e.clients[0]+"/v3/kv/range", "application/json", strings.NewReader(request))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var found struct {
		Kvs []struct{ Value []byte }
	}
	if err := json.NewDecoder(response.Body).Decode(&found); err != nil {
		t.Fatal(err)
	}
	if len(found.Kvs) == 0 {
		return ""
	}
	return string(found.Kvs[0].Value)
}

func (e *etcdMembers) waitHealthy(t *testing.T, i int) {
	t.Helper()
	client := http.Client{Timeout: 5 * time.Second}
	if e.pki != nil {
		client.Transport = e.pki.transport(t)
	}
	eventually(t, waitLong, func() string {
		response, err := client.Get(e.clients[i] + "/health")
		if err != nil {
			return err.Error()
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return response.Status
		}
		return ""
	})
}

// flag is the flag by which the server uses this etcd.
func (e *etcdMembers) flag() string { return "--etcd-servers=" + strings.Join(e.clients, ",") }

// flags are flag and those for what has to be shown and trusted.
func (e *etcdMembers) flags() []string {
	flags := []string{e.flag()}
	if e.pki != nil {
		flags = append(flags, e.pki.clientArgs()...)
	}
	return flags
}

func mustFreePort(t *testing.T) int {
	t.Helper()
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

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
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jobserver-dev/jobserver/test/e2e/cluster"
)

// TestMutualTLS keeps everything in an etcd that only those may call who show a certificate of the right authority. A server that has none, or does not trust
// etcd, says so; one whose certificate is exchanged goes on with the other one.
func TestMutualTLS(t *testing.T) {
	slow(t)
	pki := newEtcdPKI(t)
	e := startEtcdWith(t, 1, pki)
	in := ownInstallation(t, setup{overlay: "external-etcd", serverArgs: e.flags(), noNode: true})
	u := in.newNamespace(t)
	u.apply(t, jobYAML("before", "true", "suspend: true"))

	foreign := filepath.Join(pki.dir, "stranger")
	if err := pki.authorities[2].Issue(foreign, "stranger"); err != nil {
		t.Fatal(err)
	}
	client := filepath.Join(pki.dir, "client")
	for _, test := range []struct {
		name, says string
		args       []string
	}{
		{"no certificate", "tls: certificate required", []string{"--etcd-cafile=" + client + "/ca.crt"}},
		{"a certificate of somebody else's authority", "tls: unknown certificate authority", []string{
			"--etcd-cafile=" + client + "/ca.crt", "--etcd-certfile=" + foreign + ".crt", "--etcd-keyfile=" + foreign + ".key"}},
		{"etcd is not trusted", "certificate signed by unknown authority", []string{
			"--etcd-cafile=" + pki.dir + "/foreign.crt", "--etcd-certfile=" + client + "/tls.crt", "--etcd-keyfile=" + client + "/tls.key"}},
		{"a key of another certificate", "private key does not match public key", []string{
			"--etcd-cafile=" + client + "/ca.crt", "--etcd-certfile=" + client + "/tls.crt", "--etcd-keyfile=" + foreign + ".key"}},
	} {
		t.Run(test.name, func(t *testing.T) { in.waitsForEtcd(t, append([]string{e.flag()}, test.args...), test.says) })
	}

	// The certificate is exchanged while the server runs. Then etcd trusts the new one only, and ends all connections.
	stop := in.requestAllTheTime(t)
	pki.give(t, pki.authorities[1])
	u.apply(t, jobYAML("between", "true", "suspend: true"))
	stop()
	if err := e.members[0].Stop(); err != nil {
		t.Fatal(err)
	}
	pki.trust(t, pki.authorities[1])
	e.start(t, 0)
	e.waitHealthy(t, 0)
	eventually(t, waitLong, func() string {
		_, err := u.try(jobYAML("after", "true", "suspend: true"), "apply", "-f", "-")
		return describeError(err)
	})
	if got := u.run(t, "get", ours, "-o", "name"); strings.Count(got, "\n") != 3 {
		t.Errorf("Jobs: %s", got)
	}
	if !in.replicas[0].Running() {
		t.Error("the server ended")
	}
}

// waitsForEtcd starts a server that can't reach its etcd: it lives, is not ready, and its log says why.
func (in *installation) waitsForEtcd(t *testing.T, args []string, says string) {
	t.Helper()
	kubeconfig := filepath.Join(in.dir, "account.kubeconfig")
	port := mustFreePort(t)
	server := &replica{port: port, Process: &cluster.Process{
		Name: "server", Path: *apiserverPath, LogPath: filepath.Join(t.TempDir(), "server.log"),
		Args: append([]string{"--kubeconfig", kubeconfig, "--bind-address", "127.0.0.1", "--secure-port", strconv.Itoa(port)}, args...),
	}}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	}()
	eventually(t, waitLong, func() string {
		log, err := os.ReadFile(server.LogPath)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(log)) {
			if strings.Contains(line, "Waiting for etcd") && strings.Contains(line, says) {
				return ""
			}
		}
		return fmt.Sprintf("want %q in the log: %s", says, log)
	})
	code, body, err := caller{}.get(server, "/readyz")
	if err != nil || code != http.StatusServiceUnavailable || !strings.Contains(body, "waiting for etcd") || !server.healthy("/livez") {
		t.Errorf("readyz: %d %v %s", code, err, body)
	}
}

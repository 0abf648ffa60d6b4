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

package standalone

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// anonymous returns a client that trusts the server's CA and presents nothing.
func anonymous(t *testing.T, s *server) *http.Client {
	t.Helper()
	raw, err := s.kubectl("", "", "config", "view", "--raw", "-o", `jsonpath={.clusters[0].cluster.certificate-authority-data}`)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := base64.StdEncoding.DecodeString(raw)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		t.Fatal("the kubeconfig has no CA certificate")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}
}

func TestAnonymousCallersReachHealthOnly(t *testing.T) {
	t.Parallel()
	nobody := anonymous(t, shared)
	for _, test := range []struct {
		method, path string
		want         []int
	}{
		{http.MethodGet, "/healthz", []int{http.StatusOK}},
		{http.MethodGet, "/livez", []int{http.StatusOK}},
		{http.MethodGet, "/readyz", []int{http.StatusOK}},
		{http.MethodGet, "/metrics", []int{http.StatusUnauthorized, http.StatusForbidden}},
		{http.MethodGet, "/api/v1/namespaces/default/secrets", []int{http.StatusUnauthorized, http.StatusForbidden}},
		{http.MethodGet, "/api/v1/nodes", []int{http.StatusUnauthorized, http.StatusForbidden}},
		{http.MethodGet, "/apis/batch/v1/jobs", []int{http.StatusUnauthorized, http.StatusForbidden}},
		{http.MethodGet, "/apis/batch/v1/jobs?watch=true", []int{http.StatusUnauthorized, http.StatusForbidden}},
		{http.MethodGet, "/apis/batch.jobserver.dev/v1/jobs", []int{http.StatusUnauthorized, http.StatusForbidden}},
		{http.MethodPost, "/apis/batch/v1/namespaces/default/jobs", []int{http.StatusUnauthorized, http.StatusForbidden}},
		{http.MethodDelete, "/apis/batch/v1/namespaces/default/jobs", []int{http.StatusUnauthorized, http.StatusForbidden}},
	} {
		t.Run(test.method+" "+test.path, func(t *testing.T) {
			t.Parallel()
			request, err := http.NewRequestWithContext(t.Context(), test.method, shared.url()+test.path, strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Content-Type", "application/json")
			response, err := nobody.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if !slices.Contains(test.want, response.StatusCode) {
				t.Errorf("status %d, want one of %v", response.StatusCode, test.want)
			}
		})
	}
}

func TestUnknownTokenIsRefused(t *testing.T) {
	t.Parallel()
	nobody := anonymous(t, shared)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, shared.url()+"/api/v1/namespaces", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer nonsense")
	response, err := nobody.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if got := response.StatusCode; got != http.StatusUnauthorized && got != http.StatusForbidden {
		t.Errorf("a nonsense token gets %d, want 401 or 403", got)
	}
}

func TestAdminKubeconfigIsPrivate(t *testing.T) {
	t.Parallel()
	info, err := os.Stat(shared.kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("mode %o, want 600", got)
	}
}

// TestListensOnLoopbackOnly looks at every socket of the server's process: the API's and etcd's.
func TestListensOnLoopbackOnly(t *testing.T) {
	t.Parallel()
	pid := shared.running.command.Process.Pid
	own := map[string]bool{}
	fds := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(fds)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if target, err := os.Readlink(fds + "/" + entry.Name()); err == nil && strings.HasPrefix(target, "socket:[") {
			own[strings.Trim(target, "socket:[]")] = true
		}
	}
	const listening = "0A"
	found := 0
	for _, table := range []string{"tcp", "tcp6"} {
		content, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(content)) {
			fields := strings.Fields(line)
			if len(fields) < 10 || fields[3] != listening || !own[fields[9]] {
				continue
			}
			found++
			address, _, _ := strings.Cut(fields[1], ":")
			// 127.0.0.0/8 and ::1, in the kernel's byte order.
			if !(len(address) == 8 && strings.HasSuffix(address, "7F")) && address != "00000000000000000000000001000000" {
				t.Errorf("listens on %s of %s, which is no loopback address", fields[1], table)
			}
		}
	}
	if found == 0 {
		t.Error("found no listening socket of the server")
	}
}

func TestHealthNamesItsChecks(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	for _, path := range []string{"/healthz", "/livez", "/readyz"} {
		got := c.run(t, "get", "--raw", path+"?verbose")
		if !strings.Contains(got, "check passed") || !strings.Contains(got, "[+]etcd ok") || strings.Contains(got, "[-]") {
			t.Errorf("%s:\n%s", path, got)
		}
	}
	got := c.run(t, "get", "--raw", "/readyz?verbose")
	for _, part := range []string{"etcd", "job", "node"} {
		if !regexp.MustCompile(`\[\+\]\S*` + part + `\S* ok`).MatchString(got) {
			t.Errorf("/readyz has no check for %s:\n%s", part, got)
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	var versions struct {
		ClientVersion, ServerVersion struct{ Major, Minor, GitVersion string }
	}
	if err := json.Unmarshal([]byte(c.run(t, "version", "-o", "json")), &versions); err != nil {
		t.Fatal(err)
	}
	client, server := versions.ClientVersion, versions.ServerVersion
	if server.Major != client.Major || server.Minor != client.Minor || !strings.HasPrefix(server.GitVersion, client.GitVersion) {
		t.Errorf("server %+v, want the Kubernetes release of the client, %+v", server, client)
	}
}

func TestDiscovery(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	rows := columns(c.run(t, "api-resources"))
	var got []string
	for _, row := range rows[1:] {
		got = append(got, strings.Join(row, " "))
	}
	for _, want := range []string{
		"jobs batch/v1 true Job",
		"jobs bj batch.jobserver.dev/v1 true Job",
		"pods po v1 true Pod",
		"namespaces ns v1 false Namespace",
		"events ev v1 true Event",
		"configmaps cm v1 true ConfigMap",
		"secrets v1 true Secret",
		"nodes no v1 false Node",
		"leases coordination.k8s.io/v1 true Lease",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("api-resources has no %q:\n%s", want, strings.Join(got, "\n"))
		}
	}
	for path, want := range map[string]string{
		"/openapi/v2": "io.k8s.api.batch.v1.Job",
		"/openapi/v3": "apis/batch/v1",
		"/openapi/v3/apis/batch.jobserver.dev/v1": "disruptionPolicy",
		"/metrics": "apiserver_request_total",
		"/version": "gitVersion",
	} {
		if !strings.Contains(c.run(t, "get", "--raw", path), want) {
			t.Errorf("%s has no %s", path, want)
		}
	}
	for _, namespace := range []string{"default", "kube-system", "kube-node-lease"} {
		c.run(t, "get", "namespace", namespace)
	}
}

func TestNode(t *testing.T) {
	t.Parallel()
	c := newClient(t, shared)
	ready := c.run(t, "get", "nodes", "-o", `jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}`)
	if ready != "True" {
		t.Errorf("Ready of the nodes: %q, want one True", ready)
	}
	name := c.run(t, "get", "nodes", "-o", "jsonpath={.items[0].metadata.name}")
	eventually(t, time.Minute, func() string {
		rows := columns(c.run(t, "get", "leases", "--all-namespaces", "--no-headers"))
		for _, row := range rows {
			if len(row) == 4 && row[0] == "kube-node-lease" && row[1] == name && row[2] == name {
				return ""
			}
		}
		return fmt.Sprintf("no Lease of node %s among %v", name, rows)
	})
	described := c.run(t, "describe", "node", name)
	if strings.Contains(described, "Failed to get lease") || !strings.Contains(described, "HolderIdentity:  "+name) {
		t.Errorf("kubectl describe node says\n%s", described)
	}
}

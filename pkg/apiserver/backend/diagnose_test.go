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

package backend

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/jobserver-dev/jobserver/pkg/apiserver"
	"github.com/jobserver-dev/jobserver/pkg/pki"
)

// mutualTLS is a server that wants certificates of an authority, and files for its clients.
type mutualTLS struct {
	url string
	dir string
}

func newMutualTLS(t *testing.T) *mutualTLS {
	t.Helper()
	m := &mutualTLS{dir: t.TempDir()}
	ours, foreign := newPKI(t), newPKI(t)
	m.write(t, "ca", pki.KeyPair{Cert: ours.CA})
	m.write(t, "foreign", pki.KeyPair{Cert: foreign.CA})
	m.write(t, "client", ours.Admin)
	m.write(t, "stranger", foreign.Admin)
	pair, err := tls.X509KeyPair(ours.Serving.Cert, ours.Serving.Key)
	if err != nil {
		t.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(ours.CA)
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients}
	server.StartTLS()
	t.Cleanup(server.Close)
	m.url = server.URL
	return m
}

// newPKI makes an authority with the certificates of a server and a client.
func newPKI(t *testing.T) *pki.Bundle {
	t.Helper()
	made, err := pki.Ensure(t.TempDir(), []string{"127.0.0.1"}, clock.RealClock{})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func (m *mutualTLS) path(name string) string { return filepath.Join(m.dir, name) }

func (m *mutualTLS) write(t *testing.T, name string, pair pki.KeyPair) {
	t.Helper()
	for suffix, content := range map[string][]byte{".crt": pair.Cert, ".key": pair.Key} {
		if err := os.WriteFile(m.path(name+suffix), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func (m *mutualTLS) store(authority, client string) apiserver.Etcd {
	store := apiserver.Etcd{Servers: []string{m.url}, CAFile: m.path(authority + ".crt")}
	if client != "" {
		store.CertFile, store.KeyFile = m.path(client+".crt"), m.path(client+".key")
	}
	return store
}

func TestDiagnose(t *testing.T) {
	t.Parallel()
	m := newMutualTLS(t)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	mixed := m.store("ca", "client")
	mixed.KeyFile = m.path("stranger.key")
	missing := m.store("ca", "client")
	missing.CertFile = m.path("missing.crt")
	tests := map[string]struct {
		store apiserver.Etcd
		want  string
	}{
		"good":                             {store: m.store("ca", "client")},
		"no certificate":                   {m.store("ca", ""), "tls: certificate required"},
		"a certificate of somebody else's": {m.store("ca", "stranger"), "tls: unknown certificate authority"},
		"a server that is not trusted":     {m.store("foreign", "client"), "certificate signed by unknown authority"},
		"a key of another certificate":     {mixed, "load the certificates for etcd: tls: private key does not match public key"},
		"a file that is not there":         {missing, "missing.crt: no such file"},
		"nobody there":                     {apiserver.Etcd{Servers: []string{"http://" + closed.Addr().String()}}, "connection refused"},
		"a socket":                         {store: apiserver.Etcd{Servers: []string{"unix:///nowhere"}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := diagnose(test.store)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// TestOpenSaysWhy: the error of a start names the reason, not only that there was no answer.
func TestOpenSaysWhy(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 2*time.Second, context.DeadlineExceeded)
	defer cancel()
	m := newMutualTLS(t)
	if _, err := Open(ctx, m.store("ca", ""), ""); err == nil || !strings.Contains(err.Error(), "reach etcd at "+m.url) || !strings.Contains(err.Error(), "tls: certificate required") {
		t.Errorf("got %v", err)
	}
}

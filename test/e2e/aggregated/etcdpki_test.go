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
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/jobserver-dev/jobserver/test/e2e/cluster"
)

// etcdPKI are the certificates of an etcd over mutual TLS, and of its clients. The client's files are where a Secret's are in a Pod: in a folder behind a link, which
// changes at once.
type etcdPKI struct {
	dir string
	// authorities sign for clients; the first one signs for the servers too.
	authorities []*cluster.Authority
	versions    int
}

// newEtcdPKI makes two authorities, both of which etcd and its clients trust at first, and a client's certificate by the first one.
func newEtcdPKI(t *testing.T) *etcdPKI {
	t.Helper()
	p := &etcdPKI{dir: t.TempDir()}
	for _, name := range []string{"first", "second", "foreign"} {
		authority, err := cluster.NewAuthority(p.dir, name)
		if err != nil {
			t.Fatal(err)
		}
		p.authorities = append(p.authorities, authority)
	}
	p.trust(t, p.authorities[0], p.authorities[1])
	if err := p.authorities[0].Issue(filepath.Join(p.dir, "server"), "etcd", "127.0.0.1"); err != nil {
		t.Fatal(err)
	}
	p.give(t, p.authorities[0])
	return p
}

// trust has etcd trust the clients of these authorities, from its next start on.
func (p *etcdPKI) trust(t *testing.T, authorities ...*cluster.Authority) {
	t.Helper()
	var all bytes.Buffer
	for _, authority := range authorities {
		all.Write(authority.PEM())
	}
	if err := os.WriteFile(filepath.Join(p.dir, "trusted.crt"), all.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// give has clients show another certificate, of this authority.
func (p *etcdPKI) give(t *testing.T, authority *cluster.Authority) {
	t.Helper()
	p.versions++
	version := fmt.Sprintf("client-v%d", p.versions)
	if err := authority.Issue(filepath.Join(p.dir, version, "tls"), "jobserver"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.dir, version, "ca.crt"), p.authorities[0].PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(p.dir, "link")
	if err := os.Symlink(version, link); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(link, filepath.Join(p.dir, "client")); err != nil {
		t.Fatal(err)
	}
}

func (p *etcdPKI) serverArgs() []string {
	server := filepath.Join(p.dir, "server")
	return []string{"--cert-file=" + server + ".crt", "--key-file=" + server + ".key", "--client-cert-auth", "--trusted-ca-file=" + filepath.Join(p.dir, "trusted.crt")}
}

func (p *etcdPKI) clientArgs() []string {
	client := filepath.Join(p.dir, "client")
	return []string{"--etcd-cafile=" + client + "/ca.crt", "--etcd-certfile=" + client + "/tls.crt", "--etcd-keyfile=" + client + "/tls.key"}
}

// transport is that of a client which has the certificate that clients show now.
func (p *etcdPKI) transport(t *testing.T) *http.Transport {
	t.Helper()
	client := filepath.Join(p.dir, "client")
	pair, err := tls.LoadX509KeyPair(client+"/tls.crt", client+"/tls.key")
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(p.authorities[0].PEM())
	return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true}
}

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

package pki_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/jobserver-dev/jobserver/pkg/pki"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func TestEnsure(t *testing.T) {
	t.Parallel()
	hosts := []string{"localhost", "127.0.0.1"}
	tests := map[string]struct {
		hosts               []string
		after               time.Duration
		remove              string
		sameCA, sameServing bool
	}{
		"nothing changed":             {hosts: hosts, sameCA: true, sameServing: true},
		"fewer hosts":                 {hosts: hosts[:1], sameCA: true, sameServing: true},
		"one more host":               {hosts: append([]string{"build.example"}, hosts...), sameCA: true},
		"eight years later":           {hosts: hosts, after: 8 * 365 * 24 * time.Hour, sameCA: true, sameServing: true},
		"in the last year":            {hosts: hosts, after: 9*365*24*time.Hour + time.Minute},
		"the authority's key is gone": {hosts: hosts, remove: "ca.key"},
		"the serving key is gone":     {hosts: hosts, remove: "serving.key", sameCA: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "pki")
			first := ensure(t, dir, hosts, start)
			if test.remove != "" {
				if err := os.Remove(filepath.Join(dir, test.remove)); err != nil {
					t.Fatal(err)
				}
			}
			now := start.Add(test.after)
			second := ensure(t, dir, test.hosts, now)
			if same := bytes.Equal(first.CA, second.CA); same != test.sameCA {
				t.Errorf("same authority: %v, want %v", same, test.sameCA)
			}
			if same := bytes.Equal(first.Serving.Cert, second.Serving.Cert); same != test.sameServing {
				t.Errorf("same serving certificate: %v, want %v", same, test.sameServing)
			}
			verify(t, second, test.hosts, now)
		})
	}
}

func TestKeysAreForTheOwnerOnly(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "pki")
	bundle := ensure(t, dir, []string{"localhost"}, start)
	kubeconfig := filepath.Join(dir, "admin.kubeconfig")
	if err := bundle.WriteKubeconfig(kubeconfig, "https://127.0.0.1:6443"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ca.key", "serving.key", "admin.key", "admin.kubeconfig"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o, want 600", name, info.Mode().Perm())
		}
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	if config.Host != "https://127.0.0.1:6443" || !bytes.Equal(config.CertData, bundle.Admin.Cert) || !bytes.Equal(config.CAData, bundle.CA) {
		t.Errorf("kubeconfig leads to %s with other certificates than the bundle's", config.Host)
	}
}

func TestDamagedFileIsAnError(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "pki")
	ensure(t, dir, []string{"localhost"}, start)
	damaged := filepath.Join(dir, "ca.crt")
	if err := os.WriteFile(damaged, []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := pki.Ensure(dir, []string{"localhost"}, clocktesting.NewFakePassiveClock(start))
	if err == nil || !strings.Contains(err.Error(), damaged) {
		t.Errorf("got error %v, want one that names %s", err, damaged)
	}
}

func ensure(t *testing.T, dir string, hosts []string, now time.Time) *pki.Bundle {
	t.Helper()
	bundle, err := pki.Ensure(dir, hosts, clocktesting.NewFakePassiveClock(now))
	if err != nil {
		t.Fatal(err)
	}
	return bundle
}

// verify checks the chains as the two sides of a connection do.
func verify(t *testing.T, bundle *pki.Bundle, hosts []string, now time.Time) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle.CA)
	for _, host := range hosts {
		if _, err := leaf(t, bundle.Serving).Verify(x509.VerifyOptions{Roots: roots, DNSName: host, CurrentTime: now}); err != nil {
			t.Errorf("serving certificate for %s: %v", host, err)
		}
	}
	admin := leaf(t, bundle.Admin)
	usages := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if _, err := admin.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: usages, CurrentTime: now}); err != nil {
		t.Errorf("admin certificate: %v", err)
	}
	if admin.Subject.CommonName != pki.AdminUser || len(admin.Subject.Organization) != 1 || admin.Subject.Organization[0] != pki.AdminGroup {
		t.Errorf("admin certificate is of %v", admin.Subject)
	}
}

func leaf(t *testing.T, pair pki.KeyPair) *x509.Certificate {
	t.Helper()
	loaded, err := tls.X509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	return loaded.Leaf
}

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

package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// validity is longer than any test and shorter than what a forgotten key should be good for.
const validity = 24 * time.Hour

// authority is a certificate authority that can issue.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// certificates are the authorities of a cluster, each for one purpose as in production: serving, clients, front proxy.
type certificates struct {
	dir        string
	serving    *authority
	clients    *authority
	frontProxy *authority
}

// makeCertificates writes all certificates and keys into dir.
func makeCertificates(dir string) (*certificates, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	c := &certificates{dir: dir}
	for name, made := range map[string]**authority{"ca": &c.serving, "client-ca": &c.clients, "front-proxy-ca": &c.frontProxy} {
		var err error
		if *made, err = newAuthority(dir, name); err != nil {
			return nil, err
		}
	}
	issued := []struct {
		from   *authority
		file   string
		name   string
		groups []string
		hosts  []string
	}{
		{c.serving, "apiserver", "kube-apiserver", nil, []string{"127.0.0.1", "localhost", "kubernetes.default.svc"}},
		{c.clients, "admin", "admin", []string{"system:masters"}, nil},
		{c.clients, "controller-manager", "system:kube-controller-manager", nil, nil},
		{c.clients, "kubelet-client", "kube-apiserver-kubelet-client", []string{"system:masters"}, nil},
		{c.frontProxy, "front-proxy-client", "front-proxy-client", nil, nil},
	}
	for _, cert := range issued {
		if err := cert.from.issue(filepath.Join(dir, cert.file), cert.name, cert.groups, cert.hosts); err != nil {
			return nil, err
		}
	}
	return c, makeServiceAccountKey(filepath.Join(dir, "service-account"))
}

func newAuthority(dir, name string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := newTemplate(name)
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make authority %s: %w", name, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &authority{cert: cert, key: key}, writePair(filepath.Join(dir, name), der, key)
}

// issue writes a certificate and its key to path.crt and path.key: for the hosts if there are any, for a client otherwise.
func (a *authority) issue(path, name string, groups, hosts []string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := newTemplate(name)
	template.Subject.Organization = groups
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	for _, host := range hosts {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return fmt.Errorf("issue certificate of %s: %w", name, err)
	}
	return writePair(path, der, key)
}

func newTemplate(name string) *x509.Certificate {
	// Serial numbers of one authority must differ; the time in nanoseconds does.
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now.Add(-time.Minute),
		NotAfter:     now.Add(validity),
	}
}

// makeServiceAccountKey writes the key that tokens are signed with, and its public part.
func makeServiceAccountKey(path string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	if err := writeKey(path+".key", key); err != nil {
		return err
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	return writePEM(path+".pub", "PUBLIC KEY", der)
}

func writePair(path string, cert []byte, key *ecdsa.PrivateKey) error {
	if err := writePEM(path+".crt", "CERTIFICATE", cert); err != nil {
		return err
	}
	return writeKey(path+".key", key)
}

func writeKey(path string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return writePEM(path, "EC PRIVATE KEY", der)
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, encodePEM(kind, der), 0o600)
}

func encodePEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// adminClient is an HTTP client with the administrator's certificate.
func (c *certificates) adminClient() (*http.Client, error) {
	cert, err := tls.LoadX509KeyPair(filepath.Join(c.dir, "admin.crt"), filepath.Join(c.dir, "admin.key"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(c.serving.cert)
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12},
	}}, nil
}

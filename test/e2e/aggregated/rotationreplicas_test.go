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
	"crypto/x509"
	"encoding/pem"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestCertificatesRotateOnReplicas lets authorities come and go that three replicas share: one makes what is due, all serve it, and the registration has what is needed
// to trust each of them at every moment. No request fails.
func TestCertificatesRotateOnReplicas(t *testing.T) {
	slow(t)
	e := startEtcd(t, 1)
	in := ownInstallation(t, setup{overlay: "external-etcd", replicas: 3, noNode: true,
		serverArgs: []string{e.flag(), "--ca-validity=90s", "--serving-certificate-validity=45s"}})
	in.waitServing(t, in.replicas...)
	const wanted = 2 // authorities after the first
	stop := in.traffic(t)
	signedBy := make([]map[string]bool, len(in.replicas))
	served := make([]map[string]bool, len(in.replicas))
	for i := range in.replicas {
		signedBy[i], served[i] = map[string]bool{}, map[string]bool{}
	}
	bundled := map[string]bool{}
	deadline := time.Now().Add(6 * time.Minute)
	for rotated := 0; rotated < wanted+1; {
		if time.Now().After(deadline) {
			t.Fatalf("authorities by replica: %v", signedBy)
		}
		rotated = wanted + 1
		for i, r := range in.replicas {
			bundle := in.bundle(t)
			certificate, err := in.handshake(t.Context(), r, bundle)
			if err != nil {
				if after := in.bundle(t); string(after) != string(bundle) {
					rotated = 0
					continue // the registration may have changed since it was read
				}
				t.Fatalf("replica %d is not trusted: %v", i, err)
			}
			for _, authority := range authoritiesOf(t, bundle) {
				bundled[authority.Subject.CommonName] = true
			}
			signedBy[i][certificate.Issuer.CommonName] = true
			served[i][certificate.SerialNumber.String()] = true
			rotated = min(rotated, len(signedBy[i]))
		}
	}
	stop()
	t.Logf("authorities in the registration: %v; that signed for the replicas: %v", bundled, signedBy)
	// One makes an authority, the others take it: otherwise replicas would have authorities that the others never had.
	for i := range in.replicas {
		for authority := range signedBy[i] {
			if !bundled[authority] {
				t.Errorf("replica %d served by authority %s, which was never registered", i, authority)
			}
		}
	}
	in.replicasAgree(t)
	// There is no way to trust the server that is not checked.
	if insecure := in.admin.run(t, "get", "apiservice", registrationName, "-o", "jsonpath={.spec.insecureSkipTLSVerify}"); insecure != "" && insecure != "false" {
		t.Errorf("insecureSkipTLSVerify is %s", insecure)
	}
}

// replicasAgree waits for a moment in which all replicas serve the certificate that stands in the Secret.
func (in *installation) replicasAgree(t *testing.T) {
	t.Helper()
	eventually(t, waitLong, func() string {
		secret, err := in.kube.CoreV1().Secrets(systemNamespace).Get(t.Context(), "jobserver-certificates", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		want := authoritiesOf(t, secret.Data["tls.crt"])[0]
		for _, r := range in.replicas {
			certificate, err := in.handshake(t.Context(), r, in.bundle(t))
			if err != nil {
				return err.Error()
			}
			if !certificate.Equal(want) {
				return r.Name + " serves another certificate than the Secret has"
			}
		}
		return ""
	})
}

// authoritiesOf are the certificates of a PEM file.
func authoritiesOf(t *testing.T, bundle []byte) []*x509.Certificate {
	t.Helper()
	var certificates []*x509.Certificate
	for block, rest := pem.Decode(bundle); block != nil; block, rest = pem.Decode(rest) {
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		certificates = append(certificates, certificate)
	}
	if len(certificates) == 0 {
		t.Fatalf("no certificate in %q", bundle)
	}
	return certificates
}

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

package doctor

import (
	"crypto/x509"
	"fmt"
	"strings"
	"time"
)

// judgeCertificate judges the certificate that the server shows against the authority that the cluster's API server trusts.
func judgeCertificate(options Options, facts Facts) Finding {
	if err := facts.Handshake.Err; err != nil {
		return unknown("not visible from this machine: %v", err)
	}
	if facts.APIService.Err != nil || facts.APIService.Value.Spec.Service == nil {
		return unknown("there is no APIService to compare with")
	}
	reference := facts.APIService.Value.Spec.Service
	name := fmt.Sprintf("%s.%s.svc", reference.Name, reference.Namespace)
	cert := facts.Handshake.Value[0]
	if err := verify(facts, name, facts.APIService.Value.Spec.CABundle); err != nil {
		if strings.Contains(facts.Readyz.Body, "[-]start") {
			return unknown("our server is starting, and may have none yet: see the link of health and etcd")
		}
		return bad(certificateCure(options, facts, name), "the cluster's API server won't accept it: %v", err)
	}
	if cert.NotAfter.Sub(facts.Now) < expiresSoon {
		return bad(mend(restart(options)).noting("with --tls-cert-file, have the certificate renewed"), "%s", ending(cert, facts.Now))
	}
	return good("it is for %s, good until %s", name, cert.NotAfter.Format(time.DateOnly))
}

// verify checks the certificate that the server shows, for a name and by the authorities of a bundle.
func verify(facts Facts, name string, bundle []byte) error {
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	for _, cert := range facts.Handshake.Value[1:] {
		intermediates.AddCert(cert)
	}
	_, err := facts.Handshake.Value[0].Verify(x509.VerifyOptions{DNSName: name, Roots: roots, Intermediates: intermediates, CurrentTime: facts.Now})
	return err
}

// certificateCure mends whichever is wrong: what the cluster trusts, or what the server shows.
func certificateCure(options Options, facts Facts, name string) Cure {
	if facts.Authorities.Err == nil && verify(facts, name, facts.Authorities.Value) == nil {
		return writeBundle(options, facts)
	}
	return mend(restart(options)).noting("with --tls-cert-file: have the certificate issued for %s, and write what checks it into caBundle of %s", name, options.apiServiceName())
}

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
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// batchPriority is the groupPriorityMinimum of Kubernetes' own batch group.
const batchPriority = 17400

// expiresSoon is how long before its end a certificate is worth a word: it should have been renewed long before.
const expiresSoon = 3 * 24 * time.Hour

// judgeCluster judges whether there is a cluster to examine.
func judgeCluster(_ Options, facts Facts) Finding {
	if err := facts.ClusterVersion.Err; err != nil {
		return bad(advise("check --kubeconfig, and that its API server runs"), "the cluster's API server does not answer: %v", err)
	}
	return good("the API server answers, version %s", facts.ClusterVersion.Value)
}

// judgeAPIService judges whether our group is registered, and registered well.
func judgeAPIService(options Options, facts Facts) Finding {
	name, service, err := options.apiServiceName(), facts.APIService.Value, facts.APIService.Err
	switch {
	case apierrors.IsNotFound(err):
		return bad(register(options, facts), "%s is not registered", name)
	case err != nil:
		return unknown("reading %s: %v", name, err)
	case service.Spec.Service == nil:
		return bad(advise("switch it off (kube-apiserver --runtime-config=%s=false), then kubectl delete apiservice %s", options.GroupVersion, name),
			"%s is served by the cluster's API server itself", name)
	case service.Spec.InsecureSkipTLSVerify:
		return bad(patchAPIService(options, `{"spec":{"insecureSkipTLSVerify":false}}`), "%s lets the cluster's API server send requests to anybody (insecureSkipTLSVerify)", name)
	case !options.takesOver() && service.Spec.GroupPriorityMinimum >= batchPriority:
		return bad(patchAPIService(options, `{"spec":{"groupPriorityMinimum":1000}}`),
			"%s has the priority %d: \"kubectl get jobs\" means ours in the whole cluster", name, service.Spec.GroupPriorityMinimum)
	}
	return good("%s leads to service %s/%s", name, service.Spec.Service.Namespace, service.Spec.Service.Name)
}

func patchAPIService(options Options, patch string) Cure {
	return mend(fmt.Sprintf("kubectl patch apiservice %s --type=merge -p '%s'", options.apiServiceName(), patch))
}

// register registers a server that is installed, or installs one.
func register(options Options, facts Facts) Cure {
	if len(facts.Workloads.Value) == 0 {
		return mend("kubectl apply -k " + overlay(options, facts)).noting("docs/install.md says which overlay is for what")
	}
	file := manifests + "base/apiservice.yaml"
	if options.takesOver() {
		file = manifests + "overlays/replace/apiservice-batch.yaml"
	}
	return mend("kubectl create -f " + file).noting("it works once the server has written caBundle, within 10 s; your overlay of it, where you have one")
}

// judgeBundle judges the certificate authority that the cluster's API server is to trust.
func judgeBundle(options Options, facts Facts) Finding {
	if facts.APIService.Err != nil {
		return unknown("there is no APIService")
	}
	name, cure := options.apiServiceName(), writeBundle(options, facts)
	bundle := facts.APIService.Value.Spec.CABundle
	if len(bundle) == 0 {
		return bad(cure, "%s has no caBundle", name)
	}
	certs, err := parseBundle(bundle)
	if err != nil {
		return bad(cure, "caBundle of %s: %v", name, err)
	}
	last := certs[0]
	for _, cert := range certs {
		if cert.NotAfter.After(last.NotAfter) {
			last = cert
		}
	}
	if left := last.NotAfter.Sub(facts.Now); left < expiresSoon {
		return bad(cure, "caBundle of %s: %s", name, ending(last, facts.Now))
	}
	// Where the server's certificate is visible, the link of the certificate knows better.
	own := facts.Authorities
	if facts.Handshake.Err != nil && own.Err == nil && !facts.hasFlag("--tls-cert-file") && !bytes.Equal(bytes.TrimSpace(own.Value), bytes.TrimSpace(bundle)) {
		return bad(cure, "caBundle of %s is not what the server's certificates are checked by", name)
	}
	return good("caBundle has %d certificates, the last good until %s", len(certs), last.NotAfter.Format(time.DateOnly))
}

// parseBundle reads certificates in PEM: at least one, and nothing else.
func parseBundle(bundle []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for rest := bytes.TrimSpace(bundle); len(rest) > 0; rest = bytes.TrimSpace(rest) {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, fmt.Errorf("is not PEM")
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("holds what is no certificate: %w", err)
		}
		certs = append(certs, cert)
	}
	if len(certs) == 0 {
		return nil, fmt.Errorf("holds no certificate")
	}
	return certs, nil
}

func ending(cert *x509.Certificate, now time.Time) string {
	if now.After(cert.NotAfter) {
		return fmt.Sprintf("the certificate of %q ended on %s", cert.Subject.CommonName, cert.NotAfter.Format(time.DateTime))
	}
	return fmt.Sprintf("the certificate of %q ends in %s", cert.Subject.CommonName, cert.NotAfter.Sub(now).Round(time.Minute))
}

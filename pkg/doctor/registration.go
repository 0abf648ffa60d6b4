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
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

// batchPriority is the groupPriorityMinimum of Kubernetes' own batch group.
const batchPriority = 17400

// expiresSoon is how long before its end a certificate is worth a word: it should have been renewed long before.
const expiresSoon = 3 * 24 * time.Hour

// judgeCluster judges whether there is a cluster to examine.
func judgeCluster(_ Options, facts Facts) Finding {
	if err := facts.ClusterVersion.Err; err != nil {
		return bad("check --kubeconfig, and that its API server runs", "the cluster's API server does not answer: %v", err)
	}
	return good("the API server answers, version %s", facts.ClusterVersion.Value)
}

// judgeAPIService judges whether our group is registered, and registered well.
func judgeAPIService(options Options, facts Facts) Finding {
	name, service, err := options.apiServiceName(), facts.APIService.Value, facts.APIService.Err
	switch {
	case apierrors.IsNotFound(err):
		return bad("kubectl apply -k artifacts/kustomize/overlays/embedded-etcd (or another overlay)", "%s is not registered", name)
	case err != nil:
		return unknown("reading %s: %v", name, err)
	case service.Spec.Service == nil:
		return bad(fmt.Sprintf("switch it off (kube-apiserver --runtime-config=%s=false), then delete the APIService", options.GroupVersion),
			"%s is served by the cluster's API server itself", name)
	case service.Spec.InsecureSkipTLSVerify:
		return bad(patchAPIService(name, `{"spec":{"insecureSkipTLSVerify":false}}`), "%s lets the cluster's API server send requests to anybody (insecureSkipTLSVerify)", name)
	case options.GroupVersion.Group != "batch" && service.Spec.GroupPriorityMinimum >= batchPriority:
		return bad(patchAPIService(name, `{"spec":{"groupPriorityMinimum":1000}}`),
			"%s has the priority %d: \"kubectl get jobs\" means ours in the whole cluster", name, service.Spec.GroupPriorityMinimum)
	}
	return good("%s leads to service %s/%s", name, service.Spec.Service.Namespace, service.Spec.Service.Name)
}

func patchAPIService(name, patch string) string {
	return fmt.Sprintf("kubectl patch apiservice %s --type=merge -p '%s'", name, patch)
}

// judgeBundle judges the certificate authority that the cluster's API server is to trust.
func judgeBundle(options Options, facts Facts) Finding {
	if facts.APIService.Err != nil {
		return unknown("there is no APIService")
	}
	name := options.apiServiceName()
	renew := fmt.Sprintf("kubectl rollout restart -n %s deployment,statefulset -l app.kubernetes.io/name=jobserver (the server writes caBundle)", options.Namespace)
	bundle := facts.APIService.Value.Spec.CABundle
	if len(bundle) == 0 {
		return bad(renew, "%s has no caBundle", name)
	}
	certs, err := parseBundle(bundle)
	if err != nil {
		return bad(renew, "caBundle of %s: %v", name, err)
	}
	last := certs[0]
	for _, cert := range certs {
		if cert.NotAfter.After(last.NotAfter) {
			last = cert
		}
	}
	if left := last.NotAfter.Sub(facts.Now); left < expiresSoon {
		return bad(renew, "caBundle of %s: %s", name, ending(last, facts.Now))
	}
	return good("caBundle has %d certificates, the last good until %s", len(certs), last.NotAfter.Format(time.DateOnly))
}

// judgeAvailability repeats what the cluster's API server says of us: it tries our service all the time.
func judgeAvailability(options Options, facts Facts) Finding {
	if facts.APIService.Err != nil {
		return unknown("there is no APIService")
	}
	for _, condition := range facts.APIService.Value.Status.Conditions {
		if condition.Type != apiregistrationv1.Available {
			continue
		}
		if condition.Status == apiregistrationv1.ConditionTrue {
			return good("the cluster's API server reaches ours")
		}
		return bad(fmt.Sprintf("see the links below; the log is kubectl logs -n %s -l app.kubernetes.io/name=jobserver --all-containers", options.Namespace),
			"the cluster's API server says: %s: %s", condition.Reason, strings.TrimSpace(condition.Message))
	}
	return unknown("the cluster's API server has not tried yet")
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

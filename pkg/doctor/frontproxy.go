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
	"encoding/json"
	"net/http"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// judgeFrontProxy judges whether the cluster tells its servers whom to believe when it forwards a caller's name.
func judgeFrontProxy(_ Options, facts Facts) Finding {
	name := authenticationNamespace + "/" + authenticationConfig
	if err := facts.FrontProxy.Err; err != nil {
		if apierrors.IsNotFound(err) {
			return bad(aggregationLayer(), "ConfigMap %s is not there", name)
		}
		return unknown("reading ConfigMap %s: %v", name, err)
	}
	bundle := facts.FrontProxy.Value.Data["requestheader-client-ca-file"]
	if bundle == "" {
		return bad(aggregationLayer(), "ConfigMap %s names no front proxy: the cluster has no aggregation layer", name)
	}
	certs, err := parseBundle([]byte(bundle))
	if err != nil {
		return bad(advise("mend the file of kube-apiserver's --requestheader-client-ca-file"), "the front proxy's authority %v", err)
	}
	if what, _ := unavailable(facts); facts.Discovery.Code == http.StatusUnauthorized || strings.HasSuffix(what, notBelieved) {
		return bad(frontProxyCertificate(), "our server does not believe the cluster's API server (401): the certificate that it shows is not by the authority %q, or has none of the names %s",
			certs[0].Subject.CommonName, names(facts.FrontProxy.Value.Data["requestheader-allowed-names"]))
	}
	for _, cert := range certs {
		if facts.Now.Before(cert.NotAfter) {
			return good("the cluster's front proxy is known, its authority good until %s", cert.NotAfter.Format(time.DateOnly))
		}
	}
	return bad(advise("renew the authority of kube-apiserver's --requestheader-client-ca-file, and by it the certificate of --proxy-client-cert-file"), "the front proxy's authority: %s", ending(certs[0], facts.Now))
}

// aggregationLayer says how a cluster gets one.
func aggregationLayer() Cure {
	return advise("give kube-apiserver --requestheader-client-ca-file, --requestheader-allowed-names, --requestheader-username-headers=X-Remote-User, " +
		"--requestheader-group-headers=X-Remote-Group, --requestheader-extra-headers-prefix=X-Remote-Extra-, --proxy-client-cert-file and --proxy-client-key-file; " +
		"it writes the ConfigMap itself")
}

// frontProxyCertificate says what makes one that is believed. No command does it: it is a file of kube-apiserver's machine.
func frontProxyCertificate() Cure {
	return advise("give kube-apiserver a --proxy-client-cert-file that the authority of its --requestheader-client-ca-file has issued (kubeadm certs renew front-proxy-client), " +
		"for a name of --requestheader-allowed-names, and start it again; what our server believes: kubectl get configmap -n " +
		authenticationNamespace + " " + authenticationConfig + " -o yaml")
}

// names makes a list in JSON readable. An empty one stands for any name.
func names(list string) string {
	var parsed []string
	if err := json.Unmarshal([]byte(list), &parsed); err != nil || len(parsed) == 0 {
		return "(any)"
	}
	return strings.Join(parsed, ", ")
}

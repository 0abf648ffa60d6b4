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

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// maxSkew is how far apart clocks may be. Certificates and leases are made for a minute or two.
const maxSkew = 30 * time.Second

// judgeService judges whether the Service that the registration names is there.
func judgeService(options Options, facts Facts) Finding {
	if facts.APIService.Err != nil || facts.APIService.Value.Spec.Service == nil {
		return unknown("no service is registered")
	}
	reference := facts.APIService.Value.Spec.Service
	service, err := facts.Service.Value, facts.Service.Err
	switch {
	case apierrors.IsNotFound(err):
		return bad("kubectl apply -k the overlay that was installed: it has the Service", "service %s/%s is not there", reference.Namespace, reference.Name)
	case err != nil:
		return unknown("reading service %s/%s: %v", reference.Namespace, reference.Name, err)
	case service.Spec.Type == corev1.ServiceTypeExternalName:
		return good("it stands for the host %s", service.Spec.ExternalName)
	}
	port := int32(443)
	if reference.Port != nil {
		port = *reference.Port
	}
	for _, have := range service.Spec.Ports {
		if have.Port == port {
			return good("service %s/%s has port %d", service.Namespace, service.Name, port)
		}
	}
	return bad(patchAPIService(options.apiServiceName(), `{"spec":{"service":{"port":PORT}}}`), "service %s/%s has no port %d, which the APIService names",
		service.Namespace, service.Name, port)
}

// judgeEndpoints judges whether a ready server is behind the Service, and if not, what its Pods wait for.
func judgeEndpoints(options Options, facts Facts) Finding {
	switch {
	case facts.Service.Err != nil || facts.Service.Value == nil:
		return unknown("there is no service")
	case facts.Service.Value.Spec.Type == corev1.ServiceTypeExternalName:
		return good("the host is outside of the cluster")
	case facts.Slices.Err != nil:
		return unknown("reading endpoints: %v", facts.Slices.Err)
	}
	ready := 0
	for _, slice := range facts.Slices.Value {
		for _, endpoint := range slice.Endpoints {
			if endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready {
				ready++
			}
		}
	}
	if ready > 0 {
		return good("%d ready", ready)
	}
	if len(facts.Pods.Value) == 0 {
		return bad(fmt.Sprintf("kubectl get deployments,statefulsets -n %s; scale up, or apply the overlay again", options.Namespace), "no Pod of the server is there")
	}
	var waits []string
	for _, pod := range facts.Pods.Value {
		waits = append(waits, fmt.Sprintf("%s: %s", pod.Name, whyNotReady(pod)))
	}
	return bad(fmt.Sprintf("kubectl describe pods -n %s -l app.kubernetes.io/name=jobserver", options.Namespace), "no Pod is ready: %s", strings.Join(waits, "; "))
}

func whyNotReady(pod corev1.Pod) string {
	for _, status := range pod.Status.ContainerStatuses {
		if waiting := status.State.Waiting; waiting != nil {
			return strings.TrimSuffix(waiting.Reason+", "+waiting.Message, ", ")
		}
	}
	for _, condition := range pod.Status.Conditions {
		if condition.Status == corev1.ConditionFalse && condition.Message != "" {
			return condition.Message
		}
	}
	return "phase " + string(pod.Status.Phase)
}

// judgeCertificate judges the certificate that the server shows against the authority that the cluster's API server trusts.
func judgeCertificate(options Options, facts Facts) Finding {
	if err := facts.Handshake.Err; err != nil {
		return unknown("not visible from this machine: %v", err)
	}
	if facts.APIService.Err != nil || facts.APIService.Value.Spec.Service == nil {
		return unknown("there is no APIService to compare with")
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(facts.APIService.Value.Spec.CABundle)
	intermediates := x509.NewCertPool()
	for _, cert := range facts.Handshake.Value[1:] {
		intermediates.AddCert(cert)
	}
	reference := facts.APIService.Value.Spec.Service
	name := fmt.Sprintf("%s.%s.svc", reference.Name, reference.Namespace)
	cert := facts.Handshake.Value[0]
	mend := fmt.Sprintf("kubectl rollout restart -n %s deployment,statefulset -l app.kubernetes.io/name=jobserver; with --tls-cert-file, have the certificate issued for %s",
		options.Namespace, name)
	if _, err := cert.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, Intermediates: intermediates, CurrentTime: facts.Now}); err != nil {
		return bad(mend, "the cluster's API server won't accept it: %v", err)
	}
	if cert.NotAfter.Sub(facts.Now) < expiresSoon {
		return bad(mend, "%s", ending(cert, facts.Now))
	}
	return good("it is for %s, good until %s", name, cert.NotAfter.Format(time.DateOnly))
}

// judgeFrontProxy judges whether the cluster tells its servers whom to believe when it forwards a caller's name.
func judgeFrontProxy(_ Options, facts Facts) Finding {
	name := authenticationNamespace + "/" + authenticationConfig
	if err := facts.FrontProxy.Err; err != nil {
		if apierrors.IsNotFound(err) {
			return bad("give kube-apiserver --requestheader-client-ca-file and --proxy-client-cert-file", "ConfigMap %s is not there", name)
		}
		return unknown("reading ConfigMap %s: %v", name, err)
	}
	bundle := facts.FrontProxy.Value.Data["requestheader-client-ca-file"]
	if bundle == "" {
		return bad("give kube-apiserver --requestheader-client-ca-file, --requestheader-username-headers and --proxy-client-cert-file",
			"ConfigMap %s names no front proxy: the cluster has no aggregation layer", name)
	}
	certs, err := parseBundle([]byte(bundle))
	if err != nil {
		return bad("mend the file of kube-apiserver's --requestheader-client-ca-file", "the front proxy's authority %v", err)
	}
	for _, cert := range certs {
		if facts.Now.Before(cert.NotAfter) {
			return good("the cluster's front proxy is known, its authority good until %s", cert.NotAfter.Format(time.DateOnly))
		}
	}
	return bad("renew the certificates of kube-apiserver (kubeadm certs renew front-proxy-client)", "the front proxy's authority: %s", ending(certs[0], facts.Now))
}

// judgeDiscovery judges the whole way: a request through the cluster's API server to ours and back.
func judgeDiscovery(options Options, facts Facts) Finding {
	response := facts.Discovery
	logs := fmt.Sprintf("kubectl logs -n %s -l app.kubernetes.io/name=jobserver", options.Namespace)
	switch {
	case response.Err != nil:
		return unknown("asking for %s: %v", options.GroupVersion, response.Err)
	case response.Code == 200:
		return good("%s answers through the cluster's API server", options.GroupVersion)
	case response.Code == 401:
		return bad("restart kube-apiserver if its front-proxy certificates changed; "+logs, "our server does not believe the cluster's API server (401): front-proxy certificate or headers")
	case response.Code == 403:
		return bad("kubectl apply -k the overlay that was installed: it binds system:auth-delegator; "+logs, "our server may not ask the cluster what callers may do (403): %s", message(response.Body))
	case response.Code == 404:
		return bad("see the link of the APIService above", "the cluster's API server does not know %s (404)", options.GroupVersion)
	default:
		return bad(logs, "the answer is %d: %s", response.Code, message(response.Body))
	}
}

// judgeHealth judges what our server says of itself: etcd, caches, controllers.
func judgeHealth(options Options, facts Facts) Finding {
	response := facts.Readyz
	switch {
	case response.Err != nil:
		return unknown("not visible from this machine: %v", response.Err)
	case response.Code == 200:
		return good("all %d checks of /readyz pass, etcd among them", strings.Count(response.Body, "[+]"))
	}
	var failing []string
	for line := range strings.Lines(response.Body) {
		if failed, ok := strings.CutPrefix(strings.TrimSpace(line), "[-]"); ok {
			failing = append(failing, failed)
		}
	}
	if len(failing) == 0 {
		return unknown("/readyz answers %d: %s", response.Code, firstLine(response.Body))
	}
	mend := fmt.Sprintf("kubectl logs -n %s -l app.kubernetes.io/name=jobserver", options.Namespace)
	switch reasons := strings.Join(failing, "\n"); {
	case strings.Contains(reasons, "the data in etcd"):
		mend = "see the link of the data above"
	case strings.Contains(reasons, "etcd"):
		mend = "check --etcd-servers and its certificates, and the etcd members (etcdctl endpoint health); " + mend
	}
	return bad(mend, "/readyz: %s", strings.Join(failing, "; "))
}

// judgeClocks compares the clocks of this machine, of the cluster's API server and of ours.
func judgeClocks(_ Options, facts Facts) Finding {
	clocks := []struct {
		of   string
		time time.Time
	}{{"the cluster's API server", facts.ClusterDate}, {"our server", facts.Discovery.Date}}
	compared := 0
	for _, clock := range clocks {
		if clock.time.IsZero() {
			continue
		}
		compared++
		if skew := facts.Now.Sub(clock.time).Abs(); skew > maxSkew {
			return bad("synchronise the clocks (chronyc makestep)", "the clock of %s is %s from this machine's", clock.of, skew.Round(time.Second))
		}
	}
	if compared == 0 {
		return unknown("nobody told the time")
	}
	return good("%d clocks within %s of this machine's", compared, maxSkew)
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}

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
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	apiregistrationclient "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset/typed/apiregistration/v1"
	"k8s.io/utils/ptr"
)

const (
	requestTimeout = 15 * time.Second
	// dialTimeout is short: most machines are not in the cluster's network, and find that out by waiting.
	dialTimeout = 3 * time.Second
	maxBody     = 1 << 20
)

// gatherer asks the cluster. Its methods fill in facts; what can't be found out becomes an error in them.
type gatherer struct {
	options     Options
	kube        kubernetes.Interface
	apiServices apiregistrationclient.APIServicesGetter
	http        *http.Client
}

func gather(ctx context.Context, options Options) (Facts, error) {
	config := rest.CopyConfig(options.Cluster)
	config.Timeout = requestTimeout
	// Some sixty requests, one after the other, and then none: at the default rate they would take ten seconds.
	config.QPS = -1
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return Facts{}, err
	}
	apiServices, err := apiregistrationclient.NewForConfig(config)
	if err != nil {
		return Facts{}, err
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return Facts{}, err
	}
	g := &gatherer{options: options, kube: kube, apiServices: apiServices, http: client}
	facts := Facts{Now: time.Now(), Account: options.account()}
	g.cluster(ctx, &facts)
	if facts.ClusterVersion.Err != nil {
		return facts, nil
	}
	g.registration(ctx, &facts)
	g.workloads(ctx, &facts)
	g.serving(ctx, &facts)
	g.rights(ctx, &facts)
	facts.Discovery = g.get(ctx, "/apis/"+options.GroupVersion.String())
	facts.Delegated = g.delegated(ctx)
	return facts, nil
}

func (g *gatherer) cluster(ctx context.Context, facts *Facts) {
	response := g.get(ctx, "/version")
	facts.ClusterDate = response.Date
	switch {
	case response.Err != nil:
		facts.ClusterVersion.Err = response.Err
	case response.Code != http.StatusOK:
		facts.ClusterVersion.Err = fmt.Errorf("/version answers %d: %s", response.Code, firstLine(response.Body))
	default:
		version, err := g.kube.Discovery().ServerVersion()
		if facts.ClusterVersion.Err = err; err == nil {
			facts.ClusterVersion.Value = version.GitVersion
		}
	}
}

func (g *gatherer) registration(ctx context.Context, facts *Facts) {
	facts.APIService.Value, facts.APIService.Err = g.apiServices.APIServices().Get(ctx, g.options.apiServiceName(), metav1.GetOptions{})
	facts.FrontProxy.Value, facts.FrontProxy.Err = g.kube.CoreV1().ConfigMaps(authenticationNamespace).Get(ctx, authenticationConfig, metav1.GetOptions{})
}

// workloads finds what makes the server's Pods.
func (g *gatherer) workloads(ctx context.Context, facts *Facts) {
	ours := metav1.ListOptions{LabelSelector: workloadLabel}
	add := func(kind, name string, replicas *int32, template corev1.PodTemplateSpec) {
		workload := Workload{Kind: kind, Name: name, Replicas: ptr.Deref(replicas, 1), Labels: template.Labels}
		for _, container := range template.Spec.Containers {
			workload.Args = append(workload.Args, container.Args...)
		}
		facts.Workloads.Value = append(facts.Workloads.Value, workload)
	}
	deployments, err := g.kube.AppsV1().Deployments(g.options.Namespace).List(ctx, ours)
	if err != nil {
		facts.Workloads.Err = err
		return
	}
	for _, deployment := range deployments.Items {
		add("deployment", deployment.Name, deployment.Spec.Replicas, deployment.Spec.Template)
	}
	statefulSets, err := g.kube.AppsV1().StatefulSets(g.options.Namespace).List(ctx, ours)
	if err != nil {
		facts.Workloads.Err = err
		return
	}
	for _, set := range statefulSets.Items {
		add("statefulset", set.Name, set.Spec.Replicas, set.Spec.Template)
	}
}

// serving looks for the server from the Service on.
func (g *gatherer) serving(ctx context.Context, facts *Facts) {
	errNoService := errors.New("no service is registered")
	facts.Service.Err, facts.Handshake.Err, facts.Readyz.Err = errNoService, errNoService, errNoService
	facts.Data.Err, facts.Authorities.Err = errNoService, errNoService
	if facts.APIService.Err != nil || facts.APIService.Value.Spec.Service == nil {
		return
	}
	reference := facts.APIService.Value.Spec.Service
	facts.Data.Value, facts.Data.Err = g.kube.CoreV1().ConfigMaps(reference.Namespace).Get(ctx, reference.Name+dataSuffix, metav1.GetOptions{})
	secret, err := g.kube.CoreV1().Secrets(reference.Namespace).Get(ctx, reference.Name+certificatesSuffix, metav1.GetOptions{})
	if facts.Authorities.Err = err; err == nil {
		facts.Authorities.Value = secret.Data[authoritiesKey] // the keys in it are nobody's business
	}
	facts.Service.Value, facts.Service.Err = g.kube.CoreV1().Services(reference.Namespace).Get(ctx, reference.Name, metav1.GetOptions{})
	if facts.Service.Err != nil {
		return
	}
	service := facts.Service.Value
	slices, err := g.kube.DiscoveryV1().EndpointSlices(reference.Namespace).List(ctx, metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + reference.Name})
	if facts.Slices.Err = err; err == nil {
		facts.Slices.Value = slices.Items
	}
	if len(service.Spec.Selector) > 0 {
		pods, err := g.kube.CoreV1().Pods(reference.Namespace).List(ctx, metav1.ListOptions{LabelSelector: labels.SelectorFromSet(service.Spec.Selector).String()})
		if facts.Pods.Err = err; err == nil {
			facts.Pods.Value = pods.Items
		}
	}
	port := registeredPort(reference)
	address := serviceAddress(service, port)
	facts.Handshake.Value, facts.Handshake.Err = handshake(ctx, address)
	facts.Readyz = g.readyz(ctx, service, port, address)
}

// registeredPort is the Service's port that the cluster's API server calls.
func registeredPort(reference *apiregistrationv1.ServiceReference) int32 {
	return ptr.Deref(reference.Port, 443)
}

// serviceAddress is where a machine in the cluster's network reaches the Service.
func serviceAddress(service *corev1.Service, port int32) string {
	host := service.Spec.ClusterIP
	if service.Spec.Type == corev1.ServiceTypeExternalName {
		host = service.Spec.ExternalName
	}
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// handshake returns the certificates that a server shows, without judging them.
func handshake(ctx context.Context, address string) ([]*x509.Certificate, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	dialer := tls.Dialer{Config: blindTLS()}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates, nil
}

// blindTLS looks at certificates rather than trusting them: nothing secret is sent, and what comes back is only shown.
func blindTLS() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}
}

// readyz asks for our health through the cluster's proxy, which reaches Pods that this machine doesn't; for a host outside of the
// cluster, straight.
func (g *gatherer) readyz(ctx context.Context, service *corev1.Service, port int32, address string) Response {
	if service.Spec.Type != corev1.ServiceTypeExternalName {
		return g.get(ctx, fmt.Sprintf("/api/v1/namespaces/%s/services/https:%s:%d/proxy/readyz?verbose", service.Namespace, service.Name, port))
	}
	// A server that waits for its etcd takes seconds to say so.
	client := &http.Client{Timeout: requestTimeout, Transport: &http.Transport{
		DialContext: (&net.Dialer{Timeout: dialTimeout}).DialContext, TLSClientConfig: blindTLS(), DisableKeepAlives: true,
	}}
	return get(ctx, client, "https://"+address+"/readyz?verbose")
}

// collector is the cluster's garbage collector: it may list everything, and is no administrator, whose rights nobody asks for.
var collector = rest.ImpersonationConfig{
	UserName: "system:serviceaccount:kube-system:generic-garbage-collector",
	Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"},
}

// delegated lists a Job as the garbage collector does. The answer needs the front proxy's headers, the cluster's word on the rights, and etcd.
func (g *gatherer) delegated(ctx context.Context) Response {
	config := rest.CopyConfig(g.options.Cluster)
	config.Timeout = requestTimeout
	config.Impersonate = collector
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return Response{Err: err}
	}
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return Response{Err: err}
	}
	return get(ctx, client, fmt.Sprintf("%s://%s/apis/%s/jobs?limit=1", base.Scheme, base.Host, g.options.GroupVersion))
}

// rights asks the cluster what the server's account may do.
func (g *gatherer) rights(ctx context.Context, facts *Facts) {
	facts.Rights = neededRights(g.options)
	groups := []string{"system:authenticated", "system:serviceaccounts", "system:serviceaccounts:" + g.options.Namespace}
	for i := range facts.Rights {
		right := &facts.Rights[i]
		review, err := g.kube.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{
			Spec: authorizationv1.SubjectAccessReviewSpec{User: facts.Account, Groups: groups, ResourceAttributes: &right.ResourceAttributes},
		}, metav1.CreateOptions{})
		if right.Err = err; err == nil {
			right.Allowed = review.Status.Allowed
		}
	}
}

// get asks the cluster's API server for a path.
func (g *gatherer) get(ctx context.Context, path string) Response {
	base, _, err := rest.DefaultServerUrlFor(g.options.Cluster)
	if err != nil {
		return Response{Err: err}
	}
	return get(ctx, g.http, base.Scheme+"://"+base.Host+path)
}

func get(ctx context.Context, client *http.Client, url string) Response {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return Response{Err: err}
	}
	answer, err := client.Do(request)
	if err != nil {
		return Response{Err: err}
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxBody))
	response := Response{Code: answer.StatusCode, Body: string(body), Err: err}
	// A server need not tell the time; then there is nothing to compare.
	response.Date, _ = http.ParseTime(answer.Header.Get("Date"))
	return response
}

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
	"encoding/json"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"k8s.io/utils/ptr"
)

var (
	now     = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	options = Options{
		GroupVersion:   schema.GroupVersion{Group: "batch.jobserver.dev", Version: "v1"},
		Namespace:      "jobserver-system",
		ServiceAccount: "jobserver",
	}
)

// healthy are the facts of an installation on which nothing is wrong.
func healthy(t *testing.T) Facts {
	chain, bundle := issue(t, "jobserver.jobserver-system.svc", now.Add(90*24*time.Hour))
	facts := Facts{
		Now:            now,
		ClusterVersion: Answer[string]{Value: "v1.37.2"},
		ClusterDate:    now.Add(time.Second),
		APIService: Answer[*apiregistrationv1.APIService]{Value: &apiregistrationv1.APIService{
			Spec: apiregistrationv1.APIServiceSpec{
				Service:              &apiregistrationv1.ServiceReference{Namespace: "jobserver-system", Name: "jobserver", Port: ptr.To[int32](443)},
				GroupPriorityMinimum: 1000,
				CABundle:             bundle,
			},
			Status: apiregistrationv1.APIServiceStatus{Conditions: []apiregistrationv1.APIServiceCondition{
				{Type: apiregistrationv1.Available, Status: apiregistrationv1.ConditionTrue},
			}},
		}},
		Service: Answer[*corev1.Service]{Value: &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: "jobserver-system", Name: "jobserver"},
			Spec: corev1.ServiceSpec{
				ClusterIP: "10.96.0.9", Selector: map[string]string{"app.kubernetes.io/name": "jobserver"}, Ports: []corev1.ServicePort{{Name: "https", Port: 443}},
			},
		}},
		Workloads: Answer[[]Workload]{Value: []Workload{{
			Kind: "statefulset", Name: "jobserver", Replicas: 1, Labels: map[string]string{"app.kubernetes.io/name": "jobserver"},
		}}},
		Authorities: Answer[[]byte]{Value: bundle},
		Slices: Answer[[]discoveryv1.EndpointSlice]{Value: []discoveryv1.EndpointSlice{{
			Ports:     []discoveryv1.EndpointPort{{Name: ptr.To("https"), Port: ptr.To[int32](8443)}},
			Endpoints: []discoveryv1.Endpoint{{Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(true)}}},
		}}},
		Handshake:  Answer[[]*x509.Certificate]{Value: chain},
		FrontProxy: Answer[*corev1.ConfigMap]{Value: &corev1.ConfigMap{Data: map[string]string{"requestheader-client-ca-file": string(bundle)}}},
		Account:    options.account(),
		Rights:     neededRights(options),
		Discovery:  Response{Code: 200, Date: now},
		Delegated:  Response{Code: 200},
		Data:       Answer[*corev1.ConfigMap]{Value: &corev1.ConfigMap{Data: map[string]string{"mark": "{}"}}},
		Readyz:     Response{Code: 200, Body: "[+]ping ok\n[+]etcd ok\nreadyz check passed\n"},
	}
	for i := range facts.Rights {
		facts.Rights[i].Allowed = true
	}
	return facts
}

func TestHealthy(t *testing.T) {
	t.Parallel()
	for _, finding := range judge(options, healthy(t)) {
		if finding.Verdict != Good || finding.cured() != "" {
			t.Errorf("%s: %+v", finding.Link, finding)
		}
	}
}

// cured is all that a finding says on what mends it.
func (f Finding) cured() string {
	return strings.TrimSpace(strings.Join(append(slices.Clone(f.Mend), f.Advice), "\n"))
}

func notFound(resource string) error {
	return apierrors.NewNotFound(schema.GroupResource{Resource: resource}, "x")
}

// TestJudge breaks one thing at a time. Want lists the links that are not good then, with words of their detail and of what mends them.
func TestJudge(t *testing.T) {
	t.Parallel()
	type verdict struct {
		verdict      Verdict
		detail, mend string
	}
	for name, test := range map[string]struct {
		change func(t *testing.T, f *Facts)
		want   map[string]verdict
	}{
		"no cluster": {
			func(_ *testing.T, f *Facts) { f.ClusterVersion.Err = errors.New("connection refused") },
			map[string]verdict{"cluster": {Bad, "connection refused", "--kubeconfig"}},
		},
		"not registered": {
			func(_ *testing.T, f *Facts) {
				f.APIService = Answer[*apiregistrationv1.APIService]{Err: notFound("apiservices")}
				f.Service.Err, f.Handshake.Err, f.Readyz.Err, f.Data.Err = errors.New("-"), errors.New("-"), errors.New("-"), errors.New("-")
				f.Discovery = Response{Code: 404, Date: now}
			},
			map[string]verdict{
				"APIService": {Bad, "v1.batch.jobserver.dev is not registered", "kubectl create -f artifacts/kustomize/base/apiservice.yaml"}, "caBundle": {Unknown, "", ""}, "service": {Unknown, "", ""},
				"endpoints": {Unknown, "", ""}, "certificate": {Unknown, "", ""}, "availability": {Unknown, "", ""}, "data": {Unknown, "", ""},
				"request": {Bad, "404", "APIService"}, "delegated call": {Unknown, "", ""}, "health and etcd": {Unknown, "", ""},
			},
		},
		"unchecked certificates": {
			func(_ *testing.T, f *Facts) { f.APIService.Value.Spec.InsecureSkipTLSVerify = true },
			map[string]verdict{"APIService": {Bad, "insecureSkipTLSVerify", `{"spec":{"insecureSkipTLSVerify":false}}`}},
		},
		"priority of batch": {
			func(_ *testing.T, f *Facts) { f.APIService.Value.Spec.GroupPriorityMinimum = 17400 },
			map[string]verdict{"APIService": {Bad, "means ours in the whole cluster", "groupPriorityMinimum"}},
		},
		"no bundle": {
			func(_ *testing.T, f *Facts) { f.APIService.Value.Spec.CABundle = nil },
			map[string]verdict{"caBundle": {Bad, "no caBundle", "get secret -n jobserver-system jobserver-certificates"}, "certificate": {Bad, "unknown authority", "get secret"}},
		},
		"bundle is no PEM": {
			func(_ *testing.T, f *Facts) { f.APIService.Value.Spec.CABundle = []byte("junk") },
			map[string]verdict{"caBundle": {Bad, "is not PEM", ""}, "certificate": {Bad, "", ""}},
		},
		"everything ends tomorrow": {
			func(t *testing.T, f *Facts) {
				f.Handshake.Value, f.APIService.Value.Spec.CABundle = issue(t, "jobserver.jobserver-system.svc", now.Add(24*time.Hour))
			},
			map[string]verdict{"caBundle": {Bad, "ends in 24h", ""}, "certificate": {Bad, "ends in 24h", "rollout restart"}},
		},
		"certificate of another name": {
			func(t *testing.T, f *Facts) {
				f.Handshake.Value, f.APIService.Value.Spec.CABundle = issue(t, "other.svc", now.Add(90*24*time.Hour))
			},
			map[string]verdict{"certificate": {Bad, "not jobserver.jobserver-system.svc", "issued for jobserver.jobserver-system.svc"}},
		},
		"bundle of somebody else": {
			func(t *testing.T, f *Facts) {
				_, f.APIService.Value.Spec.CABundle = issue(t, "jobserver.jobserver-system.svc", now.Add(90*24*time.Hour))
			},
			map[string]verdict{"certificate": {Bad, "unknown authority", "get secret -n jobserver-system jobserver-certificates"}},
		},
		"bundle of somebody else, server out of sight": {
			func(t *testing.T, f *Facts) {
				_, f.APIService.Value.Spec.CABundle = issue(t, "jobserver.jobserver-system.svc", now.Add(90*24*time.Hour))
				f.Handshake.Err = errors.New("no route")
			},
			map[string]verdict{"caBundle": {Bad, "not what the server's certificates are checked by", "get secret"}, "certificate": {Unknown, "no route", ""}},
		},
		"bundle of whoever makes the files": {
			func(t *testing.T, f *Facts) {
				_, f.APIService.Value.Spec.CABundle = issue(t, "jobserver.jobserver-system.svc", now.Add(90*24*time.Hour))
				f.Handshake.Err, f.Workloads.Value[0].Args = errors.New("no route"), []string{"--tls-cert-file=/etc/tls.crt"}
			},
			map[string]verdict{"certificate": {Unknown, "no route", ""}},
		},
		"no bundle from whoever makes the files": {
			func(_ *testing.T, f *Facts) {
				f.APIService.Value.Spec.CABundle, f.Authorities.Value = nil, nil
				f.Workloads.Value[0].Args = []string{"--tls-cert-file=/etc/tls.crt"}
			},
			map[string]verdict{"caBundle": {Bad, "no caBundle", "cert-manager"}, "certificate": {Bad, "unknown authority", "--tls-cert-file"}},
		},
		"it starts, and waits for the cluster": {
			func(t *testing.T, f *Facts) {
				f.Handshake.Value, _ = issue(t, "jobserver-starting", now.Add(90*24*time.Hour))
				f.Readyz = Response{Code: 503, Body: "[-]start waiting for the cluster's API server\nreadyz check failed\n"}
			},
			map[string]verdict{"certificate": {Unknown, "starting", ""}, "health and etcd": {Bad, "waiting for the cluster's API server", "kubectl auth reconcile"}},
		},
		"server out of sight": {
			func(_ *testing.T, f *Facts) {
				f.Handshake.Err, f.Readyz.Err = errors.New("no route"), errors.New("no route")
			},
			map[string]verdict{"certificate": {Unknown, "no route", ""}, "health and etcd": {Unknown, "no route", ""}},
		},
		"no such port": {
			func(_ *testing.T, f *Facts) { f.Service.Value.Spec.Ports[0] = corev1.ServicePort{Port: 8443} },
			map[string]verdict{
				"service":   {Bad, "no port 443", `kubectl patch apiservice v1.batch.jobserver.dev --type=merge -p '{"spec":{"service":{"port":8443}}}'`},
				"endpoints": {Bad, "no such port", "see the link of the service"},
			},
		},
		"image can't be pulled": {
			func(_ *testing.T, f *Facts) {
				f.Slices.Value[0].Endpoints[0].Conditions.Ready = ptr.To(false)
				f.Pods.Value = []corev1.Pod{{ObjectMeta: metav1.ObjectMeta{Name: "jobserver-0"}, Status: corev1.PodStatus{
					ContainerStatuses: []corev1.ContainerStatus{{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"}}}},
				}}}
			},
			map[string]verdict{"endpoints": {Bad, "jobserver-0: ImagePullBackOff", "describe pods"}},
		},
		"scaled to nothing": {
			func(_ *testing.T, f *Facts) { f.Slices.Value, f.Workloads.Value[0].Replicas = nil, 0 },
			map[string]verdict{"endpoints": {Bad, "scaled to 0", "kubectl scale -n jobserver-system statefulset/jobserver --replicas=1"}},
		},
		"nobody makes Pods": {
			func(_ *testing.T, f *Facts) { f.Slices.Value, f.Workloads.Value = nil, nil },
			map[string]verdict{"endpoints": {Bad, "nor a Deployment", "kubectl apply -k artifacts/kustomize/overlays/embedded-etcd"}},
		},
		"Pods are not made": {
			func(_ *testing.T, f *Facts) { f.Slices.Value = nil },
			map[string]verdict{"endpoints": {Bad, "is to have 1", "kubectl describe -n jobserver-system statefulset/jobserver"}},
		},
		"selector of others": {
			func(_ *testing.T, f *Facts) {
				f.Slices.Value, f.Service.Value.Spec.Selector = nil, map[string]string{"app": "other"}
			},
			map[string]verdict{"endpoints": {
				Bad, `selects Pods with "app=other"`,
				`kubectl patch service -n jobserver-system jobserver --type=json -p '[{"op":"add","path":"/spec/selector","value":{"app.kubernetes.io/name":"jobserver"}}]'`,
			}},
		},
		"target port of others": {
			func(_ *testing.T, f *Facts) { f.Slices.Value[0].Ports = nil },
			map[string]verdict{"endpoints": {Bad, "no such port", `"path":"/spec/ports/0/targetPort","value":"https"`}},
		},
		"not reached": {
			func(_ *testing.T, f *Facts) {
				f.APIService.Value.Status.Conditions[0] = apiregistrationv1.APIServiceCondition{
					Type: apiregistrationv1.Available, Status: apiregistrationv1.ConditionFalse, Reason: "FailedDiscoveryCheck", Message: "dial tcp: timeout",
				}
				f.Discovery = Response{Code: 503, Body: "service unavailable\nmore"}
			},
			map[string]verdict{"availability": {Bad, "FailedDiscoveryCheck: dial tcp: timeout", "logs"}, "request": {Bad, "503: service unavailable", "logs"}, "delegated call": {Unknown, "", ""}},
		},
		"front proxy not believed by the check of the cluster": {
			func(_ *testing.T, f *Facts) {
				f.APIService.Value.Status.Conditions[0] = apiregistrationv1.APIServiceCondition{
					Type: apiregistrationv1.Available, Status: apiregistrationv1.ConditionFalse, Reason: "FailedDiscoveryCheck",
					Message: "failing or missing response from https://10.96.0.9:443/apis/batch.jobserver.dev/v1: bad status from https://10.96.0.9:443/apis/batch.jobserver.dev/v1: 401",
				}
				f.FrontProxy.Value.Data["requestheader-allowed-names"] = `["front-proxy-client"]`
				f.Discovery = Response{Code: 503, Body: "service unavailable"}
			},
			map[string]verdict{
				"availability": {Bad, ": 401", "front proxy"}, "front proxy": {Bad, `by the authority "authority", or has none of the names front-proxy-client`, "--proxy-client-cert-file"},
				"request": {Bad, "503", ""}, "delegated call": {Unknown, "", ""},
			},
		},
		"no aggregation layer": {
			func(_ *testing.T, f *Facts) { f.FrontProxy.Value.Data = nil },
			map[string]verdict{"front proxy": {Bad, "no aggregation layer", "--requestheader-client-ca-file"}},
		},
		"front proxy not believed": {
			func(_ *testing.T, f *Facts) { f.Discovery.Code = 401 },
			map[string]verdict{"front proxy": {Bad, "401", "--proxy-client-cert-file"}, "request": {Bad, "401", "--proxy-client-cert-file"}, "delegated call": {Unknown, "", ""}},
		},
		"a right is missing": {
			func(_ *testing.T, f *Facts) { f.Rights[0].Allowed = false },
			map[string]verdict{"rights": {Bad, "may not create tokenreviews.authentication.k8s.io (for knowing callers by their tokens)", "kubectl auth reconcile -f artifacts/kustomize/base/clusterrole.yaml -f"}},
		},
		"rights can't be asked for": {
			func(_ *testing.T, f *Facts) {
				f.Delegated = Response{Code: 403, Body: `{"message":"jobs is forbidden","details":{"kind":"jobs"}}`}
			},
			map[string]verdict{"delegated call": {Bad, "(403), whom the cluster allows everything: jobs is forbidden", "kubectl auth reconcile"}},
		},
		"rights to ask for rights are missing": {
			func(_ *testing.T, f *Facts) {
				f.Delegated = Response{Code: 500, Body: `Internal Server Error: "/apis": subjectaccessreviews.authorization.k8s.io is forbidden`}
			},
			map[string]verdict{"delegated call": {Bad, "may not ask the cluster what callers may do (500): Internal Server Error", "kubectl auth reconcile"}},
		},
		"a right is missing where batch/v1 is taken over": {
			func(_ *testing.T, f *Facts) {
				f.Rights[0].Allowed, f.Workloads.Value[0].Args = false, []string{"--serve-batch-v1"}
			},
			map[string]verdict{"rights": {Bad, "may not create tokenreviews", "kubectl apply -k artifacts/kustomize/overlays/replace"}},
		},
		"no administrator": {
			func(_ *testing.T, f *Facts) {
				f.Delegated = Response{Code: 403, Body: `{"message":"users \"x\" is forbidden","details":{"kind":"users"}}`}
			},
			map[string]verdict{"delegated call": {Unknown, "may not impersonate", ""}},
		},
		"etcd is away": {
			func(_ *testing.T, f *Facts) {
				f.Delegated = Response{Code: 503, Body: `{"message":"etcd has not answered for 7s"}`}
			},
			map[string]verdict{"delegated call": {Bad, "503: etcd has not answered for 7s", "logs"}},
		},
		"restored from a backup": {
			func(_ *testing.T, f *Facts) {
				f.Data.Value.Data = map[string]string{"refused": "it was restored", "accept": "kubectl annotate x"}
				f.Discovery = Response{Code: 503}
				f.Readyz = Response{Code: 503, Body: "[-]start the data in etcd is not what the cluster has seen last\n"}
			},
			map[string]verdict{
				"data": {Bad, "it was restored", "kubectl annotate x"}, "request": {Bad, "503", ""}, "delegated call": {Unknown, "", ""},
				"health and etcd": {Bad, "the data in etcd", "the link of the data"},
			},
		},
		"etcd is gone": {
			func(_ *testing.T, f *Facts) {
				f.Readyz = Response{Code: 500, Body: "[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed\n"}
			},
			map[string]verdict{"health and etcd": {Bad, "etcd failed", "--etcd-servers"}},
		},
		"clock is wrong": {
			func(_ *testing.T, f *Facts) { f.Discovery.Date = now.Add(-5 * time.Minute) },
			map[string]verdict{"clocks": {Bad, "the clock of our server is 5m0s behind that of this machine; the clock of our server is 5m1s behind that of the cluster's API server", "chronyc"}},
		},
		"clocks are wrong in two directions": {
			func(_ *testing.T, f *Facts) {
				f.ClusterDate, f.Discovery.Date = now.Add(-20*time.Second), now.Add(20*time.Second)
			},
			map[string]verdict{"clocks": {Bad, "the clock of our server is 40s ahead of that of the cluster's API server", "chronyc"}},
		},
		"clock of a server that the cluster does not reach": {
			func(_ *testing.T, f *Facts) {
				f.Discovery, f.Readyz.Date = Response{Code: 503, Body: "service unavailable", Date: now}, now.Add(time.Hour)
			},
			map[string]verdict{"request": {Bad, "503", ""}, "delegated call": {Unknown, "", ""}, "clocks": {Bad, "our server is 1h0m0s ahead of", ""}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			facts := healthy(t)
			test.change(t, &facts)
			for _, finding := range judge(options, facts) {
				want, broken := test.want[finding.Link]
				if !broken {
					want.verdict = Good
				}
				if finding.Verdict != want.verdict || !strings.Contains(finding.Detail, want.detail) || !strings.Contains(finding.cured(), want.mend) {
					t.Errorf("%s: got %+v, want %+v", finding.Link, finding, want)
				}
				if (finding.Verdict == Bad) != (finding.cured() != "") {
					t.Errorf("%s: a bad finding, and no other, says what mends it: %+v", finding.Link, finding)
				}
			}
		})
	}
}

func TestPrint(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := Print(&out, []Finding{{Link: "cluster", Verdict: Good, Detail: "fine"}, {Link: "caBundle", Verdict: Bad, Detail: "gone", Cure: mend("do this", "then that").noting("think\ntwice")}}); err != nil {
		t.Fatal(err)
	}
	want := "ok   cluster   fine\nBAD  caBundle  gone\n               mend: do this\n               mend: then that\n               note: think\n                     twice\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("unexpected output (-want +got):\n%s", diff)
	}
}

func TestPrintJSON(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := PrintJSON(&out, []Finding{{Link: "cluster", Verdict: Good, Detail: "fine"}, {Link: "caBundle", Verdict: Bad, Detail: "gone", Cure: mend("a | b && c")}}); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Healthy  *bool
		Findings []map[string]any
	}
	if err := json.Unmarshal([]byte(out.String()), &got); err != nil {
		t.Fatal(err)
	}
	want := []map[string]any{
		{"link": "cluster", "verdict": "ok", "detail": "fine"},
		{"link": "caBundle", "verdict": "bad", "detail": "gone", "mend": []any{"a | b && c"}},
	}
	if diff := cmp.Diff(want, got.Findings); got.Healthy == nil || *got.Healthy || diff != "" {
		t.Errorf("unexpected output (-want +got):\n%s\n%s", diff, out.String())
	}
}

// issue makes a certificate for a host, and an authority for it in PEM, both good until a time.
func issue(t *testing.T, host string, until time.Time) ([]*x509.Certificate, []byte) {
	t.Helper()
	authority, key := sign(t, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, "authority", until, nil, nil)
	cert, _ := sign(t, &x509.Certificate{DNSNames: []string{host}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, host, until, authority, key)
	return []*x509.Certificate{cert}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: authority.Raw})
}

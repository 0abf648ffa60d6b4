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
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// breakage is one thing that goes wrong, what the doctor says of it, and how it is mended.
type breakage struct {
	name string
	harm func(t *testing.T)
	// link is what the doctor finds bad, found words of what it says, and told words of what it says mends it.
	link, found, told string
	// heal mends it. Nil: the doctor's own commands do.
	heal func(t *testing.T)
}

// patient is an installation whose links can be broken one by one.
type patient struct {
	*installation
	etcd   *etcdMembers
	server *replica
	usual  []string
}

// TestDoctor breaks every link that can be broken here: the doctor names it and what mends it, and is content once that was done. Where that is a command,
// the test runs it.
func TestDoctor(t *testing.T) {
	slow(t)
	e := startEtcd(t, 1)
	in := ownInstallation(t, setup{overlay: "external-etcd", noNode: true, serverArgs: []string{e.flag()}})
	p := &patient{installation: in, etcd: e, server: in.replicas[0], usual: in.replicas[0].Args}
	in.copyManifests(t)
	in.waitHealthy(t)
	for _, group := range []struct {
		args      []string
		breakages []breakage
	}{
		{nil, slices.Concat(p.registrationBreakages(), p.rightsBreakages(), p.serverBreakages(), p.frontProxyBreakages())},
		// A server that registers itself mends that too.
		{[]string{"--register-apiservice=false"}, p.registeredByHandBreakages()},
	} {
		if group.args != nil {
			p.restart(t, group.args...)
			in.waitHealthy(t)
		}
		for _, test := range group.breakages {
			t.Run(test.name, func(t *testing.T) {
				test.harm(t)
				in.waitDiagnosis(t, test)
				if test.heal != nil {
					test.heal(t)
					in.waitHealthy(t)
				} else {
					in.mendUntilHealthy(t)
				}
			})
		}
	}
	t.Run("no endpoints", p.testNoEndpoints)
	t.Run("no cluster", func(t *testing.T) {
		nowhere := filepath.Join(in.dir, "nowhere.kubeconfig")
		if err := writeTokenKubeconfig(nowhere, fmt.Sprintf("https://127.0.0.1:%d", mustFreePort(t)), in.cluster.CertificatePath("ca.crt"), "none"); err != nil {
			t.Fatal(err)
		}
		got := in.doctor(t, nowhere)
		if found := got.bad("cluster"); got.Healthy || !strings.Contains(found.Detail, "does not answer") || !strings.Contains(found.cure(), "--kubeconfig") {
			t.Errorf("%s", got)
		}
	})
}

// restart starts the server with further flags.
func (p *patient) restart(t *testing.T, args ...string) {
	t.Helper()
	p.server.Args = slices.Concat(p.usual, args)
	if err := p.server.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := p.server.Start(); err != nil {
		t.Fatal(err)
	}
}

func (p *patient) registrationBreakages() []breakage {
	return []breakage{
		{
			name: "not registered",
			harm: func(t *testing.T) { p.admin.run(t, "delete", "apiservice", registrationName) },
			link: "APIService", found: registrationName + " is not registered", told: "kubectl create -f",
		},
		{
			name: "no service",
			harm: func(t *testing.T) { p.admin.run(t, "delete", "service", "jobserver", "--namespace", systemNamespace) },
			link: "service", found: "service jobserver-system/jobserver is not there", told: "kubectl create -f",
		},
	}
}

func (p *patient) rightsBreakages() []breakage {
	const reconcile = "kubectl auth reconcile -f artifacts/kustomize/base/clusterrole.yaml"
	forget := func(kind, name, namespace string) func(t *testing.T) {
		return func(t *testing.T) { p.admin.run(t, "delete", kind, name, "--namespace", namespace) }
	}
	return []breakage{
		{
			name: "no right to Pods", harm: forget("clusterrolebinding", "jobserver", "default"),
			link: "rights", found: "may not get/list/watch/create/patch/delete pods (for running Pods)", told: reconcile,
		},
		{
			name: "a rule of the role is missing",
			harm: func(t *testing.T) {
				p.admin.run(t, "patch", "clusterrole", "jobserver", "--type=json", "-p", `[{"op":"remove","path":"/rules/0/verbs/5"}]`)
			},
			link: "rights", found: "may not delete pods (for running Pods)", told: reconcile,
		},
		{
			name: "no right to its certificates", harm: forget("role", "jobserver", systemNamespace),
			link: "rights", found: "secrets jobserver-certificates (for the certificates that replicas share)", told: reconcile,
		},
		{
			name: "no right to ask who calls", harm: forget("clusterrolebinding", "jobserver:auth-delegator", ""),
			link: "rights", found: "tokenreviews.authentication.k8s.io", told: reconcile,
		},
		{
			name: "delegated calls are refused", harm: forget("clusterrolebinding", "jobserver:auth-delegator", ""),
			link: "delegated call", found: "our server may not ask the cluster what callers may do", told: reconcile,
		},
		{
			name: "no right to know the front proxy", harm: forget("rolebinding", "jobserver:auth-reader", "kube-system"),
			link: "rights", found: "configmaps extension-apiserver-authentication (for believing the cluster's API server)", told: reconcile,
		},
		{
			name: "a start without a right to know the front proxy",
			harm: func(t *testing.T) {
				forget("rolebinding", "jobserver:auth-reader", "kube-system")(t)
				p.restart(t)
			},
			link: "health and etcd", found: "start waiting for the cluster's API server", told: reconcile,
		},
	}
}

func (p *patient) serverBreakages() []breakage {
	return []breakage{
		{
			name: "the server is down",
			harm: func(t *testing.T) {
				if err := p.server.Kill(); err != nil {
					t.Fatal(err)
				}
			},
			link: "availability", found: "FailedDiscoveryCheck", told: "no server listens there",
			heal: func(t *testing.T) { p.restart(t) },
		},
		{
			name: "a certificate that the cluster does not trust",
			harm: func(t *testing.T) {
				p.restart(t, "--tls-cert-file", p.cluster.CertificatePath("apiserver.crt"), "--tls-private-key-file", p.cluster.CertificatePath("apiserver.key"))
			},
			link: "certificate", found: "x509", told: "issued for " + serviceHost,
			heal: func(t *testing.T) { p.restart(t) },
		},
		{
			name: "etcd is away",
			harm: func(t *testing.T) { p.etcd.kill(t, 0) },
			link: "health and etcd", found: "etcd", told: "--etcd-servers",
			heal: func(t *testing.T) { p.etcd.start(t, 0) },
		},
	}
}

// frontProxyBreakages are mended on the machine of the cluster's API server, by nothing that could be run from elsewhere.
func (p *patient) frontProxyBreakages() []breakage {
	usual := p.cluster.APIServer.Args
	restart := func(t *testing.T, args ...string) {
		t.Helper()
		p.cluster.APIServer.Args = slices.Concat(usual, args)
		if err := p.cluster.APIServer.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := p.cluster.APIServer.Start(); err != nil {
			t.Fatal(err)
		}
		if err := p.cluster.WaitReady(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return []breakage{
		{
			name: "a front proxy that nobody vouches for",
			harm: func(t *testing.T) {
				files := p.cluster.CertificatePath("apiserver")
				restart(t, "--proxy-client-cert-file="+files+".crt", "--proxy-client-key-file="+files+".key")
			},
			link: "front proxy", found: "has none of the names front-proxy-client", told: "--proxy-client-cert-file",
			heal: func(t *testing.T) { restart(t) },
		},
		{
			name: "a cluster without a front proxy",
			harm: func(t *testing.T) {
				restart(t, "--requestheader-client-ca-file=")
				p.admin.run(t, "delete", "configmap", "extension-apiserver-authentication", "--namespace", "kube-system")
			},
			link: "front proxy", found: "the cluster has no aggregation layer", told: "--requestheader-client-ca-file",
			heal: func(t *testing.T) { restart(t) },
		},
	}
}

func (p *patient) registeredByHandBreakages() []breakage {
	change := func(spec map[string]any) func(t *testing.T) {
		return func(t *testing.T) {
			patch, err := json.Marshal(map[string]any{"spec": spec})
			if err != nil {
				t.Fatal(err)
			}
			p.admin.run(t, "patch", "apiservice", registrationName, "--type=merge", "-p", string(patch))
		}
	}
	return []breakage{
		{
			name: "a priority above that of batch", harm: change(map[string]any{"groupPriorityMinimum": 18000}),
			link: "APIService", found: `"kubectl get jobs" means ours in the whole cluster`, told: "groupPriorityMinimum",
		},
		{
			name: "a bundle of somebody else",
			harm: func(t *testing.T) { change(map[string]any{"caBundle": p.readCertificate(t, "ca.crt")})(t) },
			link: "certificate", found: "unknown authority", told: "kubectl get secret -n jobserver-system jobserver-certificates",
		},
		{
			name: "no bundle, and no check", harm: change(map[string]any{"caBundle": nil, "insecureSkipTLSVerify": true}),
			link: "APIService", found: "insecureSkipTLSVerify", told: `{"insecureSkipTLSVerify":false}`,
		},
	}
}

// testNoEndpoints makes the Service one of the cluster's own network, where nothing is: link by link the doctor leads to the workload, which has no
// Pods. It must be the last one, for what is mended here is not what this installation needs.
func (p *patient) testNoEndpoints(t *testing.T) {
	p.admin.run(t, "patch", "service", "jobserver", "--namespace", systemNamespace, "--type=merge", "-p",
		`{"spec":{"type":"ClusterIP","externalName":null,"selector":{"app":"other"},"ports":[{"name":"https","port":443,"targetPort":"https"}]}}`)
	for _, want := range []breakage{
		{link: "service", found: fmt.Sprintf("has no port %d, which the APIService names", p.servicePort), told: `{"port":443}`},
		{link: "endpoints", found: `the Service selects Pods with "app=other", and those of deployment/jobserver don't have that`, told: "kubectl patch service"},
		{link: "endpoints", found: "deployment/jobserver is scaled to 0", told: "kubectl scale -n jobserver-system deployment/jobserver --replicas=3"},
		{link: "endpoints", found: "no Pod is ready", told: "kubectl describe pods"},
		{link: "availability", found: "MissingEndpoints", told: "see the link of the endpoints"},
	} {
		p.waitDiagnosis(t, want)
		p.mend(t, p.doctor(t, p.admin.kubeconfig).bad(want.link))
	}
}

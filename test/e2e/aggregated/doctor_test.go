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
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestDoctor breaks every link that can be broken here: the doctor names it and what mends it, and is content once it is mended.
func TestDoctor(t *testing.T) {
	slow(t)
	e := startEtcd(t, 1)
	in := ownInstallation(t, setup{overlay: "external-etcd", noNode: true, serverArgs: []string{e.flag()}})
	server := in.replicas[0]
	usual := server.Args
	reinstall := func(t *testing.T) {
		t.Helper()
		if err := in.applyManifests("external-etcd"); err != nil {
			t.Fatal(err)
		}
	}
	restart := func(t *testing.T, args ...string) {
		t.Helper()
		server.Args = slices.Concat(usual, args)
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
	}
	in.waitHealthy(t)

	tests := []struct {
		name              string
		harm              func(t *testing.T)
		link, found, mend string
		heal              func(t *testing.T)
	}{
		{
			name: "not registered",
			harm: func(t *testing.T) { in.admin.run(t, "delete", "apiservice", registrationName) },
			link: "APIService", found: registrationName + " is not registered", mend: "kubectl apply -k",
			heal: reinstall,
		},
		{
			name: "no service",
			harm: func(t *testing.T) { in.admin.run(t, "delete", "service", "jobserver", "--namespace", systemNamespace) },
			link: "service", found: "service jobserver-system/jobserver is not there", mend: "kubectl apply -k",
			heal: reinstall,
		},
		{
			name: "the server is down",
			harm: func(t *testing.T) {
				if err := server.Kill(); err != nil {
					t.Fatal(err)
				}
			},
			link: "availability", found: "FailedDiscoveryCheck", mend: "kubectl logs",
			heal: func(t *testing.T) { restart(t) },
		},
		{
			name: "a certificate that the cluster does not trust",
			harm: func(t *testing.T) {
				restart(t, "--tls-cert-file", in.cluster.CertificatePath("apiserver.crt"), "--tls-private-key-file", in.cluster.CertificatePath("apiserver.key"))
			},
			link: "certificate", found: "x509", mend: "issued for " + serviceHost,
			heal: func(t *testing.T) { restart(t) },
		},
		{
			name: "no right to Pods",
			harm: func(t *testing.T) { in.admin.run(t, "delete", "clusterrolebinding", "jobserver") },
			link: "rights", found: "may not get/list/watch/create/patch/delete pods (for running Pods)", mend: "kubectl apply -k",
			heal: reinstall,
		},
		{
			name: "no right to ask who calls",
			harm: func(t *testing.T) { in.admin.run(t, "delete", "clusterrolebinding", "jobserver:auth-delegator") },
			link: "rights", found: "tokenreviews.authentication.k8s.io", mend: "kubectl apply -k",
			heal: reinstall,
		},
		{
			name: "etcd is away",
			harm: func(t *testing.T) {
				if err := e.members[0].Kill(); err != nil {
					t.Fatal(err)
				}
			},
			link: "health and etcd", found: "etcd", mend: "--etcd-servers",
			heal: func(t *testing.T) { e.start(t, 0) },
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.harm(t)
			eventually(t, waitLong, func() string {
				report, healthy := in.doctor(t, in.admin.kubeconfig)
				found, mend := report.bad(test.link)
				if healthy || !strings.Contains(found, test.found) || !strings.Contains(mend, test.mend) {
					return fmt.Sprintf("healthy: %t\n%s", healthy, report)
				}
				return ""
			})
			test.heal(t)
			in.waitHealthy(t)
		})
	}
	t.Run("no cluster", func(t *testing.T) {
		nowhere := filepath.Join(in.dir, "nowhere.kubeconfig")
		if err := writeTokenKubeconfig(nowhere, fmt.Sprintf("https://127.0.0.1:%d", mustFreePort(t)), in.cluster.CertificatePath("ca.crt"), "none"); err != nil {
			t.Fatal(err)
		}
		report, healthy := in.doctor(t, nowhere)
		if found, mend := report.bad("cluster"); healthy || !strings.Contains(found, "does not answer") || !strings.Contains(mend, "--kubeconfig") {
			t.Errorf("healthy: %t\n%s", healthy, report)
		}
	})
}

// report is what the doctor wrote.
type report string

// bad returns what the doctor found wrong with a link, and what mends it.
func (r report) bad(link string) (found, mend string) {
	lines := strings.Split(string(r), "\n")
	for i, line := range lines {
		rest, ok := strings.CutPrefix(line, "BAD  "+link+" ")
		if !ok {
			continue
		}
		if i+1 < len(lines) {
			_, mend, _ = strings.Cut(lines[i+1], "mend: ")
		}
		return strings.TrimSpace(rest), mend
	}
	return "", ""
}

// doctor runs the doctor, and tells whether it is content.
func (in *installation) doctor(t *testing.T, kubeconfig string) (report, bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	output, err := exec.CommandContext(ctx, *apiserverPath, "doctor", "--kubeconfig", kubeconfig).Output()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		t.Fatalf("doctor: %v", err)
	}
	return report(output), err == nil
}

func (in *installation) waitHealthy(t *testing.T) {
	t.Helper()
	eventually(t, waitLong, func() string {
		if report, healthy := in.doctor(t, in.admin.kubeconfig); !healthy {
			return "the doctor says:\n" + string(report)
		}
		return ""
	})
}

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
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/jobserver-dev/jobserver/test/e2e/cluster"
)

// TestCertificatesRotate lets several authorities of the server's own come and go. No request fails, through the cluster's API server with the
// connections that it keeps, nor with a new connection that trusts what the registration says.
func TestCertificatesRotate(t *testing.T) {
	slow(t)
	in := ownInstallation(t, setup{noNode: true, serverArgs: []string{"--ca-validity=60s", "--serving-certificate-validity=30s"}})
	const authorities = 3
	seen, served := map[string]bool{}, map[string]bool{}
	requests := 0
	deadline := time.Now().Add(4 * time.Minute)
	for len(seen) < authorities || len(served) < authorities {
		if time.Now().After(deadline) {
			t.Fatalf("after %d requests: %d authorities, %d served certificates", requests, len(seen), len(served))
		}
		if _, err := in.jobs.List(t.Context(), metav1.ListOptions{}); err != nil {
			t.Fatalf("request %d through the cluster: %v", requests, err)
		}
		bundle := in.bundle(t)
		certificate, err := in.handshake(t.Context(), in.replicas[0], bundle)
		if err != nil {
			// The registration may have changed since it was read.
			if after := in.bundle(t); string(after) != string(bundle) {
				continue
			}
			t.Fatalf("a new connection after %d requests: %v", requests, err)
		}
		seen[string(bundle)] = true
		served[certificate.SerialNumber.String()] = true
		requests++
	}
	t.Logf("%d requests, %d bundles, %d serving certificates", requests, len(seen), len(served))
}

// bundle is what the cluster is to trust.
func (in *installation) bundle(t *testing.T) []byte {
	t.Helper()
	bundle, err := in.readBundle(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return bundle
}

func (in *installation) readBundle(ctx context.Context) ([]byte, error) {
	raw, err := in.kube.RESTClient().Get().AbsPath("/apis/apiregistration.k8s.io/v1/apiservices/" + registrationName).DoRaw(ctx)
	if err != nil {
		return nil, err
	}
	var registration struct{ Spec struct{ CABundle []byte } }
	if err := json.Unmarshal(raw, &registration); err != nil {
		return nil, err
	}
	return registration.Spec.CABundle, nil
}

// handshake makes a new connection to a replica, as the cluster's API server does, and returns the certificate that it shows.
func (in *installation) handshake(ctx context.Context, r *replica, bundle []byte) (*x509.Certificate, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(bundle) {
		return nil, fmt.Errorf("no certificate in %q", bundle)
	}
	dialer := tls.Dialer{
		NetDialer: &net.Dialer{Timeout: dialTimeout},
		Config:    &tls.Config{RootCAs: roots, ServerName: serviceHost, MinVersion: tls.VersionTLS12},
	}
	conn, err := dialer.DialContext(ctx, "tcp", r.address())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0], nil
}

// TestGivenCertificates serves with files that somebody else makes, as cert-manager does, and changes them: the server follows, and leaves the caBundle alone.
func TestGivenCertificates(t *testing.T) {
	slow(t)
	in := ownInstallation(t, setup{noNode: true})
	files := in.cluster.CertificatePath("jobserver")
	issue := func() {
		if err := in.cluster.IssueServing("jobserver", serviceHost); err != nil {
			t.Fatal(err)
		}
	}
	issue()
	authority, err := os.ReadFile(in.cluster.CertificatePath("ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	change, err := json.Marshal(map[string]any{"spec": map[string][]byte{"caBundle": authority}})
	if err != nil {
		t.Fatal(err)
	}
	server := in.replicas[0]
	server.Args = append(server.Args, "--tls-cert-file", files+".crt", "--tls-private-key-file", files+".key")
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	in.admin.run(t, "patch", "apiservice", registrationName, "--type=merge", "-p", string(change))
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	var first *x509.Certificate
	eventually(t, waitLong, func() string {
		first, err = in.handshake(t.Context(), server, authority)
		return describeError(err)
	})
	eventually(t, waitLong, func() string {
		_, err := in.jobs.List(t.Context(), metav1.ListOptions{})
		return describeError(err)
	})

	stop := in.requestAllTheTime(t)
	issue()
	eventually(t, waitLong, func() string {
		now, err := in.handshake(t.Context(), server, authority)
		if err != nil {
			t.Fatal(err)
		}
		if now.Equal(first) {
			return "the server shows the earlier certificate"
		}
		return ""
	})
	stop()
	if now := in.bundle(t); string(now) != string(authority) {
		t.Errorf("the server changed caBundle: %s", now)
	}
}

// TestClientAuthorityRotates has the cluster trust a second authority for clients, and drop it again.
func TestClientAuthorityRotates(t *testing.T) {
	slow(t)
	in := ownInstallation(t, setup{noNode: true})
	c := in.cluster
	if err := c.AddAuthority(cluster.ClientAuthority); err != nil {
		t.Fatal(err)
	}
	kubeconfig, err := c.UserKubeconfig("late", "system:masters")
	if err != nil {
		t.Fatal(err)
	}
	kube, err := kubernetes.NewForConfig(asUser(t, kubeconfig))
	if err != nil {
		t.Fatal(err)
	}
	late := caller{certificate: loadCertificate(t, in, "late")}
	in.eventuallyAnswers(t, late, http.StatusOK)
	early := caller{certificate: loadCertificate(t, in, "admin")}
	in.eventuallyAnswers(t, early, http.StatusOK)
	in.dropEarlier(t, kube, cluster.ClientAuthority, "client-ca-file", early)
	in.eventuallyAnswers(t, late, http.StatusOK)
}

// TestFrontProxyAuthorityRotates moves the cluster to another authority for its front proxy, as an administrator does: trust both, show the new
// certificate, drop the old authority. Requests through the cluster go on.
func TestFrontProxyAuthorityRotates(t *testing.T) {
	slow(t)
	const beside = "front-proxy-beside"
	in := ownInstallation(t, setup{noNode: true, apiServerArgs: []string{"--v=2", "--requestheader-allowed-names=front-proxy-client," + beside}})
	c := in.cluster
	before := caller{certificate: loadCertificate(t, in, "front-proxy-client"), headers: http.Header{"X-Remote-User": {"admin"}, "X-Remote-Group": {"system:masters"}}}

	stop := in.requestAllTheTime(t)
	if err := c.AddAuthority(cluster.FrontProxyAuthority); err != nil {
		t.Fatal(err)
	}
	if err := c.IssueClient(cluster.FrontProxyAuthority, beside); err != nil {
		t.Fatal(err)
	}
	after := caller{certificate: loadCertificate(t, in, beside), headers: before.headers}
	in.eventuallyAnswers(t, after, http.StatusOK)
	in.eventuallyAnswers(t, before, http.StatusOK)

	loaded := in.loadedFrontProxies(t)
	if err := c.IssueClient(cluster.FrontProxyAuthority, "front-proxy-client"); err != nil {
		t.Fatal(err)
	}
	eventually(t, waitLong, func() string {
		if in.loadedFrontProxies(t) == loaded {
			return "the cluster's API server shows its earlier certificate"
		}
		return ""
	})
	in.dropEarlier(t, in.kube, cluster.FrontProxyAuthority, "requestheader-client-ca-file", before)
	in.eventuallyAnswers(t, after, http.StatusOK)
	if _, err := in.jobs.List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Error(err)
	}
	stop()
}

// loadedFrontProxies is how often the cluster's API server has said that it shows another certificate of the front proxy.
func (in *installation) loadedFrontProxies(t *testing.T) int {
	t.Helper()
	log, err := os.ReadFile(in.cluster.APIServer.LogPath)
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for line := range strings.Lines(string(log)) {
		if strings.Contains(line, "oaded a new cert/key pair") && strings.Contains(line, "front-proxy-client") {
			count++
		}
	}
	return count
}

// dropEarlier takes the trust from an authority, and returns when the server refuses somebody who depends on it. The cluster's API server only ever
// adds to what it tells its servers to trust, so that takes a hand.
func (in *installation) dropEarlier(t *testing.T, kube kubernetes.Interface, authority, key string, refused caller) {
	t.Helper()
	if err := in.cluster.DropEarlierAuthorities(authority); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(in.cluster.CertificatePath(authority + ".crt"))
	if err != nil {
		t.Fatal(err)
	}
	change, err := json.Marshal(map[string]any{"data": map[string]string{key: string(content)}})
	if err != nil {
		t.Fatal(err)
	}
	configMaps := kube.CoreV1().ConfigMaps(metav1.NamespaceSystem)
	eventually(t, 3*time.Minute, func() string {
		// Until it has read its own file again, it adds the earlier one once more.
		_, err := configMaps.Patch(t.Context(), "extension-apiserver-authentication", types.MergePatchType, change, metav1.PatchOptions{})
		if err != nil {
			return err.Error()
		}
		code, body, err := refused.get(in.replicas[0], "/apis/batch.jobserver.dev/v1/jobs")
		if err != nil || code != http.StatusUnauthorized {
			return fmt.Sprintf("code %d, want %d: %v: %s", code, http.StatusUnauthorized, err, body)
		}
		return ""
	})
}

// eventuallyAnswers waits until the server answers somebody with a code.
func (in *installation) eventuallyAnswers(t *testing.T, who caller, want int) {
	t.Helper()
	eventually(t, 3*time.Minute, func() string {
		code, body, err := who.get(in.replicas[0], "/apis/batch.jobserver.dev/v1/jobs")
		if err != nil || code != want {
			return fmt.Sprintf("code %d, want %d: %v: %s", code, want, err, body)
		}
		return ""
	})
}

// requestAllTheTime sends requests through the cluster until the returned function is called; one that fails fails the test.
func (in *installation) requestAllTheTime(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	wait.Go(func() {
		for ctx.Err() == nil {
			if _, err := in.jobs.List(ctx, metav1.ListOptions{}); err != nil && ctx.Err() == nil {
				t.Errorf("a request through the cluster: %v", err)
				return
			}
		}
	})
	stop = func() {
		cancel()
		wait.Wait()
	}
	t.Cleanup(stop)
	return stop
}

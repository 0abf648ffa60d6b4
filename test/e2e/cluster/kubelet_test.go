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

package cluster

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// What the node serves in the place of a kubelet: to users through the cluster's API server, and to nobody else.

// testLogs goes through the flags of kubectl logs that the API server hands on to the node.
func (n *nodeCluster) testLogs(t *testing.T) {
	gate := filepath.Join(t.TempDir(), "gate")
	n.apply(t, `
apiVersion: v1
kind: Pod
metadata: {name: writes, labels: {app: writes}}
spec:
  restartPolicy: OnFailure
  containers:
  - {name: one, image: none, command: [sh, -c, "if [ -e `+gate+` ]; then echo second; else touch `+gate+`; echo first; exit 1; fi"]}
  - {name: two, image: none, command: [sh, -c, "for i in 1 2 3; do echo line $i; done"]}
`)
	n.run(t, "wait", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=90s", "pod/writes")
	for want, args := range map[string][]string{
		"second\n":                  {"writes", "-c", "one"},
		"first\n":                   {"writes", "-c", "one", "--previous"},
		"line 3\n":                  {"writes", "-c", "two", "--tail=1"},
		"line 1\nline":              {"writes", "-c", "two", "--limit-bytes=11"},
		"":                          {"writes", "-c", "two", "--since-time=2999-01-01T00:00:00Z"},
		"line 1\nline 2\nline 3\n":  {"writes", "-c", "two", "--since=1h", "-f"},
		"[pod/writes/one] second\n": {"-l", "app=writes", "-c", "one", "--prefix"},
	} {
		if got := n.run(t, append([]string{"logs"}, args...)...); got != want {
			t.Errorf("kubectl logs %q: %q, want %q", args, got, want)
		}
	}
	all := n.run(t, "logs", "writes", "--all-containers", "--timestamps")
	if lines := strings.Split(strings.TrimSpace(all), "\n"); len(lines) != 4 {
		t.Errorf("all containers: %q", all)
	}
	n.run(t, "delete", "pod", "writes")
}

func (n *nodeCluster) testPortForward(t *testing.T) {
	// What listens on the machine's loopback is what listens in a container.
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "the page") }))
	t.Cleanup(server.Close)
	gate := filepath.Join(t.TempDir(), "gate")
	n.job(t, "listens", "until [ -e "+gate+" ]; do sleep 0.1; done", nil, nil)
	pod := n.waitPod(t, "listens")
	command := exec.Command(*kubectlPath, "--kubeconfig", n.Kubeconfig(), "port-forward", "pod/"+pod, fmt.Sprintf(":%d", server.Listener.Addr().(*net.TCPAddr).Port))
	var said output
	command.Stdout, command.Stderr = &said, &said
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill() // fails only where it has ended
		_ = command.Wait()         // it was killed
	})
	var address string
	eventually(t, "kubectl port-forward to listen", func() bool {
		if match := regexp.MustCompile(`Forwarding from (127\.0\.0\.1:\d+) ->`).FindStringSubmatch(said.String()); match != nil {
			address = match[1]
		}
		return address != ""
	})
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	for range 3 { // each a connection of its own
		response, err := client.Get("http://" + address)
		if err != nil {
			t.Fatalf("%v; kubectl says %s", err, said.String())
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || string(body) != "the page" {
			t.Errorf("got %q, error %v", body, err)
		}
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	n.waitJob(t, "listens", "Complete")
}

// output collects what a process writes; it may be read while the process runs.
type output struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// testKubeletAccess calls the node itself. Who may is asked of the API server.
func (n *nodeCluster) testKubeletAccess(t *testing.T) {
	n.apply(t, `
apiVersion: v1
kind: ServiceAccount
metadata: {name: reader}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: kubelet-reader}
rules: [{apiGroups: [""], resources: [nodes/proxy], verbs: [get], resourceNames: [`+nodeName+`]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: kubelet-reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: kubelet-reader}
subjects: [{kind: ServiceAccount, name: reader, namespace: default}]
`)
	url := "https://127.0.0.1:" + n.run(t, "get", "node", nodeName, "-o", "jsonpath={.status.daemonEndpoints.kubeletEndpoint.Port}")
	nobody, reader := strings.TrimSpace(n.run(t, "create", "token", "default")), strings.TrimSpace(n.run(t, "create", "token", "reader"))
	const command = "/exec/default/pod/main?command=true&output=1"
	for name, test := range map[string]struct {
		method, path, token, certificate string
		want                             int
	}{
		"nobody known: Pods":                     {"GET", "/pods", "", "", 401},
		"nobody known: health":                   {"GET", "/healthz", "", "", 401},
		"nobody known: a command":                {"POST", command, "", "", 401},
		"a token that nobody gave":               {"GET", "/pods", "made-up", "", 401},
		"a service account without rights: Pods": {"GET", "/pods", nobody, "", 403},
		"a service account without rights: logs": {"GET", "/containerLogs/default/pod/main", nobody, "", 403},
		"one that may read: Pods":                {"GET", "/pods", reader, "", 200},
		"one that may read: logs of no Pod":      {"GET", "/containerLogs/default/none/main", reader, "", 404},
		"one that may read: a command":           {"POST", command, reader, "", 403},
		"the API server's certificate: Pods":     {"GET", "/pods", "", "kubelet-client", 200},
		"the API server's, logs of no Pod":       {"GET", "/containerLogs/default/none/main", "", "kubelet-client", 404},
		"a certificate of another authority":     {"GET", "/pods", "", "apiserver", 401},
		"a certificate of the front proxy's":     {"GET", "/pods", "", "front-proxy-client", 401},
		"a known certificate without rights":     {"GET", "/pods", "", "controller-manager", 403},
	} {
		request, err := http.NewRequest(test.method, url+test.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if test.token != "" {
			request.Header.Set("Authorization", "Bearer "+test.token)
		}
		transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // who it is doesn't matter here
		if test.certificate != "" {
			pair, err := tls.LoadX509KeyPair(n.CertificatePath(test.certificate+".crt"), n.CertificatePath(test.certificate+".key"))
			if err != nil {
				t.Fatal(err)
			}
			// Even one that the server didn't ask for.
			transport.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
		}
		response, err := (&http.Client{Transport: transport, Timeout: time.Minute}).Do(request)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		body, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if response.StatusCode != test.want {
			t.Errorf("%s: got %d, want %d: %.200s", name, response.StatusCode, test.want, body)
		}
	}
}

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
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jobserver-dev/jobserver/test/e2e/cluster"
)

// replica is a process of the server under test.
type replica struct {
	*cluster.Process
	port int
}

// startReplicas starts servers that the Service leads to, as the account that the manifests make.
func (in *installation) startReplicas(count int, args []string) error {
	kubeconfig, err := in.accountKubeconfig()
	if err != nil {
		return err
	}
	var addresses []string
	for i := range count {
		port := in.servicePort
		if in.gateway != nil {
			if port, err = freePort(); err != nil {
				return err
			}
		}
		made := in.newReplica(i, port, kubeconfig, args)
		in.replicas = append(in.replicas, made)
		addresses = append(addresses, made.address())
	}
	if in.gateway != nil {
		in.gateway.leadTo(addresses...)
	}
	for _, made := range in.replicas {
		if err := made.Start(); err != nil {
			return err
		}
	}
	return nil
}

// newReplica is a server that has not been started.
func (in *installation) newReplica(number, port int, kubeconfig string, args []string) *replica {
	name := fmt.Sprintf("server-%d", number)
	return &replica{port: port, Process: &cluster.Process{
		Name: name, Path: *apiserverPath, LogPath: filepath.Join(in.dir, name+".log"),
		Args: append([]string{
			"--kubeconfig", kubeconfig, "--data-dir", filepath.Join(in.dir, name), "--bind-address", "127.0.0.1", "--secure-port", strconv.Itoa(port),
			"--service-port", strconv.Itoa(in.servicePort),
		}, args...),
	}}
}

func (r *replica) address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(r.port)) }

// accountKubeconfig writes a kubeconfig with a token of the server's ServiceAccount: the server has the rights of its manifests and no others.
func (in *installation) accountKubeconfig() (string, error) {
	token, err := in.admin.try("", "create", "token", accountName, "--namespace", systemNamespace, "--duration", "24h")
	if err != nil {
		return "", err
	}
	path := filepath.Join(in.dir, "account.kubeconfig")
	server := in.cluster.URL()
	if in.toHost != nil {
		server = fmt.Sprintf("https://127.0.0.1:%d", in.toHost.port())
	}
	return path, writeTokenKubeconfig(path, server, in.cluster.CertificatePath("ca.crt"), strings.TrimSpace(token))
}

// writeTokenKubeconfig writes a kubeconfig by which whoever has the token calls a server. The authority is the file of the server's.
func writeTokenKubeconfig(path, server, authority, token string) error {
	type object = map[string]any
	config, err := json.Marshal(object{
		"apiVersion":      "v1",
		"kind":            "Config",
		"clusters":        []object{{"name": "cluster", "cluster": object{"server": server, "certificate-authority": authority}}},
		"users":           []object{{"name": "user", "user": object{"token": token}}},
		"contexts":        []object{{"name": "cluster", "context": object{"cluster": "cluster", "user": "user"}}},
		"current-context": "cluster",
	})
	if err != nil {
		return err
	}
	return os.WriteFile(path, config, 0o600)
}

// caller calls a replica past the cluster's API server. Who it is, the certificate and the headers say.
type caller struct {
	certificate *tls.Certificate
	headers     http.Header
}

// get returns the code and the body of a replica's answer.
func (c caller) get(r *replica, path string) (int, string, error) {
	// Who the server is, is not the question here.
	config := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}
	if c.certificate != nil {
		config.Certificates = []tls.Certificate{*c.certificate}
	}
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
	request, err := http.NewRequest(http.MethodGet, "https://"+r.address()+path, nil)
	if err != nil {
		return 0, "", err
	}
	for key, values := range c.headers {
		request.Header[key] = values
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), err
}

// healthy tells whether a health endpoint of a replica answers ok.
func (r *replica) healthy(endpoint string) bool {
	code, _, err := caller{}.get(r, endpoint)
	return err == nil && code == http.StatusOK
}

// freePort returns a port of the loopback that nobody listened on a moment ago.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

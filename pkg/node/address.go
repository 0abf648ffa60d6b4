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

package node

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"

	corev1 "k8s.io/api/core/v1"
	restclient "k8s.io/client-go/rest"
)

// nodeIP is where the API server reaches a kubelet's API that listens on bind: there, or where that is every address, at the one
// from which this machine reaches the API server.
func nodeIP(bind net.IP, api *restclient.Config) (net.IP, error) {
	if !bind.IsUnspecified() {
		return bind, nil
	}
	server, _, err := restclient.DefaultServerUrlFor(api)
	if err != nil {
		return nil, fmt.Errorf("find the node's address: %w", err)
	}
	// Nothing is sent: this only asks for the route.
	probe, err := net.Dial("udp", net.JoinHostPort(server.Hostname(), portOf(server)))
	if err != nil {
		return nil, fmt.Errorf("find the node's address: %w", err)
	}
	defer probe.Close()
	local, ok := probe.LocalAddr().(*net.UDPAddr)
	if !ok {
		return nil, fmt.Errorf("find the node's address: %s is none", probe.LocalAddr())
	}
	return local.IP, nil
}

func portOf(server *url.URL) string {
	switch {
	case server.Port() != "":
		return server.Port()
	case server.Scheme == "http":
		return "80"
	default:
		return "443"
	}
}

// addresses are the Node's. API servers prefer the host name by default, so one that they can't use must not be there: that of a node
// which only its own machine reaches.
func addresses(ip net.IP) []corev1.NodeAddress {
	list := []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: ip.String()}}
	if hostname := hostname(); hostname != "" && !ip.IsLoopback() {
		list = append(list, corev1.NodeAddress{Type: corev1.NodeHostName, Address: hostname})
	}
	return list
}

// certificateHosts are the names that the serving certificate covers.
func certificateHosts(nodeName string, ip net.IP) []string {
	hosts := []string{nodeName, ip.String(), "localhost", "127.0.0.1", "::1"}
	if hostname := hostname(); hostname != "" && hostname != nodeName {
		hosts = append(hosts, hostname)
	}
	return hosts
}

// hostname is the machine's name as nodes are named, in lower case; empty where it has none.
func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return strings.ToLower(strings.TrimSpace(name))
}

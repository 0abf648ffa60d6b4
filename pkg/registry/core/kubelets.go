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

package core

import (
	"context"
	"fmt"
	"net"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/kubernetes/pkg/apis/core"
	corev1conversion "k8s.io/kubernetes/pkg/apis/core/v1"
	"k8s.io/kubernetes/pkg/kubelet/client"
)

// Kubelets say how the server reaches the kubelet's API of nodes, for pods/exec, attach and portforward, and for the logs of Pods on
// other nodes than LocalNode.
type Kubelets struct {
	// LocalNode is the node in this process. Empty: there is none.
	LocalNode string
	// DialLocal opens a connection to the API of LocalNode, which speaks plain HTTP on it.
	DialLocal func(ctx context.Context) (net.Conn, error)
	// ClientCertFile and ClientKeyFile prove the server to the kubelets of all other nodes. As with a kube-apiserver without
	// --kubelet-certificate-authority, their own certificates are not checked.
	ClientCertFile, ClientKeyFile string
}

// defaultKubeletPort is where the API of a node is that names no port.
const defaultKubeletPort = 10250

// connectionInfo finds the way to the kubelet's API of a node.
type connectionInfo struct {
	localNode string
	local     *client.ConnectionInfo
	others    client.ConnectionInfoGetter
}

// newConnectionInfo returns nil where there are no kubelets.
func newConnectionInfo(kubelets *Kubelets, nodes rest.Getter) (client.ConnectionInfoGetter, error) {
	if kubelets == nil {
		return nil, nil
	}
	others, err := client.NewNodeConnectionInfoGetter(nodeGetter(nodes), client.KubeletClientConfig{
		Port:                  defaultKubeletPort,
		PreferredAddressTypes: []string{string(corev1.NodeInternalIP), string(corev1.NodeHostName), string(corev1.NodeExternalIP)},
		TLSClientConfig:       client.KubeletTLSConfig{CertFile: kubelets.ClientCertFile, KeyFile: kubelets.ClientKeyFile},
	})
	if err != nil {
		return nil, fmt.Errorf("make a client of kubelets: %w", err)
	}
	info := &connectionInfo{localNode: kubelets.LocalNode, others: others}
	if kubelets.LocalNode != "" {
		info.local = &client.ConnectionInfo{
			Scheme: "http", Hostname: "localhost", Port: "80",
			Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return kubelets.DialLocal(ctx) }},
		}
	}
	return info, nil
}

// GetConnectionInfo implements client.ConnectionInfoGetter.
func (c *connectionInfo) GetConnectionInfo(ctx context.Context, nodeName types.NodeName) (*client.ConnectionInfo, error) {
	if c.local != nil && string(nodeName) == c.localNode {
		return c.local, nil
	}
	return c.others.GetConnectionInfo(ctx, nodeName)
}

// nodeGetter reads nodes from their store.
func nodeGetter(nodes rest.Getter) client.NodeGetterFunc {
	return func(ctx context.Context, name string, options metav1.GetOptions) (*corev1.Node, error) {
		object, err := nodes.Get(ctx, name, &options)
		if err != nil {
			return nil, err
		}
		internal, ok := object.(*core.Node)
		if !ok {
			return nil, fmt.Errorf("the store of nodes holds a %T", object)
		}
		node := &corev1.Node{}
		if err := corev1conversion.Convert_core_Node_To_v1_Node(internal, node, nil); err != nil {
			return nil, fmt.Errorf("converting node %s: %w", name, err)
		}
		return node, nil
	}
}

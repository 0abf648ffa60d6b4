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

// Package node puts a node together that belongs to an API server elsewhere: the node agent, and the kubelet's API by which that server
// reaches it for logs and for streams. It is what `apiserver node` runs.
package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/client-go/kubernetes"
	restclient "k8s.io/client-go/rest"
	"k8s.io/component-base/version"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/jobserver-dev/jobserver/pkg/datadir"
	"github.com/jobserver-dev/jobserver/pkg/nodeagent"
	"github.com/jobserver-dev/jobserver/pkg/nodeagent/kubelet"
	"github.com/jobserver-dev/jobserver/pkg/pki"
)

// DefaultPort is the port of a kubelet's API.
const DefaultPort = 10250

// stopServing bounds the wait for requests under way when the node stops.
const stopServing = 2 * time.Second

// stopPods bounds how long Pods may take to end when the node stops, beyond which they are killed.
const stopPods = 45 * time.Second

// Options say how a node runs.
type Options struct {
	// API is where the API server of the cluster is, and who the node is to it.
	API *restclient.Config
	// DataDir is the folder that everything is kept in, made where it is missing. A later node on it finds the Pods again.
	DataDir string
	// NodeName is the name of the Node, a DNS subdomain.
	NodeName string
	// BindAddress and Port are where the kubelet's API listens; port 0 takes any free one.
	BindAddress net.IP
	Port        int
	// NodeIP is where the API server reaches the node. Nil: BindAddress or, where that is every address, the one that leads to the
	// API server.
	NodeIP net.IP
	// CertFile and KeyFile hold the serving certificate, in PEM. Empty: one is made, signed by an authority in the data folder.
	CertFile, KeyFile string
	// ClientCAFile holds, in PEM, the authorities of callers' certificates. Empty: certificates prove nothing.
	ClientCAFile string
	// ReviewTokens lets callers prove themselves by tokens; AllowAll lets whoever did so do everything. See kubelet.AuthConfig.
	ReviewTokens, AllowAll bool
	// MaxPods is how many Pods the node takes; 0: as many as the node agent's default.
	MaxPods int
	// ContainerLogs bound what is kept of what containers print.
	ContainerLogs nodeagent.LogLimits
	// Labels and Taints are the Node's: see nodeagent.Registration.
	Labels map[string]string
	Taints []corev1.Taint
	// SchedulePods has the node bind Pods that have no node yet, for clusters without a scheduler.
	SchedulePods bool
	// StopPodsOnExit ends the Pods with the node. Without it they go on.
	StopPodsOnExit bool
	// Supervisor is the executable that is started for each container; it must contain the node agent. Empty: this program.
	Supervisor string
}

// Node is a node of some API server. Make it with New.
type Node struct {
	options  Options
	dir      *datadir.Dir
	listener net.Listener
	auth     *kubelet.Auth
	serving  dynamiccertificates.CertKeyContentProvider
	clientCA dynamiccertificates.CAContentProvider
	agent    *nodeagent.Agent
}

// New opens the data folder and the port of a node to Run. An error names what is in the way; nothing is left open then.
func New(options Options) (_ *Node, err error) {
	n := &Node{options: options}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.close())
		}
	}()
	if n.dir, err = datadir.Open(options.DataDir); err != nil {
		return nil, err
	}
	n.listener, err = net.Listen("tcp", net.JoinHostPort(options.BindAddress.String(), strconv.Itoa(options.Port)))
	if err != nil {
		return nil, fmt.Errorf("open the port of the kubelet's API: %w", err)
	}
	if n.options.NodeIP == nil {
		if n.options.NodeIP, err = nodeIP(options.BindAddress, options.API); err != nil {
			return nil, err
		}
	}
	client, err := kubernetes.NewForConfig(restclient.AddUserAgent(restclient.CopyConfig(options.API), "node-agent"))
	if err != nil {
		return nil, fmt.Errorf("make a client of the API server: %w", err)
	}
	if err := n.makeServing(client); err != nil {
		return nil, err
	}
	n.agent, err = nodeagent.New(nodeagent.Config{
		NodeName:       options.NodeName,
		RootDir:        n.dir.Node(),
		Client:         client,
		SupervisorPath: options.Supervisor,
		MaxPods:        options.MaxPods,
		Logs:           options.ContainerLogs,
		Version:        version.Get().GitVersion,
		Schedule:       options.SchedulePods,
		Registration: nodeagent.Registration{
			Addresses:   addresses(n.options.NodeIP),
			KubeletPort: int32(n.Port()),
			Labels:      options.Labels,
			Taints:      options.Taints,
			Heartbeat:   true,
		},
	})
	return n, err
}

// makeServing loads or makes what the kubelet's API needs to prove itself, and to know its callers.
func (n *Node) makeServing(client kubernetes.Interface) (err error) {
	if n.options.CertFile != "" {
		n.serving, err = dynamiccertificates.NewDynamicServingContentFromFiles("serving", n.options.CertFile, n.options.KeyFile)
	} else {
		n.serving, err = ownCertificate(n.dir.PKI(), certificateHosts(n.options.NodeName, n.options.NodeIP))
	}
	if err != nil {
		return fmt.Errorf("load the serving certificate: %w", err)
	}
	if n.options.ClientCAFile != "" {
		if n.clientCA, err = dynamiccertificates.NewDynamicCAContentFromFile("client-ca", n.options.ClientCAFile); err != nil {
			return fmt.Errorf("load the authorities of clients: %w", err)
		}
	}
	n.auth, err = kubelet.NewAuth(kubelet.AuthConfig{
		NodeName: n.options.NodeName, ClientCA: n.clientCA, Client: client, ReviewTokens: n.options.ReviewTokens, AllowAll: n.options.AllowAll,
	})
	return err
}

// ownCertificate makes a serving certificate of a folder's own authority, or loads the one made before.
func ownCertificate(dir string, hosts []string) (dynamiccertificates.CertKeyContentProvider, error) {
	bundle, err := pki.EnsureServing(dir, hosts, clock.RealClock{})
	if err != nil {
		return nil, err
	}
	return dynamiccertificates.NewStaticCertKeyContent("serving", bundle.Serving.Cert, bundle.Serving.Key)
}

// Port is the TCP port of the kubelet's API.
func (n *Node) Port() int {
	address, ok := n.listener.Addr().(*net.TCPAddr)
	if !ok {
		return 0
	}
	return address.Port
}

// Run runs the node until ctx ends. It is called once.
func (n *Node) Run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, n.close()) }()
	stop := make(chan struct{})
	stopped, _, err := n.serve(ctx, stop)
	if err != nil {
		return fmt.Errorf("serve the kubelet's API: %w", err)
	}
	defer func() {
		close(stop)
		<-stopped
	}()
	// Pods are stopped by an agent that runs.
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- n.agent.Run(running) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	if n.options.StopPodsOnExit {
		limited, cancelStop := context.WithTimeout(running, stopPods)
		defer cancelStop()
		err = n.agent.StopAll(limited)
	}
	cancel()
	return errors.Join(err, <-ended)
}

// serve starts the kubelet's API. The first channel is closed once it has ended, after stop.
func (n *Node) serve(ctx context.Context, stop <-chan struct{}) (<-chan struct{}, <-chan struct{}, error) {
	secure := &genericapiserver.SecureServingInfo{Listener: n.listener, Cert: n.serving, ClientCA: n.clientCA}
	return secure.Serve(n.auth.Handler(withLogger(ctx, kubelet.NewHandler(n.agent))), stopServing, stop)
}

// withLogger gives requests the logger of ctx.
func withLogger(ctx context.Context, handler http.Handler) http.Handler {
	logger := klog.FromContext(ctx)
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		handler.ServeHTTP(w, request.WithContext(klog.NewContext(request.Context(), logger)))
	})
}

func (n *Node) close() error {
	var errs []error
	if n.listener != nil {
		if err := n.listener.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if n.dir != nil {
		errs = append(errs, n.dir.Close())
	}
	return errors.Join(errs...)
}

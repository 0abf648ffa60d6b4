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

// Package standalone puts a whole server together in one process: etcd where there is none, the API, the controllers and the node agent. It is
// what the command serves with --standalone, and what a test starts where it needs Jobs that really run.
package standalone

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/healthz"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	restclient "k8s.io/client-go/rest"
	"k8s.io/component-base/version"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/jobserver-dev/jobserver/pkg/apiserver"
	"github.com/jobserver-dev/jobserver/pkg/apiserver/backend"
	"github.com/jobserver-dev/jobserver/pkg/apiserver/controllers"
	"github.com/jobserver-dev/jobserver/pkg/apiserver/stage"
	"github.com/jobserver-dev/jobserver/pkg/controller/job"
	"github.com/jobserver-dev/jobserver/pkg/datadir"
	"github.com/jobserver-dev/jobserver/pkg/nodeagent"
	"github.com/jobserver-dev/jobserver/pkg/nodeagent/kubelet"
	"github.com/jobserver-dev/jobserver/pkg/pki"
	"github.com/jobserver-dev/jobserver/pkg/registry/core"
)

// How long each stage of stopping may take. Together they stay below the ten seconds that service managers commonly wait.
const (
	stopParts = 4 * time.Second
	stopAPI   = 4 * time.Second

	// endWatches is for how long clients' watches may take to end by themselves, once told to.
	endWatches = time.Second

	// cutOff is when connections that are still busy then are cut.
	cutOff = 2 * time.Second
)

// Server is a running standalone server.
type Server struct {
	dir    *datadir.Dir
	url    string
	client *restclient.Config
	agent  *nodeagent.Agent
	// kubelet is the agent's API.
	kubelet *kubelet.Local

	backend *backend.Backend
	api     *stage.Stage
	parts   *stage.Stage
}

// Start starts a server and returns once it listens; readyz tells when all parts work. It takes its logger from ctx but does not end
// with it: Stop ends it. On an error nothing is left running. The error names what is in the way: the data folder, the port, an option.
func Start(ctx context.Context, options Options) (_ *Server, err error) {
	options, err = options.complete()
	if err != nil {
		return nil, err
	}
	if err := enableFeatures(); err != nil {
		return nil, err
	}
	s := &Server{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Stop())
		}
	}()
	if s.dir, err = datadir.Open(options.DataDir); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(options.BindAddress, strconv.Itoa(options.Port)))
	if err != nil {
		return nil, fmt.Errorf("open the API's port: %w", err)
	}
	if err := s.assemble(ctx, options, listener); err != nil {
		// Closing it a second time, where the API server has done so, is an error that says nothing.
		_ = listener.Close()
		return nil, err
	}
	return s, nil
}

// assemble starts the parts from the bottom up: etcd, the API, and what works through the API.
func (s *Server) assemble(ctx context.Context, options Options, listener net.Listener) error {
	bundle, err := pki.Ensure(s.dir.PKI(), options.hosts(), clock.RealClock{})
	if err != nil {
		return err
	}
	if s.backend, err = backend.Open(ctx, options.Etcd, s.dir.Etcd()); err != nil {
		return err
	}
	config := apiserver.NewConfig()
	generic := &config.Generic.Config
	if err := errors.Join(serve(generic, listener, bundle), authenticate(generic), authorize(generic)); err != nil {
		return err
	}
	if err := apiserver.WithEtcd(generic, s.backend.Store); err != nil {
		return err
	}
	loopback := generic.LoopbackClientConfig
	s.url = loopback.Host

	// Nothing in the process ends with ctx: the parts are stopped in order.
	ctx = context.WithoutCancel(ctx)
	parts, err := s.newParts(config, options)
	if err != nil {
		return err
	}
	api, err := s.newAPI(config, options)
	if err != nil {
		return err
	}
	s.api = stage.Run(ctx, "API server", api.PrepareRun().RunWithContext)
	if err := bundle.WriteKubeconfig(s.dir.AdminKubeconfig(), s.url); err != nil {
		return err
	}
	s.client = adminClient(s.url, bundle)
	s.parts = stage.RunAll(ctx, "controllers", parts, func(ctx context.Context) { waitForStorage(ctx, api) })
	return nil
}

// newParts makes what works through the API, by name, with its readyz checks: the controllers and, where it is switched on, the node
// agent.
func (s *Server) newParts(config *apiserver.Config, options Options) (map[string]stage.Part, error) {
	generic := &config.Generic.Config
	manager, err := controllers.NewManager(controllers.Config{
		Names:     options.controllerNames(),
		JobClient: config.LoopbackClient,
		Identity:  job.KubeIdentity(),
		Job:       options.Job,
		Cleaning:  options.Cleaning,
	}, s.backend.Election(options.Election, options.NodeName))
	if err != nil {
		return nil, err
	}
	manager.Install(generic)
	parts := map[string]stage.Part{"controller manager": manager}
	if !controllers.Enabled(controllers.NodeAgent, options.Controllers) {
		return parts, nil
	}
	nodeClient, err := kubernetes.NewForConfig(config.LoopbackClient(controllers.NodeAgent))
	if err != nil {
		return nil, err
	}
	s.agent, err = nodeagent.New(nodeagent.Config{
		NodeName:       options.NodeName,
		RootDir:        s.dir.Node(),
		Client:         nodeClient,
		SupervisorPath: options.Supervisor,
		EndWithProcess: options.EndPodsWithProcess,
		Logs:           options.ContainerLogs,
		Schedule:       true,
		Registration:   nodeagent.Registration{Heartbeat: true},
		Version:        version.Get().GitVersion,
	})
	if err != nil {
		return nil, fmt.Errorf("make %s: %w", controllers.NodeAgent, err)
	}
	parts[controllers.NodeAgent] = s.agent
	generic.ReadyzChecks = append(generic.ReadyzChecks, healthz.NamedCheck(controllers.NodeAgent, func(*http.Request) error { return s.agent.Ready() }))
	return parts, nil
}

func (s *Server) newAPI(config *apiserver.Config, options Options) (*genericapiserver.GenericAPIServer, error) {
	kubeClient, err := kubernetes.NewForConfig(config.LoopbackClient("apiserver"))
	if err != nil {
		return nil, err
	}
	if err := admit(config.Generic, kubeClient, informers.NewSharedInformerFactory(kubeClient, 0)); err != nil {
		return nil, err
	}
	if err := config.Generic.AddPostStartHook(namespacesHook, createSystemNamespaces(kubeClient)); err != nil {
		return nil, err
	}
	config.Extra.BatchV1Profile = &options.BatchV1Profile
	config.Extra.Core = &apiserver.CoreConfig{}
	config.Extra.Core.Kubelets = &core.Kubelets{}
	config.Extra.Core.Kubelets.ClientCertFile, config.Extra.Core.Kubelets.ClientKeyFile = pki.AdminFiles(s.dir.PKI())
	if s.agent != nil {
		s.kubelet = kubelet.ServeLocal(kubelet.NewHandler(s.agent))
		config.Extra.Core.Logs = s.agent
		config.Extra.Core.Kubelets.LocalNode, config.Extra.Core.Kubelets.DialLocal = options.NodeName, s.kubelet.Dial
	}
	config.Generic.ShutdownWatchTerminationGracePeriod = endWatches
	api, err := config.Complete().New()
	if err != nil {
		return nil, err
	}
	api.ShutdownTimeout = cutOff
	return api, nil
}

// waitForStorage waits until the API's own caches are filled. A client that asks before is told to come again after a second, and a
// start takes less than that.
func waitForStorage(ctx context.Context, api *genericapiserver.GenericAPIServer) {
	// The hook has no error but that of a server that gives up waiting; the clients then wait instead.
	_ = api.StorageReadinessHook.Hook(genericapiserver.PostStartHookContext{Context: ctx})
}

func adminClient(url string, bundle *pki.Bundle) *restclient.Config {
	return &restclient.Config{Host: url, TLSClientConfig: restclient.TLSClientConfig{
		CAData: bundle.CA, CertData: bundle.Admin.Cert, KeyData: bundle.Admin.Key,
	}}
}

// URL is where the API is served.
func (s *Server) URL() string { return s.url }

// AdminKubeconfig is the path of the administrator's kubeconfig.
func (s *Server) AdminKubeconfig() string { return s.dir.AdminKubeconfig() }

// AdminClient returns the administrator's client configuration.
func (s *Server) AdminClient() *restclient.Config { return restclient.CopyConfig(s.client) }

// Wait blocks until ctx ends or a part of the server does, which is an error that names it.
func (s *Server) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-s.api.Ended():
		return s.api.Err()
	case <-s.parts.Ended():
		return s.parts.Err()
	case err := <-s.backend.Err():
		return fmt.Errorf("etcd ended: %w", err)
	}
}

// StopPods ends every container on this node: SIGTERM, the grace period, SIGKILL. Without it they go on when the server stops,
// and the next server on the same folder finds them again.
func (s *Server) StopPods(ctx context.Context) error {
	if s.agent == nil {
		return nil
	}
	return s.agent.StopAll(ctx)
}

// Stop stops the parts from the top down: controllers first, so that none sees the API go; the API; etcd last, when nobody writes any more.
func (s *Server) Stop() error {
	var errs []error
	if s.parts != nil {
		errs = append(errs, s.parts.Stop(stopParts))
	}
	if s.api != nil {
		errs = append(errs, s.api.Stop(stopAPI))
	}
	if s.backend != nil {
		errs = append(errs, s.backend.Close())
	}
	if s.dir != nil {
		errs = append(errs, s.dir.Close())
	}
	klog.Background().V(1).Info("Stopped")
	return errors.Join(errs...)
}

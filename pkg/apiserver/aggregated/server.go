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

// Package aggregated puts together a server that a real cluster knows through APIServices: the cluster's API server says who calls and
// what he may do, its objects govern admission, and the Pods live there. Jobs are kept here.
package aggregated

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
	apiregistrationclient "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"

	"github.com/jobserver-dev/jobserver/pkg/apiserver"
	"github.com/jobserver-dev/jobserver/pkg/apiserver/aggregated/certificates"
	"github.com/jobserver-dev/jobserver/pkg/apiserver/aggregated/farewell"
	"github.com/jobserver-dev/jobserver/pkg/apiserver/aggregated/lineage"
	"github.com/jobserver-dev/jobserver/pkg/apiserver/aggregated/outage"
	"github.com/jobserver-dev/jobserver/pkg/apiserver/aggregated/registration"
	"github.com/jobserver-dev/jobserver/pkg/apiserver/aggregated/waitingroom"
	"github.com/jobserver-dev/jobserver/pkg/apiserver/backend"
	"github.com/jobserver-dev/jobserver/pkg/apiserver/stage"
	"github.com/jobserver-dev/jobserver/pkg/datadir"
)

// How long each stage of stopping may take.
const (
	stopParts = 4 * time.Second
	stopAPI   = 10 * time.Second

	// endWatches is for how long clients' watches may take to end by themselves, once told to.
	endWatches = 2 * time.Second
)

// Server is a running server.
type Server struct {
	dir     *datadir.Dir
	backend *backend.Backend
	keeper  *certificates.Keeper
	room    *waitingroom.Room
	clients *farewell.Farewell
	upkeep  *stage.Stage
	api     *stage.Stage
	parts   *stage.Stage
	address string
}

// Start starts a server and returns once it serves; readyz tells when all parts work. From the beginning on it listens, and says what it waits
// for: the cluster, etcd, or somebody who decides about data that the cluster does not know. It waits for as long as ctx lasts. It takes its logger
// from ctx but does not end with it after that: Stop ends it. On an error nothing is left running.
func Start(ctx context.Context, options Options) (_ *Server, err error) {
	options, err = options.complete()
	if err != nil {
		return nil, err
	}
	cluster, err := newHost(options.Kubeconfig, options.HostQPS, options.HostBurst)
	if err != nil {
		return nil, err
	}
	s := &Server{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Stop())
		}
	}()
	if err := s.listen(&options); err != nil {
		return nil, err
	}
	if err := cluster.wait(ctx); err != nil {
		return nil, fmt.Errorf("wait for the cluster's API server: %w", err)
	}
	// Before etcd: without a certificate that the cluster trusts, it could not be told what is waited for.
	registrar, err := s.certify(ctx, &options, cluster)
	if err != nil {
		return nil, err
	}
	s.room.Say("waiting for etcd")
	if err := s.open(ctx, options); err != nil {
		return nil, err
	}
	// After etcd: who can't serve changes nothing of what the cluster knows.
	s.introduce(ctx, registrar)
	return s, s.assemble(ctx, options, cluster)
}

// listen opens the port. What can be answered yet is that the server starts.
func (s *Server) listen(options *Options) error {
	listener, err := net.Listen("tcp", net.JoinHostPort(options.BindAddress, strconv.Itoa(options.Port)))
	if err != nil {
		return fmt.Errorf("open the API's port: %w", err)
	}
	if s.room, err = waitingroom.Open(listener, "waiting for the cluster's API server"); err != nil {
		return errors.Join(err, listener.Close())
	}
	s.address = listener.Addr().String()
	if s.clients, err = farewell.New(options.Serving.HTTP2MaxStreamsPerConnection); err != nil {
		return err
	}
	options.Serving.Listener = s.clients.Listen(s.room.Next())
	files := options.Serving.ServerCert.CertKey
	s.room.Show(func() (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(files.CertFile, files.KeyFile)
		return &pair, err
	})
	return nil
}

// open opens what everything is stored in.
func (s *Server) open(ctx context.Context, options Options) error {
	if err := s.openBackend(ctx, options); err != nil {
		return err
	}
	return checkForeign(ctx, s.backend.Client, s.backend.Store)
}

func (s *Server) openBackend(ctx context.Context, options Options) (err error) {
	if len(options.Etcd.Servers) == 0 {
		if s.dir, err = datadir.Open(options.DataDir); err != nil {
			return err
		}
		s.backend, err = backend.Open(ctx, options.Etcd, s.dir.Etcd())
		return err
	}
	return retry(ctx, "Waiting for etcd", func(ctx context.Context) error {
		s.backend, err = backend.Open(ctx, options.Etcd, "")
		return err
	})
}

// assemble starts the API once the data may be served, and what works through it.
func (s *Server) assemble(ctx context.Context, options Options, cluster *host) error {
	s.room.Say("comparing the data in etcd with what the cluster knows")
	data, err := newLineage(options, cluster, s.backend)
	if err != nil {
		return err
	}
	err = data.Wait(ctx, func(err error) {
		reason := "the data in etcd can't be compared with what the cluster knows, see the log"
		if refused := (*lineage.Refused)(nil); errors.As(err, &refused) {
			reason = "the data in etcd is not what the cluster has seen last, see the log for how to accept it"
		}
		s.room.Say(reason)
	})
	if err != nil {
		return fmt.Errorf("wait for data that may be served: %w", err)
	}
	return s.serve(ctx, options, cluster, data)
}

// certify sees that there is a certificate to serve with that the cluster trusts, or will once it was registered. The registrar is nil where registration is
// somebody else's task.
func (s *Server) certify(ctx context.Context, options *Options, cluster *host) (*registration.Registrar, error) {
	registrar, err := newRegistrar(*options, cluster, s)
	if err != nil || !options.ownCertificates() {
		return registrar, err
	}
	s.room.Say("waiting for a serving certificate")
	if err := s.makeCertificates(ctx, *options, cluster, registrar); err != nil {
		return nil, err
	}
	options.Serving.ServerCert.GeneratedCert = s.keeper
	s.room.Show(func() (*tls.Certificate, error) {
		pair, err := tls.X509KeyPair(s.keeper.CurrentCertKeyContent())
		return &pair, err
	})
	return registrar, nil
}

// introduce makes the cluster find and trust the server, and keeps it so.
func (s *Server) introduce(ctx context.Context, registrar *registration.Registrar) {
	parts := map[string]stage.Part{}
	if s.keeper != nil {
		parts["certificates"] = loop(s.keeper.Run)
	}
	if registrar != nil {
		parts["registration"] = loop(registrar.Run)
	}
	if len(parts) > 0 {
		s.upkeep = stage.RunAll(context.WithoutCancel(ctx), "upkeep", parts, func(context.Context) {})
	}
}

// serve starts the API and what works through it.
func (s *Server) serve(ctx context.Context, options Options, cluster *host, data *lineage.Keeper) error {
	// The question is about the data, so that other data is not served for a moment.
	monitor, err := outage.New(outage.Config{Ask: data.Verify, Final: func(err error) bool { return errors.Is(err, lineage.ErrRestored) }})
	if err != nil {
		return err
	}
	config, err := newConfig(options, cluster, s.backend, monitor, s.clients)
	if err != nil {
		return err
	}
	generic := &config.Generic.Config
	generic.ShutdownWatchTerminationGracePeriod = endWatches
	manager, err := s.newManager(config, options, cluster)
	if err != nil {
		return err
	}
	manager.Install(generic)
	api, err := config.Complete().New()
	if err != nil {
		return err
	}
	if err := s.room.Leave(); err != nil {
		return err
	}

	// Nothing in the process ends with ctx: the parts are stopped in order.
	ctx = context.WithoutCancel(ctx)
	s.api = stage.Run(ctx, "API server", api.PrepareRun().RunWithContext)
	parts := map[string]stage.Part{"controller manager": manager, "data": data, "etcd monitor": monitor}
	s.parts = stage.RunAll(ctx, "controllers", parts, func(ctx context.Context) { waitForStorage(ctx, api) })
	return nil
}

// loop is a part of the server that goes on, whatever happens, until its context ends.
type loop func(ctx context.Context)

// Run implements stage.Part.
func (l loop) Run(ctx context.Context) error {
	l(ctx)
	return nil
}

// newRegistrar returns nil where registration is somebody else's task.
func newRegistrar(options Options, cluster *host, s *Server) (*registration.Registrar, error) {
	if options.NoRegistration {
		return nil, nil
	}
	registrationClient, err := apiregistrationclient.NewForConfig(cluster.jsonClient("registration"))
	if err != nil {
		return nil, err
	}
	config := registration.Config{
		APIServices: registrationClient.ApiregistrationV1().APIServices(),
		Groups:      options.groups(),
		Service:     options.Service,
	}
	if options.ownCertificates() {
		config.Bundle = func() []byte { return s.keeper.Bundle() }
	}
	return registration.New(config)
}

// makeCertificates sees that there is a certificate to serve with.
func (s *Server) makeCertificates(ctx context.Context, options Options, cluster *host, registrar *registration.Registrar) error {
	secretClient, err := kubernetes.NewForConfig(cluster.client("certificates"))
	if err != nil {
		return err
	}
	config := certificates.Config{
		Secrets:    secretClient.CoreV1().Secrets(options.Service.Namespace),
		SecretName: options.Service.Name + "-certificates",
		Policy: certificates.Policy{
			Hosts: options.hosts(), AuthorityValidity: options.AuthorityValidity, ServingValidity: options.ServingValidity,
		},
	}
	if registrar != nil {
		config.Published = registrar.Published
		config.Changed = registrar.Wake
	}
	if s.keeper, err = certificates.NewKeeper(config); err != nil {
		return err
	}
	if err := retry(ctx, "Waiting for a serving certificate", s.keeper.Check); err != nil {
		return fmt.Errorf("wait for a serving certificate: %w", err)
	}
	return nil
}

// newLineage makes what compares the data in etcd with what the cluster knows.
func newLineage(options Options, cluster *host, store *backend.Backend) (*lineage.Keeper, error) {
	hostClient, err := kubernetes.NewForConfig(cluster.client("lineage"))
	if err != nil {
		return nil, err
	}
	return lineage.NewKeeper(lineage.Config{
		Etcd: store.Client, Key: store.Store.LineageKey(), JobsPrefix: store.Store.JobsPrefix(), SightingsPrefix: store.Store.SightingsPrefix(), Decode: apiserver.DecodeStored,
		Cluster: hostClient, Namespace: options.Service.Namespace, Name: options.Service.Name + "-storage",
	})
}

// waitForStorage waits until the API's own caches are filled: before that it answers that it is not ready.
func waitForStorage(ctx context.Context, api *genericapiserver.GenericAPIServer) {
	// The hook has no error but that of a server that gives up waiting; the clients then wait instead.
	_ = api.StorageReadinessHook.Hook(genericapiserver.PostStartHookContext{Context: ctx})
}

// Address is where the API is served, such as [::]:6443.
func (s *Server) Address() string { return s.address }

// Wait blocks until ctx ends or a part of the server does, which is an error that names it.
func (s *Server) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-s.api.Ended():
		return s.api.Err()
	case <-s.parts.Ended():
		return s.parts.Err()
	case <-s.upkeepEnded():
		return s.upkeep.Err()
	case err := <-s.backend.Err():
		return fmt.Errorf("etcd ended: %w", err)
	}
}

// upkeepEnded is closed when the upkeep has ended; nil where all of it is somebody else's task.
func (s *Server) upkeepEnded() <-chan struct{} {
	if s.upkeep == nil {
		return nil
	}
	return s.upkeep.Ended()
}

// Stop stops the parts from the top down: controllers first, so that none sees the API go; the API, once its clients have gone elsewhere; etcd last, when nobody
// writes any more.
func (s *Server) Stop() error {
	var errs []error
	if s.parts != nil {
		errs = append(errs, s.parts.Stop(stopParts))
	}
	if s.api != nil {
		s.clients.Say()
		errs = append(errs, s.api.Stop(stopAPI))
	}
	if s.upkeep != nil {
		errs = append(errs, s.upkeep.Stop(stopParts))
	}
	if s.room != nil {
		errs = append(errs, s.room.Close())
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

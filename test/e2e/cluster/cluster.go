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
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// How long the parts may take on a machine that does other things too.
const (
	startTimeout = 3 * time.Minute
	stopTimeout  = 30 * time.Second
	pollInterval = 100 * time.Millisecond
)

// Options say what cluster to start. Only Binaries and Dir are required.
type Options struct {
	// Binaries is the folder with etcd, kube-apiserver and kube-controller-manager.
	Binaries string

	// Dir is the folder for certificates, kubeconfigs, logs and etcd's data. Made where it is missing; the caller removes it.
	Dir string

	// APIServerArgs and ControllerManagerArgs are further flags. They come last, so they replace our own of the same name.
	APIServerArgs         []string
	ControllerManagerArgs []string
}

// Cluster is a running control plane. Each process can be stopped, killed, paused and started again on its own.
type Cluster struct {
	Etcd              *Process
	APIServer         *Process
	ControllerManager *Process

	dir     string
	port    int
	etcdURL string
	certs   *certificates

	controllerManagerPort int
}

// Start starts a control plane and returns when its API server is ready, which takes some seconds. On an error nothing is left running.
// The error names the process that failed and the last lines of its log.
func Start(ctx context.Context, options Options) (_ *Cluster, err error) {
	for _, path := range []*string{&options.Binaries, &options.Dir} {
		if *path, err = filepath.Abs(*path); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(options.Dir, 0o700); err != nil {
		return nil, err
	}
	ports, err := freePorts(4)
	if err != nil {
		return nil, err
	}
	c := &Cluster{dir: options.Dir, port: ports[0], etcdURL: fmt.Sprintf("http://127.0.0.1:%d", ports[1]), controllerManagerPort: ports[3]}
	if c.certs, err = makeCertificates(c.path("pki")); err != nil {
		return nil, err
	}
	if err := c.writeKubeconfigs(); err != nil {
		return nil, err
	}
	c.Etcd = c.process(options, "etcd", c.etcdArgs(ports[2]))
	c.APIServer = c.process(options, "kube-apiserver", append(c.apiServerArgs(), options.APIServerArgs...))
	c.ControllerManager = c.process(options, "kube-controller-manager", append(c.controllerManagerArgs(ports[3]), options.ControllerManagerArgs...))
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Stop())
		}
	}()
	for _, process := range []*Process{c.Etcd, c.APIServer} {
		if err := process.Start(); err != nil {
			return nil, err
		}
	}
	if err := c.WaitReady(ctx); err != nil {
		return nil, err
	}
	return c, c.ControllerManager.Start()
}

// Stop ends all processes, the last started first.
func (c *Cluster) Stop() error {
	var errs []error
	for _, process := range []*Process{c.ControllerManager, c.APIServer, c.Etcd} {
		errs = append(errs, process.Stop())
	}
	return errors.Join(errs...)
}

// URL is where the API server listens.
func (c *Cluster) URL() string { return fmt.Sprintf("https://127.0.0.1:%d", c.port) }

// ControllerManagerURL is where the controller manager listens, with a certificate that the administrator's kubeconfig trusts. Its metrics
// are there.
func (c *Cluster) ControllerManagerURL() string {
	return fmt.Sprintf("https://127.0.0.1:%d", c.controllerManagerPort)
}

// EtcdURL is where etcd listens, without TLS.
func (c *Cluster) EtcdURL() string { return c.etcdURL }

// Kubeconfig is the path of the administrator's kubeconfig.
func (c *Cluster) Kubeconfig() string { return c.path("admin.kubeconfig") }

// CertificatePath is the path of a file of the PKI: ca.crt, client-ca.crt, front-proxy-ca.crt, front-proxy-client.crt and so on, with
// their keys beside them as .key.
func (c *Cluster) CertificatePath(name string) string { return c.path("pki", name) }

func (c *Cluster) path(parts ...string) string {
	return filepath.Join(append([]string{c.dir}, parts...)...)
}

func (c *Cluster) process(options Options, program string, args []string) *Process {
	return &Process{
		Name:    program,
		Path:    filepath.Join(options.Binaries, program),
		Args:    args,
		LogPath: c.path(program + ".log"),
	}
}

// WaitReady returns once the API server says that it is ready.
func (c *Cluster) WaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	client, err := c.certs.adminClient()
	if err != nil {
		return err
	}
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		if ready(ctx, client, c.URL()+"/readyz") {
			return nil
		}
		select {
		case <-c.APIServer.Exited():
			return fmt.Errorf("kube-apiserver ended before it was ready: %s", c.APIServer.LogTail())
		case <-ctx.Done():
			return fmt.Errorf("kube-apiserver is not ready: %w: %s", ctx.Err(), c.APIServer.LogTail())
		case <-ticker.C:
		}
	}
}

func ready(ctx context.Context, client *http.Client, url string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	// Only the code counts.
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

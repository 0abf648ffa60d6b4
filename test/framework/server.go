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

package framework

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"

	"github.com/jobserver-dev/jobserver/pkg/apiserver/controllers"
	"github.com/jobserver-dev/jobserver/pkg/generated/clientset/versioned"
	"github.com/jobserver-dev/jobserver/pkg/registry/batch/job"
)

// startTimeout is how long a server may take to become ready. It takes about half a second; a loaded machine takes its time.
const startTimeout = 2 * time.Minute

// Options say what kind of server a test needs.
type Options struct {
	// Controllers are the controllers that run, in the form of the flag of that name. Empty: all. NoControllers: none, so that
	// nothing moves but what the test itself does.
	Controllers []string

	// BatchV1Profile is the profile of Jobs made through batch/v1. Empty: Kubernetes'.
	BatchV1Profile job.Profile

	// Job tunes the Job controller. Zero: as the flags have it by default.
	Job controllers.JobOptions

	// DataDir is a folder in which the server finds what one before it left, and leaves it again. Empty: a new one for this server alone.
	DataDir string
}

// NoControllers returns the Controllers of a server that is an API and nothing else.
func NoControllers() []string {
	// One that is switched off, where none is switched on; an empty list stands for all.
	return []string{"-job-controller"}
}

// Server is a server that is ready, and clients of its administrator. The clients are safe for concurrent use and not limited in rate.
type Server struct {
	// Kube is the client of Kubernetes' own groups, batch/v1 and core/v1.
	Kube kubernetes.Interface
	// Jobserver is the generated client of batch.jobserver.dev.
	Jobserver versioned.Interface
	// Dynamic is the client for any group, in JSON.
	Dynamic dynamic.Interface
	// Metadata is the client that sees metadata only.
	Metadata metadata.Interface

	config       *rest.Config
	http         *http.Client
	etcdEndpoint string
	stop         func() error
}

// Config returns a copy of the administrator's client configuration, for clients that a test makes itself.
func (s *Server) Config() *rest.Config {
	return rest.CopyConfig(s.config)
}

// Start starts a server for one test and stops it with the test.
func Start(t testing.TB, options Options) *Server {
	t.Helper()
	server, err := launch(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	server.stop = sync.OnceValue(server.stop)
	t.Cleanup(func() { server.Stop(t) })
	return server
}

// Stop stops a server that Start started, before its test ends.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	if err := s.stop(); err != nil {
		t.Errorf("stop the server: %v", err)
	}
}

// Main runs the tests of a package with one server for all of them, handed over through use before the first test starts.
// It returns the exit code for os.Exit. Tests that share a server keep to namespaces of their own.
func Main(m *testing.M, options Options, use func(*Server)) int {
	server, err := launch(context.Background(), options)
	if err != nil {
		fmt.Fprintf(os.Stderr, "start the server of the tests: %v\n", err)
		return 1
	}
	use(server)
	code := m.Run()
	if err := server.stop(); err != nil {
		fmt.Fprintf(os.Stderr, "stop the server of the tests: %v\n", err)
		return max(code, 1)
	}
	return code
}

// launch is the one place that knows how servers come about.
func launch(ctx context.Context, options Options) (*Server, error) {
	started, err := startInProcess(ctx, options)
	if err != nil {
		return nil, err
	}
	server, err := connect(started)
	if err == nil {
		err = server.waitReady(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, started.stop())
	}
	return server, nil
}

// connect makes the clients of a server.
func connect(started *process) (*Server, error) {
	config := rest.CopyConfig(started.admin)
	config.QPS = -1
	server := &Server{config: config, etcdEndpoint: started.etcdEndpoint, stop: started.stop}
	var errs [5]error
	server.Kube, errs[0] = kubernetes.NewForConfig(config)
	server.Jobserver, errs[1] = versioned.NewForConfig(config)
	server.Dynamic, errs[2] = dynamic.NewForConfig(config)
	server.Metadata, errs[3] = metadata.NewForConfig(config)
	server.http, errs[4] = rest.HTTPClientFor(config)
	return server, errors.Join(errs[:]...)
}

func (s *Server) waitReady(ctx context.Context) error {
	return poll(ctx, startTimeout, func(ctx context.Context) error {
		return s.Kube.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	})
}

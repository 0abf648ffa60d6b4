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
	"os"
	"path/filepath"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/client-go/rest"

	"github.com/jobserver-dev/jobserver/pkg/apiserver"
	"github.com/jobserver-dev/jobserver/pkg/apiserver/standalone"
)

// A process is a server that was started, ready or not yet.
type process struct {
	admin        *rest.Config
	etcdEndpoint string
	stop         func() error
}

// startInProcess starts a standalone server inside this process, on a free port. A data folder that it made itself goes when it stops.
func startInProcess(ctx context.Context, options Options) (*process, error) {
	dir, removeDir := options.DataDir, func() error { return nil }
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "jobserver-test-"); err != nil {
			return nil, fmt.Errorf("make the data folder: %w", err)
		}
		removeDir = func() error { return os.RemoveAll(dir) }
	}
	server, err := standalone.Start(ctx, standalone.Options{
		DataDir:        dir,
		Controllers:    options.Controllers,
		BatchV1Profile: options.BatchV1Profile,
		Job:            options.Job,
	})
	if err != nil {
		return nil, errors.Join(err, removeDir())
	}
	stop := func() error {
		// Containers would outlive the server.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopPodsTimeout)
		defer cancel()
		return errors.Join(server.StopPods(ctx), server.Stop(), removeDir())
	}
	return &process{admin: server.AdminClient(), etcdEndpoint: "unix://" + filepath.Join(dir, "etcd", "client.sock"), stop: stop}, nil
}

// Compact makes the etcd of the server forget all versions but the present one, as it does by itself after some minutes.
func (s *Server) Compact(t testing.TB) {
	t.Helper()
	etcd, err := apiserver.Etcd{Servers: []string{s.etcdEndpoint}}.Client()
	if err != nil {
		t.Fatal(err)
	}
	defer etcd.Close()
	now, err := etcd.Get(t.Context(), "any")
	if err == nil {
		_, err = etcd.Compact(t.Context(), now.Header.Revision, clientv3.WithCompactPhysical())
	}
	if err != nil {
		t.Fatalf("compacting etcd: %v", err)
	}
}

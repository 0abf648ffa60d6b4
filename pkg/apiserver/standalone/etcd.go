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

package standalone

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/jobserver-dev/jobserver/pkg/apiserver"
	"github.com/jobserver-dev/jobserver/pkg/apiserver/controllers"
	"github.com/jobserver-dev/jobserver/pkg/etcd"
	"github.com/jobserver-dev/jobserver/pkg/leaderelection"
)

// etcdTimeout is how long a start waits for an etcd elsewhere. Whoever runs the server starts it again.
const etcdTimeout = 10 * time.Second

// openEtcd starts etcd in the process, or makes sure that the one elsewhere answers.
func (s *Server) openEtcd(ctx context.Context, options Options) (apiserver.Etcd, error) {
	store := options.Etcd
	if len(store.Servers) == 0 {
		var err error
		if s.etcd, err = etcd.Start(ctx, s.dir.Etcd()); err != nil {
			return store, err
		}
		store.Servers = []string{s.etcd.Endpoint()}
		return store, nil
	}
	var err error
	if s.etcdClient, err = store.Client(); err != nil {
		return store, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, etcdTimeout, fmt.Errorf("no answer within %s", etcdTimeout))
	defer cancel()
	if _, err := s.etcdClient.Get(ctx, store.ElectionPrefix(controllers.ElectionName)); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return store, fmt.Errorf("reach etcd at %s: %w", strings.Join(store.Servers, ", "), err)
	}
	return store, nil
}

// election is how the replica that runs the controllers is chosen. Nil: this is the only one.
func (s *Server) election(options Options, store apiserver.Etcd) *leaderelection.Config {
	if !options.elected() {
		return nil
	}
	return &leaderelection.Config{
		Client: s.etcdClient,
		Prefix: store.ElectionPrefix(controllers.ElectionName),
		// The name of the node is for people; the rest makes two processes differ, one after the other too.
		Identity: options.NodeName + "_" + uuid.NewString(),
		Timings:  options.Election.Timings,
	}
}

// etcdEnded delivers the error that ends etcd in the process; nothing where it is elsewhere.
func (s *Server) etcdEnded() <-chan error {
	if s.etcd == nil {
		return nil
	}
	return s.etcd.Err()
}

// closeEtcd stops what openEtcd started.
func (s *Server) closeEtcd() error {
	var errs []error
	if s.etcdClient != nil {
		if err := s.etcdClient.Close(); err != nil && !errors.Is(err, context.Canceled) {
			errs = append(errs, fmt.Errorf("close the etcd client: %w", err))
		}
	}
	if s.etcd != nil {
		errs = append(errs, s.etcd.Stop())
	}
	return errors.Join(errs...)
}

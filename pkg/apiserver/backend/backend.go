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

// Package backend opens what a server stores everything in: an etcd inside the process, or one elsewhere that replicas share.
package backend

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/jobserver-dev/jobserver/pkg/apiserver"
	"github.com/jobserver-dev/jobserver/pkg/apiserver/controllers"
	"github.com/jobserver-dev/jobserver/pkg/etcd"
	"github.com/jobserver-dev/jobserver/pkg/leaderelection"
)

// answerTimeout is how long Open waits for an etcd elsewhere. Whoever runs the server starts it again.
const answerTimeout = 10 * time.Second

// ElectionOptions configure the election.
type ElectionOptions struct {
	// Off runs the controllers without asking whether another replica does. Only for a server that is alone on its etcd.
	Off bool
	// Timings are how long a lease lasts and how it is kept. Zero values: the defaults of package leaderelection.
	Timings leaderelection.Timings
}

// Backend is an etcd that answers.
type Backend struct {
	// Store is where it is and how it is reached.
	Store apiserver.Etcd
	// Client is a client for what is not stored through the API: elections, say.
	Client *clientv3.Client

	embedded *etcd.Server // nil: etcd is elsewhere
}

// Open starts etcd on dir where store names no servers, or makes sure that those answer. Close ends it.
func Open(ctx context.Context, store apiserver.Etcd, dir string) (_ *Backend, err error) {
	b := &Backend{Store: store}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Close())
		}
	}()
	if len(store.Servers) == 0 {
		if b.embedded, err = etcd.Start(ctx, dir); err != nil {
			return nil, err
		}
		b.Store.Servers = []string{b.embedded.Endpoint()}
	}
	if b.Client, err = b.Store.Client(); err != nil {
		return nil, err
	}
	if b.embedded != nil {
		return b, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, answerTimeout, fmt.Errorf("no answer within %s", answerTimeout))
	defer cancel()
	if _, err := b.Client.Get(ctx, store.ElectionPrefix(controllers.ElectionName)); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		// The client does not say why there is no connection.
		if reason := diagnose(store); reason != nil {
			err = fmt.Errorf("%w: %w", err, reason)
		}
		return nil, fmt.Errorf("reach etcd at %s: %w", strings.Join(store.Servers, ", "), err)
	}
	return b, nil
}

// Election is how the replica that runs the controllers is chosen. Nil: this is the only one. The name is for people who look who leads.
func (b *Backend) Election(options ElectionOptions, name string) *leaderelection.Config {
	if b.embedded != nil || options.Off {
		return nil
	}
	return &leaderelection.Config{
		Client: b.Client,
		Prefix: b.Store.ElectionPrefix(controllers.ElectionName),
		// What follows the name makes two processes differ, one after the other too.
		Identity: name + "_" + uuid.NewString(),
		Timings:  options.Timings,
	}
}

// CountJobs returns how many Jobs are stored in a namespace, as of now: a cache may be behind.
func (b *Backend) CountJobs(ctx context.Context, namespace string) (int64, error) {
	found, err := b.Client.Get(ctx, b.Store.JobsPrefix()+namespace+"/", clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		return 0, err
	}
	return found.Count, nil
}

// Err delivers the error that ends etcd in the process; nothing where it is elsewhere.
func (b *Backend) Err() <-chan error {
	if b.embedded == nil {
		return nil
	}
	return b.embedded.Err()
}

// Close stops what Open started.
func (b *Backend) Close() error {
	var errs []error
	if b.Client != nil {
		if err := b.Client.Close(); err != nil && !errors.Is(err, context.Canceled) {
			errs = append(errs, fmt.Errorf("close the etcd client: %w", err))
		}
	}
	if b.embedded != nil {
		errs = append(errs, b.embedded.Stop())
	}
	return errors.Join(errs...)
}

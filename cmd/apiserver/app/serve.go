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

package app

import (
	"context"
	"errors"
	"fmt"
	"io"

	"k8s.io/klog/v2"

	"github.com/jobserver-dev/jobserver/cmd/apiserver/app/options"
	"github.com/jobserver-dev/jobserver/pkg/apiserver/aggregated"
	"github.com/jobserver-dev/jobserver/pkg/apiserver/standalone"
)

// serve runs a server until ctx ends.
func serve(ctx context.Context, flags *options.Serve, out io.Writer) error {
	if err := flags.Validate(); err != nil {
		return usageError(err)
	}
	if !flags.Standalone {
		return serveAggregated(ctx, flags.AggregatedConfig())
	}
	config, err := flags.Config()
	if err != nil {
		return usageError(err)
	}
	server, err := standalone.Start(ctx, config)
	if err != nil {
		return flagged(err)
	}
	fmt.Fprintf(out, "Serving %s\nTry: kubectl --kubeconfig %s get jobs\n", server.URL(), server.AdminKubeconfig())
	err = server.Wait(ctx)
	if flags.StopPodsOnExit {
		stopContext, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopPodsTimeout)
		defer cancel()
		err = errors.Join(err, server.StopPods(stopContext))
	}
	return errors.Join(err, server.Stop())
}

// serveAggregated runs a server beside a cluster until ctx ends.
func serveAggregated(ctx context.Context, options aggregated.Options) error {
	server, err := aggregated.Start(ctx, options)
	if err != nil {
		if ctx.Err() != nil {
			return nil // stopped while it waited for the cluster
		}
		return flagged(err)
	}
	klog.FromContext(ctx).Info("Serving", "address", server.Address())
	return errors.Join(server.Wait(ctx), server.Stop())
}

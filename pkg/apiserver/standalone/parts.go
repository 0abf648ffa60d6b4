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
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"k8s.io/apiserver/pkg/server/healthz"

	restclient "k8s.io/client-go/rest"
)

// part is something that runs beside the API until its context ends.
type part interface {
	// Run blocks until ctx ends and the part has come to rest.
	Run(ctx context.Context) error
	// Ready returns nil once the part does its work, else why it doesn't.
	Ready() error
}

// namedPart is a part with the name that its readyz check and its switch have.
type namedPart struct {
	name string
	part
}

// check is the part's readyz check.
func (p namedPart) check() healthz.HealthChecker {
	return healthz.NamedCheck(p.name, func(*http.Request) error { return p.Ready() })
}

// JobOptions tune the Job controller. Zero values stand for upstream's defaults.
type JobOptions struct {
	// Syncs is how many Jobs are synced at once. Default: 5.
	Syncs int
	// SyncBatchPeriod is for how long at the most events of a Job's Pods are collected. Default: 1 s.
	SyncBatchPeriod time.Duration
	// PodFailureBackoff is the wait before the first failed Pod is replaced; it doubles with each failure. Default: 10 s.
	PodFailureBackoff time.Duration
	// PodFailureBackoffMax is the longest such wait. Default: 10 min.
	PodFailureBackoffMax time.Duration
}

// newParts makes the controllers that the options switch on, as clients of the API at loopback, in the order of their names, and returns them with
// what starts the caches that they share.
func newParts(ctx context.Context, loopback *restclient.Config, options Options) ([]namedPart, func(context.Context), error) {
	builder, err := newControllerBuilder(loopback, options)
	if err != nil {
		return nil, nil, err
	}
	var parts []namedPart
	for name, build := range map[string]func(context.Context) (part, error){
		jobController:              builder.job,
		ttlAfterFinishedController: builder.ttlAfterFinished,
		garbageCollectorController: builder.garbageCollector,
		namespaceController:        builder.namespace,
	} {
		if !enabled(name, options.Controllers) {
			continue
		}
		made, err := build(ctx)
		if err != nil {
			return nil, nil, fmt.Errorf("make %s: %w", name, err)
		}
		parts = append(parts, namedPart{name: name, part: made})
	}
	slices.SortFunc(parts, func(a, b namedPart) int { return strings.Compare(a.name, b.name) })
	return parts, builder.startCaches, nil
}

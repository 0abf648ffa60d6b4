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

// Package controllers puts the controllers of a server together and runs them: always where the server is alone, else while its
// replica leads.
package controllers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/transport"

	"github.com/jobserver-dev/jobserver/pkg/leaderelection"
)

// ElectionName is what metrics and logs call the election, and the last part of its key.
const ElectionName = "controllers"

// Manager runs the controllers. Make it with NewManager.
//
// With an election they are made anew for each term, after it was won: their caches begin with what etcd has then, so that they see
// all that the leaders before them wrote.
type Manager struct {
	config  Config
	elector *leaderelection.Elector

	mu      sync.Mutex
	started bool
	running *set
}

// NewManager returns a Manager. election may be nil, which runs the controllers without one; its Name and its Work are the Manager's to
// fill in.
func NewManager(config Config, election *leaderelection.Config) (*Manager, error) {
	config.Names = slices.Sorted(slices.Values(config.Names))
	m := &Manager{config: config}
	if election == nil {
		return m, nil
	}
	complete := *election
	complete.Name = ElectionName
	complete.Work = func(ctx context.Context, term *leaderelection.Term) error { return m.runOnce(ctx, term.Wrap) }
	var err error
	if m.elector, err = leaderelection.New(complete); err != nil {
		return nil, err
	}
	return m, nil
}

// Run runs the controllers until ctx ends, and then returns nil once all have come to rest. The error says which controller could not
// be made or ended by itself.
func (m *Manager) Run(ctx context.Context) error {
	m.mu.Lock()
	m.started = true
	m.mu.Unlock()
	if m.elector == nil {
		return m.runOnce(ctx, nil)
	}
	return m.elector.Run(ctx)
}

// runOnce makes the controllers and runs them.
func (m *Manager) runOnce(ctx context.Context, wrap transport.WrapperFunc) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	made, err := newSet(ctx, m.config, wrap)
	if err != nil {
		return err
	}
	m.setRunning(made)
	defer m.setRunning(nil)
	return made.run(ctx)
}

func (m *Manager) setRunning(running *set) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.running = running
}

// Install adds to a server's configuration what belongs to the controllers that write through it: a readyz check for each, and the fence
// that keeps out what they sent in a term of leading that is over. On a replica that waits for its turn the checks succeed, and say in their
// names that they stand by.
func (m *Manager) Install(server *genericapiserver.Config) {
	for _, name := range m.config.Names {
		server.ReadyzChecks = append(server.ReadyzChecks, check{manager: m, name: name})
	}
	if m.elector == nil {
		return
	}
	build := server.BuildHandlerChainFunc
	server.BuildHandlerChainFunc = func(api http.Handler, c *genericapiserver.Config) http.Handler {
		fenced := m.elector.Fence(api, func(w http.ResponseWriter, request *http.Request, err error) {
			responsewriters.ErrorNegotiated(apierrors.NewServiceUnavailable(err.Error()), c.Serializer, schema.GroupVersion{}, w, request)
		})
		return build(fenced, c)
	}
}

// check is the readyz check of one controller.
type check struct {
	manager *Manager
	name    string
}

// Name implements healthz.HealthChecker. It is read for each answer; the first time, before the Manager runs, is for the check's path.
func (c check) Name() string {
	if c.manager.standingBy() {
		return c.name + " (standing by)"
	}
	return c.name
}

// Check implements healthz.HealthChecker.
func (c check) Check(*http.Request) error {
	if c.manager.standingBy() {
		return nil
	}
	return c.manager.ready(c.name)
}

func (m *Manager) standingBy() bool {
	if m.elector == nil {
		return false
	}
	_, standingBy := m.elector.StandingBy()
	return standingBy
}

// ready returns nil once the controller does its work.
func (m *Manager) ready(name string) error {
	m.mu.Lock()
	running, started := m.running, m.started
	m.mu.Unlock()
	switch {
	case running != nil:
		return running.byName[name].Ready()
	case started && m.elector != nil:
		return errors.New("no replica is known to lead")
	default:
		return fmt.Errorf("%s has not started yet", name)
	}
}

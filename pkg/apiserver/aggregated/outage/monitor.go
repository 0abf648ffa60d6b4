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

// Package outage answers requests at once while etcd does not answer.
//
// Without it each of them would wait for etcd until it times out, a minute later, and the cluster would go on sending: its aggregator takes a server
// for available that still answers questions about its groups. The garbage collector and the deletion of namespaces wait for each other's
// requests, so that a minute for each of ours would hold up the whole cluster.
package outage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

const (
	// askPeriod is the time between two questions, and askTimeout for how long an answer is waited for.
	askPeriod  = time.Second
	askTimeout = 3 * time.Second

	// patience is for how long there may be no answer before that counts as an outage: longer than an election among etcd's members takes.
	patience = 5 * time.Second
)

// apis is what the paths of all requests begin with that need etcd. What the server says of itself goes on.
const apis = "/apis"

// Config is what a Monitor is made of.
type Config struct {
	// Ask returns nil where etcd answers. Required.
	Ask func(context.Context) error
	// Final tells of an error that it won't go away, so that there is nothing to be patient about. Optional.
	Final func(error) bool
	// Clock is the time. Default: the real one.
	Clock clock.WithTicker
}

// Monitor asks etcd all the time. Make it with New.
type Monitor struct {
	config Config
	clock  clock.WithTicker

	mu       sync.Mutex
	answered time.Time
	err      error
	down     bool
}

// New returns a Monitor. It takes etcd for well at first.
func New(config Config) (*Monitor, error) {
	if config.Ask == nil {
		return nil, errors.New("outage: Ask is required")
	}
	if config.Final == nil {
		config.Final = func(error) bool { return false }
	}
	if config.Clock == nil {
		config.Clock = clock.RealClock{}
	}
	return &Monitor{config: config, clock: config.Clock, answered: config.Clock.Now()}, nil
}

// Run asks until ctx ends; then it returns nil.
func (m *Monitor) Run(ctx context.Context) error {
	ticker := m.clock.NewTicker(askPeriod)
	defer ticker.Stop()
	for {
		askContext, cancel := context.WithTimeout(ctx, askTimeout)
		err := m.config.Ask(askContext)
		cancel()
		if ctx.Err() != nil {
			return nil
		}
		m.note(ctx, err)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C():
		}
	}
}

// note takes an answer down.
func (m *Monitor) note(ctx context.Context, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.clock.Now()
	m.err = err
	if err == nil {
		if m.down {
			klog.FromContext(ctx).Info("etcd answers again", "after", now.Sub(m.answered))
		}
		m.answered, m.down = now, false
		return
	}
	if !m.down && (m.config.Final(err) || now.Sub(m.answered) >= patience) {
		m.down = true
		klog.FromContext(ctx).Error(err, "etcd gives no good answer, requests are refused until it does")
	}
}

// Down returns why requests are refused, nil where they aren't.
func (m *Monitor) Down() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.down {
		return nil
	}
	if m.config.Final(m.err) {
		return m.err
	}
	return fmt.Errorf("etcd has not answered for %s", m.clock.Since(m.answered).Round(time.Second))
}

// Filter refuses requests for what is in etcd with 503 during an outage. It does not say when to come back: clients that are told to wait do so.
func (m *Monitor) Filter(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		err := m.Down()
		if err == nil || !strings.HasPrefix(request.URL.Path, apis) {
			next.ServeHTTP(w, request)
			return
		}
		status, encodeErr := json.Marshal(metav1.Status{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
			Status:   metav1.StatusFailure,
			Reason:   metav1.StatusReasonServiceUnavailable,
			Code:     http.StatusServiceUnavailable,
			Message:  "jobserver can't read or write Jobs: " + err.Error(),
		})
		if encodeErr != nil {
			status = nil // the code says it too
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write(status) // who hung up needs no answer
	})
}

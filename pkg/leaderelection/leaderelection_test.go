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

package leaderelection_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/jobserver-dev/jobserver/pkg/etcd"
	"github.com/jobserver-dev/jobserver/pkg/leaderelection"
)

const timeout = time.Minute

// long are timings for a test that must not depend on a lease that runs out.
var long = leaderelection.Timings{LeaseDuration: 2 * timeout, RenewDeadline: timeout, RetryPeriod: 50 * time.Millisecond}

// electorate are candidates on one etcd, and a watch over that only one works at a time.
type electorate struct {
	endpoint string
	client   *clientv3.Client
	working  atomic.Int32
}

func newElectorate(t *testing.T) *electorate {
	t.Helper()
	server, err := etcd.Start(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return &electorate{endpoint: server.Endpoint(), client: newClient(t, server.Endpoint())}
}

func newClient(t *testing.T, endpoint string) *clientv3.Client {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// candidate is an elector that runs.
type candidate struct {
	*leaderelection.Elector
	terms chan *leaderelection.Term
	stop  context.CancelFunc
	done  chan error
}

// stand makes a candidate. work is what it does while it leads, until ctx ends by default.
func (e *electorate) stand(t *testing.T, name string, client *clientv3.Client, timings leaderelection.Timings, work func(ctx context.Context) error) *candidate {
	t.Helper()
	c := &candidate{terms: make(chan *leaderelection.Term, 10), done: make(chan error, 1)}
	var err error
	c.Elector, err = leaderelection.New(leaderelection.Config{
		Client: client, Prefix: "/test/election", Name: "test", Identity: name, Timings: timings,
		Work: func(ctx context.Context, term *leaderelection.Term) error {
			if others := e.working.Add(1) - 1; others != 0 {
				t.Errorf("%s works beside %d others", name, others)
			}
			defer e.working.Add(-1)
			c.terms <- term
			if work != nil {
				return work(ctx)
			}
			<-ctx.Done()
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	c.stop = cancel
	go func() { c.done <- c.Run(ctx) }()
	t.Cleanup(func() { c.stopAndWait(t) })
	return c
}

func (c *candidate) stopAndWait(t *testing.T) {
	c.stop()
	select {
	case err := <-c.done:
		c.done <- err
	case <-time.After(timeout):
		t.Error("an elector does not stop")
	}
}

// waitTerm waits until the candidate leads.
func (c *candidate) waitTerm(t *testing.T) *leaderelection.Term {
	t.Helper()
	select {
	case term := <-c.terms:
		return term
	case <-time.After(timeout):
		t.Fatal("not elected")
		return nil
	}
}

func waitFor(t *testing.T, what string, condition func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 5*time.Millisecond, timeout, true, func(context.Context) (bool, error) { return condition(), nil })
	if err != nil {
		t.Fatalf("wait until %s: %v", what, err)
	}
}

func TestOneLeadsAndHandsOver(t *testing.T) {
	t.Parallel()
	e := newElectorate(t)
	first := e.stand(t, "first", e.client, long, nil)
	first.waitTerm(t)
	second := e.stand(t, "second", newClient(t, e.endpoint), long, nil)
	waitFor(t, "the second knows the first", func() bool { leader, ok := second.StandingBy(); return ok && leader == "first" })
	if !first.Leading() || second.Leading() {
		t.Errorf("the first leads: %t, the second: %t", first.Leading(), second.Leading())
	}
	if _, ok := first.StandingBy(); ok {
		t.Error("the leader stands by")
	}
	// The lease lasts longer than the test: only a resignation lets the second lead.
	first.stopAndWait(t)
	second.waitTerm(t)
	waitFor(t, "the second leads", second.Leading)
	if first.Leading() {
		t.Error("the first still says that it leads")
	}
}

func TestLeaderThatTakesItsTimeToStop(t *testing.T) {
	t.Parallel()
	e := newElectorate(t)
	finish := make(chan struct{})
	first := e.stand(t, "first", e.client, long, func(ctx context.Context) error {
		<-ctx.Done()
		<-finish
		return nil
	})
	first.waitTerm(t)
	second := e.stand(t, "second", newClient(t, e.endpoint), long, nil)
	waitFor(t, "the second stands by", func() bool { _, ok := second.StandingBy(); return ok })
	first.stop()
	select {
	case <-second.terms:
		t.Error("the second leads before the first has finished")
	case <-time.After(10 * long.RetryPeriod):
	}
	close(finish)
	second.waitTerm(t)
}

// TestDeposedByEtcd: what an operator does with etcdctl, and what is left when a machine slept.
func TestDeposedByEtcd(t *testing.T) {
	t.Parallel()
	for name, depose := range map[string]func(*electorate, context.Context) error{
		"key removed": func(e *electorate, ctx context.Context) error {
			_, err := e.client.Delete(ctx, "/test/election/", clientv3.WithPrefix())
			return err
		},
		"lease revoked": func(e *electorate, ctx context.Context) error {
			leases, err := e.client.Leases(ctx)
			for _, lease := range leases.Leases {
				_, revokeErr := e.client.Revoke(ctx, lease.ID)
				err = errors.Join(err, revokeErr)
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newElectorate(t)
			only := e.stand(t, "only", e.client, long, nil)
			before := only.waitTerm(t)
			if err := depose(e, t.Context()); err != nil {
				t.Fatal(err)
			}
			only.waitTerm(t) // stands again, and is elected
			if before.Valid() {
				t.Error("the term before is still valid")
			}
		})
	}
}

func TestWorkThatEnds(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ err, want error }{
		"with an error": {err: errors.New("broken"), want: errors.New("broken")},
		"by itself":     {want: errors.New("the leader's work ended by itself")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newElectorate(t)
			first := e.stand(t, "first", e.client, long, func(context.Context) error { return test.err })
			select {
			case err := <-first.done:
				if err == nil || err.Error() != test.want.Error() {
					t.Errorf("got error %v, want %v", err, test.want)
				}
				first.done <- err
			case <-time.After(timeout):
				t.Fatal("the elector goes on")
			}
			e.stand(t, "second", newClient(t, e.endpoint), long, nil).waitTerm(t)
		})
	}
}

func TestFence(t *testing.T) {
	t.Parallel()
	e := newElectorate(t)
	only := e.stand(t, "only", e.client, long, nil)
	term := only.waitTerm(t)
	entered := make(chan struct{})
	transport := term.Wrap(roundTripper(func(request *http.Request) (*http.Response, error) {
		if request.URL.Path == "/quick" {
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
		}
		close(entered)
		<-request.Context().Done()
		return nil, context.Cause(request.Context())
	}))
	send := func(path string) error {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost"+path, http.NoBody)
		if err != nil {
			return err
		}
		response, err := transport.RoundTrip(request)
		if err != nil {
			return err
		}
		return response.Body.Close()
	}
	if err := send("/quick"); err != nil {
		t.Fatalf("a request in the term: %v", err)
	}
	underWay := make(chan error, 1)
	go func() { underWay <- send("/slow") }()
	<-entered
	only.stopAndWait(t)
	if err := <-underWay; !errors.Is(err, leaderelection.ErrDeposed) {
		t.Errorf("a request under way at the end of the term: got error %v, want %v", err, leaderelection.ErrDeposed)
	}
	if err := send("/quick"); !errors.Is(err, leaderelection.ErrDeposed) {
		t.Errorf("a request after the term: got error %v, want %v", err, leaderelection.ErrDeposed)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (r roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }

func TestConfigErrors(t *testing.T) {
	t.Parallel()
	_, err := leaderelection.New(leaderelection.Config{Prefix: "/a/", Timings: leaderelection.Timings{LeaseDuration: time.Second}})
	for _, want := range []string{"Client: is required", "Name: is required", "Identity: is required", "Work: is required", `Prefix: "/a/"`, "renew-deadline: 6s"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", fmt.Sprint(err), want)
		}
	}
}

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

package leaderelection

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"k8s.io/klog/v2"
)

// releaseTimeout bounds what is said to etcd at the end: a server that stops has others to wait for.
const releaseTimeout = time.Second

// errLost ends a term that etcd has ended already.
var errLost = errors.New("the key of this replica is gone from etcd")

// takePart stands for election once: it queues, leads when its turn comes, and leaves.
func (e *Elector) takePart(ctx context.Context) (err error) {
	e.revokeLeft(ctx)
	session, err := e.open(ctx)
	if err != nil {
		return err
	}
	defer e.leave(ctx, session)
	election := concurrency.NewElection(session, e.config.Prefix)
	if err := e.campaign(ctx, session, election); err != nil {
		return fmt.Errorf("wait for the election: %w", err)
	}
	return e.lead(ctx, session, election)
}

// open gets a lease, which the session then keeps alive while this replica waits.
func (e *Elector) open(ctx context.Context) (*concurrency.Session, error) {
	grantContext, cancel := context.WithTimeout(ctx, e.config.Timings.RenewDeadline)
	defer cancel()
	lease, err := e.config.Client.Grant(grantContext, e.config.Timings.ttl())
	if err != nil {
		return nil, fmt.Errorf("get a lease: %w", err)
	}
	// The session has to last while a stopping leader finishes its work.
	session, err := concurrency.NewSession(e.config.Client, concurrency.WithLease(lease.ID), concurrency.WithContext(context.WithoutCancel(ctx)))
	if err != nil {
		e.leaveLater(lease.ID)
		return nil, fmt.Errorf("keep the lease alive: %w", err)
	}
	return session, nil
}

// campaign waits until this replica's key is the first in the queue, and meanwhile keeps an eye on who leads.
func (e *Elector) campaign(ctx context.Context, session *concurrency.Session, election *concurrency.Election) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	elected := make(chan error, 1)
	// On its own: with etcd out of reach it would take longer than a stopping server has time.
	go func() { elected <- election.Campaign(ctx, e.config.Identity) }()

	look := time.NewTicker(e.config.Timings.RetryPeriod)
	defer look.Stop()
	for {
		e.lookForLeader(ctx, election)
		select {
		case err := <-elected:
			return err
		case <-session.Done():
			return errLost
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-look.C:
		}
	}
}

// lookForLeader notes which other replica leads.
func (e *Elector) lookForLeader(ctx context.Context, election *concurrency.Election) {
	ctx, cancel := context.WithTimeout(ctx, e.config.Timings.RetryPeriod)
	defer cancel()
	leader, err := election.Leader(ctx)
	switch {
	case ctx.Err() != nil || err != nil:
		e.setLeader(ctx, "")
	case string(leader.Kvs[0].Value) != e.config.Identity:
		e.setLeader(ctx, string(leader.Kvs[0].Value))
	}
}

// lead runs the work until ctx ends, the work does, or the lease can't be renewed in time.
func (e *Elector) lead(ctx context.Context, session *concurrency.Session, election *concurrency.Election) error {
	logger := klog.FromContext(ctx)
	term := newTerm(election.Key(), e.config.Timings)
	defer term.close()
	e.term.Store(term)
	// Campaign doesn't notice that the lease ran out while it waited.
	if err := e.renew(ctx, session, election, term); err != nil {
		return fmt.Errorf("renew the lease after the election: %w", err)
	}
	logger.Info("Leading")
	e.setLeading(true)
	defer e.setLeading(false)

	workContext, stop := context.WithCancel(ctx)
	defer stop()
	worked := make(chan error, 1)
	go func() { worked <- e.config.Work(workContext, term) }()

	lost := e.keepLease(ctx, session, election, term, worked)
	var ended *workEnded
	if errors.As(lost, &ended) {
		if ended.err == nil && ctx.Err() == nil {
			ended.err = errors.New("the leader's work ended by itself")
		}
		if ended.err != nil {
			return &workError{ended.err}
		}
		logger.Info("Handing over")
		return nil
	}
	logger.Error(lost, "Lost the leadership, stopping the controllers")
	stop()
	// Never two at a time, not in one process either: however long it takes. Their requests are refused meanwhile.
	if err := <-worked; err != nil {
		return &workError{err}
	}
	logger.Info("The controllers have stopped")
	return nil
}

// workEnded says that Work has returned.
type workEnded struct{ err error }

func (w *workEnded) Error() string { return "the work ended" }

// keepLease renews the lease until the work has ended, which is a workEnded, or the lease is as good as lost, which is an error that says why.
func (e *Elector) keepLease(ctx context.Context, session *concurrency.Session, election *concurrency.Election, term *Term, worked <-chan error) error {
	// A stop of the server doesn't end the renewals: the work needs the lease to finish.
	renewContext, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	lost := make(chan error, 1)
	go func() { lost <- e.renewUntilLost(renewContext, session, election, term) }()
	select {
	case err := <-worked:
		return &workEnded{err}
	case err := <-lost:
		return err
	}
}

// renewUntilLost renews the lease every RetryPeriod. It returns why it could not, when the deadline has passed or the lease is gone.
func (e *Elector) renewUntilLost(ctx context.Context, session *concurrency.Session, election *concurrency.Election, term *Term) error {
	ticker := time.NewTicker(e.config.Timings.RetryPeriod)
	defer ticker.Stop()
	var last error
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-session.Done():
			return errLost
		case <-term.deadline():
			if last == nil {
				last = errors.New("this process did not run in time")
			}
			return fmt.Errorf("the lease was not renewed within %s: %w", e.config.Timings.RenewDeadline, last)
		case <-ticker.C:
		}
		switch err := e.renew(ctx, session, election, term); {
		case err == nil:
			last = nil
		case errors.Is(err, errLost):
			return err
		default:
			last = err
			klog.FromContext(ctx).Info("Failed to renew the lease, trying again", "err", err)
		}
	}
}

// renew renews the lease once and sees that the key, which an operator may have removed, is still there. The error is errLost where
// etcd says that this replica doesn't lead.
func (e *Elector) renew(ctx context.Context, session *concurrency.Session, election *concurrency.Election, term *Term) error {
	ctx, cancel := context.WithTimeout(ctx, term.untilDeadline())
	defer cancel()
	sent := term.now()
	if _, err := e.config.Client.KeepAliveOnce(ctx, session.Lease()); err != nil {
		if errors.Is(err, rpctypes.ErrLeaseNotFound) {
			return errLost
		}
		return fmt.Errorf("renew the lease: %w", err)
	}
	found, err := e.config.Client.Get(ctx, election.Key(), clientv3.WithCountOnly())
	if err != nil {
		return fmt.Errorf("look for the key of this replica: %w", err)
	}
	if found.Count == 0 {
		return errLost
	}
	term.renewed(sent)
	return nil
}

// leave gives the lease back, so that the next in the queue needs not wait for its end. It is not renewed after that, come what may.
func (e *Elector) leave(ctx context.Context, session *concurrency.Session) {
	session.Orphan()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	if _, err := e.config.Client.Revoke(ctx, session.Lease()); err != nil && !errors.Is(err, rpctypes.ErrLeaseNotFound) {
		klog.FromContext(ctx).Info("Failed to give the lease back, it will run out", "err", err)
		e.leaveLater(session.Lease())
	}
}

// leaveLater remembers a lease that is not used any more.
func (e *Elector) leaveLater(lease clientv3.LeaseID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.left = append(e.left, lease)
}

// revokeLeft gives back the leases of earlier terms. Otherwise this replica would have to wait for its own predecessor.
func (e *Elector) revokeLeft(ctx context.Context) {
	e.mu.Lock()
	left := e.left
	e.left = nil
	e.mu.Unlock()
	for _, lease := range left {
		ctx, cancel := context.WithTimeout(ctx, releaseTimeout)
		_, err := e.config.Client.Revoke(ctx, lease)
		cancel()
		if err != nil && !errors.Is(err, rpctypes.ErrLeaseNotFound) {
			e.leaveLater(lease)
		}
	}
}

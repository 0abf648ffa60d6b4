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

// Package leaderelection elects, among the replicas of a server that share one etcd, the one that runs the controllers.
//
// A candidate holds an etcd lease and waits in the queue of go.etcd.io/etcd/client/v3/concurrency; the head of the queue leads. A clean
// stop revokes the lease, and the next in the queue leads at once. After a crash the next one leads when the lease has run out.
//
// # What keeps two from leading at a time
//
// The leader measures its lease by itself, from before each renewal is sent, so its own view ends earlier than etcd's. Three
// limits follow one another, of which the first two have to be over before etcd gives the lease to another:
//
//   - RenewDeadline after the last good renewal the controllers are told to stop, and get what is left of the lease to finish;
//   - Term.Wrap refuses every request, and cancels those under way, from shortly before the end of the lease on;
//   - LeaseDuration after the last good renewal etcd deletes the leader's key.
//
// Time is CLOCK_BOOTTIME: steps of the wall clock don't matter, and time in which the machine slept counts. A process that is stopped
// (SIGSTOP, a debugger) and goes on after its lease finds the limits passed before it sends the next request. What was sent
// before, and is stored late, no election can call back: writes have to be safe by themselves against that, by resource versions, UIDs
// and names that can exist only once.
package leaderelection

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/klog/v2"
)

// Defaults for the fields of Config that are zero. After a kill another replica leads in little more than DefaultLeaseDuration.
const (
	DefaultLeaseDuration = 10 * time.Second
	DefaultRenewDeadline = 6 * time.Second
	DefaultRetryPeriod   = 2 * time.Second
)

// Timings say how long a lease lasts and how it is kept. Zero fields get the defaults.
type Timings struct {
	// LeaseDuration is how long after its last renewal a leader that doesn't answer any more is waited for. etcd knows whole
	// seconds: it is rounded up. At least a second.
	LeaseDuration time.Duration
	// RenewDeadline is how long after the last good renewal the leader's work is told to stop. Less than LeaseDuration: the
	// difference is the time that it gets to finish.
	RenewDeadline time.Duration
	// RetryPeriod is the time between two renewals, and before a failed attempt to take part is repeated. Less than RenewDeadline.
	RetryPeriod time.Duration
}

// WithDefaults returns the timings with the defaults in place of zeros.
func (t Timings) WithDefaults() Timings {
	for _, field := range []struct {
		value  *time.Duration
		preset time.Duration
	}{{&t.LeaseDuration, DefaultLeaseDuration}, {&t.RenewDeadline, DefaultRenewDeadline}, {&t.RetryPeriod, DefaultRetryPeriod}} {
		if *field.value == 0 {
			*field.value = field.preset
		}
	}
	return t
}

// Validate returns an error for each value that doesn't fit. It begins with the value's name as in a flag, such as renew-deadline.
func (t Timings) Validate() []error {
	var errs []error
	if t.LeaseDuration < time.Second {
		errs = append(errs, fmt.Errorf("lease-duration: %s is less than a second", t.LeaseDuration))
	}
	if t.RenewDeadline >= t.LeaseDuration {
		errs = append(errs, fmt.Errorf("renew-deadline: %s is not less than the lease duration, %s", t.RenewDeadline, t.LeaseDuration))
	}
	if t.RetryPeriod <= 0 {
		errs = append(errs, fmt.Errorf("retry-period: %s is not greater than 0", t.RetryPeriod))
	}
	if t.RetryPeriod >= t.RenewDeadline {
		errs = append(errs, fmt.Errorf("retry-period: %s is not less than the renew deadline, %s", t.RetryPeriod, t.RenewDeadline))
	}
	return errs
}

// ttl is the lease in etcd's unit.
func (t Timings) ttl() int64 {
	return int64(math.Ceil(t.LeaseDuration.Seconds()))
}

// fence is how long after the last good renewal requests are refused: late enough for work to finish, and by a tenth earlier than etcd, whose
// clock may run slightly faster than ours.
func (t Timings) fence() time.Duration {
	return t.LeaseDuration - t.LeaseDuration/10
}

// Config is what an Elector is made of. All fields but Timings are required.
type Config struct {
	// Client is etcd. The caller closes it, after Run has returned.
	Client *clientv3.Client
	// Prefix is the key under which the candidates queue, without a slash at its end. Replicas of one prefix exclude each other.
	Prefix string
	// Name is what metrics and logs call the election.
	Name string
	// Identity tells this candidate from the others, for those who look.
	Identity string
	// Timings are the limits.
	Timings Timings
	// Work is run while this replica leads, once a term. It has to return soon after its context ends; nobody else leads before it
	// has, unless the lease runs out. An error that it returns ends the Elector.
	Work func(ctx context.Context, term *Term) error
}

// complete returns the Config with its defaults; the error names each field that is missing or out of range.
func (c Config) complete() (Config, error) {
	var errs []error
	for _, field := range []struct {
		name    string
		missing bool
	}{
		{"Client", c.Client == nil}, {"Prefix", c.Prefix == ""}, {"Name", c.Name == ""}, {"Identity", c.Identity == ""}, {"Work", c.Work == nil},
	} {
		if field.missing {
			errs = append(errs, fmt.Errorf("%s: is required", field.name))
		}
	}
	if strings.HasSuffix(c.Prefix, "/") {
		errs = append(errs, fmt.Errorf("%s: %q must not end with a slash", "Prefix", c.Prefix))
	}
	c.Timings = c.Timings.WithDefaults()
	for _, err := range c.Timings.Validate() {
		errs = append(errs, fmt.Errorf("Timings: %w", err))
	}
	return c, errors.Join(errs...)
}

// Elector takes part in an election. Make it with New.
type Elector struct {
	config Config
	term   atomic.Pointer[Term] // the last one, which may be over

	mu      sync.Mutex
	leading bool
	leader  string // of another replica
	// left are leases of earlier terms that could not be revoked. Their keys stand in the queue before ours.
	left []clientv3.LeaseID
}

// New checks the Config.
func New(config Config) (*Elector, error) {
	config, err := config.complete()
	if err != nil {
		return nil, fmt.Errorf("leader election configuration: %w", err)
	}
	e := &Elector{config: config}
	e.setLeading(false)
	return e, nil
}

// Leading tells whether this replica leads.
func (e *Elector) Leading() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.leading
}

// StandingBy returns the identity of the replica that leads while this one waits for its turn. False where this one leads, or knows of no
// leader.
func (e *Elector) StandingBy() (leader string, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.leader, !e.leading && e.leader != ""
}

func (e *Elector) setLeading(leading bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.leading = leading
	if leading {
		e.leader = ""
	}
	setMasterStatus(e.config.Name, leading)
}

// setLeader notes which other replica leads; none where it is empty.
func (e *Elector) setLeader(ctx context.Context, leader string) {
	e.mu.Lock()
	changed := e.leader != leader
	e.leader = leader
	e.mu.Unlock()
	if changed && leader != "" {
		klog.FromContext(ctx).Info("Standing by, another replica leads", "leader", leader)
	}
}

// Run takes part until ctx ends, and then returns nil, having handed over where it led. Terms that are lost are followed by a new
// candidature. The error is that of Work.
func (e *Elector) Run(ctx context.Context) error {
	logger := klog.FromContext(ctx).WithValues("election", e.config.Name, "identity", e.config.Identity)
	ctx = klog.NewContext(ctx, logger)
	for ctx.Err() == nil {
		err := e.takePart(ctx)
		var failed *workError
		if errors.As(err, &failed) {
			return failed.error
		}
		if err != nil && ctx.Err() == nil {
			logger.Error(err, "Failed to take part in the election, trying again")
			select {
			case <-ctx.Done():
			case <-time.After(wait.Jitter(e.config.Timings.RetryPeriod, 0.2)):
			}
		}
	}
	return nil
}

// workError is an error of Work's, which ends the Elector.
type workError struct{ error }

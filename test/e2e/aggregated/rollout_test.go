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

package aggregated

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// leaveTime is the pause that the manifests make between the moment in which a Pod is taken out of the Service and its SIGTERM.
	leaveTime = 5 * time.Second

	// stoppedLimit is how long nobody may lead after a leader that stopped in good order: its lease is given back, and need not run out.
	stoppedLimit = 5 * time.Second
)

// TestThreeReplicas installs three replicas as their overlay does, on an etcd over mutual TLS, and takes them through what an administrator does with them.
func TestThreeReplicas(t *testing.T) {
	slow(t)
	e := startEtcdWith(t, 1, newEtcdPKI(t))
	in := ownInstallation(t, setup{
		overlay: "external-etcd", replicas: 3, serverArgs: e.flags(),
		// What was charged and never stored is given back by the next count, which is minutes away by default.
		controllerManagerArgs: []string{"--resource-quota-sync-period=10s"},
	})
	t.Run("quota", in.testQuotaOfReplicas)
	t.Run("quota while the leader is killed", in.testQuotaAcrossLeaders)
	t.Run("quota behind a count that lags", in.testQuotaBehindCount)
	t.Run("the leader is stopped", in.testLeaderStopped)
	t.Run("rollout", func(t *testing.T) { in.testRollout(t, e.flags()) })
}

// testLeaderStopped stops the leader while 100 Jobs run: another leads at once, and no request fails.
func (in *installation) testLeaderStopped(t *testing.T) {
	in.hundredJobs(t, func() {
		stop := in.traffic(t)
		leader := in.leader(t)
		in.leave(t, in.replicas[leader])
		stopped := time.Now()
		next := in.leader(t)
		took := time.Since(stopped)
		t.Logf("replica %d leads %s after replica %d was stopped", next, took, leader)
		if took > stoppedLimit {
			t.Errorf("for %s nobody led", took)
		}
		stop()
		if err := in.replicas[leader].Start(); err != nil {
			t.Fatal(err)
		}
	})
	in.waitServing(t, in.replicas...)
}

// testRollout replaces all replicas as the rollout of a Deployment does while 100 Jobs run: a new one is ready before an earlier one goes. No request fails.
func (in *installation) testRollout(t *testing.T, args []string) {
	earlier := slices.Clone(in.replicas)
	in.hundredJobs(t, func() {
		stop := in.traffic(t)
		for _, goes := range earlier {
			comes := in.newReplica(len(in.replicas), mustFreePort(t), filepath.Join(in.dir, "account.kubeconfig"), args)
			in.replicas = append(in.replicas, comes)
			if err := comes.Start(); err != nil {
				t.Fatal(err)
			}
			in.waitServing(t, comes)
			in.leave(t, goes)
		}
		stop()
		in.leader(t)
	})
}

// waitServing waits until replicas are ready, and has the Service lead to all that run.
func (in *installation) waitServing(t *testing.T, replicas ...*replica) {
	t.Helper()
	for _, r := range replicas {
		eventually(t, waitLong, func() string {
			if !r.healthy("/readyz") {
				return r.Name + " is not ready: " + r.LogTail()
			}
			return ""
		})
	}
	in.serviceLeadsTo(nil)
}

// serviceLeadsTo has the Service lead to all replicas that run, but for one.
func (in *installation) serviceLeadsTo(except *replica) {
	var addresses []string
	for _, r := range in.replicas {
		if r != except && r.Running() {
			addresses = append(addresses, r.address())
		}
	}
	in.gateway.leadTo(addresses...)
}

// leave ends a replica as its Pod ends: no new connections, a pause, SIGTERM. Connections that there are go on until the server ends them.
func (in *installation) leave(t *testing.T, r *replica) {
	t.Helper()
	in.serviceLeadsTo(r)
	time.Sleep(leaveTime) // as the Pod does, not a wait for something
	if err := r.Stop(); err != nil {
		t.Error(err)
	}
}

// answer is what a server answered that is no API server's answer: a proxy says there what went wrong.
func answer(err error) string {
	status := apierrors.APIStatus(nil)
	if !errors.As(err, &status) || status.Status().Details == nil {
		return ""
	}
	var said strings.Builder
	for _, cause := range status.Status().Details.Causes {
		fmt.Fprintf(&said, " (%s)", cause.Message)
	}
	return said.String()
}

// traffic has several users make, read, list and delete Jobs through the cluster until the returned function is called. A request that fails fails the test.
func (in *installation) traffic(t *testing.T) (stop func()) {
	t.Helper()
	const users = 8
	u := in.newNamespace(t)
	ctx, cancel := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	var requests, failures atomic.Int64
	jobs := in.jobs.Namespace(u.namespace)
	try := func(what string, err error) {
		if requests.Add(1); err != nil && ctx.Err() == nil {
			failures.Add(1)
			t.Errorf("%s: %v%s", what, err, answer(err))
		}
	}
	for i := range users {
		wait.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				name := fmt.Sprintf("job-%d-%d", i, n)
				_, err := jobs.Create(ctx, suspended(t, name, "traffic"), metav1.CreateOptions{})
				try("create", err)
				if err != nil {
					continue
				}
				_, err = jobs.Get(ctx, name, metav1.GetOptions{})
				try("get", err)
				_, err = jobs.List(ctx, metav1.ListOptions{})
				try("list", err)
				try("delete", jobs.Delete(ctx, name, metav1.DeleteOptions{}))
			}
		})
	}
	wait.Go(func() {
		for ctx.Err() == nil {
			_, err := u.try("", "get", ours)
			try("kubectl get", err)
		}
	})
	stop = sync.OnceFunc(func() {
		cancel()
		wait.Wait()
		t.Logf("%d requests, %d failed", requests.Load(), failures.Load())
	})
	t.Cleanup(stop)
	return stop
}

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
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

// clientsOf are clients of an administrator, one for each replica, past the cluster's API server.
func (in *installation) clientsOf(t *testing.T) []dynamic.NamespaceableResourceInterface {
	t.Helper()
	var clients []dynamic.NamespaceableResourceInterface
	for _, r := range in.replicas {
		config := rest.CopyConfig(asUser(t, in.admin.kubeconfig))
		config.Host = "https://" + r.address()
		config.TLSClientConfig.CAFile, config.TLSClientConfig.CAData = "", in.bundle(t)
		config.TLSClientConfig.ServerName = serviceHost
		client, err := dynamic.NewForConfig(config)
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, client.Resource(ourJobs))
	}
	return clients
}

// testQuotaOfReplicas creates Jobs through all replicas at the same time: they share one account, which is never overdrawn, and refuse nothing that fits.
func (in *installation) testQuotaOfReplicas(t *testing.T) {
	const limit, tries = 30, 90
	u := in.newNamespace(t)
	u.quotaOfJobs(t, "some", limit)
	clients := in.clientsOf(t)
	var wait sync.WaitGroup
	var made, refused atomic.Int32
	for i := range tries {
		jobs := clients[i%len(clients)].Namespace(u.namespace)
		wait.Go(func() {
			_, err := jobs.Create(t.Context(), suspended(t, fmt.Sprintf("job-%02d", i), "quota"), metav1.CreateOptions{})
			switch {
			case err == nil:
				made.Add(1)
			case apierrors.IsForbidden(err) && strings.Contains(err.Error(), "exceeded quota: some"):
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if made.Load() != limit || refused.Load() != tries-limit {
		t.Errorf("%d Jobs were made, %d refused; the limit is %d", made.Load(), refused.Load(), limit)
	}
	if count := in.count(t, u.namespace); count != limit {
		t.Error(describeCount("Jobs", count, limit))
	}
	if used := u.usedJobs(t, "some"); used != strconv.Itoa(limit) {
		t.Errorf("used: %s", used)
	}
}

func (in *installation) count(t *testing.T, namespace string) int {
	t.Helper()
	list, err := in.jobs.Namespace(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return len(list.Items)
}

// testQuotaAcrossLeaders kills the leader while Jobs are created through all replicas. What was charged and not stored is given back; the limit holds all the time.
func (in *installation) testQuotaAcrossLeaders(t *testing.T) {
	const limit, tries = 60, 150
	u := in.newNamespace(t)
	u.quotaOfJobs(t, "some", limit)
	clients := in.clientsOf(t)
	leader := in.leader(t)
	var wait sync.WaitGroup
	var made atomic.Int32
	killed := make(chan struct{})
	kill := sync.OnceFunc(func() {
		defer close(killed)
		if err := in.replicas[leader].Kill(); err != nil {
			t.Error(err)
		}
		in.serviceLeadsTo(nil)
	})
	t.Cleanup(func() {
		if err := in.replicas[leader].Start(); err != nil {
			t.Fatal(err)
		}
		in.waitServing(t, in.replicas...)
	})
	for i := range tries {
		jobs := clients[i%len(clients)].Namespace(u.namespace)
		wait.Go(func() {
			if _, err := jobs.Create(t.Context(), suspended(t, fmt.Sprintf("job-%03d", i), "quota"), metav1.CreateOptions{}); err == nil && made.Add(1) == limit/4 {
				go kill()
			}
		})
	}
	wait.Wait()
	<-killed
	// Some may have been stored although the answer got lost.
	if count := in.count(t, u.namespace); count > limit || count < int(made.Load()) {
		t.Errorf("%d Jobs, %d were reported as made, the limit is %d", count, made.Load(), limit)
	}
	next := in.leader(t)
	t.Logf("replica %d leads after replica %d, %d Jobs were made", next, leader, made.Load())
	// The account is put right: the rest of the quota can be used, and not more.
	rest := 0
	eventually(t, waitLong, func() string {
		_, err := in.jobs.Namespace(u.namespace).Create(t.Context(), suspended(t, fmt.Sprintf("rest-%03d", rest), "quota"), metav1.CreateOptions{})
		if err == nil {
			rest++
		}
		if count := in.count(t, u.namespace); count != limit {
			return fmt.Sprintf("%s, %v", describeCount("Jobs", count, limit), err)
		}
		return ""
	})
	if refusal := u.refused(t, jobYAML("beyond", "true", "suspend: true"), "create", "-f", "-"); !strings.Contains(refusal, "exceeded quota: some") {
		t.Error(refusal)
	}
}

// testQuotaBehindCount has the cluster's quota controller count what a watch has shown it that shows nothing any more. It writes that less is used, and no Job passes the limit.
func (in *installation) testQuotaBehindCount(t *testing.T) {
	const limit = 10
	u := in.newNamespace(t)
	u.quotaOfJobs(t, "some", limit)
	clients := in.clientsOf(t)
	in.gateway.setSwallow(true)
	heal := sync.OnceFunc(func() { in.gateway.setSwallow(false) })
	t.Cleanup(heal)
	for i := range limit {
		if _, err := clients[i%len(clients)].Namespace(u.namespace).Create(t.Context(), suspended(t, fmt.Sprintf("job-%02d", i), "quota"), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	used := func() string {
		quota, err := in.kube.CoreV1().ResourceQuotas(u.namespace).Get(t.Context(), "some", metav1.GetOptions{})
		if err != nil {
			return err.Error()
		}
		count := quota.Status.Used["count/"+ours]
		return count.String()
	}
	eventually(t, waitLong, func() string {
		if got := used(); got != "0" {
			return "the quota controller still knows better: used is " + got
		}
		return ""
	})
	for i, client := range clients {
		_, err := client.Namespace(u.namespace).Create(t.Context(), suspended(t, fmt.Sprintf("beyond-%d", i), "quota"), metav1.CreateOptions{})
		if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "exceeded quota: some") {
			t.Errorf("a Job beyond the limit: %v", err)
		}
	}
	heal()
	eventually(t, waitLong, func() string {
		if got := used(); got != strconv.Itoa(limit) {
			return fmt.Sprintf("used: %s, want %d", got, limit)
		}
		return ""
	})
}

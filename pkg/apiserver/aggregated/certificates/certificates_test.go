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

package certificates

import (
	"bytes"
	"crypto/x509"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	certutil "k8s.io/client-go/util/cert"
	clocktesting "k8s.io/utils/clock/testing"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

const host = "jobserver.jobserver-system.svc"

var policy = Policy{Hosts: []string{host}}.WithDefaults()

// TestEveryMomentIsTrusted walks five years of two replicas and one caller, twelve hours a step. What each replica serves is at every step good in the
// eyes of a caller whose bundle may be as old as the overlap, and nothing comes near to its end.
func TestEveryMomentIsTrusted(t *testing.T) {
	t.Parallel()
	clock := clocktesting.NewFakePassiveClock(start)
	cluster := fake.NewClientset()
	var caller []byte
	keepers := make([]*Keeper, 2)
	policy := policy
	policy.Overlap = 36 * time.Hour
	for i := range keepers {
		keepers[i] = keeper(t, cluster, clock, policy, func(bundle []byte) bool { return bytes.Equal(caller, bundle) })
	}
	authorities := map[string]bool{}
	const step = 12 * time.Hour
	for now := start; now.Before(start.Add(5 * 365 * 24 * time.Hour)); now = now.Add(step) {
		clock.SetTime(now)
		// Checks are in turns: each replica is often behind the other.
		turn := keepers[int(now.Sub(start)/step)%2]
		if err := turn.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		if caller == nil {
			if err := keepers[1].Check(t.Context()); err != nil {
				t.Fatal(err)
			}
			caller = turn.Bundle()
		}
		for i, k := range keepers {
			leaf := verify(t, k, caller, now)
			if left := leaf.NotAfter.Sub(now); left < 29*24*time.Hour {
				t.Fatalf("at %s replica %d serves a certificate that is good for %s", now, i, left)
			}
			authorities[leaf.Issuer.CommonName] = true
		}
		// The caller learns of the bundle after the fact.
		caller = turn.Bundle()
		if count := bytes.Count(caller, []byte("BEGIN CERTIFICATE")); count > 2 {
			t.Fatalf("at %s the bundle has %d authorities", now, count)
		}
	}
	// Each lasts two years and is followed after two thirds of that.
	if got := len(authorities); got != 4 {
		t.Errorf("%d authorities in five years, want 4", got)
	}
}

func verify(t *testing.T, k *Keeper, bundle []byte, now time.Time) *x509.Certificate {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	served, _ := k.CurrentCertKeyContent()
	certificates, err := certutil.ParseCertsPEM(served)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := certificates[0].Verify(x509.VerifyOptions{Roots: roots, DNSName: host, CurrentTime: now}); err != nil {
		t.Fatalf("at %s: %v", now, err)
	}
	return certificates[0]
}

func keeper(t *testing.T, cluster *fake.Clientset, clock *clocktesting.FakePassiveClock, policy Policy, published func([]byte) bool) *Keeper {
	t.Helper()
	k, err := NewKeeper(Config{
		Secrets: cluster.CoreV1().Secrets("jobserver-system"), SecretName: "jobserver-certificates",
		Policy: policy, Published: published, Clock: clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestAdvance(t *testing.T) {
	t.Parallel()
	fresh := advance(t, State{}, policy, start, true)
	const day = 24 * time.Hour
	rotating := advance(t, fresh, policy, start.Add(490*day), true)
	more := policy
	more.Hosts = []string{host, "localhost"}
	tests := map[string]struct {
		from                                          State
		policy                                        Policy
		now                                           time.Time
		unpublished                                   bool
		sameAuthority, sameNext, hasNext, sameServing bool
		bundle                                        int
	}{
		"nothing is due":             {from: fresh, now: start.Add(59 * day), sameAuthority: true, sameServing: true, sameNext: true, bundle: 1},
		"the serving certificate":    {from: fresh, now: start.Add(60 * day), sameAuthority: true, sameNext: true, bundle: 1},
		"another host":               {from: fresh, policy: more, now: start, sameAuthority: true, sameNext: true, bundle: 1},
		"the authority":              {from: fresh, now: start.Add(490 * day), sameAuthority: true, hasNext: true, bundle: 2},
		"within the overlap":         {from: rotating, now: start.Add(490*day + 59*time.Minute), sameAuthority: true, hasNext: true, sameNext: true, sameServing: true, bundle: 2},
		"after the overlap":          {from: rotating, now: start.Add(490*day + time.Hour), bundle: 2},
		"but nobody has the bundle":  {from: rotating, now: start.Add(490*day + time.Hour), unpublished: true, sameAuthority: true, hasNext: true, sameNext: true, sameServing: true, bundle: 2},
		"switched off for years":     {from: fresh, now: start.Add(3 * 365 * day), sameNext: true, bundle: 1},
		"the next one is still good": {from: rotating, now: start.Add(731 * day), bundle: 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if test.policy.Hosts == nil {
				test.policy = policy
			}
			got := advance(t, test.from, test.policy, test.now, !test.unpublished)
			if same := got.Authority == test.from.Authority; same != test.sameAuthority {
				t.Errorf("same authority: %v", same)
			}
			if same := got.Next == test.from.Next; same != test.sameNext {
				t.Errorf("same next authority: %v", same)
			}
			if has := got.Next != nil; has != test.hasNext {
				t.Errorf("a next authority: %v", has)
			}
			if same := got.Serving == test.from.Serving; same != test.sameServing {
				t.Errorf("same serving certificate: %v", same)
			}
			if !got.Serving.SignedBy(got.Authority) {
				t.Error("the serving certificate is not signed by the authority")
			}
			if len(got.Bundle) != test.bundle {
				t.Errorf("%d authorities in the bundle, want %d", len(got.Bundle), test.bundle)
			}
		})
	}
}

func advance(t *testing.T, state State, policy Policy, now time.Time, published bool) State {
	t.Helper()
	state, err := state.Advance(policy, now, published)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// TestReplicasAgree: many first starts at the same time make one authority.
func TestReplicasAgree(t *testing.T) {
	t.Parallel()
	clock := clocktesting.NewFakePassiveClock(start)
	cluster := fake.NewClientset()
	keepers := make([]*Keeper, 10)
	var all sync.WaitGroup
	for i := range keepers {
		keepers[i] = keeper(t, cluster, clock, policy, nil)
		all.Go(func() {
			if err := keepers[i].Check(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for i, k := range keepers {
		if !bytes.Equal(k.Bundle(), keepers[0].Bundle()) {
			t.Errorf("replica %d has another authority", i)
		}
		verify(t, k, keepers[0].Bundle(), start)
	}
}

// TestConflict: a write that another replica was faster with is thought over.
func TestConflict(t *testing.T) {
	t.Parallel()
	clock := clocktesting.NewFakePassiveClock(start)
	cluster := fake.NewClientset()
	k := keeper(t, cluster, clock, policy, nil)
	if err := k.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	clock.SetTime(start.Add(80 * 24 * time.Hour))
	conflicts := 0
	cluster.PrependReactor("update", "secrets", func(clienttesting.Action) (bool, runtime.Object, error) {
		if conflicts++; conflicts > 2 {
			return false, nil, nil
		}
		return true, nil, apierrors.NewConflict(corev1.Resource("secrets"), "jobserver-certificates", errors.New("changed"))
	})
	if err := k.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if conflicts != 3 {
		t.Errorf("%d writes, want 3", conflicts)
	}
}

func TestDamagedSecretIsAnError(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"ca.crt", "ca.key", "tls.key", "ca-bundle.crt"} {
		cluster := fake.NewClientset()
		k := keeper(t, cluster, clocktesting.NewFakePassiveClock(start), policy, nil)
		if err := k.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		before, _ := k.CurrentCertKeyContent()
		secrets := cluster.CoreV1().Secrets("jobserver-system")
		secret, err := secrets.Get(t.Context(), "jobserver-certificates", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		secret.Data[key] = []byte("rubbish")
		if _, err := secrets.Update(t.Context(), secret, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := k.Check(t.Context()); err == nil || !bytes.Contains([]byte(err.Error()), []byte(key)) {
			t.Errorf("with a damaged %s: error %v, want one that names it", key, err)
		}
		if after, _ := k.CurrentCertKeyContent(); !bytes.Equal(before, after) {
			t.Errorf("with a damaged %s: the certificate that was good is served no more", key)
		}
	}
}

// TestForeignKeysStay: what others keep in the Secret is theirs.
func TestForeignKeysStay(t *testing.T) {
	t.Parallel()
	cluster := fake.NewClientset(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "jobserver-system", Name: "jobserver-certificates"},
		Data:       map[string][]byte{"note": []byte("mine")},
	})
	k := keeper(t, cluster, clocktesting.NewFakePassiveClock(start), policy, nil)
	if err := k.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	secret, err := cluster.CoreV1().Secrets("jobserver-system").Get(t.Context(), "jobserver-certificates", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	keys := []string{}
	for key := range secret.Data {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	if want := []string{"ca-bundle.crt", "ca.crt", "ca.key", "note", "tls.crt", "tls.key"}; !slices.Equal(keys, want) {
		t.Errorf("keys %v, want %v", keys, want)
	}
}

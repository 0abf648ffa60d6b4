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

package lineage

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	"github.com/jobserver-dev/jobserver/pkg/etcd"
)

const (
	key       = "/registry/jobserver.dev/lineage"
	jobs      = "/registry/jobs/"
	sightings = "/registry/jobserver.dev/namespaces/"
	configMap = "jobserver-storage"
	namespace = "jobserver-system"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// env is an etcd and a cluster.
type env struct {
	etcd    *clientv3.Client
	cluster *fake.Clientset
	clock   *clocktesting.FakePassiveClock
}

func newEnv(t *testing.T) *env {
	t.Helper()
	server, err := etcd.Start(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{server.Endpoint()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(client.Close(), server.Stop()); err != nil {
			t.Error(err)
		}
	})
	system := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "kube-system", UID: "this-cluster"}}
	return &env{etcd: client, cluster: fake.NewClientset(system), clock: clocktesting.NewFakePassiveClock(start)}
}

func (e *env) keeper(t *testing.T) *Keeper {
	t.Helper()
	k, err := NewKeeper(Config{
		Etcd: e.etcd, Key: key, JobsPrefix: jobs, SightingsPrefix: sightings, Cluster: e.cluster, Namespace: namespace, Name: configMap, Clock: e.clock,
		Decode: func(value []byte) (metav1.Object, error) { return &metav1.ObjectMeta{UID: types.UID(value)}, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// marks returns what stands in etcd and in the cluster.
func (e *env) marks(t *testing.T) (inEtcd, inCluster *Mark) {
	t.Helper()
	k := e.keeper(t)
	found, err := k.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stored, _, err := k.readConfigMap(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if inCluster, err = decode(stored.Data[markKey]); err != nil {
		t.Fatal(err)
	}
	return found.mark, inCluster
}

func (e *env) put(t *testing.T, key, value string) {
	t.Helper()
	if _, err := e.etcd.Put(t.Context(), key, value); err != nil {
		t.Fatal(err)
	}
}

// rewind puts the mark in etcd back, as a restored backup would.
func (e *env) rewind(t *testing.T, mark *Mark) {
	t.Helper()
	if mark == nil {
		if _, err := e.etcd.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		return
	}
	encoded, err := mark.encode()
	if err != nil {
		t.Fatal(err)
	}
	e.put(t, key, encoded)
}

func TestFirstStartOfManyReplicas(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	var all sync.WaitGroup
	for range 5 {
		k := e.keeper(t)
		all.Go(func() {
			if err := k.Wait(t.Context(), func(err error) { t.Errorf("waits: %v", err) }); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	inEtcd, inCluster := e.marks(t)
	if inEtcd == nil || inCluster == nil || *inEtcd != *inCluster || inEtcd.Generation != 1 || inEtcd.Cluster != "this-cluster" {
		t.Errorf("in etcd %+v, in the cluster %+v", inEtcd, inCluster)
	}
}

func TestRaise(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	k := e.keeper(t)
	if err := k.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	raise := func(what string, want int64) {
		t.Helper()
		if err := k.raise(t.Context()); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if inEtcd, inCluster := e.marks(t); inEtcd.Generation != want || inCluster.Generation != want {
			t.Errorf("%s: generation %d in etcd and %d in the cluster, want %d", what, inEtcd.Generation, inCluster.Generation, want)
		}
	}
	e.clock.SetTime(start.Add(time.Hour))
	raise("nothing was written", 1)
	e.put(t, jobs+"a", "a")
	raise("something was written", 2)
	e.put(t, jobs+"b", "b")
	raise("but just now it was marked", 2)
	e.clock.SetTime(start.Add(2 * time.Hour))
	raise("later", 3)
	raise("the mark itself is no news", 3)
}

// TestRaiseWithoutCluster: while the cluster is away etcd goes ahead, and the cluster catches up.
func TestRaiseWithoutCluster(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	k := e.keeper(t)
	if err := k.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	away := true
	e.cluster.PrependReactor("*", "configmaps", func(clienttesting.Action) (bool, runtime.Object, error) {
		return away, nil, errors.New("away")
	})
	e.put(t, jobs+"a", "a")
	e.clock.SetTime(start.Add(time.Hour))
	if err := k.raise(t.Context()); err == nil {
		t.Error("no error although the cluster is away")
	}
	away = false
	if err := k.raise(t.Context()); err != nil {
		t.Error(err)
	}
	inEtcd, inCluster := e.marks(t)
	if inEtcd.Generation != 2 || inCluster.Generation != 2 {
		t.Errorf("generation %d in etcd and %d in the cluster, want 2", inEtcd.Generation, inCluster.Generation)
	}
}

func TestRefusedAndAccepted(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		lose    func(*env, *testing.T, Mark)
		message string
	}{
		"an old backup": {func(e *env, t *testing.T, old Mark) { e.rewind(t, &old) }, "restored from a backup"},
		"an empty disk": {func(e *env, t *testing.T, _ Mark) { e.rewind(t, nil) }, "etcd is empty"},
		"another cluster": {func(e *env, t *testing.T, old Mark) {
			old.Cluster = "that-cluster"
			e.rewind(t, &old)
			if err := e.cluster.CoreV1().ConfigMaps(namespace).Delete(t.Context(), configMap, metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		}, "Jobs of another cluster"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t)
			k := e.keeper(t)
			if err := k.Check(t.Context()); err != nil {
				t.Fatal(err)
			}
			old, _ := e.marks(t)
			e.put(t, jobs+"a", "a")
			e.put(t, sightings+"default", "seen")
			e.clock.SetTime(start.Add(time.Hour))
			if err := k.raise(t.Context()); err != nil {
				t.Fatal(err)
			}

			test.lose(e, t, *old)
			e.pod(t, "known", "a")
			e.pod(t, "forgotten", "b")
			if err := k.raise(t.Context()); name != "another cluster" && !errors.Is(err, ErrRestored) {
				t.Errorf("a running server notices: %v", err)
			}
			again := e.keeper(t)
			err := again.Check(t.Context())
			var refused *Refused
			if !errors.As(err, &refused) || !strings.Contains(err.Error(), test.message) {
				t.Fatalf("got %v, want a refusal with %q", err, test.message)
			}
			if stored, _, err := again.readConfigMap(t.Context()); err != nil || !strings.Contains(stored.Data["refused"], test.message) || !strings.HasSuffix(stored.Data["accept"], refused.token) {
				t.Errorf("the ConfigMap says %v, %v", stored.Data, err)
			}
			e.annotate(t, "something-else")
			if err := again.Check(t.Context()); !errors.As(err, &refused) {
				t.Fatalf("another token: %v", err)
			}
			if e.sightings(t) != 1 {
				t.Error("namespaces were forgotten although nobody accepted")
			}
			if owners := e.owners(t, "forgotten"); owners != 1 {
				t.Fatalf("a Pod was released although nobody accepted: %d owners", owners)
			}

			e.annotate(t, refused.token)
			if err := again.Check(t.Context()); err != nil {
				t.Fatal(err)
			}
			if known, forgotten := e.owners(t, "known"), e.owners(t, "forgotten"); known != 1 || forgotten != 0 {
				t.Errorf("owners: %d of the Pod whose Job is there, %d of the other", known, forgotten)
			}
			if e.sightings(t) > 0 {
				t.Error("Jobs that were accepted may be deleted with an earlier namespace")
			}
			inEtcd, inCluster := e.marks(t)
			if *inEtcd != *inCluster || inEtcd.Cluster != "this-cluster" || inEtcd.Generation <= old.Generation {
				t.Errorf("in etcd %+v, in the cluster %+v", inEtcd, inCluster)
			}
			if err := e.keeper(t).Check(t.Context()); err != nil {
				t.Errorf("the next start: %v", err)
			}
			if stored, _, err := again.readConfigMap(t.Context()); err != nil || stored.Annotations[AcceptAnnotation] != "" || len(stored.Data) != 1 {
				t.Errorf("the acceptance stands for the next loss: %v, %v, %v", stored.Annotations, stored.Data, err)
			}
		})
	}
}

// sightings is of how many namespaces it is known who they were.
func (e *env) sightings(t *testing.T) int64 {
	t.Helper()
	found, err := e.etcd.Get(t.Context(), sightings, clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		t.Fatal(err)
	}
	return found.Count
}

// TestNextStart: what is known of namespaces is kept from one start to the next, unless nobody can tell whether the data was restored.
func TestNextStart(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	check := func(want int64) {
		t.Helper()
		if err := e.keeper(t).Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := e.sightings(t); got != want {
			t.Errorf("%d namespaces are known, want %d", got, want)
		}
	}
	check(0)
	e.put(t, sightings+"default", "seen")
	check(1)
	if err := e.cluster.CoreV1().ConfigMaps(namespace).Delete(t.Context(), configMap, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	check(0)
}

func (e *env) pod(t *testing.T, name string, owner types.UID) {
	t.Helper()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: "default", Name: name, UID: types.UID(name), Finalizers: []string{"example.com/other", batch.TrackingFinalizer},
		Labels:          map[string]string{batch.ManagedLabel: string(owner)},
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "batch.jobserver.dev/v1", Kind: "Job", Name: "job", UID: owner, Controller: new(true)}},
	}}
	if _, err := e.cluster.CoreV1().Pods("default").Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// owners is how many owners the Pod has. One that has none must not have our finalizer and label either, and keeps those of others.
func (e *env) owners(t *testing.T, name string) int {
	t.Helper()
	pod, err := e.cluster.CoreV1().Pods("default").Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want, label := 2, batch.ManagedLabel
	if len(pod.OwnerReferences) == 0 {
		want, label = 1, "batch.jobserver.dev/released-from"
	}
	if len(pod.Labels) != 1 || pod.Labels[label] == "" {
		t.Errorf("%s has the labels %v", name, pod.Labels)
	}
	if len(pod.Finalizers) != want {
		t.Errorf("%s has the finalizers %v", name, pod.Finalizers)
	}
	return len(pod.OwnerReferences)
}

func (e *env) annotate(t *testing.T, token string) {
	t.Helper()
	configMaps := e.cluster.CoreV1().ConfigMaps(namespace)
	found, err := configMaps.Get(t.Context(), configMap, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	found.Annotations = map[string]string{AcceptAnnotation: token}
	if _, err := configMaps.Update(t.Context(), found, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// TestRunEnds: a server whose data is exchanged ends.
func TestRunEnds(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	k := e.keeper(t)
	if err := k.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- k.Run(ctx) }()
	e.rewind(t, nil)
	if err := <-ended; !errors.Is(err, ErrRestored) {
		t.Errorf("got %v", err)
	}
}

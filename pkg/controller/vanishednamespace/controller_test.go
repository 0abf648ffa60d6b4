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

package vanishednamespace

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	clocktesting "k8s.io/utils/clock/testing"

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
	"github.com/jobserver-dev/jobserver/pkg/etcd"
	jobsfake "github.com/jobserver-dev/jobserver/pkg/generated/clientset/versioned/fake"
	batchinformers "github.com/jobserver-dev/jobserver/pkg/generated/informers/externalversions"
)

const (
	prefix     = "/registry/jobserver.dev/namespaces/"
	jobsPrefix = "/registry/jobs/"
	markKey    = "/registry/jobserver.dev/lineage"
)

// env is a cluster, and a server with Jobs.
type env struct {
	cluster    *fake.Clientset
	jobs       *jobsfake.Clientset
	etcd       *clientv3.Client
	clock      *clocktesting.FakeClock
	controller *Controller
}

// newEnv makes one with namespaces, and a Job in each namespace of jobs.
func newEnv(t *testing.T, namespaces []string, jobs ...string) *env {
	t.Helper()
	e := &env{cluster: fake.NewClientset(), jobs: jobsfake.NewSimpleClientset(), etcd: startEtcd(t), clock: clocktesting.NewFakeClock(time.Now())}
	e.put(t, markKey, "mark")
	for _, name := range namespaces {
		e.namespace(t, name, name)
	}
	for _, namespace := range jobs {
		e.job(t, namespace, "job", namespace)
	}
	factory := batchinformers.NewSharedInformerFactory(e.jobs, 0)
	memory, err := NewMemory(MemoryConfig{
		Etcd: e.etcd, Prefix: prefix, JobsPrefix: jobsPrefix, MarkKey: markKey,
		Decode: func(value []byte) (metav1.Object, error) {
			uid, finalizers, _ := strings.Cut(string(value), " ")
			return &metav1.ObjectMeta{UID: types.UID(uid), Finalizers: strings.Fields(finalizers)}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	e.controller, err = New(Config{Jobs: e.jobs.BatchV1(), Informer: factory.Batch().V1().Jobs(), Namespaces: e.cluster.CoreV1(), Memory: memory, Clock: e.clock})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	factory.StartWithContext(ctx)
	factory.WaitForCacheSyncWithContext(ctx)
	t.Cleanup(func() {
		cancel()
		factory.Shutdown()
	})
	return e
}

func startEtcd(t *testing.T) *clientv3.Client {
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
	return client
}

// put writes to etcd and returns the revision.
func (e *env) put(t *testing.T, key, value string) int64 {
	t.Helper()
	response, err := e.etcd.Put(t.Context(), key, value)
	if err != nil {
		t.Fatal(err)
	}
	return response.Header.Revision
}

// namespace makes a namespace, in place of one of that name.
func (e *env) namespace(t *testing.T, name, uid string) {
	t.Helper()
	if err := e.cluster.CoreV1().Namespaces().Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(uid)}}
	if _, err := e.cluster.CoreV1().Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// job makes a Job, as it is stored and as it is served.
func (e *env) job(t *testing.T, namespace, name, uid string) {
	t.Helper()
	revision := e.put(t, jobsPrefix+namespace+"/"+name, uid)
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(uid), ResourceVersion: fmt.Sprint(revision)}}
	if _, err := e.jobs.BatchV1().Jobs(namespace).Create(t.Context(), job, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if e.controller == nil {
		return
	}
	eventually(t, "the cache sees the Job", func() bool {
		seen, err := e.controller.lister.Jobs(namespace).Get(name)
		return err == nil && seen.UID == job.UID
	})
}

// eventually polls until what is waited for is done.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("gave up waiting: %s", what)
		}
	}
}

// pass lets as much time pass as the controller waits for.
func (e *env) pass(period time.Duration) {
	if e.clock.HasWaiters() {
		e.clock.Step(period)
	}
}

// left are the namespaces that have a Job.
func (e *env) left(t *testing.T) []string {
	t.Helper()
	list, err := e.jobs.BatchV1().Jobs("").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var namespaces []string
	for _, job := range list.Items {
		namespaces = append(namespaces, job.Namespace)
	}
	slices.Sort(namespaces)
	return namespaces
}

func TestSweep(t *testing.T) {
	t.Parallel()
	e := newEnv(t, []string{"here", "empty"}, "here", "gone", "gone-too")
	if err := e.controller.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := e.left(t); !slices.Equal(got, []string{"here"}) {
		t.Errorf("Jobs are left in %v", got)
	}
	for _, action := range e.jobs.Actions() {
		deletion, ok := action.(clienttesting.DeleteActionImpl)
		if !ok {
			continue
		}
		options := deletion.DeleteOptions
		if options.Preconditions == nil || string(*options.Preconditions.UID) != deletion.Namespace || *options.PropagationPolicy != metav1.DeletePropagationBackground {
			t.Errorf("deleted with %+v", options)
		}
	}
}

// TestDoubt: what the list leaves out counts for nothing, and neither does a cluster that gives no answer.
func TestDoubt(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		verb   string
		answer runtime.Object
		err    error
	}{
		"the list is old":              {verb: "list", answer: &corev1.NamespaceList{}},
		"the list fails":               {verb: "list", err: errors.New("away")},
		"the question is not answered": {verb: "get", err: errors.New("away")},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			namespaces := []string{"here"}
			if test.verb == "get" {
				namespaces = nil
			}
			e := newEnv(t, namespaces, "here")
			e.cluster.PrependReactor(test.verb, "namespaces", func(clienttesting.Action) (bool, runtime.Object, error) { return true, test.answer, test.err })
			if err := e.controller.sweep(t.Context()); (err != nil) != (test.err != nil) {
				t.Errorf("error %v", err)
			}
			if got := e.left(t); len(got) != 1 {
				t.Errorf("Jobs are left in %v", got)
			}
		})
	}
}

// TestRun: it sweeps at the start and goes on.
func TestRun(t *testing.T) {
	t.Parallel()
	e := newEnv(t, []string{"here"}, "here", "gone")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- e.controller.Run(ctx) }()
	e.await(t, []string{"here"})
	if err := e.cluster.CoreV1().Namespaces().Delete(t.Context(), "here", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	e.await(t, nil)
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// await lets the time pass until Jobs are left in these namespaces only.
func (e *env) await(t *testing.T, want []string) {
	t.Helper()
	eventually(t, fmt.Sprintf("Jobs are left in %v only", want), func() bool {
		if slices.Equal(e.left(t), want) {
			return true
		}
		e.pass(sweepPeriod)
		return false
	})
}

// awaitCache waits until the cache has as many Jobs.
func (e *env) awaitCache(t *testing.T, want int) {
	t.Helper()
	eventually(t, fmt.Sprintf("the cache has %d Jobs", want), func() bool {
		jobs, err := e.controller.lister.List(labels.Everything())
		return err == nil && len(jobs) == want
	})
}

// TestNotes: a Job in a namespace that nothing is known of is noted soon, without the sweep that is due later.
func TestNotes(t *testing.T) {
	t.Parallel()
	e := newEnv(t, []string{"here"})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- e.controller.Run(ctx) }()
	<-e.controller.Swept()
	e.job(t, "here", "job", "new")
	eventually(t, "the namespace is noted", func() bool {
		if e.remembered(t, "here") == "here" {
			return true
		}
		e.pass(notePeriod)
		return false
	})
	if lists := e.lists(); lists > 2 {
		t.Errorf("namespaces were listed %d times", lists)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// lists is how often the cluster was asked for all its namespaces.
func (e *env) lists() int {
	count := 0
	for _, action := range e.cluster.Actions() {
		if action.GetVerb() == "list" {
			count++
		}
	}
	return count
}

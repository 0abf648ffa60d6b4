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

package clients

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/jobserver-dev/jobserver/test/framework"
)

// newManager returns a manager whose cache has one namespace.
func newManager(t *testing.T, namespace string) manager.Manager {
	t.Helper()
	// A manager's configuration has limits of its own if none are set.
	restConfig := rest.CopyConfig(server.Config())
	m, err := ctrl.NewManager(restConfig, manager.Options{
		Scheme:     scheme,
		Cache:      cache.Options{DefaultNamespaces: map[string]cache.Config{namespace: {}}},
		Metrics:    metricsserver.Options{BindAddress: "0"},
		Controller: config.Controller{SkipNameValidation: new(true)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// start runs the manager until the test ends.
func start(t *testing.T, m manager.Manager) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := receive(t, ended); err != nil {
			t.Errorf("the manager: %v", err)
		}
	})
}

// A completer is a controller of the kind that spec.managedBy is for: it completes the Jobs that name it.
type completer struct {
	client.Client
	kind kind
}

// Reconcile completes one Job.
func (c completer) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	job := c.kind.empty()
	if err := c.Get(ctx, request.NamespacedName, job); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if c.kind.isComplete(job) {
		return reconcile.Result{}, nil
	}
	c.kind.complete(job)
	return reconcile.Result{}, c.Status().Update(ctx, job)
}

// TestManager: a controller made with controller-runtime completes Jobs, old ones and new ones, through a cache and the status writer.
func TestManager(t *testing.T) {
	t.Parallel()
	forEachKind(t, func(t *testing.T, k kind) {
		namespace := server.Namespace(t)
		m := newManager(t, namespace)
		var events atomic.Int32
		counted := predicate.NewPredicateFuncs(func(client.Object) bool { events.Add(1); return true })
		if err := builder.ControllerManagedBy(m).Named("completer").For(k.empty(), builder.WithPredicates(counted)).
			Complete(completer{Client: m.GetClient(), kind: k}); err != nil {
			t.Fatal(err)
		}
		const key = "complete"
		if err := m.GetFieldIndexer().IndexField(t.Context(), k.empty(), key, func(job client.Object) []string {
			return []string{fmt.Sprint(k.isComplete(job))}
		}); err != nil {
			t.Fatal(err)
		}
		direct := newClient(t)
		for i := range 3 {
			mustCreate(t, direct, k.job(namespace, fmt.Sprintf("old-%d", i)))
		}
		start(t, m)
		for i := range 3 {
			mustCreate(t, m.GetClient(), k.job(namespace, fmt.Sprintf("new-%d", i)))
		}
		framework.Eventually(t, "the cache has six complete Jobs", func(ctx context.Context) error {
			jobs := k.list()
			if err := m.GetClient().List(ctx, jobs, client.InNamespace(namespace), client.MatchingFields{key: "true"}); err != nil {
				return err
			}
			return expectLen(jobs, 6)
		})
		finished := k.list()
		if err := direct.List(t.Context(), finished, client.InNamespace(namespace), client.MatchingFields{"status.successful": "1"}); err != nil {
			t.Fatal(err)
		}
		if err := expectLen(finished, 6); err != nil {
			t.Error(err)
		}
		if events.Load() < 12 {
			t.Errorf("%d events, want two of each Job at least", events.Load())
		}
	})
}

// TestSourceOfMetadata: a controller that watches only metadata, as those do that must not keep large objects.
func TestSourceOfMetadata(t *testing.T) {
	t.Parallel()
	forEachKind(t, func(t *testing.T, k kind) {
		namespace := server.Namespace(t)
		m := newManager(t, namespace)
		partial := &metav1.PartialObjectMetadata{}
		partial.SetGroupVersionKind(k.version.WithKind("Job"))
		seen := make(chan types.NamespacedName, 10)
		marked := predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool { return e.ObjectNew.GetLabels()["mark"] != "" },
			CreateFunc: func(event.CreateEvent) bool { return false }}
		if err := builder.ControllerManagedBy(m).Named("metadata").For(partial, builder.OnlyMetadata, builder.WithPredicates(marked)).
			Complete(reconcile.Func(func(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
				seen <- request.NamespacedName
				return reconcile.Result{}, nil
			})); err != nil {
			t.Fatal(err)
		}
		job := k.job(namespace, "job")
		mustCreate(t, newClient(t), job)
		start(t, m)
		framework.Eventually(t, "the cache has the metadata", func(ctx context.Context) error {
			cached := partial.DeepCopy()
			if err := m.GetClient().Get(ctx, client.ObjectKeyFromObject(job), cached); err != nil {
				return err
			}
			if cached.UID != job.GetUID() {
				return fmt.Errorf("UID %s", cached.UID)
			}
			return nil
		})
		// A patch of the metadata through the metadata client.
		patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"mark":"1"}}}`))
		marking := partial.DeepCopy()
		marking.Namespace, marking.Name = namespace, "job"
		if err := m.GetClient().Patch(t.Context(), marking, patch); err != nil {
			t.Fatal(err)
		}
		if got, want := receive(t, seen), client.ObjectKeyFromObject(job); got != want {
			t.Errorf("reconciled %s, want %s", got, want)
		}
	})
}

// TestCacheFollowsTheOtherGroup: what is written through one group is in the caches of both.
func TestCacheFollowsTheOtherGroup(t *testing.T) {
	t.Parallel()
	namespace := server.Namespace(t)
	m := newManager(t, namespace)
	for _, k := range []kind{kubeKind, ourKind} {
		if _, err := m.GetCache().GetInformer(t.Context(), k.empty()); err != nil {
			t.Fatal(err)
		}
	}
	start(t, m)
	for _, k := range []kind{kubeKind, ourKind} {
		job := k.job(namespace, strings.ReplaceAll(k.version.Group, ".", "-"))
		mustCreate(t, m.GetClient(), job)
		for _, reader := range []kind{kubeKind, ourKind} {
			framework.Eventually(t, "the cache of "+reader.version.Group+" has it", func(ctx context.Context) error {
				cached := reader.empty()
				if err := m.GetClient().Get(ctx, client.ObjectKeyFromObject(job), cached); err != nil {
					return err
				}
				if cached.GetUID() != job.GetUID() || cached.GetResourceVersion() != job.GetResourceVersion() {
					return fmt.Errorf("version %s of %s", cached.GetResourceVersion(), cached.GetUID())
				}
				return nil
			})
		}
	}
}

func newClient(t *testing.T) client.WithWatch {
	t.Helper()
	c, err := client.NewWithWatch(server.Config(), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func mustCreate(t *testing.T, c client.Client, job client.Object) {
	t.Helper()
	if err := c.Create(t.Context(), job); err != nil {
		t.Fatal(err)
	}
}

func expectLen(list client.ObjectList, want int) error {
	if got := apimeta.LenList(list); got != want {
		return fmt.Errorf("%d Jobs, want %d", got, want)
	}
	return nil
}

func expectConflict(t *testing.T, what string, err error) {
	t.Helper()
	if !apierrors.IsConflict(err) {
		t.Errorf("%s: %v, want a conflict", what, err)
	}
}

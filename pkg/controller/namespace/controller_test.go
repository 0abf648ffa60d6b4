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

package namespace

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/informers"
	coreinformers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes/fake"
	clocktesting "k8s.io/utils/clock/testing"
)

var (
	deletedAt = metav1.NewTime(time.Unix(1_000_000, 0))
	broken    = apierrors.NewInternalError(errors.New("broken"))
	conflict  = apierrors.NewConflict(corev1.Resource("namespaces"), "ns", errors.New("changed"))
)

type namespaceOption func(*corev1.Namespace)

func alive(ns *corev1.Namespace) { ns.DeletionTimestamp = nil }

func finalizers(names ...corev1.FinalizerName) namespaceOption {
	return func(ns *corev1.Namespace) { ns.Spec.Finalizers = names }
}

// namespace makes a namespace that is being deleted.
func namespace(name string, options ...namespaceOption) *corev1.Namespace {
	ns := &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: "uid", DeletionTimestamp: &deletedAt},
		Spec:       corev1.NamespaceSpec{Finalizers: []corev1.FinalizerName{corev1.FinalizerKubernetes}},
		Status:     corev1.NamespaceStatus{Phase: corev1.NamespaceActive},
	}
	for _, option := range options {
		option(ns)
	}
	return ns
}

func runningPod(name string, gracePeriodSeconds int64, options ...func(*corev1.Pod)) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name},
		Spec:       corev1.PodSpec{TerminationGracePeriodSeconds: &gracePeriodSeconds},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning},
	}
	for _, option := range options {
		option(pod)
	}
	return pod
}

var testResources = []schema.GroupVersionResource{jobs, pods, configMaps}

// TestUpdateOfReplacedNamespace has another namespace take the name between two attempts of a write.
func TestUpdateOfReplacedNamespace(t *testing.T) {
	t.Parallel()
	replacement := namespace("ns")
	replacement.UID = "another"
	client := newCore(replacement)
	refuse(client, "create", "finalize", 1, conflict)
	c := newController(t, client, &content{}, informers.NewSharedInformerFactory(client, 0).Core().V1().Namespaces(), clocktesting.NewFakeClock(deletedAt.Time))
	if err := c.finalize(t.Context(), namespace("ns")); err != nil {
		t.Errorf("finalize: %v", err)
	}
	if live := find(client, "ns"); live == nil || len(live.Spec.Finalizers) != 1 {
		t.Errorf("got %v, want the other namespace untouched", live)
	}
}

// TestRun deletes a namespace whose Pod takes its time, beside one that is not deleted.
func TestRun(t *testing.T) {
	t.Parallel()
	client := newCore(namespace("ns", alive), namespace("other", alive), runningPod("p", 30))
	objects := &content{items: map[schema.GroupVersionResource][]item{
		jobs: {{namespace: "ns", name: "j"}},
		pods: {{namespace: "ns", name: "p", graceful: true}, {namespace: "other", name: "p"}},
	}}
	clock := clocktesting.NewFakeClock(deletedAt.Time)
	factory := informers.NewSharedInformerFactory(client, 0)
	c := newController(t, client, objects, factory.Core().V1().Namespaces(), clock)
	if c.Ready() == nil {
		t.Error("ready before the informer started")
	}
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error)
	go func() { stopped <- c.Run(ctx) }()
	factory.StartWithContext(ctx)
	passTimeUntil := func(what string, done func() bool) {
		t.Helper()
		err := wait.PollUntilContextTimeout(ctx, time.Millisecond, 30*time.Second, true, func(context.Context) (bool, error) {
			if done() {
				return true, nil
			}
			clock.Step(50 * time.Millisecond)
			return false, nil
		})
		if err != nil {
			t.Fatalf("waiting until %s: %v", what, err)
		}
	}

	passTimeUntil("the controller is ready", func() bool { return c.Ready() == nil })
	begin := clock.Now()
	dying := namespace("ns")
	dying.DeletionTimestamp = new(metav1.NewTime(begin))
	if _, err := client.CoreV1().Namespaces().Update(ctx, dying, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	passTimeUntil("the content is being deleted", func() bool { return len(objects.deleted()) > 0 })
	if waited := clock.Since(begin); waited < DefaultGracePeriod {
		t.Errorf("the content was deleted after %v, want not before %v", waited, DefaultGracePeriod)
	}
	passTimeUntil("the namespace says what is left", func() bool { return len(find(client, "ns").Status.Conditions) == 5 })
	objects.change(pods, without("p"))
	passTimeUntil("the namespace is gone", func() bool { return find(client, "ns") == nil })
	if live := find(client, "other"); live == nil || live.Status.Phase != corev1.NamespaceActive {
		t.Errorf("got %v, want the other namespace untouched", live)
	}

	cancel()
	if err := <-stopped; err != nil {
		t.Errorf("Run: %v", err)
	}
	factory.Shutdown()
}

func TestNewRefusesBadConfig(t *testing.T) {
	t.Parallel()
	client := newCore()
	good := Config{Core: client.CoreV1(), Metadata: &content{}, Informer: informers.NewSharedInformerFactory(client, 0).Core().V1().Namespaces(), Resources: testResources}
	cases := map[string]struct {
		change func(*Config)
		want   string
	}{
		"no core client":        {change: func(c *Config) { c.Core = nil }, want: "Core is required"},
		"no metadata client":    {change: func(c *Config) { c.Metadata = nil }, want: "Metadata is required"},
		"no informer":           {change: func(c *Config) { c.Informer = nil }, want: "Informer is required"},
		"no resources":          {change: func(c *Config) { c.Resources = nil }, want: "Resources: at least one is required"},
		"a resource twice":      {change: func(c *Config) { c.Resources = []schema.GroupVersionResource{jobs, pods, jobs} }, want: "batch/v1, Resource=jobs is given twice"},
		"negative grace period": {change: func(c *Config) { c.GracePeriod = -1 }, want: "GracePeriod must not be negative"},
		"negative workers":      {change: func(c *Config) { c.Workers = -1 }, want: "Workers must not be negative"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := good
			tc.change(&config)
			if _, err := New(t.Context(), config); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}

func newController(t *testing.T, client *fake.Clientset, objects *content, informer coreinformers.NamespaceInformer, clock *clocktesting.FakeClock) *Controller {
	t.Helper()
	c, err := New(t.Context(), Config{Core: client.CoreV1(), Metadata: objects, Informer: informer, Resources: testResources, Clock: clock, Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func failOn(call string) func(string) error {
	return func(got string) error {
		if got == call {
			return broken
		}
		return nil
	}
}

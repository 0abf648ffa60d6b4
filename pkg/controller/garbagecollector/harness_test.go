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

package garbagecollector

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	clocktesting "k8s.io/utils/clock/testing"
)

// tester is what harness needs of a test, be it a *testing.T or a *rapid.T.
type tester interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

// harness runs a Controller in the test's own goroutine, step by step: writes to the server reach the graph at once, or when
// the test releases them, and the queues are worked off by settle.
type harness struct {
	tester
	*server
	ctx    context.Context
	c      *Controller
	clock  *clocktesting.FakeClock
	events *record.FakeRecorder
	// held are changes that the watches show late; see hold.
	held    []func()
	holding bool
}

func newHarness(t tester) *harness {
	h := &harness{
		tester: t,
		server: newServer(testResources()),
		ctx:    klog.NewContext(context.Background(), klog.TODO().V(10)),
		clock:  clocktesting.NewFakeClock(time.Unix(1_000_000, 0)),
		events: record.NewFakeRecorder(100),
	}
	c, err := New(h.ctx, Config{Metadata: h.server, Resources: testResources(), Recorder: h.events, Clock: h.clock})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	h.c = c
	h.notify = func(r *Resource, o *object, gone bool) {
		resource := c.graph.kinds.of(metav1.OwnerReference{APIVersion: r.GroupVersion().String(), Kind: r.Kind})
		if resource.OwnerOnly {
			return
		}
		n := newNode(resource, o.DeepCopy())
		show := func() {
			if gone {
				c.apply(c.graph.remove(n))
			} else {
				c.apply(c.graph.observe(n))
			}
		}
		if h.holding {
			h.held = append(h.held, show)
			return
		}
		show()
	}
	return h
}

func (h *harness) addAll(objects ...*object) {
	for _, o := range objects {
		h.add(o)
	}
}

// delete is a user's delete.
func (h *harness) delete(o *object, policy metav1.DeletionPropagation) {
	h.Helper()
	if err := h.handleDelete(h.resourceOfKind(o).GroupVersionResource, o.Namespace, o.Name, metav1.DeleteOptions{PropagationPolicy: &policy}); err != nil {
		h.Fatalf("delete %s: %v", o.Name, err)
	}
}

// hold keeps changes from the graph until release, as a watch that lags behind does.
func (h *harness) hold() { h.holding = true }

func (h *harness) release() {
	h.holding = false
	held := h.held
	h.held = nil
	for _, show := range held {
		show()
	}
}

// settle works off the queues until both are empty. Work that doesn't end is a hot loop.
func (h *harness) settle() {
	h.Helper()
	for range 1000 {
		switch {
		case h.c.toCollect.Len() > 0:
			h.next(h.c.toCollect, h.c.collect)
		case h.c.toOrphan.Len() > 0:
			h.next(h.c.toOrphan, h.c.orphan)
		default:
			return
		}
	}
	h.Fatalf("the queues never get empty")
}

func (h *harness) next(queue workqueue.TypedRateLimitingInterface[types.UID], handle func(context.Context, types.UID) error) {
	uid, _ := queue.Get()
	h.c.process(h.ctx, queue, uid, handle)
}

// retry lets time pass until something that failed before is due again, and settles.
func (h *harness) retry() {
	h.Helper()
	err := wait.PollUntilContextTimeout(h.ctx, time.Millisecond, 30*time.Second, true, func(context.Context) (bool, error) {
		h.clock.Step(time.Second)
		return h.c.toCollect.Len()+h.c.toOrphan.Len() > 0, nil
	})
	if err != nil {
		h.Fatalf("nothing to retry: %v", err)
	}
	h.settle()
}

// retries is how often the object has failed since it last went well.
func (h *harness) retries(o *object) int { return h.c.toCollect.NumRequeues(o.UID) }

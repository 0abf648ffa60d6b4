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
	"errors"
	"fmt"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"k8s.io/utils/lru"
)

const (
	// DefaultWorkers is upstream's --concurrent-gc-syncs.
	DefaultWorkers = 20
	// EventSource is the component that upstream's events of the garbage collector come from.
	EventSource = "garbage-collector-controller"

	// absentOwners is how many absent owners are remembered, as upstream does: one GET serves the dependents of a large owner.
	absentOwners = 500
)

// Config says what a Controller works with.
type Config struct {
	// Metadata reads, patches and deletes the objects. Required. It should have no rate limit of its own.
	Metadata metadata.Interface
	// Resources are the kinds of objects to look after; at least one.
	Resources []Resource
	// Recorder takes the events about wrong owner references; its component should be EventSource. Required.
	Recorder record.EventRecorder
	// Clock is the source of the delays between retries; the real one if nil.
	Clock clock.WithTicker
	// Workers is how many objects are handled at once, on each of the two queues; DefaultWorkers if 0.
	Workers int
}

// Controller is the garbage collector. It is made by New.
type Controller struct {
	metadata  metadata.Interface
	recorder  record.EventRecorder
	resources []Resource
	monitors  []*monitor
	graph     *graph
	absent    *lru.Cache
	// toCollect and toOrphan hold UIDs of objects in the graph; see package comment.
	toCollect, toOrphan workqueue.TypedRateLimitingInterface[types.UID]
	workers             int
}

// New checks the Config and returns a Controller. It starts nothing.
func New(ctx context.Context, config Config) (*Controller, error) {
	switch {
	case config.Metadata == nil:
		return nil, errors.New("garbagecollector: Metadata is required")
	case config.Recorder == nil:
		return nil, errors.New("garbagecollector: Recorder is required")
	case config.Workers < 0:
		return nil, fmt.Errorf("garbagecollector: Workers must not be negative, got %d", config.Workers)
	}
	resources := slices.Clone(config.Resources)
	kinds, err := newKinds(resources)
	if err != nil {
		return nil, fmt.Errorf("garbagecollector: Resources: %w", err)
	}
	if config.Clock == nil {
		config.Clock = clock.RealClock{}
	}
	if config.Workers == 0 {
		config.Workers = DefaultWorkers
	}
	registerMetrics()

	c := &Controller{
		metadata:  config.Metadata,
		recorder:  config.Recorder,
		resources: resources,
		graph:     newGraph(kinds),
		absent:    lru.New(absentOwners),
		toCollect: newQueue("garbage_collector_attempt_to_delete", config.Clock),
		toOrphan:  newQueue("garbage_collector_attempt_to_orphan", config.Clock),
		workers:   config.Workers,
	}
	for i := range c.resources {
		if c.resources[i].OwnerOnly {
			continue
		}
		m, err := c.newMonitor(ctx, &c.resources[i])
		if err != nil {
			return nil, fmt.Errorf("garbagecollector: watch %s: %w", c.resources[i].Resource, err)
		}
		c.monitors = append(c.monitors, m)
	}
	return c, nil
}

// newQueue makes a queue with upstream's name, back-off (5 ms to 1,000 s) and overall limit of retries.
func newQueue(name string, clock clock.WithTicker) workqueue.TypedRateLimitingInterface[types.UID] {
	return workqueue.NewTypedRateLimitingQueueWithConfig(
		workqueue.DefaultTypedControllerRateLimiter[types.UID](),
		workqueue.TypedRateLimitingQueueConfig[types.UID]{Name: name, Clock: clock},
	)
}

// Run watches the resources and handles objects until ctx ends and every worker has stopped; then it returns nil. It is
// called once. Nothing is deleted before every kind has been listed: till then a present owner may look absent.
func (c *Controller) Run(ctx context.Context) error {
	logger := klog.FromContext(ctx).WithName(EventSource)
	ctx = klog.NewContext(ctx, logger)
	logger.Info("Starting controller", "workers", c.workers, "kinds", len(c.monitors))

	var running sync.WaitGroup
	defer func() {
		c.toCollect.ShutDown()
		c.toOrphan.ShutDown()
		running.Wait()
		logger.Info("Stopped controller")
	}()
	synced := make([]cache.InformerSynced, 0, len(c.monitors))
	for _, m := range c.monitors {
		running.Go(func() { m.informer.RunWithContext(ctx) })
		synced = append(synced, m.synced)
	}
	if !cache.WaitForCacheSync(ctx.Done(), synced...) {
		return nil
	}
	for range c.workers {
		running.Go(func() { c.work(ctx, c.toCollect, c.collect) })
		running.Go(func() { c.work(ctx, c.toOrphan, c.orphan) })
	}
	<-ctx.Done()
	return nil
}

// Ready returns nil once every object that there was when the controller started is in its graph.
func (c *Controller) Ready() error {
	for _, m := range c.monitors {
		if !m.synced() {
			return fmt.Errorf("the cache of %s has not synced", m.resource.GroupResource())
		}
	}
	return nil
}

// work handles the objects of a queue until it is shut down.
func (c *Controller) work(ctx context.Context, queue workqueue.TypedRateLimitingInterface[types.UID], handle func(context.Context, types.UID) error) {
	for {
		uid, quit := queue.Get()
		if quit {
			return
		}
		c.process(ctx, queue, uid, handle)
	}
}

func (c *Controller) process(ctx context.Context, queue workqueue.TypedRateLimitingInterface[types.UID], uid types.UID, handle func(context.Context, types.UID) error) {
	defer queue.Done(uid)
	logger := klog.FromContext(ctx)
	if n := c.graph.get(uid); n != nil {
		logger = klog.LoggerWithValues(logger, "resource", n.resource.GroupResource(), "object", klog.KRef(n.namespace, n.name), "uid", uid)
		ctx = klog.NewContext(ctx, logger)
	}
	err := handle(ctx, uid)
	switch {
	case err == nil:
		queue.Forget(uid)
		return
	case errors.Is(err, errForeignScope):
		logger.V(2).Info("Leaving an object alone, its owner can't be looked up", "err", err)
		queue.Forget(uid)
		return
	case errors.Is(err, errUnseenOwner), errors.Is(err, errUnseenDependent), errors.Is(err, errUnknownKind):
		logger.V(4).Info("Looking at an object again later", "err", err)
	case ctx.Err() == nil:
		utilruntime.HandleErrorWithContext(ctx, err, "Failed to collect garbage, will retry", "uid", uid)
	}
	queue.AddRateLimited(uid)
}

// apply does what follows from a change of the graph.
func (c *Controller) apply(ch change) {
	for _, uid := range ch.collect {
		c.toCollect.Add(uid)
	}
	for _, uid := range ch.orphan {
		c.toOrphan.Add(uid)
	}
	for _, f := range ch.foreign {
		d, ref := f.dependent, f.reference
		object := &corev1.ObjectReference{
			APIVersion: d.resource.GroupVersion().String(), Kind: d.resource.Kind, Namespace: d.namespace, Name: d.name, UID: d.uid,
		}
		c.recorder.Eventf(object, corev1.EventTypeWarning, "OwnerRefInvalidNamespace",
			"ownerRef [%s/%s, namespace: %s, name: %s, uid: %s] does not exist in namespace %q",
			ref.APIVersion, ref.Kind, d.namespace, ref.Name, ref.UID, d.namespace)
	}
}

// client is for the objects of the resource, in the namespace if they have one.
func (c *Controller) client(resource *Resource, namespace string) metadata.ResourceInterface {
	if !resource.Namespaced {
		return c.metadata.Resource(resource.GroupVersionResource)
	}
	return c.metadata.Resource(resource.GroupVersionResource).Namespace(namespace)
}

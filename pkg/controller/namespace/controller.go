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
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	coreinformers "k8s.io/client-go/informers/core/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

const (
	// DefaultWorkers is upstream's --concurrent-namespace-syncs.
	DefaultWorkers = 10
	// DefaultGracePeriod is how long upstream waits before it empties a namespace, so that all API servers know of its deletion and
	// take no new objects, and those that were just made are seen.
	DefaultGracePeriod = 5 * time.Second

	// pollMin and pollMax bound the time between two looks at a namespace that still has content.
	pollMin = 100 * time.Millisecond
	pollMax = time.Minute
)

// CoreClient is what a Controller needs of core/v1.
type CoreClient interface {
	corev1client.NamespacesGetter
	corev1client.PodsGetter
}

// Config says what a Controller works with.
type Config struct {
	// Core updates and finalizes namespaces, and reads Pods. Required.
	Core CoreClient
	// Metadata lists and deletes the content. Required.
	Metadata metadata.Interface
	// Informer watches the namespaces. Required. Whoever made it starts it.
	Informer coreinformers.NamespaceInformer
	// Resources are all namespaced resources, each served with list and deletecollection, in the order to delete them;
	// one that is served in two groups is given once. What comes after "pods" is only deleted when no Pod is left. At least one.
	// Jobs belong before Pods: then the Job controller lets go of the Pods rather than counting them and failing to replace them.
	Resources []schema.GroupVersionResource
	// GracePeriod passes between a namespace's deletion and that of its content; DefaultGracePeriod if 0.
	GracePeriod time.Duration
	// Clock is the source of time and delays; the real one if nil.
	Clock clock.WithTicker
	// Workers is how many namespaces are handled at once; DefaultWorkers if 0.
	Workers int
}

// Controller empties namespaces that are being deleted. It is made by New.
type Controller struct {
	core        CoreClient
	metadata    metadata.Interface
	lister      corelisters.NamespaceLister
	synced      cache.InformerSynced
	queue       workqueue.TypedRateLimitingInterface[string]
	poll        workqueue.TypedRateLimiter[string]
	resources   []schema.GroupVersionResource
	gracePeriod time.Duration
	clock       clock.WithTicker
	workers     int
}

// validate names the first field of the Config that is missing or wrong.
func (config *Config) validate() error {
	switch {
	case config.Core == nil:
		return errors.New("namespace: Core is required")
	case config.Metadata == nil:
		return errors.New("namespace: Metadata is required")
	case config.Informer == nil:
		return errors.New("namespace: Informer is required")
	case len(config.Resources) == 0:
		return errors.New("namespace: Resources: at least one is required")
	case config.GracePeriod < 0:
		return fmt.Errorf("namespace: GracePeriod must not be negative, got %v", config.GracePeriod)
	case config.Workers < 0:
		return fmt.Errorf("namespace: Workers must not be negative, got %d", config.Workers)
	}
	for i, r := range config.Resources {
		if slices.Contains(config.Resources[:i], r) {
			return fmt.Errorf("namespace: Resources: %v is given twice", r)
		}
	}
	return nil
}

// New checks the Config and returns a Controller that listens to the informer's events; Run handles them.
func New(ctx context.Context, config Config) (*Controller, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	if config.GracePeriod == 0 {
		config.GracePeriod = DefaultGracePeriod
	}
	if config.Clock == nil {
		config.Clock = clock.RealClock{}
	}
	if config.Workers == 0 {
		config.Workers = DefaultWorkers
	}
	c := &Controller{
		core:        config.Core,
		metadata:    config.Metadata,
		lister:      config.Informer.Lister(),
		queue:       newQueue(config.Clock),
		poll:        workqueue.NewTypedItemExponentialFailureRateLimiter[string](pollMin, pollMax),
		resources:   slices.Clone(config.Resources),
		gracePeriod: config.GracePeriod,
		clock:       config.Clock,
		workers:     config.Workers,
	}
	registration, err := config.Informer.Informer().AddEventHandlerWithOptions(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { c.enqueue(obj.(*corev1.Namespace)) },
		UpdateFunc: func(_, obj any) { c.enqueue(obj.(*corev1.Namespace)) },
	}, cache.HandlerOptions{Logger: new(klog.FromContext(ctx))})
	if err != nil {
		return nil, fmt.Errorf("namespace: watch namespaces: %w", err)
	}
	c.synced = registration.HasSynced
	return c, nil
}

// newQueue makes the queue with upstream's name and back-off for each namespace, 5 ms to 1 minute.
func newQueue(clock clock.WithTicker) workqueue.TypedRateLimitingInterface[string] {
	return workqueue.NewTypedRateLimitingQueueWithConfig(
		workqueue.NewTypedItemExponentialFailureRateLimiter[string](5*time.Millisecond, time.Minute),
		workqueue.TypedRateLimitingQueueConfig[string]{Name: "namespace", Clock: clock},
	)
}

// Run handles namespaces until ctx ends and every worker has stopped; then it returns nil. It is called once.
func (c *Controller) Run(ctx context.Context) error {
	logger := klog.FromContext(ctx).WithName("namespace-controller")
	ctx = klog.NewContext(ctx, logger)
	logger.Info("Starting controller", "workers", c.workers)

	var running sync.WaitGroup
	defer func() {
		c.queue.ShutDown()
		running.Wait()
		logger.Info("Stopped controller")
	}()
	if !cache.WaitForCacheSync(ctx.Done(), c.synced) {
		return nil
	}
	for range c.workers {
		running.Go(func() {
			for c.processNext(ctx) {
			}
		})
	}
	<-ctx.Done()
	return nil
}

// Ready returns nil once the controller has seen every namespace that there was when it started.
func (c *Controller) Ready() error {
	if !c.synced() {
		return errors.New("the cache of namespaces has not synced")
	}
	return nil
}

// enqueue has the namespace looked at after the grace period, if it is for this controller to empty.
func (c *Controller) enqueue(ns *corev1.Namespace) {
	if isOurs(ns) {
		c.queue.AddAfter(ns.Name, c.gracePeriod)
	}
}

// isOurs tells whether the namespace is being deleted and waits for this controller.
func isOurs(ns *corev1.Namespace) bool {
	return ns.DeletionTimestamp != nil && slices.Contains(ns.Spec.Finalizers, corev1.FinalizerKubernetes)
}

func (c *Controller) processNext(ctx context.Context) bool {
	name, quit := c.queue.Get()
	if quit {
		return false
	}
	defer c.queue.Done(name)
	ctx = klog.NewContext(ctx, klog.LoggerWithValues(klog.FromContext(ctx), "namespace", name))

	wait, err := c.sync(ctx, name)
	switch {
	case err != nil:
		if ctx.Err() == nil {
			utilruntime.HandleErrorWithContext(ctx, err, "Failed to delete a namespace, will retry")
		}
		c.queue.AddRateLimited(name)
	case wait > 0:
		// Upstream waits half the estimate. Most Pods need far less than their grace period, so look early at first.
		wait = min(wait/2+time.Second, c.poll.When(name))
		klog.FromContext(ctx).V(4).Info("Content remains in the namespace", "lookAgainAfter", wait)
		c.queue.Forget(name)
		c.queue.AddAfter(name, wait)
	default:
		c.queue.Forget(name)
		c.poll.Forget(name)
	}
	return true
}

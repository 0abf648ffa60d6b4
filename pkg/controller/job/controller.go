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

// Package job is the Job controller: it makes the Pods of Jobs, counts how they end and finishes the Jobs.
//
// What to do is decided by package plan, which is pure. This package is the shell around it: it keeps the queue, reads the
// caches, claims Pods, and carries out a plan through the clients. One sync of a Job is in sync.go and reads:
// observe, compute, record, execute, settle, write the status, emit events, requeue.
//
// Rule numbers (B1, B2, ...) in comments are those of the project's reference of Kubernetes 1.37's behaviour.
package job

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	coreinformers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/jobserver-dev/jobserver/pkg/controller/job/metrics"
	"github.com/jobserver-dev/jobserver/pkg/controller/job/plan"
	"github.com/jobserver-dev/jobserver/pkg/generated/clientset/versioned"
	batchinformers "github.com/jobserver-dev/jobserver/pkg/generated/informers/externalversions/batch/v1"
	batchlisters "github.com/jobserver-dev/jobserver/pkg/generated/listers/batch/v1"
)

// Upstream's values (section 2.0) for the fields of Config that are zero.
const (
	DefaultWorkers         = 5
	DefaultSyncBatchPeriod = time.Second
	DefaultRetryBackoff    = time.Second
	DefaultRetryBackoffMax = time.Minute
)

// stopGrace is how long the syncs under way when the controller stops may take to finish. A sync of few Pods takes
// milliseconds; the whole server has 10 seconds to stop, of which others need theirs.
const stopGrace = 2 * time.Second

// Config is what a Controller is made of.
type Config struct {
	// JobClient is the API in which the Jobs live. Required.
	JobClient versioned.Interface

	// PodClient is the API in which the Pods and the events live. Required.
	PodClient kubernetes.Interface

	// Jobs and Pods are the caches. New adds handlers and an index to them; the caller starts them. The Pod cache may be
	// restricted to Pods that can be a Job's, and should have TrimPod as its transform. Required.
	Jobs batchinformers.JobInformer
	Pods coreinformers.PodInformer

	// Identity is how Pods are marked as ours: KubeIdentity or OwnIdentity. Required.
	Identity Identity

	// Workers is how many Jobs are synced at the same time, and as many orphaned Pods. Default: DefaultWorkers.
	Workers int

	// SyncBatchPeriod is the longest time for which events of a Job's Pods are collected before the Job is synced; see the type
	// pace for when it is shorter. Default: DefaultSyncBatchPeriod.
	SyncBatchPeriod time.Duration

	// RetryBackoff is the delay before a failed sync is repeated; it doubles with each further failure, up to RetryBackoffMax.
	// Defaults: DefaultRetryBackoff, DefaultRetryBackoffMax.
	RetryBackoff    time.Duration
	RetryBackoffMax time.Duration

	// Limits bound one sync, and say for how long the replacement of a failed Pod is delayed. Zero fields get upstream's values.
	Limits plan.Limits

	// Clock is the time of everything but the events' time stamps. Default: the real time.
	Clock clock.WithTicker
}

// complete returns the Config with its defaults; the error names each field that is missing or out of range.
func (c Config) complete() (Config, error) {
	var errs []error
	for _, field := range []struct {
		name    string
		missing bool
	}{
		{"JobClient", c.JobClient == nil},
		{"PodClient", c.PodClient == nil},
		{"Jobs", c.Jobs == nil},
		{"Pods", c.Pods == nil},
	} {
		if field.missing {
			errs = append(errs, fmt.Errorf("%s: is required", field.name))
		}
	}
	for _, field := range []struct {
		name     string
		negative bool
	}{
		{"Workers", c.Workers < 0},
		{"SyncBatchPeriod", c.SyncBatchPeriod < 0},
		{"RetryBackoff", c.RetryBackoff < 0},
		{"RetryBackoffMax", c.RetryBackoffMax < 0},
		{"Limits.MaxUncountedPods", c.Limits.MaxUncountedPods < 0},
		{"Limits.MaxPodCreateDeletePerSync", c.Limits.MaxPodCreateDeletePerSync < 0},
		{"Limits.FailureBackoff", c.Limits.FailureBackoff < 0},
		{"Limits.FailureBackoffMax", c.Limits.FailureBackoffMax < 0},
	} {
		if field.negative {
			errs = append(errs, fmt.Errorf("%s: must be greater than or equal to 0", field.name))
		}
	}
	errs = append(errs, c.Identity.validate())

	c.Workers = orDefault(c.Workers, DefaultWorkers)
	c.SyncBatchPeriod = orDefault(c.SyncBatchPeriod, DefaultSyncBatchPeriod)
	c.RetryBackoff = orDefault(c.RetryBackoff, DefaultRetryBackoff)
	c.RetryBackoffMax = max(orDefault(c.RetryBackoffMax, DefaultRetryBackoffMax), c.RetryBackoff)
	if c.Clock == nil {
		c.Clock = clock.RealClock{}
	}
	return c, errors.Join(errs...)
}

func orDefault[T int | time.Duration](value, preset T) T {
	if value == 0 {
		return preset
	}
	return value
}

// Controller runs Jobs. Make one with New.
type Controller struct {
	config Config
	clock  clock.WithTicker

	jobs      batchlisters.JobLister
	pods      podCache
	informers []watched

	// queue holds the keys of Jobs, namespace/name; orphans holds Pods to free from our finalizer.
	queue   workqueue.TypedRateLimitingInterface[string]
	orphans workqueue.TypedRateLimitingInterface[orphanKey]

	states      jobStates
	broadcaster record.EventBroadcaster
	events      eventRecorder

	started atomic.Bool
}

// watched is an informer with the handler that we added to it.
type watched struct {
	name         string
	informer     cache.SharedIndexInformer
	registration cache.ResourceEventHandlerRegistration
}

// New returns a controller and adds its handlers and its index to the informers of c. Logs go to the logger of ctx. The error
// names the fields of c that are missing or out of range, or says which informer refused a handler.
func New(ctx context.Context, c Config) (*Controller, error) {
	config, err := c.complete()
	if err != nil {
		return nil, fmt.Errorf("job controller configuration: %w", err)
	}
	metrics.Register()
	ctx = withLogger(ctx)
	controller := &Controller{
		config:      config,
		clock:       config.Clock,
		jobs:        config.Jobs.Lister(),
		pods:        podCache{indexer: config.Pods.Informer().GetIndexer()},
		queue:       newQueue[string](config, "job"),
		orphans:     newQueue[orphanKey](config, "job_orphan_pod"),
		broadcaster: record.NewBroadcaster(record.WithContext(context.WithoutCancel(ctx))),
	}
	controller.events = eventRecorder{
		recorder: controller.broadcaster.NewRecorder(runtime.NewScheme(), corev1.EventSource{Component: eventSource}),
		identity: config.Identity,
	}
	if err := controller.watch(ctx); err != nil {
		return nil, err
	}
	return controller, nil
}

func newQueue[T comparable](c Config, name string) workqueue.TypedRateLimitingInterface[T] {
	return workqueue.NewTypedRateLimitingQueueWithConfig(
		workqueue.NewTypedItemExponentialFailureRateLimiter[T](c.RetryBackoff, c.RetryBackoffMax),
		workqueue.TypedRateLimitingQueueConfig[T]{Name: name, Clock: c.Clock})
}

// watch adds the index and the handlers to the informers.
func (c *Controller) watch(ctx context.Context) error {
	jobs, pods := c.config.Jobs.Informer(), c.config.Pods.Informer()
	if err := pods.AddIndexers(cache.Indexers{podsByOwner: c.indexByOwner}); err != nil {
		return fmt.Errorf("adding index %s to the Pod informer: %w", podsByOwner, err)
	}
	for _, w := range []struct {
		name     string
		informer cache.SharedIndexInformer
		handler  cache.ResourceEventHandler
	}{
		{"jobs", jobs, c.jobHandler(ctx)},
		{"pods", pods, c.podHandler(ctx)},
	} {
		registration, err := w.informer.AddEventHandler(w.handler)
		if err != nil {
			return fmt.Errorf("adding a handler to the informer of %s: %w", w.name, err)
		}
		c.informers = append(c.informers, watched{name: w.name, informer: w.informer, registration: registration})
	}
	return nil
}

// Ready returns nil once the caches hold what the API had when they were started, and an error that names the first one
// that does not yet. It is meant for a readyz check.
func (c *Controller) Ready() error {
	for _, w := range c.informers {
		if !w.registration.HasSynced() {
			return fmt.Errorf("job controller: the cache of %s has not synced yet", w.name)
		}
	}
	return nil
}

// Run waits for the caches and syncs Jobs until ctx ends. Then no further sync is begun. Those under way may finish within
// stopGrace, so that no write is cut off half-way without need; after that their requests are cancelled, which is safe at
// any point of a sync. Run returns when no worker is running any more. A Controller runs once: a second call returns an error.
func (c *Controller) Run(ctx context.Context) error {
	if c.started.Swap(true) {
		return errors.New("job controller: Run was called before")
	}
	ctx = withLogger(ctx)
	logger := klog.FromContext(ctx)
	defer c.stop(ctx)
	logger.Info("Starting", "workers", c.config.Workers)
	defer logger.Info("Stopped")

	synced := make([]cache.InformerSynced, 0, len(c.informers))
	for _, w := range c.informers {
		synced = append(synced, w.registration.HasSynced)
	}
	if !cache.WaitForCacheSync(ctx.Done(), synced...) {
		return nil // stopped before there was anything to do
	}
	startEvents(c.broadcaster, c.config.PodClient)

	requests, cancelRequests := context.WithCancel(context.WithoutCancel(ctx))
	defer cancelRequests()
	var workers sync.WaitGroup
	for range c.config.Workers {
		workers.Go(func() { work(requests, ctx.Done(), c.queue, c.syncJob) })
		workers.Go(func() { work(requests, ctx.Done(), c.orphans, c.syncOrphans) })
	}
	<-ctx.Done()
	c.queue.ShutDown()
	c.orphans.ShutDown()
	c.waitFor(requests, &workers, cancelRequests)
	return nil
}

// waitFor waits until all workers have returned, and cancels their requests where that takes longer than stopGrace.
func (c *Controller) waitFor(ctx context.Context, workers *sync.WaitGroup, cancelRequests context.CancelFunc) {
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		workers.Wait()
	}()
	grace := c.clock.NewTimer(stopGrace)
	defer grace.Stop()
	select {
	case <-returned:
	case <-grace.C():
		klog.FromContext(ctx).Info("Cancelling the requests of syncs that take too long to finish", "grace", stopGrace)
		cancelRequests()
		<-returned
	}
}

// stop ends what New started.
func (c *Controller) stop(ctx context.Context) {
	c.queue.ShutDown()
	c.orphans.ShutDown()
	c.broadcaster.Shutdown()
	for _, w := range c.informers {
		if err := w.informer.RemoveEventHandler(w.registration); err != nil {
			klog.FromContext(ctx).Error(err, "Failed to remove the event handler", "resource", w.name)
		}
	}
}

func withLogger(ctx context.Context) context.Context {
	return klog.NewContext(ctx, klog.LoggerWithName(klog.FromContext(ctx), eventSource))
}

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

package ttlafterfinished

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
	batchclient "github.com/jobserver-dev/jobserver/pkg/generated/clientset/versioned/typed/batch/v1"
	batchinformers "github.com/jobserver-dev/jobserver/pkg/generated/informers/externalversions/batch/v1"
	batchlisters "github.com/jobserver-dev/jobserver/pkg/generated/listers/batch/v1"
)

// DefaultWorkers is upstream's --concurrent-ttl-after-finished-syncs.
const DefaultWorkers = 5

// Config says what a Controller works with.
type Config struct {
	// Jobs reads and deletes Jobs. Required.
	Jobs batchclient.JobsGetter
	// Informer watches the Jobs. Required. Whoever made it starts it.
	Informer batchinformers.JobInformer
	// Clock is the wall clock and the source of all delays; the real one if nil.
	Clock clock.WithTicker
	// Workers is how many Jobs are handled at once; DefaultWorkers if 0.
	Workers int
}

// Controller deletes Jobs whose TTL has passed. It is made by New.
type Controller struct {
	jobs    batchclient.JobsGetter
	lister  batchlisters.JobLister
	synced  cache.InformerSynced
	queue   workqueue.TypedRateLimitingInterface[cache.ObjectName]
	clock   clock.WithTicker
	workers int
}

// New checks the Config and returns a Controller that listens to the informer's events; Run handles them.
func New(ctx context.Context, config Config) (*Controller, error) {
	switch {
	case config.Jobs == nil:
		return nil, errors.New("ttlafterfinished: Jobs is required")
	case config.Informer == nil:
		return nil, errors.New("ttlafterfinished: Informer is required")
	case config.Workers < 0:
		return nil, fmt.Errorf("ttlafterfinished: Workers must not be negative, got %d", config.Workers)
	}
	if config.Clock == nil {
		config.Clock = clock.RealClock{}
	}
	if config.Workers == 0 {
		config.Workers = DefaultWorkers
	}
	registerMetrics()

	c := &Controller{
		jobs:    config.Jobs,
		lister:  config.Informer.Lister(),
		clock:   config.Clock,
		workers: config.Workers,
		queue: workqueue.NewTypedRateLimitingQueueWithConfig(
			workqueue.DefaultTypedControllerRateLimiter[cache.ObjectName](),
			workqueue.TypedRateLimitingQueueConfig[cache.ObjectName]{Name: "ttl_jobs_to_delete", Clock: config.Clock},
		),
	}
	registration, err := config.Informer.Informer().AddEventHandlerWithOptions(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { c.enqueue(obj.(*batchv1.Job)) },
		UpdateFunc: func(_, obj any) { c.enqueue(obj.(*batchv1.Job)) },
	}, cache.HandlerOptions{Logger: new(klog.FromContext(ctx))})
	if err != nil {
		return nil, fmt.Errorf("ttlafterfinished: watch Jobs: %w", err)
	}
	c.synced = registration.HasSynced
	return c, nil
}

// Run handles Jobs until ctx ends and every worker has stopped; then it returns nil. It is called once.
func (c *Controller) Run(ctx context.Context) error {
	logger := klog.FromContext(ctx).WithName("ttl-after-finished-controller")
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
	running.Go(func() { watchClock(ctx, c.clock, c.clock, func(by time.Duration) { c.lookAgain(ctx, by) }) })
	for range c.workers {
		running.Go(func() {
			for c.processNext(ctx) {
			}
		})
	}
	<-ctx.Done()
	return nil
}

// Ready returns nil once the controller has seen every Job that there was when it started.
func (c *Controller) Ready() error {
	if !c.synced() {
		return errors.New("the cache of Jobs has not synced")
	}
	return nil
}

// enqueue has the Job looked at. Jobs without anything to do are left out here, for most events are about them.
func (c *Controller) enqueue(job *batchv1.Job) {
	if job.DeletionTimestamp != nil || job.Spec.TTLSecondsAfterFinished == nil {
		return
	}
	if _, finished := finishTime(job); finished {
		c.queue.Add(cache.MetaObjectToName(job))
	}
}

// lookAgain has every Job looked at, because the delays that were set don't fit the clock any more.
func (c *Controller) lookAgain(ctx context.Context, by time.Duration) {
	klog.FromContext(ctx).Info("The clock was stepped, looking at all Jobs again", "by", by)
	jobs, err := c.lister.List(labels.Everything())
	if err != nil {
		utilruntime.HandleErrorWithContext(ctx, err, "Failed to list Jobs from the cache")
		return
	}
	for _, job := range jobs {
		c.enqueue(job)
	}
}

func (c *Controller) processNext(ctx context.Context) bool {
	key, quit := c.queue.Get()
	if quit {
		return false
	}
	defer c.queue.Done(key)

	if err := c.sync(ctx, key); err != nil {
		utilruntime.HandleErrorWithContext(ctx, err, "Failed to clean up a Job, will retry", "job", key)
		c.queue.AddRateLimited(key)
		return true
	}
	c.queue.Forget(key)
	return true
}

// sync deletes the Job if its TTL has passed, or has it looked at again when it will have.
func (c *Controller) sync(ctx context.Context, key cache.ObjectName) error {
	job, err := c.lister.Jobs(key.Namespace).Get(key.Name)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("get Job from the cache: %w", err)
	}
	if v, err := c.look(ctx, job); err != nil || v.action != deleteNow {
		return err
	}

	// The cache may lag behind a TTL that was just raised or taken away, or show a Job whose name another one has now.
	fresh, err := c.jobs.Jobs(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("get Job: %w", err)
	}
	v, err := c.look(ctx, fresh)
	if err != nil || v.action != deleteNow {
		return err
	}
	return c.remove(ctx, fresh, v.expiresAt)
}

// look decides what there is to do with the Job now. If that is to wait, the Job is looked at again when it will be due.
func (c *Controller) look(ctx context.Context, job *batchv1.Job) (verdict, error) {
	v, err := decide(job, c.clock.Now())
	if err != nil || v.action != awaitExpiry {
		return v, err
	}
	logger := klog.FromContext(ctx)
	if v.future {
		logger.Info("The Job finished in the future, so its clean-up is put off; was the clock set back?", "job", klog.KObj(job), "expiresAt", v.expiresAt)
	}
	logger.V(4).Info("The Job's TTL has not passed yet", "job", klog.KObj(job), "remaining", v.remaining)
	c.queue.AddAfter(cache.MetaObjectToName(job), v.remaining)
	return v, nil
}

// remove deletes the Job and its Pods, if the name still belongs to this very Job.
func (c *Controller) remove(ctx context.Context, job *batchv1.Job, expiredAt time.Time) error {
	err := c.jobs.Jobs(job.Namespace).Delete(ctx, job.Name, metav1.DeleteOptions{
		PropagationPolicy: new(metav1.DeletePropagationForeground),
		Preconditions:     metav1.NewUIDPreconditions(string(job.UID)),
	})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("delete Job: %w", err)
	}
	deletionDuration.Observe(c.clock.Since(expiredAt).Seconds())
	klog.FromContext(ctx).V(2).Info("Deleted a Job whose TTL has passed", "job", klog.KObj(job), "uid", job.UID, "expiredAt", expiredAt)
	return nil
}

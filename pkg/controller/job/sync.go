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

package job

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
	"github.com/jobserver-dev/jobserver/pkg/controller/job/metrics"
	"github.com/jobserver-dev/jobserver/pkg/controller/job/plan"
)

// syncJob brings the Job of the key one step further, at the pace of its events.
func (c *Controller) syncJob(ctx context.Context, key string) error {
	job, err := c.toSync(ctx, key)
	if job == nil || err != nil {
		return err
	}
	state := c.states.of(job.UID)
	// The Job may have gone, or finished, while it was synced.
	defer c.forgetUnlessUnfinished(job)

	started := c.clock.Now()
	if due := state.pace.begin(); !due.IsZero() {
		metrics.SyncLagSeconds.Observe(started.Sub(due).Seconds())
	}
	logger := klog.LoggerWithValues(klog.FromContext(ctx), "job", klog.KObj(job))
	err = c.sync(klog.NewContext(ctx, logger), job, state)
	now := c.clock.Now()
	logger.V(4).Info("Synced Job", "duration", now.Sub(started))
	if delay, again := state.pace.end(started, now, err != nil, c.config.SyncBatchPeriod); again {
		c.queue.AddAfter(key, delay)
	}
	return err
}

// toSync returns the Job of the key from the cache, nil where there is nothing to do: it is gone, finished, or another
// controller's (rules B8 to B12).
func (c *Controller) toSync(ctx context.Context, key string) (*batchv1.Job, error) {
	namespace, name, err := cache.SplitMetaNamespaceKey(key)
	if err != nil {
		return nil, fmt.Errorf("splitting the key of a Job: %w", err)
	}
	job, err := c.jobs.Jobs(namespace).Get(name)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading Job %s from the cache: %w", key, err)
	}
	if manager, ok := managedByOther(job); ok {
		klog.FromContext(ctx).V(2).Info("Skipped a Job that another controller manages", "job", klog.KObj(job), "manager", manager)
		return nil, nil
	}
	if finished(job) {
		c.states.forget(job.UID)
		return nil, nil
	}
	return job, nil
}

// forgetUnlessUnfinished drops the state of a Job that the cache has no longer as unfinished: its events have passed, and
// nothing else would drop it.
func (c *Controller) forgetUnlessUnfinished(job *batchv1.Job) {
	now, err := c.jobs.Jobs(job.Namespace).Get(job.Name)
	if err != nil || now.UID != job.UID || finished(now) {
		c.states.forget(job.UID)
	}
}

// sync does one sync of the Job and counts it.
func (c *Controller) sync(ctx context.Context, job *batchv1.Job, state *jobState) error {
	if resource, stale := state.written.stale(job, c.pods); stale {
		// The event that brings the cache up to date queues the Job again; the delayed sync is a safety net.
		klog.FromContext(ctx).V(4).Info("Put the sync off: the cache is older than our last write", "resource", resource)
		metrics.StaleSyncSkipsTotal.WithLabelValues(resource.Group, resource.Resource).Inc()
		state.pace.wait()
		c.queue.AddAfter(jobKey(job), c.config.SyncBatchPeriod)
		return nil
	}
	if event := plan.Unsupported(job); event != nil {
		c.events.planned(job, *event)
		return nil
	}
	started := c.clock.Now()
	action, err := c.planAndAct(ctx, job, state)
	result := metrics.ResultSuccess
	if err != nil {
		result = metrics.ResultError
	}
	metrics.SyncDurationSeconds.WithLabelValues(completionMode(job), result, action).Observe(c.clock.Since(started).Seconds())
	metrics.SyncsTotal.WithLabelValues(completionMode(job), result, action).Inc()
	return err
}

// planAndAct is the sync proper. It returns what it was about, as the metrics call it.
//
// A plan whose record can't be written is dropped as a whole. After that nothing needs to be undone: each step that fails is
// left to a later sync, and the status says what was done (rule B40).
func (c *Controller) planAndAct(ctx context.Context, job *batchv1.Job, state *jobState) (string, error) {
	in, err := c.observe(ctx, job, state)
	if err != nil {
		return plan.ActionReconciling, err
	}
	p := plan.Compute(in)
	writer := &statusWriter{Controller: c, state: state, job: job}
	if p.Record != nil {
		if err := writer.write(ctx, p.Record); err != nil {
			return p.Metrics.Action, err
		}
		// Now, not at the end: should the final write fail, no later sync has reason to tell of what is on record.
		c.tell(job, p.Events)
	}
	state.backoff = p.Backoff

	outcome, actErr := executor{Controller: c, job: job, state: state, in: in}.execute(ctx, p)
	for action, count := range p.Metrics.HandledFailures(outcome) {
		metrics.PodFailuresHandledTotal.WithLabelValues(string(action)).Add(float64(count))
	}

	status := plan.Settle(in, p, outcome)
	if err := writer.write(ctx, &status); err != nil {
		return p.Metrics.Action, errors.Join(actErr, err)
	}
	state.pace.batch(int(status.Active))
	if p.Record == nil {
		c.tell(job, p.Events)
	}
	c.tellFinish(job, p, status)
	if !p.NextSync.IsZero() {
		delay := p.NextSync.Sub(c.clock.Now())
		if actErr != nil {
			// What remains to be done at once includes what failed: that must not get around the back-off.
			delay = max(delay, c.config.RetryBackoff)
		}
		c.queue.AddAfter(jobKey(job), delay)
	}
	return p.Metrics.Action, actErr
}

// tell emits events that a plan asks for.
func (c *Controller) tell(job *batchv1.Job, events []plan.Event) {
	for _, event := range events {
		c.events.planned(job, event)
	}
}

// tellFinish emits the events of a Job that has finished with the status, and counts it; nothing where it has not.
func (c *Controller) tellFinish(job *batchv1.Job, p plan.Plan, status batchv1.JobStatus) {
	finish := plan.FinishEvents(job, status)
	c.tell(job, finish)
	if len(finish) == 0 || p.Verdict == nil {
		return
	}
	result := metrics.Succeeded
	if p.Verdict.Final() == batchv1.JobFailed {
		result = metrics.Failed
	}
	metrics.FinishedTotal.WithLabelValues(completionMode(job), result, p.Verdict.Reason).Inc()
}

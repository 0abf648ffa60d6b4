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

// Package vanishednamespace deletes Jobs whose namespace the cluster does not have any more.
//
// A cluster deletes the content of a namespace before the namespace itself, ours too, through the API. It can't see Jobs while the API is
// not registered, nor those that come back with a backup; nobody else would ever delete them. So the namespaces of Jobs are looked up at the start and
// from time to time. A namespace counts as gone only when the cluster says so in answer to a question about this very one.
//
// A namespace that was deleted may be there again under the same name, with another UID. Which Jobs were the earlier one's, a Memory knows: it keeps, for
// each namespace with Jobs, a UID that the cluster gave for it, and the revision that etcd had come to before it was asked. Jobs that were created until then can't be
// those of a namespace that came later. They are deleted; Jobs that are younger than what was last remembered stay. No clock has a say in that.
package vanishednamespace

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
	batchclient "github.com/jobserver-dev/jobserver/pkg/generated/clientset/versioned/typed/batch/v1"
	batchinformers "github.com/jobserver-dev/jobserver/pkg/generated/informers/externalversions/batch/v1"
	batchlisters "github.com/jobserver-dev/jobserver/pkg/generated/listers/batch/v1"
)

const (
	// sweepPeriod is the time between two looks, retryPeriod that after one that failed.
	sweepPeriod = 10 * time.Minute
	retryPeriod = 10 * time.Second

	// notePeriod is the time between two looks while Jobs are written: what was created within it before a namespace goes may be taken for the next one's.
	notePeriod = 30 * time.Second
)

// Config says what a Controller works with. All fields but Clock are required.
type Config struct {
	// Jobs deletes Jobs.
	Jobs batchclient.JobsGetter
	// Informer watches the Jobs. Whoever made it starts it.
	Informer batchinformers.JobInformer
	// Namespaces are those of the cluster.
	Namespaces typedcorev1.NamespacesGetter
	// Memory knows which namespaces Jobs were created in.
	Memory *Memory
	// Clock is the source of all delays; the real one if nil.
	Clock clock.Clock
}

// Controller deletes Jobs without a namespace. It is made by New.
type Controller struct {
	config Config
	lister batchlisters.JobLister
	synced cache.InformerSynced
	swept  chan struct{}
	// noted are the revisions of what is remembered, by namespace.
	noted map[string]int64
}

// New checks the Config.
func New(config Config) (*Controller, error) {
	if config.Jobs == nil || config.Informer == nil || config.Namespaces == nil || config.Memory == nil {
		return nil, errors.New("vanishednamespace: Jobs, Informer, Namespaces and Memory are required")
	}
	if config.Clock == nil {
		config.Clock = clock.RealClock{}
	}
	informer := config.Informer
	return &Controller{config: config, lister: informer.Lister(), synced: informer.Informer().HasSynced, swept: make(chan struct{})}, nil
}

// Run sweeps until ctx ends; then it returns nil. It is called once.
func (c *Controller) Run(ctx context.Context) error {
	ctx = klog.NewContext(ctx, klog.FromContext(ctx).WithName("vanished-namespace-controller"))
	if !cache.WaitForCacheSync(ctx.Done(), c.synced) {
		return nil
	}
	attempt := sync.OnceFunc(func() { close(c.swept) })
	var last time.Time
	for {
		period := notePeriod
		if c.config.Clock.Since(last) >= sweepPeriod || c.unnoted() {
			begun := c.config.Clock.Now()
			switch err := c.sweep(ctx); {
			case err == nil:
				last = begun
			case ctx.Err() == nil:
				period = retryPeriod
				if !errors.Is(err, errMoved) {
					utilruntime.HandleErrorWithContext(ctx, err, "Failed to look for Jobs without a namespace, will retry")
				}
			}
			attempt()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-c.config.Clock.After(period):
		}
	}
}

// Swept is closed after the first look, good or not. What runs Jobs had better wait for it.
func (c *Controller) Swept() <-chan struct{} { return c.swept }

// Ready returns nil once the controller has seen every Job that there was when it started. Whether the cluster answers is not asked: Jobs
// are served without it.
func (c *Controller) Ready() error {
	if !c.synced() {
		return errors.New("the cache of Jobs has not synced")
	}
	return nil
}

// byNamespace are all Jobs that the cache has.
func (c *Controller) byNamespace() (map[string][]*batchv1.Job, error) {
	jobs, err := c.lister.List(labels.Everything())
	if err != nil {
		return nil, fmt.Errorf("list Jobs from the cache: %w", err)
	}
	byNamespace := map[string][]*batchv1.Job{}
	for _, job := range jobs {
		byNamespace[job.Namespace] = append(byNamespace[job.Namespace], job)
	}
	return byNamespace, nil
}

// unnoted tells whether there are Jobs that may be younger than what is remembered of their namespaces.
func (c *Controller) unnoted() bool {
	byNamespace, err := c.byNamespace()
	if err != nil {
		return true // the sweep will say so
	}
	for name, jobs := range byNamespace {
		if revision, ok := c.noted[name]; !ok || younger(jobs, revision) {
			return true
		}
	}
	return false
}

// younger tells whether a Job was written after a revision: one that was created after it was, and that it was only changed costs no more than a look.
func younger(jobs []*batchv1.Job, revision int64) bool {
	for _, job := range jobs {
		written, err := strconv.ParseInt(job.ResourceVersion, 10, 64)
		if err != nil || written > revision {
			return true
		}
	}
	return false
}

// sweep looks up the namespaces of all Jobs once.
func (c *Controller) sweep(ctx context.Context) error {
	// The order is what makes the claims of the Memory true: Jobs, then the revision, then the cluster.
	byNamespace, err := c.byNamespace()
	if err != nil {
		return err
	}
	remembered, err := c.config.Memory.recall(ctx)
	if err != nil {
		return err
	}
	current, err := c.namespaces(ctx, len(byNamespace))
	if err != nil {
		return err
	}
	c.noted = map[string]int64{}
	var errs []error
	for name, jobs := range byNamespace {
		err := c.sweepNamespace(ctx, remembered, name, current[name], jobs)
		if errors.Is(err, errMoved) {
			return err
		}
		errs = append(errs, err)
	}
	for name := range remembered.modified {
		if _, ok := byNamespace[name]; !ok {
			errs = append(errs, remembered.forget(ctx, name))
		}
	}
	return errors.Join(errs...)
}

// namespaces are the UIDs of those that the cluster has now, by name. It is not asked where no Jobs want to know.
func (c *Controller) namespaces(ctx context.Context, wanted int) (map[string]types.UID, error) {
	uids := map[string]types.UID{}
	if wanted == 0 {
		return uids, nil
	}
	// Without a resource version: what the cluster had some time ago would make false claims.
	list, err := c.config.Namespaces.Namespaces().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list namespaces: %w", err)
	}
	for _, namespace := range list.Items {
		uids[namespace.Name] = namespace.UID
	}
	return uids, nil
}

// sweepNamespace deletes Jobs that are not, or not any more, those of a namespace that there is, and remembers which it is. listed is its UID, "" where the list
// does not have it.
func (c *Controller) sweepNamespace(ctx context.Context, remembered *recollection, name string, listed types.UID, jobs []*batchv1.Job) error {
	sighting, known := remembered.sightings[name]
	if listed == "" || (known && sighting.UID != listed) {
		// Before anything is deleted, it is asked for by itself.
		namespace, err := c.config.Namespaces.Namespaces().Get(ctx, name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			return c.empty(ctx, remembered, name, uidsOf(jobs))
		case err != nil:
			return fmt.Errorf("get namespace %s: %w", name, err)
		}
		listed = namespace.UID
	}
	if known && sighting.UID == listed && !younger(jobs, sighting.Revision) {
		c.noted[name] = sighting.Revision
		return nil
	}
	if known && sighting.UID != listed {
		earlier, err := remembered.createdUntil(ctx, name, sighting)
		if err != nil {
			return err
		}
		if _, err := c.delete(ctx, name, "the namespace was deleted and made again", earlier); err != nil {
			return err
		}
	}
	if err := remembered.remember(ctx, name, listed); err != nil {
		return err
	}
	c.noted[name] = remembered.revision
	return nil
}

// uidsOf are the UIDs of Jobs, by their names.
func uidsOf(jobs []*batchv1.Job) map[string]types.UID {
	uids := map[string]types.UID{}
	for _, job := range jobs {
		uids[job.Name] = job.UID
	}
	return uids
}

// empty deletes the Jobs of a namespace that is gone.
func (c *Controller) empty(ctx context.Context, remembered *recollection, namespace string, jobs map[string]types.UID) error {
	missing, err := c.delete(ctx, namespace, "the cluster does not have the namespace", jobs)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		// A webhook or a policy that selects namespaces answers so too, for any Job of one that is gone.
		removed, err := remembered.remove(ctx, namespace, missing)
		if err != nil {
			return err
		}
		if removed > 0 {
			klog.FromContext(ctx).Info("Took Jobs out of etcd whose deletion was answered with 404", "namespace", namespace, "jobs", removed)
		}
	}
	// What is left waits for somebody's finalizer: to look at every sweep is enough.
	c.noted[namespace] = math.MaxInt64
	return nil
}

// delete deletes these very Jobs, and returns those that are said not to exist. Deletion in the background takes the finalizers off for which the cluster's garbage collector would wait, whatever
// propagation somebody wanted earlier: it does nothing in a namespace that is gone.
func (c *Controller) delete(ctx context.Context, namespace, why string, jobs map[string]types.UID) (missing map[string]types.UID, _ error) {
	if len(jobs) == 0 {
		return nil, nil
	}
	missing = map[string]types.UID{}
	var errs []error
	deleted := 0
	for name, uid := range jobs {
		err := c.config.Jobs.Jobs(namespace).Delete(ctx, name, metav1.DeleteOptions{
			PropagationPolicy: new(metav1.DeletePropagationBackground),
			Preconditions:     metav1.NewUIDPreconditions(string(uid)),
		})
		switch {
		case err == nil:
			deleted++
		case apierrors.IsNotFound(err):
			missing[name] = uid
		case !apierrors.IsConflict(err): // another by now
			errs = append(errs, fmt.Errorf("delete Job %s/%s: %w", namespace, name, err))
		}
	}
	if deleted > 0 {
		klog.FromContext(ctx).Info("Deleted the Jobs of an earlier namespace", "namespace", namespace, "why", why, "jobs", deleted)
	}
	return missing, errors.Join(errs...)
}

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
// A namespace that was deleted and made again meanwhile can't be told from one that was there all the time: its Jobs go on.
package vanishednamespace

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apimachinery/pkg/util/sets"
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
)

// Config says what a Controller works with. All fields but Clock are required.
type Config struct {
	// Jobs deletes Jobs.
	Jobs batchclient.JobsGetter
	// Informer watches the Jobs. Whoever made it starts it.
	Informer batchinformers.JobInformer
	// Namespaces are those of the cluster.
	Namespaces typedcorev1.NamespacesGetter
	// Clock is the source of all delays; the real one if nil.
	Clock clock.Clock
}

// Controller deletes Jobs without a namespace. It is made by New.
type Controller struct {
	config Config
	lister batchlisters.JobLister
	synced cache.InformerSynced
}

// New checks the Config.
func New(config Config) (*Controller, error) {
	if config.Jobs == nil || config.Informer == nil || config.Namespaces == nil {
		return nil, errors.New("vanishednamespace: Jobs, Informer and Namespaces are required")
	}
	if config.Clock == nil {
		config.Clock = clock.RealClock{}
	}
	return &Controller{config: config, lister: config.Informer.Lister(), synced: config.Informer.Informer().HasSynced}, nil
}

// Run sweeps until ctx ends; then it returns nil. It is called once.
func (c *Controller) Run(ctx context.Context) error {
	ctx = klog.NewContext(ctx, klog.FromContext(ctx).WithName("vanished-namespace-controller"))
	if !cache.WaitForCacheSync(ctx.Done(), c.synced) {
		return nil
	}
	for {
		period := sweepPeriod
		if err := c.sweep(ctx); err != nil && ctx.Err() == nil {
			utilruntime.HandleErrorWithContext(ctx, err, "Failed to look for Jobs without a namespace, will retry")
			period = retryPeriod
		}
		select {
		case <-ctx.Done():
			return nil
		case <-c.config.Clock.After(period):
		}
	}
}

// Ready returns nil once the controller has seen every Job that there was when it started. Whether the cluster answers is not asked: Jobs
// are served without it.
func (c *Controller) Ready() error {
	if !c.synced() {
		return errors.New("the cache of Jobs has not synced")
	}
	return nil
}

// sweep looks up the namespaces of all Jobs once.
func (c *Controller) sweep(ctx context.Context) error {
	jobs, err := c.lister.List(labels.Everything())
	if err != nil {
		return fmt.Errorf("list Jobs from the cache: %w", err)
	}
	byNamespace := map[string][]*batchv1.Job{}
	for _, job := range jobs {
		byNamespace[job.Namespace] = append(byNamespace[job.Namespace], job)
	}
	if len(byNamespace) == 0 {
		return nil
	}
	// Whatever the cluster has in its cache: what is missing there is asked for.
	known, err := c.config.Namespaces.Namespaces().List(ctx, metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return fmt.Errorf("list namespaces: %w", err)
	}
	present := sets.New[string]()
	for _, namespace := range known.Items {
		present.Insert(namespace.Name)
	}
	var errs []error
	for name, jobs := range byNamespace {
		if !present.Has(name) {
			errs = append(errs, c.sweepNamespace(ctx, name, jobs))
		}
	}
	return errors.Join(errs...)
}

// sweepNamespace deletes the Jobs of a namespace if it is gone.
func (c *Controller) sweepNamespace(ctx context.Context, name string, jobs []*batchv1.Job) error {
	_, err := c.config.Namespaces.Namespaces().Get(ctx, name, metav1.GetOptions{})
	if err == nil {
		return nil
	}
	if !apierrors.IsNotFound(err) {
		return fmt.Errorf("get namespace %s: %w", name, err)
	}
	var errs []error
	deleted := 0
	for _, job := range jobs {
		err := c.config.Jobs.Jobs(name).Delete(ctx, job.Name, metav1.DeleteOptions{
			PropagationPolicy: new(metav1.DeletePropagationBackground),
			Preconditions:     metav1.NewUIDPreconditions(string(job.UID)),
		})
		switch {
		case err == nil:
			deleted++
		case !apierrors.IsNotFound(err):
			errs = append(errs, fmt.Errorf("delete Job %s/%s: %w", name, job.Name, err))
		}
	}
	klog.FromContext(ctx).Info("Deleted the Jobs of a namespace that the cluster does not have", "namespace", name, "jobs", deleted)
	return errors.Join(errs...)
}

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

package podgc

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	coreinformers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

// Name is the controller's name in logs.
const Name = "pod-garbage-collector-controller"

// Defaults of Config.
const (
	// DefaultTerminatedPodThreshold is upstream's --terminated-pod-gc-threshold.
	DefaultTerminatedPodThreshold = 12500

	// DefaultPeriod is upstream's.
	DefaultPeriod = 20 * time.Second

	// DefaultQuarantine is longer than upstream's 40 s: a node agent writes its Node once a minute, and so brings one back in time that
	// was deleted by mistake.
	DefaultQuarantine = 90 * time.Second

	// DefaultNodeGracePeriod is three times the minute between two reports of a node agent.
	DefaultNodeGracePeriod = 3 * time.Minute

	// DefaultUnreachableToleration is upstream's --default-unreachable-toleration-seconds.
	DefaultUnreachableToleration = 300 * time.Second
)

// Config says what a Controller works with.
type Config struct {
	// Client reads, patches and deletes Pods and Nodes. Required.
	Client kubernetes.Interface
	// Pods and Nodes are the caches. Whoever made them starts them. Of Pods, only what the Job controller's TrimPod keeps is read from
	// the cache. Required.
	Pods  coreinformers.PodInformer
	Nodes coreinformers.NodeInformer

	// TerminatedPodThreshold is how many ended Pods there may be before the oldest are deleted. 0 or less: any number.
	TerminatedPodThreshold int
	// Period is the time between two looks at everything; DefaultPeriod if 0.
	Period time.Duration
	// Quarantine is how long a Node has to be missing before its Pods are failed; DefaultQuarantine if 0.
	Quarantine time.Duration
	// NodeGracePeriod is how long a node may be silent before its Ready condition becomes Unknown; DefaultNodeGracePeriod if 0.
	NodeGracePeriod time.Duration
	// UnreachableToleration is how long a Pod that doesn't say it stays on a node whose Ready condition is Unknown;
	// DefaultUnreachableToleration if 0.
	UnreachableToleration time.Duration
	// Clock is the source of time; the real one if nil.
	Clock clock.WithTicker
}

// complete returns the Config with its defaults; the error names each field that is missing or out of range.
func (c Config) complete() (Config, error) {
	var errs []error
	for _, field := range []struct {
		name    string
		missing bool
	}{{"Client", c.Client == nil}, {"Pods", c.Pods == nil}, {"Nodes", c.Nodes == nil}} {
		if field.missing {
			errs = append(errs, fmt.Errorf("%s is required", field.name))
		}
	}
	for _, field := range []struct {
		name   string
		value  *time.Duration
		preset time.Duration
	}{
		{"Period", &c.Period, DefaultPeriod},
		{"Quarantine", &c.Quarantine, DefaultQuarantine},
		{"NodeGracePeriod", &c.NodeGracePeriod, DefaultNodeGracePeriod},
		{"UnreachableToleration", &c.UnreachableToleration, DefaultUnreachableToleration},
	} {
		switch {
		case *field.value < 0:
			errs = append(errs, fmt.Errorf("%s must not be negative, got %s", field.name, *field.value))
		case *field.value == 0:
			*field.value = field.preset
		}
	}
	if c.Clock == nil {
		c.Clock = clock.RealClock{}
	}
	return c, errors.Join(errs...)
}

// Controller ends and removes Pods that nobody else will. It is made by New.
type Controller struct {
	config Config
	pods   corelisters.PodLister
	nodes  corelisters.NodeLister
	synced []cache.InformerSynced
	health nodeHealth
}

// New checks the Config and returns a Controller. It starts nothing.
func New(config Config) (*Controller, error) {
	config, err := config.complete()
	if err != nil {
		return nil, fmt.Errorf("podgc: %w", err)
	}
	registerMetrics()
	return &Controller{
		config: config,
		pods:   config.Pods.Lister(),
		nodes:  config.Nodes.Lister(),
		synced: []cache.InformerSynced{config.Pods.Informer().HasSynced, config.Nodes.Informer().HasSynced},
	}, nil
}

// Run looks at everything each Period until ctx ends; then it returns nil. It is called once.
func (c *Controller) Run(ctx context.Context) error {
	logger := klog.FromContext(ctx).WithName(Name)
	ctx = klog.NewContext(ctx, logger)
	logger.Info("Starting controller", "period", c.config.Period, "terminatedPodThreshold", c.config.TerminatedPodThreshold)
	defer logger.Info("Stopped controller")
	if !cache.WaitForCacheSync(ctx.Done(), c.synced...) {
		return nil
	}
	ticker := c.config.Clock.NewTicker(c.config.Period)
	defer ticker.Stop()
	for {
		c.collect(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C():
		}
	}
}

// Ready returns nil once the caches hold what the API had when they were started.
func (c *Controller) Ready() error {
	for i, kind := range []string{"pods", "nodes"} {
		if !c.synced[i]() {
			return fmt.Errorf("the cache of %s has not synced", kind)
		}
	}
	return nil
}

// collect looks at all Pods and nodes once and does what is due. What fails is tried again the next time.
func (c *Controller) collect(ctx context.Context) {
	logger := klog.FromContext(ctx)
	pods, err := c.pods.List(labels.Everything())
	if err != nil {
		logger.Error(err, "Failed to list Pods from the cache")
		return
	}
	list, err := c.nodes.List(labels.Everything())
	if err != nil {
		logger.Error(err, "Failed to list Nodes from the cache")
		return
	}
	nodes := make(map[string]*corev1.Node, len(list))
	for _, node := range list {
		nodes[node.Name] = node
	}
	now := c.config.Clock.Now()
	for _, node := range c.health.silent(nodes, now, c.config.NodeGracePeriod) {
		if err := c.markUnreachable(ctx, node); err != nil {
			logger.Error(err, "Failed to mark a node that does not report", "node", node.Name)
		}
	}
	c.inParallel(ctx, c.due(ctx, pods, nodes, now))
}

// due returns what there is to do with the Pods.
func (c *Controller) due(ctx context.Context, pods []*corev1.Pod, nodes map[string]*corev1.Node, now time.Time) []task {
	var tasks []task
	for _, pod := range beyond(pods, c.config.TerminatedPodThreshold) {
		tasks = append(tasks, task{pod: pod, reason: reasonTerminated, do: c.removePod})
	}
	absent := c.health.absent(pods, nodes, now, c.config.Quarantine)
	for name := range absent {
		if !c.isGone(ctx, name) {
			absent.Delete(name)
		}
	}
	for _, pod := range pods {
		node := nodes[pod.Spec.NodeName]
		switch {
		case isAbandoned(pod):
			tasks = append(tasks, task{pod: pod, reason: reasonUnscheduled, do: c.failPod})
		case absent.Has(pod.Spec.NodeName):
			tasks = append(tasks, task{pod: pod, reason: reasonOrphaned, do: c.failOrphan})
		case node == nil || hasEnded(pod):
		case pod.DeletionTimestamp != nil:
			if isOutOfService(node) {
				tasks = append(tasks, task{pod: pod, reason: reasonOutOfService, do: c.failPod})
			}
		default:
			if since, unreachable := unreachableSince(node); unreachable {
				tasks = append(tasks, task{pod: pod, do: func(ctx context.Context, pod *corev1.Pod) error { return c.evict(ctx, pod, since) }})
			}
		}
	}
	return tasks
}

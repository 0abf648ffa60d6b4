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

package controllers

import (
	"cmp"
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/metadata"
	restclient "k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/transport"

	"github.com/jobserver-dev/jobserver/pkg/controller/garbagecollector"
	"github.com/jobserver-dev/jobserver/pkg/controller/job"
	"github.com/jobserver-dev/jobserver/pkg/controller/job/plan"
	"github.com/jobserver-dev/jobserver/pkg/controller/namespace"
	"github.com/jobserver-dev/jobserver/pkg/controller/podgc"
	"github.com/jobserver-dev/jobserver/pkg/controller/ttlafterfinished"
	"github.com/jobserver-dev/jobserver/pkg/controller/vanishednamespace"
	"github.com/jobserver-dev/jobserver/pkg/freshlist"
	"github.com/jobserver-dev/jobserver/pkg/generated/clientset/versioned"
	batchinformers "github.com/jobserver-dev/jobserver/pkg/generated/informers/externalversions"
)

// JobOptions tune the Job controller. Zero values stand for upstream's defaults.
type JobOptions struct {
	// Syncs is how many Jobs are synced at once. Default: 5.
	Syncs int
	// SyncBatchPeriod is for how long at the most events of a Job's Pods are collected. Default: 1 s.
	SyncBatchPeriod time.Duration
	// PodFailureBackoff is the wait before the first failed Pod is replaced; it doubles with each failure. Default: 10 s.
	PodFailureBackoff time.Duration
	// PodFailureBackoffMax is the longest such wait. Default: 10 min.
	PodFailureBackoffMax time.Duration
}

// CleaningOptions tune the controllers that clean up. Zero values stand for upstream's defaults.
type CleaningOptions struct {
	// TTLAfterFinishedSyncs is how many finished Jobs are deleted at once. Default: 5.
	TTLAfterFinishedSyncs int
	// GarbageCollectorSyncs is how many objects are garbage collected at once. Default: 20.
	GarbageCollectorSyncs int
	// NamespaceSyncs is how many namespaces are emptied at once. Default: 10.
	NamespaceSyncs int
	// TerminatedPodThreshold is how many ended Pods there may be before the oldest are deleted; negative: any number. Default: 12,500.
	TerminatedPodThreshold int
}

// ClientFor returns the configuration of a client for the part of the process that is called name. The caller may change what it gets.
type ClientFor func(name string) *restclient.Config

// Config says which controllers there are and what they work on.
type Config struct {
	// Names are the controllers to run. Required; empty for none.
	Names []string
	// JobClient leads to the API that has the Jobs. Required.
	JobClient ClientFor
	// HostClient leads to the API that has the Pods, namespaces and events. Nil: the same.
	HostClient ClientFor
	// SelectHost, where set, restricts the caches of what HostClient leads to, by a selector say.
	SelectHost func(*metav1.ListOptions)
	// Identity is how Pods are marked as ours. Required for the Job controller.
	Identity job.Identity
	// HostQPS and HostBurst limit the requests of each controller to what HostClient leads to, as in client-go; 0: as HostClient has it.
	HostQPS   float32
	HostBurst int
	// Memory knows the namespaces of Jobs. Required for the vanished-namespace controller.
	Memory *vanishednamespace.Memory
	// Job tunes the Job controller, Cleaning the others.
	Job      JobOptions
	Cleaning CleaningOptions
}

// builder makes controllers. Each has a client of its own, so that its requests are told apart.
type builder struct {
	Config
	wrap transport.WrapperFunc

	// jobs and core are the caches that several controllers share. Pods in core are trimmed to what the Job controller reads.
	jobs batchinformers.SharedInformerFactory
	core informers.SharedInformerFactory
}

// builders are the controllers by name.
var builders = map[string]func(*builder, context.Context) (controller, error){
	Job:              (*builder).job,
	TTLAfterFinished: (*builder).ttlAfterFinished,
	GarbageCollector: (*builder).garbageCollector,
	Namespace:        (*builder).namespace,
	PodGC:            (*builder).podGC,

	VanishedNamespace: (*builder).vanishedNamespace,
}

// newSet makes the controllers, for one run. wrap is put around the transports of their clients; it may be nil.
func newSet(ctx context.Context, config Config, wrap transport.WrapperFunc) (*set, error) {
	b, err := newBuilder(config, wrap)
	if err != nil {
		return nil, err
	}
	s := &set{byName: map[string]controller{}, startCaches: b.startCaches}
	for _, name := range config.Names {
		build, ok := builders[name]
		if !ok {
			return nil, fmt.Errorf("%q is not a controller", name)
		}
		if s.byName[name], err = build(b, ctx); err != nil {
			return nil, fmt.Errorf("make %s: %w", name, err)
		}
	}
	s.letSweepFirst()
	return s, nil
}

func newBuilder(config Config, wrap transport.WrapperFunc) (*builder, error) {
	b := &builder{Config: config, wrap: wrap}
	jobClient, err := versioned.NewForConfig(b.jobAPI("job-informers"))
	if err != nil {
		return nil, err
	}
	coreClient, err := kubernetes.NewForConfig(b.hostAPI("core-informers"))
	if err != nil {
		return nil, err
	}
	// No resync: the controllers are driven by events, and what has to happen later they put on their queues themselves.
	// Each begins with all that an earlier leader, or process, has written: see freshlist.
	b.jobs = batchinformers.NewSharedInformerFactoryWithOptions(jobClient, 0, batchinformers.WithTweakListOptions(freshlist.Require))
	b.core = informers.NewSharedInformerFactoryWithOptions(coreClient, 0, informers.WithTransform(job.TrimPod),
		informers.WithTweakListOptions(func(options *metav1.ListOptions) {
			freshlist.Require(options)
			if config.SelectHost != nil {
				config.SelectHost(options)
			}
		}))
	return b, nil
}

// startCaches starts the shared caches. They run until ctx ends.
func (b *builder) startCaches(ctx context.Context) {
	b.jobs.StartWithContext(ctx)
	b.core.StartWithContext(ctx)
}

// jobAPI returns a client configuration for the API of the Jobs.
func (b *builder) jobAPI(name string) *restclient.Config {
	config := b.JobClient(name)
	if b.wrap != nil {
		config.Wrap(b.wrap)
	}
	return config
}

// hostAPI returns a client configuration for the API of everything else.
func (b *builder) hostAPI(name string) *restclient.Config {
	if b.HostClient == nil {
		return b.jobAPI(name)
	}
	config := b.HostClient(name)
	config.QPS, config.Burst = cmp.Or(b.HostQPS, config.QPS), cmp.Or(b.HostBurst, config.Burst)
	if b.wrap != nil {
		config.Wrap(b.wrap)
	}
	return config
}

func (b *builder) job(ctx context.Context) (controller, error) {
	jobClient, err := versioned.NewForConfig(b.jobAPI(Job))
	if err != nil {
		return nil, err
	}
	podClient, err := kubernetes.NewForConfig(b.hostAPI(Job))
	if err != nil {
		return nil, err
	}
	limits := plan.DefaultLimits()
	limits.FailureBackoff = cmp.Or(b.Job.PodFailureBackoff, limits.FailureBackoff)
	limits.FailureBackoffMax = cmp.Or(b.Job.PodFailureBackoffMax, limits.FailureBackoffMax)
	return job.New(ctx, job.Config{
		JobClient:       jobClient,
		PodClient:       podClient,
		Jobs:            b.jobs.Batch().V1().Jobs(),
		Pods:            b.core.Core().V1().Pods(),
		Identity:        b.Identity,
		Workers:         b.Job.Syncs,
		SyncBatchPeriod: b.Job.SyncBatchPeriod,
		Limits:          limits,
	})
}

func (b *builder) ttlAfterFinished(ctx context.Context) (controller, error) {
	jobClient, err := versioned.NewForConfig(b.jobAPI(TTLAfterFinished))
	if err != nil {
		return nil, err
	}
	return ttlafterfinished.New(ctx, ttlafterfinished.Config{
		Jobs:     jobClient.BatchV1(),
		Informer: b.jobs.Batch().V1().Jobs(),
		Workers:  b.Cleaning.TTLAfterFinishedSyncs,
	})
}

func (b *builder) garbageCollector(ctx context.Context) (controller, error) {
	metadataClient, err := metadata.NewForConfig(b.hostAPI(GarbageCollector))
	if err != nil {
		return nil, err
	}
	recorder, err := b.recorder(ctx, GarbageCollector, garbagecollector.EventSource)
	if err != nil {
		return nil, err
	}
	return garbagecollector.New(ctx, garbagecollector.Config{
		Metadata:  metadataClient,
		Resources: collectedResources(),
		Recorder:  recorder,
		Workers:   b.Cleaning.GarbageCollectorSyncs,
	})
}

func (b *builder) namespace(ctx context.Context) (controller, error) {
	kubeClient, err := kubernetes.NewForConfig(b.hostAPI(Namespace))
	if err != nil {
		return nil, err
	}
	metadataClient, err := metadata.NewForConfig(b.hostAPI(Namespace))
	if err != nil {
		return nil, err
	}
	return namespace.New(ctx, namespace.Config{
		Core:      kubeClient.CoreV1(),
		Metadata:  metadataClient,
		Informer:  b.core.Core().V1().Namespaces(),
		Resources: namespacedResources(),
		Workers:   b.Cleaning.NamespaceSyncs,
	})
}

func (b *builder) podGC(context.Context) (controller, error) {
	client, err := kubernetes.NewForConfig(b.hostAPI(PodGC))
	if err != nil {
		return nil, err
	}
	return podgc.New(podgc.Config{
		Client:                 client,
		Pods:                   b.core.Core().V1().Pods(),
		Nodes:                  b.core.Core().V1().Nodes(),
		TerminatedPodThreshold: cmp.Or(b.Cleaning.TerminatedPodThreshold, podgc.DefaultTerminatedPodThreshold),
	})
}

func (b *builder) vanishedNamespace(context.Context) (controller, error) {
	jobClient, err := versioned.NewForConfig(b.jobAPI(VanishedNamespace))
	if err != nil {
		return nil, err
	}
	hostClient, err := kubernetes.NewForConfig(b.hostAPI(VanishedNamespace))
	if err != nil {
		return nil, err
	}
	return vanishednamespace.New(vanishednamespace.Config{
		Jobs:       jobClient.BatchV1(),
		Informer:   b.jobs.Batch().V1().Jobs(),
		Namespaces: hostClient.CoreV1(),
		Memory:     b.Memory,
	})
}

// recorder makes a recorder of events that ends with ctx.
func (b *builder) recorder(ctx context.Context, name, component string) (record.EventRecorder, error) {
	client, err := kubernetes.NewForConfig(b.hostAPI(name))
	if err != nil {
		return nil, err
	}
	broadcaster := record.NewBroadcaster(record.WithContext(ctx))
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: client.CoreV1().Events("")})
	return broadcaster.NewRecorder(runtime.NewScheme(), corev1.EventSource{Component: component}), nil
}

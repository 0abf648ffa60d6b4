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

package standalone

import (
	"cmp"
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/metadata"
	restclient "k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"

	"github.com/jobserver-dev/jobserver/pkg/apiserver"
	"github.com/jobserver-dev/jobserver/pkg/controller/garbagecollector"
	"github.com/jobserver-dev/jobserver/pkg/controller/job"
	"github.com/jobserver-dev/jobserver/pkg/controller/job/plan"
	"github.com/jobserver-dev/jobserver/pkg/controller/namespace"
	"github.com/jobserver-dev/jobserver/pkg/controller/ttlafterfinished"
	"github.com/jobserver-dev/jobserver/pkg/generated/clientset/versioned"
	batchinformers "github.com/jobserver-dev/jobserver/pkg/generated/informers/externalversions"
)

// controllerBuilder makes the controllers of a standalone server: one process, one API, all of its own.
type controllerBuilder struct {
	loopback *restclient.Config
	options  Options

	// jobs and core are the caches that several controllers share. Pods in core are trimmed to what the Job controller reads.
	jobs batchinformers.SharedInformerFactory
	core informers.SharedInformerFactory
}

func newControllerBuilder(loopback *restclient.Config, options Options) (*controllerBuilder, error) {
	builder := &controllerBuilder{loopback: loopback, options: options}
	jobClient, err := versioned.NewForConfig(builder.client("job-informers"))
	if err != nil {
		return nil, err
	}
	coreClient, err := kubernetes.NewForConfig(builder.client("core-informers"))
	if err != nil {
		return nil, err
	}
	// No resync: the controllers are driven by events, and what has to happen later they put on their queues themselves.
	builder.jobs = batchinformers.NewSharedInformerFactory(jobClient, 0)
	builder.core = informers.NewSharedInformerFactoryWithOptions(coreClient, 0, informers.WithTransform(job.TrimPod))
	return builder, nil
}

// startCaches starts the shared caches that a controller asked for.
func (b *controllerBuilder) startCaches(ctx context.Context) {
	b.jobs.StartWithContext(ctx)
	b.core.StartWithContext(ctx)
}

func (b *controllerBuilder) client(name string) *restclient.Config {
	return apiserver.LoopbackClient(b.loopback, name)
}

// job marks Pods as upstream's Job controller does: nothing else looks after them here, and tools know those names.
func (b *controllerBuilder) job(ctx context.Context) (part, error) {
	jobClient, err := versioned.NewForConfig(b.client(jobController))
	if err != nil {
		return nil, err
	}
	podClient, err := kubernetes.NewForConfig(b.client(jobController))
	if err != nil {
		return nil, err
	}
	limits := plan.DefaultLimits()
	limits.FailureBackoff = cmp.Or(b.options.Job.PodFailureBackoff, limits.FailureBackoff)
	limits.FailureBackoffMax = cmp.Or(b.options.Job.PodFailureBackoffMax, limits.FailureBackoffMax)
	return job.New(ctx, job.Config{
		JobClient:       jobClient,
		PodClient:       podClient,
		Jobs:            b.jobs.Batch().V1().Jobs(),
		Pods:            b.core.Core().V1().Pods(),
		Identity:        job.KubeIdentity(),
		Workers:         b.options.Job.Syncs,
		SyncBatchPeriod: b.options.Job.SyncBatchPeriod,
		Limits:          limits,
	})
}

func (b *controllerBuilder) ttlAfterFinished(ctx context.Context) (part, error) {
	jobClient, err := versioned.NewForConfig(b.client(ttlAfterFinishedController))
	if err != nil {
		return nil, err
	}
	return ttlafterfinished.New(ctx, ttlafterfinished.Config{
		Jobs:     jobClient.BatchV1(),
		Informer: b.jobs.Batch().V1().Jobs(),
	})
}

func (b *controllerBuilder) garbageCollector(ctx context.Context) (part, error) {
	metadataClient, err := metadata.NewForConfig(b.client(garbageCollectorController))
	if err != nil {
		return nil, err
	}
	recorder, err := b.recorder(ctx, garbageCollectorController, garbagecollector.EventSource)
	if err != nil {
		return nil, err
	}
	return garbagecollector.New(ctx, garbagecollector.Config{
		Metadata:  metadataClient,
		Resources: collectedResources(),
		Recorder:  recorder,
	})
}

func (b *controllerBuilder) namespace(ctx context.Context) (part, error) {
	kubeClient, err := kubernetes.NewForConfig(b.client(namespaceController))
	if err != nil {
		return nil, err
	}
	metadataClient, err := metadata.NewForConfig(b.client(namespaceController))
	if err != nil {
		return nil, err
	}
	return namespace.New(ctx, namespace.Config{
		Core:      kubeClient.CoreV1(),
		Metadata:  metadataClient,
		Informer:  b.core.Core().V1().Namespaces(),
		Resources: namespacedResources(),
	})
}

// recorder writes events of the controller of that name as component.
func (b *controllerBuilder) recorder(ctx context.Context, name, component string) (record.EventRecorder, error) {
	client, err := kubernetes.NewForConfig(b.client(name))
	if err != nil {
		return nil, err
	}
	broadcaster := record.NewBroadcaster(record.WithContext(ctx))
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: client.CoreV1().Events("")})
	return broadcaster.NewRecorder(runtime.NewScheme(), corev1.EventSource{Component: component}), nil
}

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

package nodeagent

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/probe"
	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime"
	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime/program"
)

// defaultMaxPods is far above a kubelet's 110: a Pod here is a process, without a network or a file system of its own.
const defaultMaxPods = 1000

// defaultWorkers is how many Pods are looked at at a time. Most of that time is spent waiting for the API server and for disks.
const defaultWorkers = 16

// Config is what New needs.
type Config struct {
	// NodeName names the Node that this agent is. It must be a DNS subdomain.
	NodeName string
	// RootDir is where records, logs and working directories of Pods are kept. It must be absolute; it is made 0700. A later agent on
	// the same folder finds the Pods again. Two agents at a time are refused.
	RootDir string
	// Client calls the API server that this node belongs to.
	Client kubernetes.Interface
	// Clock is for tests; nil: the real one.
	Clock clock.WithTicker
	// SupervisorPath is the executable that is started to supervise a container: one that links package supervisor.
	// Empty: the one that package program has.
	SupervisorPath string
	// EndWithProcess has containers end, with their grace periods, when this process does, even if it is killed. Without it they go on.
	EndWithProcess bool
	// MaxPods is how many Pods the node takes; 0: 1000.
	MaxPods int
	// Logs bound what is kept of what containers print.
	Logs LogLimits
	// VolumeRefresh is how often a volume that shows configMaps, secrets, tokens or fields is brought up to date while a container may read it, give
	// or take a quarter; 0: 20 s.
	VolumeRefresh time.Duration
	// Workers is how many Pods are looked at at a time; 0: 16.
	Workers int
	// Version is shown as the version of the Node.
	Version string
	// Schedule has the agent bind Pods that no node has yet, and end those that were deleted before they had one. Without it some
	// scheduler does that, and the agent looks at no Pods but its own.
	Schedule bool
	// Registration is what the Node says of itself beside what the machine has.
	Registration Registration
}

// complete fills in defaults and checks the rest.
func (c *Config) complete() error {
	if messages := validation.IsDNS1123Subdomain(c.NodeName); len(messages) > 0 {
		return fmt.Errorf("node name %q: %s", c.NodeName, messages[0])
	}
	if !filepath.IsAbs(c.RootDir) {
		return fmt.Errorf("root folder %q is not an absolute path", c.RootDir)
	}
	if c.Client == nil {
		return errors.New("no client for the API server")
	}
	if c.MaxPods < 0 {
		return fmt.Errorf("the number of Pods must not be negative, it is %d", c.MaxPods)
	}
	if c.Workers < 0 {
		return fmt.Errorf("the number of workers must not be negative, it is %d", c.Workers)
	}
	if c.Clock == nil {
		c.Clock = clock.RealClock{}
	}
	if c.SupervisorPath == "" {
		c.SupervisorPath = program.Path()
	}
	if c.MaxPods == 0 {
		c.MaxPods = defaultMaxPods
	}
	if c.VolumeRefresh < 0 {
		return fmt.Errorf("the time between two refreshes of volumes must not be negative, it is %v", c.VolumeRefresh)
	}
	if c.VolumeRefresh == 0 {
		c.VolumeRefresh = defaultVolumeRefresh
	}
	if c.Workers == 0 {
		c.Workers = defaultWorkers
	}
	return c.Logs.complete()
}

// Agent is one node. Make it with New.
type Agent struct {
	config    Config
	runtime   runtime.Runtime
	scheduler *scheduler
	queue     workqueue.TypedRateLimitingInterface[types.UID]

	broadcaster record.EventBroadcaster
	recorder    record.EventRecorderLogger // as the kubelet

	pods  corelisters.PodLister
	nodes corelisters.NodeLister
	start func(ctx context.Context) error // starts the informers and waits for them

	tokens  *tokenCache
	configs *configWatches
	// configRetry and volumeRetry are the constants of their names, unless a test changes them.
	configRetry, volumeRetry time.Duration

	admissions admissions

	mu     sync.Mutex
	states map[types.UID]*podState

	prober  *probe.Prober
	besides sync.WaitGroup // hooks and probes that run

	tainted chan struct{} // holds one: the node or its Pods have changed, which taints.go looks at

	starting   sync.RWMutex // held for reading while a container is being started
	stopping   atomic.Bool  // StopAll was called: nothing is started any more
	recovered  atomic.Bool
	synced     atomic.Bool
	registered atomic.Bool
	leased     atomic.Bool // the heartbeat is a Lease, not the Node's status
}

// New checks the Config, takes possession of the root folder and returns an Agent to Run. Every error names what is wrong with which setting.
func New(config Config) (*Agent, error) {
	if err := config.complete(); err != nil {
		return nil, fmt.Errorf("node agent: %w", err)
	}
	a := &Agent{
		config: config, states: map[types.UID]*podState{}, prober: probe.New(), tokens: newTokenCache(config.Client, config.Clock), tainted: make(chan struct{}, 1),
		configRetry: configRetry, volumeRetry: volumeRetry,
	}
	a.configs = newConfigWatches(config.Client, config.Clock, func(podUID types.UID) { a.queue.Add(podUID) })
	processes, err := runtime.NewProcess(runtime.ProcessConfig{
		RootDir: config.RootDir, SupervisorPath: config.SupervisorPath, EndWithAgent: config.EndWithProcess,
		LogMaxSize: config.Logs.MaxSize, LogMaxFiles: config.Logs.MaxFiles, OnChange: func(podUID types.UID) { a.queue.Add(podUID) },
	})
	if err != nil {
		return nil, fmt.Errorf("node agent: %w", err)
	}
	a.runtime = processes
	a.queue = workqueue.NewTypedRateLimitingQueueWithConfig(
		workqueue.NewTypedItemExponentialFailureRateLimiter[types.UID](50*time.Millisecond, 10*time.Second),
		workqueue.TypedRateLimitingQueueConfig[types.UID]{Name: "nodeagent", Clock: config.Clock},
	)
	a.broadcaster = record.NewBroadcaster()
	a.recorder = a.broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "kubelet", Host: config.NodeName})
	a.scheduler = newScheduler(config, a.broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: corev1.DefaultSchedulerName}), a.node)
	if err := a.watchAPI(); err != nil {
		return nil, fmt.Errorf("node agent: %w", err)
	}
	return a, nil
}

// Run runs the node until ctx ends. Containers keep running then: a later agent on the same folder finds them. It is called once.
func (a *Agent) Run(ctx context.Context) error {
	defer a.runtime.Close()
	defer a.queue.ShutDown()
	a.broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: a.config.Client.CoreV1().Events("")})
	defer a.broadcaster.Shutdown()
	if err := a.runtime.Recover(ctx); err != nil {
		return fmt.Errorf("node agent: %w", err)
	}
	a.recovered.Store(true)
	defer a.besides.Wait()
	defer a.configs.running.Wait()
	var parts sync.WaitGroup
	defer parts.Wait()
	parts.Go(func() { a.keepNode(ctx, func() { a.registered.Store(true) }) })
	parts.Go(func() { a.keepLease(ctx) })
	if err := a.start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("node agent: %w", err)
	}
	a.readmit()
	a.findGonePods()
	a.synced.Store(true)
	klog.FromContext(ctx).Info("Node agent is running", "node", a.config.NodeName, "rootDir", a.config.RootDir)
	if a.config.Schedule {
		parts.Go(func() { a.scheduler.run(ctx) })
		parts.Go(func() { a.keepTaints(ctx) })
	}
	for range a.config.Workers {
		parts.Go(func() { a.work(ctx) })
	}
	<-ctx.Done()
	a.queue.ShutDown()
	return nil
}

// Ready returns nil once the agent has found the processes of its predecessor, knows the API's Pods and has registered its Node.
func (a *Agent) Ready() error {
	switch {
	case !a.recovered.Load():
		return errors.New("earlier containers are still being looked for")
	case !a.synced.Load():
		return errors.New("the Pods have not been read yet")
	case !a.registered.Load():
		return errors.New("the node is not registered yet")
	}
	return nil
}

// node returns this agent's Node, or nil while there is none.
func (a *Agent) node() *corev1.Node {
	node, err := a.nodes.Get(a.config.NodeName)
	if err != nil {
		return nil
	}
	return node
}

// work looks at Pods, one after another, until the queue is shut down.
func (a *Agent) work(ctx context.Context) {
	for {
		podUID, shutdown := a.queue.Get()
		if shutdown {
			return
		}
		again, err := a.syncPod(ctx, podUID)
		switch {
		case err != nil && ctx.Err() == nil:
			klog.FromContext(ctx).Error(err, "Failed to look after a Pod, trying again", "podUID", podUID)
			a.queue.AddRateLimited(podUID)
		default:
			a.queue.Forget(podUID)
			if again > 0 {
				a.queue.AddAfter(podUID, again)
			}
		}
		a.queue.Done(podUID)
	}
}

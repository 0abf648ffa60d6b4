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
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

// slowPods is a client whose creations of Pods wait: for the test to let them go on, or for their context to end.
type slowPods struct {
	kubernetes.Interface
	waiting   atomic.Int32
	cancelled atomic.Int32
	goOn      chan struct{}
}

func slow(client kubernetes.Interface) *slowPods {
	return &slowPods{Interface: client, goOn: make(chan struct{})}
}

func (s *slowPods) CoreV1() typedcorev1.CoreV1Interface {
	return slowCore{s.Interface.CoreV1(), s}
}

type slowCore struct {
	typedcorev1.CoreV1Interface
	slow *slowPods
}

func (c slowCore) Pods(namespace string) typedcorev1.PodInterface {
	return slowPodInterface{c.CoreV1Interface.Pods(namespace), c.slow}
}

type slowPodInterface struct {
	typedcorev1.PodInterface
	slow *slowPods
}

func (p slowPodInterface) Create(ctx context.Context, pod *corev1.Pod, options metav1.CreateOptions) (*corev1.Pod, error) {
	p.slow.waiting.Add(1)
	select {
	case <-ctx.Done():
		p.slow.cancelled.Add(1)
		return nil, ctx.Err()
	case <-p.slow.goOn:
		return p.PodInterface.Create(ctx, pod, options)
	}
}

// newSlowEnv returns an env with one worker that hangs in the creation of the Pod of a first Job. Stop it by what is returned,
// and wait for it by the channel.
func newSlowEnv(t *testing.T) (e *env, pods *slowPods, cancel context.CancelFunc, stopped <-chan error) {
	t.Helper()
	e = newEnv(t, func(c *Config) {
		pods = slow(c.PodClient)
		c.PodClient, c.Workers = pods, 1
	})
	ctx, cancel := context.WithCancel(e.ctx)
	t.Cleanup(cancel)
	done := make(chan error, 1)
	go func() { done <- e.controller.Run(ctx) }()
	e.create(newJob())
	e.until("the Pod is about to be created", func() bool { return pods.waiting.Load() == 1 })
	return e, pods, cancel, done
}

// ends waits for Run to return, without moving the clock.
func ends(t *testing.T, stopped <-chan error) {
	t.Helper()
	select {
	case err := <-stopped:
		if err != nil {
			t.Errorf("Run: %v", err)
		}
	case <-time.After(patience):
		t.Fatal("Run does not return")
	}
}

// A stop lets the sync under way do its writes, and begins no other.
func TestStopFinishesTheSyncUnderWayOnly(t *testing.T) {
	t.Parallel()
	e, pods, cancel, stopped := newSlowEnv(t)
	later := newJob()
	later.Name = "later"
	e.create(later)
	e.until("a second Job is queued", func() bool { return e.controller.queue.Len() == 1 })

	cancel()
	e.until("the queue is shut down", e.controller.queue.ShuttingDown)
	close(pods.goOn)
	ends(t, stopped)

	if pods.cancelled.Load() != 0 {
		t.Error("the creation was cancelled")
	}
	if got := e.job().Status.Active; got != 1 || len(e.pods()) != 1 {
		t.Errorf("%d Pods, %d active in the status; want the one that was under way%s", len(e.pods()), got, e.summary())
	}
	if got := pods.waiting.Load(); got != 1 {
		t.Errorf("%d creations were begun, want 1: the queued Job is the next process's", got)
	}
}

// A request that does not come to an end does not hold up the stop for longer than the grace period.
func TestStopCancelsWhatHangs(t *testing.T) {
	t.Parallel()
	e, pods, cancel, stopped := newSlowEnv(t)
	cancel()
	e.until("the grace period is waited for", func() bool {
		return e.controller.queue.ShuttingDown() && pods.cancelled.Load() == 1
	})
	ends(t, stopped)
	if len(e.pods()) != 0 || condition(e.job(), batchv1.JobComplete) != nil {
		t.Errorf("the cancelled request was carried out%s", e.summary())
	}
}

// Workers that have nothing under way stop at once: no grace period is waited for.
func TestStopIsImmediateWhereNothingIsUnderWay(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	ctx, cancel := context.WithCancel(e.ctx)
	done := make(chan error, 1)
	go func() { done <- e.controller.Run(ctx) }()
	e.create(newJob())
	e.until("the Pod is active", func() bool { return e.job().Status.Active == 1 })
	cancel()
	ends(t, done) // with a clock that stands still
}

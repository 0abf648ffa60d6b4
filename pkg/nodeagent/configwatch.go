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
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

// A Pod that waits for a configMap or secret is tried again every few seconds, as with a kubelet. Beside that, what it waits for is watched, so that it goes on
// at once when that is there: who applies a Pod before its configMap would otherwise wait for nothing.

// maxConfigWatches bounds the watches. What is beyond is only tried again.
const maxConfigWatches = 200

// configRewatch is the time between the end of a watch and the next one.
const configRewatch = time.Second

// configKey names a configMap or, where secret is true, a secret.
type configKey struct {
	secret          bool
	namespace, name string
}

// configReads holds the resource versions of what was read for a Pod; empty: there was no such object.
type configReads map[configKey]string

// configWatches wakes the Pods that wait when what they wait for has changed. Its methods may be called from any goroutine.
type configWatches struct {
	client kubernetes.Interface
	clock  clock.WithTicker
	wake   func(podUID types.UID)

	running sync.WaitGroup
	mu      sync.Mutex
	watches map[configKey]*configWatch
	woken   map[types.UID]bool
}

// configWatch is the watch of one object.
type configWatch struct {
	cancel context.CancelFunc
	// waiting holds what each Pod has seen of the object.
	waiting map[types.UID]string
}

func newConfigWatches(client kubernetes.Interface, clock clock.WithTicker, wake func(types.UID)) *configWatches {
	return &configWatches{client: client, clock: clock, wake: wake, watches: map[configKey]*configWatch{}, woken: map[types.UID]bool{}}
}

// await wakes the Pod once an object is not as it was read. The watches end with ctx, or with forget.
func (c *configWatches) await(ctx context.Context, podUID types.UID, reads configReads) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, seen := range reads {
		watched := c.watches[key]
		if watched == nil {
			if len(c.watches) >= maxConfigWatches {
				continue
			}
			watchCtx, cancel := context.WithCancel(ctx)
			watched = &configWatch{cancel: cancel, waiting: map[types.UID]string{}}
			c.watches[key] = watched
			c.running.Go(func() { c.follow(watchCtx, key, watched) })
		}
		watched.waiting[podUID] = seen
	}
}

// forget ends the waiting of a Pod.
func (c *configWatches) forget(podUID types.UID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.woken, podUID)
	for key, watched := range c.watches {
		delete(watched.waiting, podUID)
		if len(watched.waiting) == 0 {
			watched.cancel()
			delete(c.watches, key)
		}
	}
}

// takeWoken tells whether the Pod was woken since it was asked the last time.
func (c *configWatches) takeWoken(podUID types.UID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	woken := c.woken[podUID]
	delete(c.woken, podUID)
	return woken
}

// follow watches one object until ctx ends.
func (c *configWatches) follow(ctx context.Context, key configKey, watched *configWatch) {
	for {
		// Without a resource version the watch begins with what there is, so that nothing is missed between reading and watching.
		options := metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, key.name).String()}
		var events watch.Interface
		var err error
		if key.secret {
			events, err = c.client.CoreV1().Secrets(key.namespace).Watch(ctx, options)
		} else {
			events, err = c.client.CoreV1().ConfigMaps(key.namespace).Watch(ctx, options)
		}
		if err == nil {
			c.drain(ctx, events, key, watched)
		} else if ctx.Err() == nil {
			klog.FromContext(ctx).V(2).Info("Failed to watch what a Pod waits for, trying again", "namespace", key.namespace, "name", key.name, "reason", err.Error())
		}
		select {
		case <-ctx.Done():
			return
		case <-c.clock.After(configRewatch):
		}
	}
}

// drain takes in the events of a watch until it, or ctx, ends.
func (c *configWatches) drain(ctx context.Context, events watch.Interface, key configKey, watched *configWatch) {
	defer events.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case event, more := <-events.ResultChan():
			if !more {
				return
			}
			object, err := meta.Accessor(event.Object)
			if err == nil && object.GetName() == key.name && (event.Type == watch.Added || event.Type == watch.Modified) {
				c.changed(watched, object.GetResourceVersion())
			}
		}
	}
}

// changed wakes the Pods that have seen another version.
func (c *configWatches) changed(watched *configWatch, version string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for podUID, seen := range watched.waiting {
		if seen == "" || seen != version {
			watched.waiting[podUID] = version
			c.woken[podUID] = true
			c.wake(podUID)
		}
	}
}

// awaitConfigs has the Pod looked at as soon as something changes of what was read for it.
func (a *Agent) awaitConfigs(ctx context.Context, podUID types.UID, state *podState) {
	if len(state.reads) > 0 {
		state.awaiting = true
		a.configs.await(ctx, podUID, state.reads)
	}
}

// noticeConfigs makes an end of the delays of a Pod that was woken.
func (a *Agent) noticeConfigs(podUID types.UID, state *podState) {
	if state.awaiting && a.configs.takeWoken(podUID) {
		clear(state.retryAt)
		state.volumes.retryAt, state.volumes.delay = time.Time{}, 0
	}
}

// forgetConfigs drops what was read for a Pod that waits for nothing any more, and ends the watching.
func (a *Agent) forgetConfigs(podUID types.UID, state *podState) {
	state.reads = nil
	if state.awaiting {
		a.configs.forget(podUID)
		state.awaiting = false
	}
}

// noteRead keeps what was read for the Pod.
func (s *podState) noteRead(key configKey, version string) {
	if s.reads == nil {
		s.reads = configReads{}
	}
	s.reads[key] = version
}

// apiSource reads configMaps and secrets from the API server.
type apiSource struct {
	config Config
	// note is told what was read; nil: nobody is.
	note func(key configKey, version string)
}

// ConfigMap implements configSource.
func (s apiSource) ConfigMap(ctx context.Context, namespace, name string) (*corev1.ConfigMap, error) {
	configMap, err := s.config.Client.CoreV1().ConfigMaps(namespace).Get(ctx, name, metav1.GetOptions{})
	s.noted(configKey{false, namespace, name}, configMap, err)
	return configMap, singular(err, "configmap", name)
}

// Secret implements configSource.
func (s apiSource) Secret(ctx context.Context, namespace, name string) (*corev1.Secret, error) {
	secret, err := s.config.Client.CoreV1().Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
	s.noted(configKey{true, namespace, name}, secret, err)
	return secret, singular(err, "secret", name)
}

// noted passes on the version of what was read; an empty one where that failed.
func (s apiSource) noted(key configKey, object metav1.Object, err error) {
	switch {
	case s.note == nil:
	case err != nil:
		s.note(key, "")
	default:
		s.note(key, object.GetResourceVersion())
	}
}

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
	"sync"

	"k8s.io/apimachinery/pkg/watch"
	clienttesting "k8s.io/client-go/testing"
)

// gate lets events pass while it is open.
type gate struct {
	mu     sync.Mutex
	opened *sync.Cond
	closed bool
	// allowed is how many events pass a closed gate.
	allowed int
}

func (g *gate) init() { g.opened = sync.NewCond(&g.mu) }

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = false
	g.opened.Broadcast()
}

// allow lets the next n events pass a closed gate.
func (g *gate) allow(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.allowed = n
	g.opened.Broadcast()
}

func (g *gate) pass() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.closed && g.allowed == 0 {
		g.opened.Wait()
	}
	g.allowed = max(0, g.allowed-1)
}

// gatedWatch is the tracker's watch behind a gate.
func gatedWatch(tracker clienttesting.ObjectTracker, g *gate) clienttesting.WatchReactionFunc {
	return func(action clienttesting.Action) (bool, watch.Interface, error) {
		inner, err := tracker.Watch(action.GetResource(), action.GetNamespace(), action.(clienttesting.WatchActionImpl).ListOptions)
		if err != nil {
			return true, nil, err
		}
		out := make(chan watch.Event)
		outer := watch.NewProxyWatcher(out)
		go func() {
			defer close(out)
			defer inner.Stop()
			for {
				select {
				case <-outer.StopChan():
					return
				case event := <-inner.ResultChan():
					g.pass()
					select {
					case out <- event:
					case <-outer.StopChan():
						return
					}
				}
			}
		}()
		return true, outer, nil
	}
}

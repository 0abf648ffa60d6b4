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

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
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
	// broken says that the next event gets lost, and the watch with it.
	broken bool
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

// tear breaks the watch at its next event: what it has not told of by then is lost, and whoever watches has to list anew.
func (g *gate) tear() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.broken = true
	g.opened.Broadcast()
}

// pass returns when the next event may pass; false where the watch breaks instead.
func (g *gate) pass() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.closed && g.allowed == 0 && !g.broken {
		g.opened.Wait()
	}
	if g.broken {
		g.broken = false
		return false
	}
	g.allowed = max(0, g.allowed-1)
	return true
}

// gatedWatch is the tracker's watch behind a gate. It begins with the removals that there have been, since the tracker has none of those between a list
// and the watch that follows; the watcher knows most of them, and passes over them.
func gatedWatch(tracker clienttesting.ObjectTracker, g *gate, removed func() []runtime.Object) clienttesting.WatchReactionFunc {
	return func(action clienttesting.Action) (bool, watch.Interface, error) {
		inner, err := tracker.Watch(action.GetResource(), action.GetNamespace(), action.(clienttesting.WatchActionImpl).ListOptions)
		if err != nil {
			return true, nil, err
		}
		out := make(chan watch.Event)
		outer := watch.NewProxyWatcher(out)
		send := func(event watch.Event) bool {
			select {
			case out <- event:
				return true
			case <-outer.StopChan():
				return false
			}
		}
		before := removed()
		go func() {
			defer close(out)
			defer inner.Stop()
			for _, obj := range before {
				if !send(watch.Event{Type: watch.Deleted, Object: obj}) {
					return
				}
			}
			for {
				select {
				case <-outer.StopChan():
					return
				case event := <-inner.ResultChan():
					if !g.pass() {
						expired := apierrors.NewResourceExpired("the watch is torn").Status()
						send(watch.Event{Type: watch.Error, Object: &expired})
						return
					}
					if !send(event) {
						return
					}
				}
			}
		}()
		return true, outer, nil
	}
}

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
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime"
)

// beside is what the agent does beside the running containers of a Pod, hooks and probes, and what came of it. Each of them has a goroutine of its
// own, so its methods may be called from any. A nil *beside knows nothing.
type beside struct {
	mu       sync.Mutex
	attempts map[runtime.ID]*besideAttempt
}

// besideAttempt is what there is beside one running attempt.
type besideAttempt struct {
	// env is what the attempt was started with; nil where an earlier agent did that.
	env         []string
	hook        hookState
	hookMessage string
	probes      probeResults
	// probers ends the goroutines of the probes, by kind.
	probers map[probeKind]context.CancelFunc
}

func newBeside() *beside { return &beside{attempts: map[runtime.ID]*besideAttempt{}} }

// add makes an attempt known; found is what its probes are known to have found.
func (b *beside) add(id runtime.ID, env []string, found probeResults) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.attempts[id] = &besideAttempt{env: env, probes: found, probers: map[probeKind]context.CancelFunc{}}
}

func (b *beside) knows(id runtime.ID) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.attempts[id] != nil
}

// environment returns what the attempt was started with; nil where that isn't known.
func (b *beside) environment(id runtime.ID) []string {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if attempt := b.attempts[id]; attempt != nil {
		return attempt.env
	}
	return nil
}

// setHook takes in the state of an attempt's postStart hook; the message says why it failed.
func (b *beside) setHook(id runtime.ID, state hookState, message string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if attempt := b.attempts[id]; attempt != nil {
		attempt.hook, attempt.hookMessage = state, message
	}
}

// hookMessage says why the attempt's postStart hook failed; empty where it didn't.
func (b *beside) hookMessage(id runtime.ID) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if attempt := b.attempts[id]; attempt != nil {
		return attempt.hookMessage
	}
	return ""
}

// setProbe takes in what a probe found, and returns whether that is news.
func (b *beside) setProbe(id runtime.ID, kind probeKind, found probeResult) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	attempt := b.attempts[id]
	if attempt == nil {
		return false
	}
	result := attempt.probes.of(kind)
	news := *result != found
	*result = found
	return news
}

// addProber keeps how a probe is ended, unless there is one of that kind; it returns whether it did.
func (b *beside) addProber(id runtime.ID, kind probeKind, cancel context.CancelFunc) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	attempt := b.attempts[id]
	if attempt == nil || attempt.probers[kind] != nil {
		return false
	}
	attempt.probers[kind] = cancel
	return true
}

// endProber ends a probe for good.
func (b *beside) endProber(id runtime.ID, kind probeKind) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if attempt := b.attempts[id]; attempt != nil && attempt.probers[kind] != nil {
		attempt.probers[kind]()
	}
}

// keepOnly drops all attempts but those given, and ends their probes.
func (b *beside) keepOnly(ids []runtime.ID) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, attempt := range b.attempts {
		if slices.Contains(ids, id) {
			continue
		}
		for _, cancel := range attempt.probers {
			cancel()
		}
		delete(b.attempts, id)
	}
}

// observe fills in what the rules look at.
func (b *beside) observe(o *observation) {
	o.probes, o.hooks = map[runtime.ID]probeResults{}, map[runtime.ID]hookState{}
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, attempt := range b.attempts {
		o.probes[id] = attempt.probes
		if attempt.hook != hookNone {
			o.hooks[id] = attempt.hook
		}
	}
}

// tend starts what is to run beside the Pod's containers and isn't, and ends what is beside containers that don't run any more.
func (a *Agent) tend(ctx context.Context, pod *corev1.Pod, state *podState) {
	var alive []runtime.ID
	for _, attempt := range a.runtime.Containers(pod.UID) {
		container := findContainer(pod, attempt.ID.Container)
		if !attempt.Running || container == nil {
			continue
		}
		alive = append(alive, attempt.ID)
		target := execTarget{pod: pod, container: container, id: attempt.ID, beside: state.beside}
		adopted := !state.beside.knows(attempt.ID)
		if adopted {
			a.adopt(ctx, target)
		}
		if message := state.beside.hookMessage(attempt.ID); message != "" {
			state.waiting[container.Name] = waitReason{reasonPostStartHookError, message}
		}
		a.tendProbes(ctx, target, attempt, adopted)
	}
	state.beside.keepOnly(alive)
}

// adopt makes a container known that an earlier agent started: what the API says of it stays true until a probe says otherwise, and a postStart
// hook that had not ended by then runs again.
func (a *Agent) adopt(ctx context.Context, target execTarget) {
	var found probeResults
	status := findStatus(target.pod, target.container.Name)
	known := status != nil && status.ContainerID == containerIDPrefix+target.id.String() && status.State.Running != nil
	if known && isTrue(status.Started) {
		found.startup = probeSuccess
	}
	if known && status.Ready {
		found.readiness = probeSuccess
	}
	target.beside.add(target.id, nil, found)
	if !known {
		a.startHook(ctx, target)
	}
}

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

package runtime

import (
	"context"
	"fmt"

	"k8s.io/klog/v2"
)

// cgroupName names the cgroup of an attempt.
func cgroupName(id ID) string { return fmt.Sprintf("%s_%s_%d", id.PodUID, id.Container, id.Attempt) }

// LimitError implements Runtime.
func (p *Process) LimitError(controller string) error { return p.cgroups.Why(controller) }

// sweepCgroups deletes the cgroups of this agent that no attempt that runs is in, and kills what is in them.
func (p *Process) sweepCgroups(ctx context.Context) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return // the folder may be another's by now
	}
	running := map[string]bool{}
	for _, pod := range p.pods {
		if pod.starting != nil {
			running[cgroupName(pod.starting.ID)] = true
		}
		for _, attempts := range pod.containers {
			for _, entry := range attempts {
				running[cgroupName(entry.ID)] = running[cgroupName(entry.ID)] || entry.Running
			}
		}
	}
	p.mu.Unlock()
	if err := p.cgroups.Sweep(func(name string) bool { return running[name] }); err != nil {
		// They hold up nothing.
		klog.FromContext(ctx).Error(err, "Failed to delete cgroups that earlier containers have left")
	}
}

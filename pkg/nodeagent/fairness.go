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
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// First come, first served, without starving big Pods: the first Pod of the queue that lacks resources, and would have them on the empty node,
// keeps what is free. Later ones run only beside it, with what it doesn't need. So the node drains until the Pod fits.
//
// But a Pod that waits for one that never ends (a pool of workers) would keep the node idle for ever. So it lets others pass now and then: it keeps
// the resources for holdFirst, lets others pass for passFor, keeps them for twice as long, and so on. However long the others run, one of
// the ever longer times is longer.
const (
	holdFirst = 5 * time.Minute
	passFor   = time.Minute
)

// requeuePeriod is how often the queue is looked at again without any other reason while Pods wait.
const requeuePeriod = 15 * time.Second

// keepsPlace tells whether a Pod that has lacked resources for so long keeps what is free from later ones.
func keepsPlace(waited time.Duration) bool {
	for hold := holdFirst; ; hold *= 2 {
		if waited < hold {
			return true
		}
		if waited -= hold; waited < passFor {
			return false
		}
		waited -= passFor
	}
}

// waiting is a Pod in the queue.
type waiting struct {
	pod    *corev1.Pod
	demand corev1.ResourceList
	// arrival counts those that came to the queue before.
	arrival uint64
	// short is since when the Pod has lacked nothing but resources; zero while it doesn't.
	short time.Time
}

// verdict is what was decided about one Pod of the queue.
type verdict struct {
	pod *corev1.Pod
	// reasons are why it can't run now; none where it can.
	reasons []string
}

// schedule decides about a queue, which is in order. used is the demand of the Pods on the node, others are these Pods; both grow by those that
// get a place.
func schedule(queue []*waiting, node *corev1.Node, used corev1.ResourceList, others []*corev1.Pod, now time.Time) []verdict {
	empty := corev1.ResourceList{}
	var kept corev1.ResourceList // what is used and what is kept, once something is
	verdicts := make([]verdict, 0, len(queue))
	for _, w := range queue {
		reasons := misfits(w.pod, node, w.demand, used, others)
		lacks := len(reasons) > 0 && slices.Equal(reasons, shortages(w.demand, used, node)) && len(shortages(w.demand, empty, node)) == 0
		switch {
		case len(reasons) == 0 && kept != nil && len(shortages(w.demand, kept, node)) > 0:
			reasons = []string{reasonKept}
		case len(reasons) == 0:
			w.short = time.Time{}
			others = append(others, w.pod)
			add(used, w.demand, 1)
			if kept != nil {
				add(kept, w.demand, 1)
			}
		case !lacks:
			w.short = time.Time{}
		default:
			if w.short.IsZero() {
				w.short = now
			}
			if kept == nil && keepsPlace(now.Sub(w.short)) {
				kept = used.DeepCopy()
				add(kept, w.demand, 1)
			}
		}
		verdicts = append(verdicts, verdict{w.pod, reasons})
	}
	return verdicts
}

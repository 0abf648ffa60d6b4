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

package podgc

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
)

// nodeHealth remembers since when nodes are missing or silent, by the controller's own clock: those of the nodes may differ. It is
// lost with the process, which gives every node its grace anew. The zero value is ready to use.
type nodeHealth struct {
	missing map[string]time.Time
	reports map[string]report
}

// report is a heartbeat of a node, and when it was first seen here.
type report struct {
	heartbeat metav1.Time
	at        time.Time
}

// absent returns the names of the nodes that Pods are bound to and that there has been no Node for since at least quarantine.
func (h *nodeHealth) absent(pods []*corev1.Pod, nodes map[string]*corev1.Node, now time.Time, quarantine time.Duration) sets.Set[string] {
	missing, absent := map[string]time.Time{}, sets.New[string]()
	for _, pod := range pods {
		name := pod.Spec.NodeName
		if name == "" || nodes[name] != nil {
			continue
		}
		since, known := h.missing[name]
		if !known {
			since = now
		}
		missing[name] = since
		if now.Sub(since) >= quarantine {
			absent.Insert(name)
		}
	}
	h.missing = missing
	return absent
}

// silent returns the nodes that claim to be ready, or not to be, and have not reported for grace.
func (h *nodeHealth) silent(nodes map[string]*corev1.Node, now time.Time, grace time.Duration) []*corev1.Node {
	reports := map[string]report{}
	var silent []*corev1.Node
	for name, node := range nodes {
		var heartbeat metav1.Time
		ready := readyCondition(node)
		if ready != nil {
			heartbeat = ready.LastHeartbeatTime
		}
		last, known := h.reports[name]
		if !known || !last.heartbeat.Equal(&heartbeat) {
			last = report{heartbeat: heartbeat, at: now}
		}
		reports[name] = last
		if now.Sub(last.at) >= grace && (ready == nil || ready.Status != corev1.ConditionUnknown) {
			silent = append(silent, node)
		}
	}
	h.reports = reports
	return silent
}

// unreachableSince returns since when the node has been known not to report; false if it does.
func unreachableSince(node *corev1.Node) (time.Time, bool) {
	ready := readyCondition(node)
	if ready == nil || ready.Status != corev1.ConditionUnknown {
		return time.Time{}, false
	}
	return ready.LastTransitionTime.Time, true
}

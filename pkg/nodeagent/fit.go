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
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	resourcehelper "k8s.io/component-helpers/resource"
	schedulinghelper "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
	"k8s.io/klog/v2"
)

// demand is what a Pod takes of the node: its requests (overhead, init containers and sidecars as Kubernetes counts them), and its one place.
func demand(pod *corev1.Pod) corev1.ResourceList {
	list := resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{})
	if list == nil {
		list = corev1.ResourceList{}
	}
	list[corev1.ResourcePods] = *resource.NewQuantity(1, resource.DecimalSI)
	return list
}

// misfits returns why the Pod can't run on the node now, in the words of Kubernetes' scheduler; nothing where it can. As there, the first rule that
// it breaks is all that is told. used is the demand of the Pods on the node together, others are these Pods.
func misfits(pod *corev1.Pod, node *corev1.Node, wanted, used corev1.ResourceList, others []*corev1.Pod) []string {
	if never := nodeMisfit(pod, node); never != "" {
		return []string{never}
	}
	if portConflict(pod, others) {
		return []string{"node(s) didn't have free ports for the requested pod ports"}
	}
	if short := shortages(wanted, used, node); len(short) > 0 {
		return short
	}
	if among := neighbourMisfit(pod, node, others); among != "" {
		return []string{among}
	}
	return nil
}

// shortages names what the node has too little of.
func shortages(wanted, used corev1.ResourceList, node *corev1.Node) []string {
	var reasons []string
	for name, amount := range wanted {
		free := node.Status.Allocatable[name].DeepCopy()
		free.Sub(used[name])
		if amount.IsZero() || amount.Cmp(free) <= 0 {
			continue
		}
		if name == corev1.ResourcePods {
			reasons = append(reasons, "Too many pods")
		} else {
			reasons = append(reasons, "Insufficient "+string(name))
		}
	}
	slices.Sort(reasons)
	return reasons
}

// nodeMisfit returns why the Pod may not run on a node like this, however empty it is.
func nodeMisfit(pod *corev1.Pod, node *corev1.Node) string {
	if node.Spec.Unschedulable && !tolerates(pod, corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule}) {
		return "node(s) were unschedulable"
	}
	for _, taint := range effectiveTaints(node) {
		if taint.Effect != corev1.TaintEffectPreferNoSchedule && !tolerates(pod, taint) {
			return messageUntolerated
		}
	}
	if matches, err := nodeaffinity.GetRequiredNodeAffinity(pod).Match(node); err != nil || !matches {
		return messageNodeAffinity
	}
	return ""
}

const (
	messageUntolerated  = "node(s) had untolerated taint(s)"
	messageNodeAffinity = "node(s) didn't match Pod's node affinity/selector"
)

// tolerates tells whether the Pod puts up with a taint. One with requests puts up with a lack of memory, as Kubernetes' admission has it.
func tolerates(pod *corev1.Pod, taint corev1.Taint) bool {
	if taint.Key == corev1.TaintNodeMemoryPressure && pod.Status.QOSClass != corev1.PodQOSBestEffort {
		return true
	}
	return schedulinghelper.TolerationsTolerateTaint(klog.Background(), pod.Spec.Tolerations, &taint, true)
}

// conditionTaints are the taints that the node lifecycle controller of Kubernetes derives from a Node's conditions.
var conditionTaints = map[corev1.NodeConditionType]map[corev1.ConditionStatus]string{
	corev1.NodeReady:          {corev1.ConditionFalse: corev1.TaintNodeNotReady, corev1.ConditionUnknown: corev1.TaintNodeUnreachable},
	corev1.NodeMemoryPressure: {corev1.ConditionTrue: corev1.TaintNodeMemoryPressure},
	corev1.NodeDiskPressure:   {corev1.ConditionTrue: corev1.TaintNodeDiskPressure},
	corev1.NodePIDPressure:    {corev1.ConditionTrue: corev1.TaintNodePIDPressure},
}

// effectiveTaints are the Node's taints, and those that follow from its conditions where no controller puts them on the Node. The
// taint of a cordoned node is left out: spec.unschedulable says the same.
func effectiveTaints(node *corev1.Node) []corev1.Taint {
	var taints []corev1.Taint
	for _, taint := range node.Spec.Taints {
		if taint.Key != corev1.TaintNodeUnschedulable {
			taints = append(taints, taint)
		}
	}
	for _, condition := range node.Status.Conditions {
		key := conditionTaints[condition.Type][condition.Status]
		if key != "" && !slices.ContainsFunc(taints, func(taint corev1.Taint) bool { return taint.Key == key }) {
			taints = append(taints, corev1.Taint{Key: key, Effect: corev1.TaintEffectNoSchedule})
		}
	}
	return taints
}

// reasonKept is why a Pod waits that would fit, if it didn't take what an earlier one waits for: see fairness.go.
const reasonKept = "node(s) keep what is free for pods that came first"

// unschedulableMessage is the scheduler's message for a Pod that doesn't fit the only node.
func unschedulableMessage(reasons []string) string {
	counted := make([]string, len(reasons))
	for i, reason := range reasons {
		counted[i] = "1 " + reason
	}
	return fmt.Sprintf("0/1 nodes are available: %s.", strings.Join(counted, ", "))
}

// add adds b's quantities to a's, times sign (1 or -1).
func add(a, b corev1.ResourceList, sign int) {
	for name, quantity := range b {
		sum := a[name].DeepCopy()
		if sign < 0 {
			sum.Sub(quantity)
		} else {
			sum.Add(quantity)
		}
		a[name] = sum
	}
}

// byPrecedence orders the queue: the higher priority first, and among equals first come, first served. Times have a resolution of seconds, so
// within one it counts who was seen first. Names make the order complete: an agent that starts sees all that wait at once.
func byPrecedence(a, b *waiting) int {
	return cmp.Or(
		cmp.Compare(priority(b.pod), priority(a.pod)),
		a.pod.CreationTimestamp.Compare(b.pod.CreationTimestamp.Time), cmp.Compare(a.arrival, b.arrival),
		cmp.Compare(a.pod.Namespace, b.pod.Namespace), cmp.Compare(a.pod.Name, b.pod.Name),
	)
}

func priority(pod *corev1.Pod) int32 {
	if pod.Spec.Priority == nil {
		return 0
	}
	return *pod.Spec.Priority
}

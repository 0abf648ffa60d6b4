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

// demand is what a Pod takes of the node: its requests, and its one place.
func demand(pod *corev1.Pod) corev1.ResourceList {
	list := resourcehelper.PodRequests(pod, resourcehelper.PodResourcesOptions{})
	if list == nil {
		list = corev1.ResourceList{}
	}
	list[corev1.ResourcePods] = *resource.NewQuantity(1, resource.DecimalSI)
	return list
}

// misfits returns why the Pod can't run on the node now, in the words of Kubernetes' scheduler; nothing where it can. used is
// the demand of all Pods on the node together.
func misfits(pod *corev1.Pod, node *corev1.Node, used corev1.ResourceList) []string {
	if never := nodeMisfit(pod, node); never != "" {
		// As with the scheduler, resources aren't looked at then.
		return []string{never}
	}
	reasons := constraintMisfits(pod)
	for name, wanted := range demand(pod) {
		free := node.Status.Allocatable[name].DeepCopy()
		free.Sub(used[name])
		if wanted.IsZero() || wanted.Cmp(free) <= 0 {
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

// nodeMisfit returns why the Pod may never run on a node like this.
func nodeMisfit(pod *corev1.Pod, node *corev1.Node) string {
	taints := node.Spec.Taints
	if node.Spec.Unschedulable {
		unschedulable := corev1.Taint{Key: corev1.TaintNodeUnschedulable, Effect: corev1.TaintEffectNoSchedule}
		if !schedulinghelper.TolerationsTolerateTaint(klog.Background(), pod.Spec.Tolerations, &unschedulable, true) {
			return "node(s) were unschedulable"
		}
		// The API server of a cluster adds the same as a taint; what tolerates it tolerates both.
		taints = slices.DeleteFunc(slices.Clone(taints), func(taint corev1.Taint) bool { return taint.Key == corev1.TaintNodeUnschedulable })
	}
	repels := func(taint *corev1.Taint) bool {
		return taint.Effect == corev1.TaintEffectNoSchedule || taint.Effect == corev1.TaintEffectNoExecute
	}
	if taint, found := schedulinghelper.FindMatchingUntoleratedTaint(klog.Background(), taints, pod.Spec.Tolerations, repels, true); found {
		return fmt.Sprintf("node(s) had untolerated taint(s) {%s: %s}", taint.Key, taint.Value)
	}
	if matches, err := nodeaffinity.GetRequiredNodeAffinity(pod).Match(node); err != nil || !matches {
		return "node(s) didn't match Pod's node affinity/selector"
	}
	return ""
}

// constraintMisfits refuses the placement rules between Pods: with one node they would ask for things that only a cluster has.
func constraintMisfits(pod *corev1.Pod) []string {
	var reasons []string
	if affinity := pod.Spec.Affinity; affinity != nil {
		if affinity.PodAffinity != nil && len(affinity.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution) > 0 {
			reasons = append(reasons, "node(s) don't support required spec.affinity.podAffinity")
		}
		if affinity.PodAntiAffinity != nil && len(affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution) > 0 {
			reasons = append(reasons, "node(s) don't support required spec.affinity.podAntiAffinity")
		}
	}
	for _, constraint := range pod.Spec.TopologySpreadConstraints {
		// On one node the skew is always within bounds; only a minimum of several domains can't be met.
		if constraint.WhenUnsatisfiable == corev1.DoNotSchedule && constraint.MinDomains != nil && *constraint.MinDomains > 1 {
			reasons = append(reasons, "node(s) didn't match pod topology spread constraints")
			break
		}
	}
	return reasons
}

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

// byCreation orders Pods first come, first served. Times have a resolution of seconds, so names decide within one.
func byCreation(a, b *corev1.Pod) int {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

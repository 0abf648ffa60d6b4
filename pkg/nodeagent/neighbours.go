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

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// The rules between a Pod and those that run already, as Kubernetes' scheduler has them, where there is one node: it is the only domain of
// every topology whose key it has as a label. Preferences change nothing there.

const (
	messageSpread           = "node(s) didn't match pod topology spread constraints"
	messageSpreadLabel      = messageSpread + " (missing required label)"
	messageAffinity         = "node(s) didn't match pod affinity rules"
	messageAntiAffinity     = "node(s) didn't match pod anti-affinity rules"
	messageExistingAnti     = "node(s) didn't satisfy existing pods anti-affinity rules"
	messageNamespaceUnknown = "node(s) don't support namespaceSelector with labels in pod affinity rules"
)

// neighbourMisfit returns the first rule between Pods that a Pod breaks on the node beside others, or the empty string.
func neighbourMisfit(pod *corev1.Pod, node *corev1.Node, others []*corev1.Pod) string {
	if message := spreadMisfit(pod, node, others); message != "" {
		return message
	}
	affinity, anti := requiredTerms(pod)
	for _, term := range slices.Concat(affinity, anti) {
		// Which labels a namespace has is not known here.
		if term.NamespaceSelector != nil && !isEmptySelector(term.NamespaceSelector) {
			return messageNamespaceUnknown
		}
	}
	if !affinityMet(pod, node, affinity, others) {
		return messageAffinity
	}
	for _, term := range anti {
		if hasLabel(node, term.TopologyKey) && slices.ContainsFunc(others, func(other *corev1.Pod) bool { return termMatches(pod, &term, other) }) {
			return messageAntiAffinity
		}
	}
	for _, other := range others {
		_, anti := requiredTerms(other)
		for _, term := range anti {
			if hasLabel(node, term.TopologyKey) && termMatches(other, &term, pod) {
				return messageExistingAnti
			}
		}
	}
	return ""
}

// affinityMet tells whether each term has a Pod beside it. The first Pod of a group that wants to be together needs nobody but itself.
func affinityMet(pod *corev1.Pod, node *corev1.Node, terms []corev1.PodAffinityTerm, others []*corev1.Pod) bool {
	if len(terms) == 0 {
		return true
	}
	matchesAll := func(other *corev1.Pod) bool {
		return !slices.ContainsFunc(terms, func(term corev1.PodAffinityTerm) bool { return !termMatches(pod, &term, other) })
	}
	if slices.ContainsFunc(terms, func(term corev1.PodAffinityTerm) bool { return !hasLabel(node, term.TopologyKey) }) {
		return false
	}
	return slices.ContainsFunc(others, matchesAll) || matchesAll(pod)
}

// spreadMisfit checks the constraints that must hold. With one domain the skew is 1 at most, unless several domains are demanded: then the
// missing ones are empty.
func spreadMisfit(pod *corev1.Pod, node *corev1.Node, others []*corev1.Pod) string {
	for i := range pod.Spec.TopologySpreadConstraints {
		constraint := &pod.Spec.TopologySpreadConstraints[i]
		if constraint.WhenUnsatisfiable != corev1.DoNotSchedule {
			continue
		}
		if !hasLabel(node, constraint.TopologyKey) {
			return messageSpreadLabel
		}
		if constraint.MinDomains == nil || *constraint.MinDomains <= 1 {
			continue
		}
		skew := 0
		for _, candidate := range append([]*corev1.Pod{pod}, others...) {
			if candidate.Namespace == pod.Namespace && candidate.DeletionTimestamp == nil && selects(constraint.LabelSelector, candidate) {
				skew++
			}
		}
		if skew > int(constraint.MaxSkew) {
			return messageSpread
		}
	}
	return ""
}

// requiredTerms returns what a Pod wants beside itself, and what it doesn't.
func requiredTerms(pod *corev1.Pod) (affinity, anti []corev1.PodAffinityTerm) {
	if pod.Spec.Affinity == nil {
		return nil, nil
	}
	if rules := pod.Spec.Affinity.PodAffinity; rules != nil {
		affinity = rules.RequiredDuringSchedulingIgnoredDuringExecution
	}
	if rules := pod.Spec.Affinity.PodAntiAffinity; rules != nil {
		anti = rules.RequiredDuringSchedulingIgnoredDuringExecution
	}
	return affinity, anti
}

// termMatches tells whether a term of owner speaks of other.
func termMatches(owner *corev1.Pod, term *corev1.PodAffinityTerm, other *corev1.Pod) bool {
	inNamespace := slices.Contains(term.Namespaces, other.Namespace)
	switch {
	case term.NamespaceSelector != nil:
		inNamespace = inNamespace || isEmptySelector(term.NamespaceSelector)
	case len(term.Namespaces) == 0:
		inNamespace = other.Namespace == owner.Namespace
	}
	return inNamespace && selects(term.LabelSelector, other)
}

// isEmptySelector tells whether a selector selects everything.
func isEmptySelector(selector *metav1.LabelSelector) bool {
	return len(selector.MatchLabels) == 0 && len(selector.MatchExpressions) == 0
}

// selects tells whether the selector selects the Pod. None selects nothing, and neither does one that the API server would refuse.
func selects(selector *metav1.LabelSelector, pod *corev1.Pod) bool {
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && parsed.Matches(labels.Set(pod.Labels))
}

func hasLabel(node *corev1.Node, key string) bool {
	_, ok := node.Labels[key]
	return ok
}

// portConflict tells whether the Pod wants a port of the machine that another one has.
func portConflict(pod *corev1.Pod, others []*corev1.Pod) bool {
	wanted := hostPorts(pod)
	if len(wanted) == 0 {
		return false
	}
	for _, other := range others {
		for _, taken := range hostPorts(other) {
			if slices.ContainsFunc(wanted, func(port corev1.ContainerPort) bool {
				return port.HostPort == taken.HostPort && port.Protocol == taken.Protocol &&
					(port.HostIP == taken.HostIP || isAnyAddress(port.HostIP) || isAnyAddress(taken.HostIP))
			}) {
				return true
			}
		}
	}
	return false
}

func isAnyAddress(ip string) bool { return ip == "" || ip == "0.0.0.0" }

// hostPorts are the ports of the machine that the Pod's main containers and sidecars name.
func hostPorts(pod *corev1.Pod) []corev1.ContainerPort {
	var ports []corev1.ContainerPort
	add := func(container *corev1.Container) {
		for _, port := range container.Ports {
			if port.HostPort != 0 {
				ports = append(ports, port)
			}
		}
	}
	for i := range pod.Spec.Containers {
		add(&pod.Spec.Containers[i])
	}
	for i := range pod.Spec.InitContainers {
		if isSidecar(pod, &pod.Spec.InitContainers[i]) {
			add(&pod.Spec.InitContainers[i])
		}
	}
	return ports
}

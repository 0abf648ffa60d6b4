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
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestNeighbourMisfit(t *testing.T) {
	t.Parallel()
	const host = corev1.LabelHostname
	labelled := func(namespace, app string) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Labels: map[string]string{"app": app}}}
	}
	selector := func(app string) *metav1.LabelSelector {
		return &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}
	}
	near := func(pod *corev1.Pod, terms ...corev1.PodAffinityTerm) *corev1.Pod {
		pod.Spec.Affinity = &corev1.Affinity{PodAffinity: &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: terms}}
		return pod
	}
	far := func(pod *corev1.Pod, terms ...corev1.PodAffinityTerm) *corev1.Pod {
		pod.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{RequiredDuringSchedulingIgnoredDuringExecution: terms}}
		return pod
	}
	spread := func(pod *corev1.Pod, constraint corev1.TopologySpreadConstraint) *corev1.Pod {
		constraint.MaxSkew, constraint.WhenUnsatisfiable, constraint.LabelSelector = 1, corev1.DoNotSchedule, selector("a")
		pod.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{constraint}
		return pod
	}
	term := func(app, key string) corev1.PodAffinityTerm {
		return corev1.PodAffinityTerm{LabelSelector: selector(app), TopologyKey: key}
	}
	elsewhere := func(app string, namespaces ...string) corev1.PodAffinityTerm {
		return corev1.PodAffinityTerm{LabelSelector: selector(app), TopologyKey: host, Namespaces: namespaces}
	}
	selected := func(app string, namespaces metav1.LabelSelector) corev1.PodAffinityTerm {
		return corev1.PodAffinityTerm{LabelSelector: selector(app), TopologyKey: host, NamespaceSelector: &namespaces}
	}
	const (
		affinity = "node(s) didn't match pod affinity rules"
		anti     = "node(s) didn't match pod anti-affinity rules"
		existing = "node(s) didn't satisfy existing pods anti-affinity rules"
	)
	tests := map[string]struct {
		pod    *corev1.Pod
		others []*corev1.Pod
		want   string
	}{
		"nothing asked":                     {labelled("n", "a"), []*corev1.Pod{labelled("n", "a")}, ""},
		"near one that runs":                {near(labelled("n", "a"), term("b", host)), []*corev1.Pod{labelled("n", "b")}, ""},
		"near one of another namespace":     {near(labelled("n", "a"), term("b", host)), []*corev1.Pod{labelled("m", "b")}, affinity},
		"near one of a named namespace":     {near(labelled("n", "a"), elsewhere("b", "m")), []*corev1.Pod{labelled("m", "b")}, ""},
		"near one of any namespace":         {near(labelled("n", "a"), selected("b", metav1.LabelSelector{})), []*corev1.Pod{labelled("m", "b")}, ""},
		"namespaces by label":               {near(labelled("n", "a"), selected("b", *selector("x"))), []*corev1.Pod{labelled("n", "b")}, "node(s) don't support namespaceSelector with labels in pod affinity rules"},
		"near nobody":                       {near(labelled("n", "a"), term("b", host)), nil, affinity},
		"first of its group":                {near(labelled("n", "a"), term("a", host)), nil, ""},
		"near, in a topology without label": {near(labelled("n", "a"), term("a", "zone")), nil, affinity},
		"near two, of which one is missing": {near(labelled("n", "a"), term("b", host), term("c", host)), []*corev1.Pod{labelled("n", "b")}, affinity},
		"far from one that runs":            {far(labelled("n", "a"), term("b", host)), []*corev1.Pod{labelled("n", "b")}, anti},
		"far from one of another namespace": {far(labelled("n", "a"), term("b", host)), []*corev1.Pod{labelled("m", "b")}, ""},
		"far from nobody":                   {far(labelled("n", "a"), term("a", host)), nil, ""},
		"far, in a topology without label":  {far(labelled("n", "a"), term("b", "zone")), []*corev1.Pod{labelled("n", "b")}, ""},
		"one that runs wants distance":      {labelled("n", "a"), []*corev1.Pod{far(labelled("n", "b"), term("a", host))}, existing},
		"one that runs is not concerned":    {labelled("n", "a"), []*corev1.Pod{far(labelled("n", "b"), term("c", host))}, ""},
		"spread over one domain":            {spread(labelled("n", "a"), corev1.TopologySpreadConstraint{TopologyKey: host}), []*corev1.Pod{labelled("n", "a"), labelled("n", "a")}, ""},
		"first of those spread over two":    {spread(labelled("n", "a"), corev1.TopologySpreadConstraint{TopologyKey: host, MinDomains: new(int32(2))}), []*corev1.Pod{labelled("n", "b")}, ""},
		"second of those spread over two":   {spread(labelled("n", "a"), corev1.TopologySpreadConstraint{TopologyKey: host, MinDomains: new(int32(2))}), []*corev1.Pod{labelled("n", "a")}, "node(s) didn't match pod topology spread constraints"},
		"spread, topology without label":    {spread(labelled("n", "a"), corev1.TopologySpreadConstraint{TopologyKey: "zone"}), nil, "node(s) didn't match pod topology spread constraints (missing required label)"},
	}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{host: "node"}}}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := neighbourMisfit(test.pod, node, test.others); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestPortConflict(t *testing.T) {
	t.Parallel()
	with := func(ip string, port int32) *corev1.Pod {
		return &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Ports: []corev1.ContainerPort{{HostIP: ip, HostPort: port, Protocol: corev1.ProtocolTCP}}}}}}
	}
	tests := map[string]struct {
		pod, other *corev1.Pod
		want       bool
	}{
		"same":              {with("", 80), with("", 80), true},
		"other port":        {with("", 80), with("", 81), false},
		"any and one":       {with("0.0.0.0", 80), with("127.0.0.1", 80), true},
		"two addresses":     {with("127.0.0.2", 80), with("127.0.0.1", 80), false},
		"none on the host":  {with("", 0), with("", 0), false},
		"nothing is wanted": {shellPod("p", "true"), with("", 80), false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := portConflict(test.pod, []*corev1.Pod{test.other}); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
		})
	}
}

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
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestMisfits(t *testing.T) {
	t.Parallel()
	amounts := func(cpu, memory, pods string) corev1.ResourceList {
		return corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory), corev1.ResourcePods: resource.MustParse(pods),
		}
	}
	tests := map[string]struct {
		pod  func(*corev1.Pod)
		node func(*corev1.Node)
		used corev1.ResourceList
		want []string
	}{
		"fits exactly":     {used: amounts("3", "1Gi", "1")},
		"no cpu":           {used: amounts("3500m", "1Gi", "1"), want: []string{"Insufficient cpu"}},
		"nothing left":     {used: amounts("4", "2Gi", "2"), want: []string{"Insufficient cpu", "Insufficient memory", "Too many pods"}},
		"asks for nothing": {used: amounts("4", "2Gi", "1"), pod: func(p *corev1.Pod) { p.Spec.Containers[0].Resources = corev1.ResourceRequirements{} }},
		"unknown resource": {used: amounts("0", "0", "0"), pod: func(p *corev1.Pod) {
			p.Spec.Containers[0].Resources.Requests["example.com/gpu"] = resource.MustParse("1")
		}, want: []string{"Insufficient example.com/gpu"}},
		"init container": {used: amounts("0", "0", "0"), pod: func(p *corev1.Pod) {
			p.Spec.InitContainers = []corev1.Container{{Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{"cpu": resource.MustParse("5")}}}}
		}, want: []string{"Insufficient cpu"}},
		"selector":           {pod: func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"disk": "ssd"} }},
		"other selector":     {pod: func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"disk": "tape"} }, want: []string{"node(s) didn't match Pod's node affinity/selector"}},
		"cordoned":           {node: func(n *corev1.Node) { n.Spec.Unschedulable = true }, want: []string{"node(s) were unschedulable"}},
		"cordoned, tolerant": {node: func(n *corev1.Node) { n.Spec.Unschedulable = true }, pod: func(p *corev1.Pod) { p.Spec.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}} }},
		"tainted": {node: func(n *corev1.Node) {
			n.Spec.Taints = []corev1.Taint{{Key: "team", Value: "a", Effect: corev1.TaintEffectNoSchedule}}
		}, want: []string{"node(s) had untolerated taint(s) {team: a}"}},
		"softly tainted": {node: func(n *corev1.Node) {
			n.Spec.Taints = []corev1.Taint{{Key: "team", Effect: corev1.TaintEffectPreferNoSchedule}}
		}},
		"Pod affinity": {pod: func(p *corev1.Pod) {
			p.Spec.Affinity = &corev1.Affinity{PodAffinity: &corev1.PodAffinity{RequiredDuringSchedulingIgnoredDuringExecution: make([]corev1.PodAffinityTerm, 1)}}
		}, want: []string{"node(s) don't support required spec.affinity.podAffinity"}},
		"spread over two": {pod: func(p *corev1.Pod) {
			p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{WhenUnsatisfiable: corev1.DoNotSchedule, MinDomains: new(int32(2))}}
		}, want: []string{"node(s) didn't match pod topology spread constraints"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pod := shellPod("pod", "true")
			pod.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1"), corev1.ResourceMemory: resource.MustParse("1Gi")}
			node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node", Labels: map[string]string{"disk": "ssd"}}, Status: corev1.NodeStatus{Allocatable: amounts("4", "2Gi", "2")}}
			if test.pod != nil {
				test.pod(pod)
			}
			if test.node != nil {
				test.node(node)
			}
			if diff := cmp.Diff(test.want, misfits(pod, node, test.used)); diff != "" {
				t.Errorf("reasons differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestQueueOrder(t *testing.T) {
	t.Parallel()
	made := func(name string, second int) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(now.Add(time.Duration(second) * time.Second))}}
	}
	queue := []*corev1.Pod{made("c", 1), made("b", 2), made("a", 2), made("d", 0)}
	slices.SortFunc(queue, byCreation)
	var names []string
	for _, pod := range queue {
		names = append(names, pod.Name)
	}
	if diff := cmp.Diff([]string{"d", "c", "a", "b"}, names); diff != "" {
		t.Errorf("order differs (-want +got):\n%s", diff)
	}
}

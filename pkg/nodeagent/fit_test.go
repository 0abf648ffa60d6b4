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
		}, want: []string{"node(s) had untolerated taint(s)"}},
		"softly tainted": {node: func(n *corev1.Node) {
			n.Spec.Taints = []corev1.Taint{{Key: "team", Effect: corev1.TaintEffectPreferNoSchedule}}
		}},
		"tainted, tolerant": {node: func(n *corev1.Node) {
			n.Spec.Taints = []corev1.Taint{{Key: "team", Value: "a", Effect: corev1.TaintEffectNoExecute}}
		}, pod: func(p *corev1.Pod) {
			p.Spec.Tolerations = []corev1.Toleration{{Key: "team", Operator: corev1.TolerationOpEqual, Value: "a"}}
		}},
		"tolerates another value": {node: func(n *corev1.Node) {
			n.Spec.Taints = []corev1.Taint{{Key: "team", Value: "a", Effect: corev1.TaintEffectNoExecute}}
		}, pod: func(p *corev1.Pod) {
			p.Spec.Tolerations = []corev1.Toleration{{Key: "team", Operator: corev1.TolerationOpEqual, Value: "b"}}
		}, want: []string{"node(s) had untolerated taint(s)"}},
		"required affinity": {pod: func(p *corev1.Pod) {
			requireLabel(p, corev1.NodeSelectorRequirement{Key: "disk", Operator: corev1.NodeSelectorOpIn, Values: []string{"tape", "ssd"}})
		}},
		"other required affinity": {pod: func(p *corev1.Pod) {
			requireLabel(p, corev1.NodeSelectorRequirement{Key: "disk", Operator: corev1.NodeSelectorOpDoesNotExist})
		}, want: []string{"node(s) didn't match Pod's node affinity/selector"}},
		"taint before resources": {used: amounts("4", "2Gi", "2"), node: func(n *corev1.Node) {
			n.Spec.Taints = []corev1.Taint{{Key: "team", Effect: corev1.TaintEffectNoSchedule}}
		}, want: []string{"node(s) had untolerated taint(s)"}},
		"not ready": {node: func(n *corev1.Node) { setNodeCondition(n, corev1.NodeReady, corev1.ConditionFalse) }, want: []string{"node(s) had untolerated taint(s)"}},
		"disk full": {node: func(n *corev1.Node) { setNodeCondition(n, corev1.NodeDiskPressure, corev1.ConditionTrue) }, want: []string{"node(s) had untolerated taint(s)"}},
		"memory short, requests": {node: func(n *corev1.Node) { setNodeCondition(n, corev1.NodeMemoryPressure, corev1.ConditionTrue) }, pod: func(p *corev1.Pod) {
			p.Status.QOSClass = corev1.PodQOSBurstable
		}},
		"memory short, best effort": {node: func(n *corev1.Node) { setNodeCondition(n, corev1.NodeMemoryPressure, corev1.ConditionTrue) }, pod: func(p *corev1.Pod) {
			p.Status.QOSClass = corev1.PodQOSBestEffort
		}, want: []string{"node(s) had untolerated taint(s)"}},
		"overhead": {used: amounts("3", "0", "0"), pod: func(p *corev1.Pod) {
			p.Spec.Overhead = corev1.ResourceList{"cpu": resource.MustParse("1m")}
		}, want: []string{"Insufficient cpu"}},
		"sidecar beside main": {used: amounts("2500m", "0", "0"), pod: func(p *corev1.Pod) {
			p.Spec.InitContainers = []corev1.Container{{RestartPolicy: new(corev1.ContainerRestartPolicyAlways), Resources: p.Spec.Containers[0].Resources}}
		}, want: []string{"Insufficient cpu"}},
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
			if diff := cmp.Diff(test.want, misfits(pod, node, demand(pod), test.used, nil)); diff != "" {
				t.Errorf("reasons differ (-want +got):\n%s", diff)
			}
		})
	}
}

func requireLabel(pod *corev1.Pod, requirement corev1.NodeSelectorRequirement) {
	pod.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
		NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{requirement}}},
	}}}
}

func setNodeCondition(node *corev1.Node, kind corev1.NodeConditionType, status corev1.ConditionStatus) {
	node.Status.Conditions = []corev1.NodeCondition{{Type: kind, Status: status}}
}

func TestQueueOrder(t *testing.T) {
	t.Parallel()
	made := func(name string, second int, priority *int32, arrival uint64) *waiting {
		return &waiting{arrival: arrival, pod: &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(now.Add(time.Duration(second) * time.Second))},
			Spec:       corev1.PodSpec{Priority: priority},
		}}
	}
	queue := []*waiting{
		made("c", 1, nil, 9), made("f", 2, nil, 4), made("e", 2, nil, 4), made("a", 2, nil, 3), made("b", 2, nil, 2), made("d", 0, new(int32(0)), 8),
		made("low", 0, new(int32(-1)), 1), made("high", 9, new(int32(7)), 7),
	}
	slices.SortFunc(queue, byPrecedence)
	var names []string
	for _, entry := range queue {
		names = append(names, entry.pod.Name)
	}
	if diff := cmp.Diff([]string{"high", "d", "c", "b", "a", "e", "f", "low"}, names); diff != "" {
		t.Errorf("order differs (-want +got):\n%s", diff)
	}
}

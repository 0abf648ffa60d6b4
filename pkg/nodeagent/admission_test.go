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

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestAdmissions(t *testing.T) {
	t.Parallel()
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node"}, Status: corev1.NodeStatus{Allocatable: corev1.ResourceList{
		"cpu": resource.MustParse("2"), "memory": resource.MustParse("1Gi"), "ephemeral-storage": resource.MustParse("10Gi"), "pods": resource.MustParse("2"),
	}}}
	asks := func(name, resourceName, amount string) *corev1.Pod {
		pod := shellPod(name, "true")
		pod.UID = "uid-" + pod.UID
		pod.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceName(resourceName): resource.MustParse(amount)}
		return pod
	}
	tests := map[string]struct {
		pod  *corev1.Pod
		node func(*corev1.Node)
		want *failure
	}{
		"fits beside the other": {pod: asks("p", "cpu", "500m")},
		"no cpu":                {pod: asks("p", "cpu", "600m"), want: &failure{"OutOfcpu", "Node didn't have enough resource: cpu, requested: 600, used: 1500, capacity: 2000"}},
		"no memory":             {pod: asks("p", "memory", "2Gi"), want: &failure{"OutOfmemory", "Node didn't have enough resource: memory, requested: 2147483648, used: 0, capacity: 1073741824"}},
		"no place": {pod: asks("p", "cpu", "1m"), node: func(n *corev1.Node) { n.Status.Allocatable["pods"] = resource.MustParse("1") },
			want: &failure{"OutOfpods", "Node didn't have enough resource: pods, requested: 1, used: 1, capacity: 1"}},
		"what no node has is for the scheduler": {pod: asks("p", "example.com/gpu", "1")},
		"labels": {pod: func() *corev1.Pod {
			pod := asks("p", "cpu", "1m")
			pod.Spec.NodeSelector = map[string]string{"disk": "ssd"}
			return pod
		}(), want: &failure{"NodeAffinity", "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"}},
		"taint that keeps off": {pod: asks("p", "cpu", "1m"), node: func(n *corev1.Node) { n.Spec.Taints = []corev1.Taint{{Key: "a", Effect: "NoSchedule"}} }},
		"taint that drives off": {pod: asks("p", "cpu", "1m"), node: func(n *corev1.Node) { n.Spec.Taints = []corev1.Taint{{Key: "a", Effect: "NoExecute"}} },
			want: &failure{"TaintToleration", "Predicate TaintToleration failed: node(s) had untolerated taint(s)"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var a admissions
			other := asks("other", "cpu", "1500m")
			other.UID = "other"
			if got := a.admit(other, node, false); got != nil {
				t.Fatal(got.message)
			}
			node := node.DeepCopy()
			if test.node != nil {
				test.node(node)
			}
			if diff := cmp.Diff(test.want, a.admit(test.pod, node, false), cmp.AllowUnexported(failure{})); diff != "" {
				t.Errorf("answer differs (-want +got):\n%s", diff)
			}
			if test.want == nil {
				return
			}
			if got := a.admit(test.pod, node, true); got != nil {
				t.Errorf("one that ran before the restart is sent away: %s", got.message)
			}
			if got := a.admit(test.pod, node, false); got != nil {
				t.Errorf("one that was let in is sent away: %s", got.message)
			}
		})
	}
}

func TestReleaseMakesRoom(t *testing.T) {
	t.Parallel()
	var a admissions
	node := &corev1.Node{Status: corev1.NodeStatus{Allocatable: corev1.ResourceList{"pods": resource.MustParse("1")}}}
	first, second := shellPod("first", "true"), shellPod("second", "true")
	first.UID, second.UID = "first", "second"
	if got := a.admit(first, node, false); got != nil {
		t.Fatal(got.message)
	}
	if got := a.admit(second, node, false); got == nil || got.reason != "OutOfpods" {
		t.Fatalf("got %+v", got)
	}
	a.release("first")
	a.release("first") // twice frees once
	if got := a.admit(second, node, false); got != nil {
		t.Error(got.message)
	}
	if got := a.admit(first, node, false); got == nil {
		t.Error("two Pods have one place")
	}
}

// Whoever writes spec.nodeName goes round the scheduler, not round the node.
func TestPodBoundByOthersIsRejected(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	pod := shellPod("huge", "true")
	pod.Spec.NodeName = "node"
	pod.Spec.Containers[0].Resources.Requests = corev1.ResourceList{"cpu": resource.MustParse("1000")}
	c.create(t, pod)
	got := c.waitPhase(t, "huge", corev1.PodFailed)
	const start = "Pod was rejected: Node didn't have enough resource: cpu, requested: 1000000, used: 0, capacity: "
	if got.Status.Reason != "OutOfcpu" || len(got.Status.Message) <= len(start) || got.Status.Message[:len(start)] != start || got.Status.StartTime == nil || len(got.Status.ContainerStatuses) > 0 {
		t.Errorf("status %+v", got.Status)
	}
	c.waitEvents(t, "huge", "OutOfcpu")
	c.delete(t, "huge", metav1.DeleteOptions{})
	c.waitGone(t, got)
}

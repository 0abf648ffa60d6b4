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
	"os"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestPodWaitsForRoom(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	big := func(name, script string) *corev1.Pod {
		pod := shellPod(name, script)
		node, err := c.agent.describeNode(nil)
		if err != nil {
			t.Fatal(err)
		}
		pod.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: node.Status.Allocatable[corev1.ResourceCPU]}
		return pod
	}
	c.create(t, big("first", "while [ ! -e go ]; do sleep 0.01; done"))
	first := c.wait(t, "first", "running", isRunning)
	c.create(t, big("second", "true"))
	got := c.wait(t, "second", "refused", func(pod *corev1.Pod) bool { return len(pod.Status.Conditions) > 0 })
	condition := got.Status.Conditions[0]
	if condition.Type != corev1.PodScheduled || condition.Status != corev1.ConditionFalse || condition.Reason != "Unschedulable" || condition.Message != "0/1 nodes are available: 1 Insufficient cpu." {
		t.Errorf("condition %+v", condition)
	}
	c.waitEvents(t, "second", "FailedScheduling")
	small := shellPod("small", "true")
	small.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Mi")}
	c.create(t, small)
	c.waitPhase(t, "small", corev1.PodSucceeded)
	if err := os.WriteFile(c.agent.runtime.WorkingDir(first.UID)+"/go", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c.waitPhase(t, "second", corev1.PodSucceeded)
}

func TestNode(t *testing.T) {
	t.Parallel()
	c := newCluster(t, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node", Labels: map[string]string{"disk": "ssd"}}, Spec: corev1.NodeSpec{Unschedulable: true}})
	node, err := c.CoreV1().Nodes().Get(t.Context(), "node", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if node.Labels["disk"] != "ssd" || node.Labels["kubernetes.io/hostname"] != "node" || !node.Spec.Unschedulable {
		t.Errorf("labels %v, unschedulable %t; want both what was there and ours", node.Labels, node.Spec.Unschedulable)
	}
	if node.Status.Allocatable.Cpu().IsZero() || node.Status.Allocatable.Memory().IsZero() || node.Status.Allocatable.Pods().Value() != 1000 {
		t.Errorf("allocatable %v", node.Status.Allocatable)
	}
	c.create(t, shellPod("cordoned", "true"))
	c.wait(t, "cordoned", "refused", func(pod *corev1.Pod) bool {
		return len(pod.Status.Conditions) > 0 && pod.Status.Conditions[0].Message == "0/1 nodes are available: 1 node(s) were unschedulable."
	})
	node.Spec.Unschedulable = false
	if _, err := c.CoreV1().Nodes().Update(t.Context(), node, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	c.waitPhase(t, "cordoned", corev1.PodSucceeded)
}

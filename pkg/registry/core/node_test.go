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

package core_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestNodeStatus(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	// A kubelet registers its node with the status in the same request.
	node, err := s.Nodes().Create(t.Context(), &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "n"},
		Status:     corev1.NodeStatus{NodeInfo: corev1.NodeSystemInfo{KubeletVersion: "v1"}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if node.Status.NodeInfo.KubeletVersion != "v1" {
		t.Errorf("status on create is lost: %+v", node.Status)
	}

	node.Spec.Unschedulable = true
	node.Status.NodeInfo.KubeletVersion = "v2"
	status, err := s.Nodes().UpdateStatus(t.Context(), node, metav1.UpdateOptions{})
	if err != nil || status.Spec.Unschedulable || status.Status.NodeInfo.KubeletVersion != "v2" {
		t.Errorf("status update made %+v, %v", status, err)
	}
	patched, err := s.Nodes().Patch(t.Context(), "n", types.StrategicMergePatchType,
		[]byte(`{"spec":{"unschedulable":true},"status":{"nodeInfo":{"kubeletVersion":"v3"}}}`), metav1.PatchOptions{})
	if err != nil || !patched.Spec.Unschedulable || patched.Status.NodeInfo.KubeletVersion != "v2" {
		t.Errorf("patch made %+v, %v", patched, err)
	}
	// Heartbeats are strategic merge patches of the status.
	patched, err = s.Nodes().PatchStatus(t.Context(), "n", []byte(`{"status":{"conditions":[{"type":"Ready","status":"True"}]}}`))
	if err != nil || len(patched.Status.Conditions) != 1 {
		t.Errorf("status patch made %+v, %v", patched, err)
	}
	list, err := s.Nodes().List(t.Context(), metav1.ListOptions{FieldSelector: "spec.unschedulable=true"})
	if err != nil || len(list.Items) != 1 {
		t.Errorf("%d nodes, %v", len(list.Items), err)
	}
}

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

package node

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubernetes/pkg/apis/core"
)

func TestRow(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, tc := range map[string]struct {
		node core.Node
		want []any
	}{
		"full": {
			core.Node{
				ObjectMeta: metav1.ObjectMeta{Name: "n", CreationTimestamp: metav1.NewTime(now.Add(-48 * time.Hour)), Labels: map[string]string{
					"node-role.kubernetes.io/worker": "", "node-role.kubernetes.io/control-plane": "true", "kubernetes.io/role": "worker", "node-role.kubernetes.io/": "",
				}},
				Spec: core.NodeSpec{Unschedulable: true},
				Status: core.NodeStatus{
					Conditions: []core.NodeCondition{{Type: core.NodeMemoryPressure, Status: core.ConditionTrue}, {Type: core.NodeReady, Status: core.ConditionTrue}},
					Addresses:  []core.NodeAddress{{Type: core.NodeHostName, Address: "h"}, {Type: core.NodeInternalIP, Address: "127.0.0.1"}, {Type: core.NodeInternalIP, Address: "::1"}},
					NodeInfo:   core.NodeSystemInfo{KubeletVersion: "v1.37.2", OSImage: "Linux", KernelVersion: "6.1", Architecture: "amd64", ContainerRuntimeVersion: "process://1"},
				},
			},
			[]any{"n", "Ready,SchedulingDisabled", "control-plane,worker", "2d", "v1.37.2", "127.0.0.1", "<none>", "Linux", "6.1 (amd64)", "process://1"},
		},
		"unknown": {
			core.Node{Status: core.NodeStatus{Conditions: []core.NodeCondition{{Type: core.NodeReady, Status: core.ConditionUnknown}}}},
			[]any{"", "NotReady", "<none>", "<unknown>", "", "<none>", "<none>", "<unknown>", "<unknown>", "<unknown>"},
		},
		"new": {
			core.Node{},
			[]any{"", "Unknown", "<none>", "<unknown>", "", "<none>", "<none>", "<unknown>", "<unknown>", "<unknown>"},
		},
	} {
		if diff := cmp.Diff(tc.want, row(&tc.node, now).Cells); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

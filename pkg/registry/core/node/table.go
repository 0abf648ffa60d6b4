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
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/kubernetes/pkg/apis/core"

	"github.com/jobserver-dev/jobserver/pkg/registry/core/table"
)

const (
	// roleLabelPrefix starts a label whose rest names a role of the node; the label's value doesn't matter.
	roleLabelPrefix = "node-role.kubernetes.io/"
	// roleLabel is the older form: its value is the role.
	roleLabel = "kubernetes.io/role"
)

func newTable() rest.TableConvertor {
	info := corev1.NodeSystemInfo{}.SwaggerDoc()
	addresses := corev1.NodeStatus{}.SwaggerDoc()["addresses"]
	return table.New([]metav1.TableColumnDefinition{
		table.NameColumn(),
		table.Column("Status", "Whether the node is ready, and whether it takes new Pods."),
		table.Column("Roles", "The roles that the node's labels name."),
		table.AgeColumn(),
		table.Column("Version", info["kubeletVersion"]),
		table.WideColumn("Internal-IP", addresses),
		table.WideColumn("External-IP", addresses),
		table.WideColumn("OS-Image", info["osImage"]),
		table.WideColumn("Kernel-Version", info["kernelVersion"]),
		table.WideColumn("Container-Runtime", info["containerRuntimeVersion"]),
	}, row)
}

func row(n *core.Node, now time.Time) metav1.TableRow {
	info := n.Status.NodeInfo
	kernel := table.Or(info.KernelVersion, table.Unknown)
	if info.Architecture != "" {
		kernel += " (" + info.Architecture + ")"
	}
	return metav1.TableRow{Cells: []any{
		n.Name,
		status(n),
		table.Or(strings.Join(roles(n.Labels), ","), table.None),
		table.Age(n.CreationTimestamp.Time, now),
		info.KubeletVersion,
		address(n, core.NodeInternalIP),
		address(n, core.NodeExternalIP),
		table.Or(info.OSImage, table.Unknown),
		kernel,
		table.Or(info.ContainerRuntimeVersion, table.Unknown),
	}}
}

// status sums up the condition Ready and whether the node is cordoned. Of several conditions Ready the last counts.
func status(n *core.Node) string {
	s := "Unknown"
	for _, c := range n.Status.Conditions {
		if c.Type != core.NodeReady {
			continue
		}
		s = "NotReady"
		if c.Status == core.ConditionTrue {
			s = "Ready"
		}
	}
	if n.Spec.Unschedulable {
		s += ",SchedulingDisabled"
	}
	return s
}

// roles returns the roles named by the labels, sorted and each once.
func roles(labels map[string]string) []string {
	found := map[string]bool{}
	for key, value := range labels {
		if role, ok := strings.CutPrefix(key, roleLabelPrefix); ok {
			found[role] = true
		} else if key == roleLabel {
			found[value] = true
		}
	}
	delete(found, "")
	return slices.Sorted(maps.Keys(found))
}

// address returns the node's first address of the type.
func address(n *core.Node, t core.NodeAddressType) string {
	for _, a := range n.Status.Addresses {
		if a.Type == t {
			return a.Address
		}
	}
	return table.None
}

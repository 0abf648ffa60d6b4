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

package pod

import (
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/kubernetes/pkg/apis/core"

	"github.com/jobserver-dev/jobserver/pkg/registry/core/table"
)

func newTable() rest.TableConvertor {
	spec, status := corev1.PodSpec{}.SwaggerDoc(), corev1.PodStatus{}.SwaggerDoc()
	return table.New([]metav1.TableColumnDefinition{
		table.NameColumn(),
		table.Column("Ready", "How many of the Pod's containers are ready."),
		table.Column("Status", "What the Pod is doing, or why it isn't."),
		table.Column("Restarts", "How often containers of the Pod were restarted, and how long ago the last one was."),
		table.AgeColumn(),
		table.WideColumn("IP", status["podIP"]),
		table.WideColumn("Node", spec["nodeName"]),
		table.WideColumn("Nominated Node", status["nominatedNodeName"]),
		table.WideColumn("Readiness Gates", spec["readinessGates"]),
	}, row)
}

func row(pod *core.Pod, now time.Time) metav1.TableRow {
	s := summarize(pod)
	ip := ""
	if len(pod.Status.PodIPs) > 0 {
		ip = pod.Status.PodIPs[0].IP
	}
	return metav1.TableRow{
		Conditions: rowConditions(pod.Status.Phase),
		Cells: []any{
			pod.Name,
			fmt.Sprintf("%d/%d", s.ready, s.total),
			s.reason,
			restarts(s.restarts, now),
			table.Age(pod.CreationTimestamp.Time, now),
			table.Or(ip, table.None),
			table.Or(pod.Spec.NodeName, table.None),
			table.Or(pod.Status.NominatedNodeName, table.None),
			readinessGates(pod),
		},
	}
}

// rowConditions marks the row of a Pod that has ended, so that clients may grey it out.
func rowConditions(phase core.PodPhase) []metav1.TableRowCondition {
	message := ""
	switch phase {
	case core.PodSucceeded:
		message = "The pod has completed successfully."
	case core.PodFailed:
		message = "The pod failed."
	default:
		return nil
	}
	return []metav1.TableRowCondition{{
		Type: metav1.RowCompleted, Status: metav1.ConditionTrue, Reason: string(phase), Message: message,
	}}
}

// restarts shows a number of restarts and, where known, when the last one was: 2 (5m ago).
func restarts(r restartCount, now time.Time) string {
	if r.count == 0 || r.last.IsZero() {
		return strconv.Itoa(r.count)
	}
	return fmt.Sprintf("%d (%s ago)", r.count, table.Age(r.last, now))
}

// readinessGates shows how many of the Pod's readiness gates are open.
func readinessGates(pod *core.Pod) string {
	if len(pod.Spec.ReadinessGates) == 0 {
		return table.None
	}
	open := 0
	for _, gate := range pod.Spec.ReadinessGates {
		if conditionTrue(pod, gate.ConditionType) {
			open++
		}
	}
	return fmt.Sprintf("%d/%d", open, len(pod.Spec.ReadinessGates))
}

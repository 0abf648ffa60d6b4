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
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime/supervisor"
)

// heartbeatPeriod is the time between two writes of the Node's status.
const heartbeatPeriod = time.Minute

// registerRetry is the delay between two tries at registering the Node.
const registerRetry = time.Second

// keepNode registers the Node, calls registered once, and keeps its status fresh until ctx ends. A Node that was deleted comes back.
func (a *Agent) keepNode(ctx context.Context, registered func()) {
	logger := klog.FromContext(ctx).WithValues("node", a.config.NodeName)
	done := false
	for ctx.Err() == nil {
		wait := a.heartbeat()
		if err := a.writeNode(ctx); err != nil && ctx.Err() == nil {
			logger.Error(err, "Failed to write the Node, trying again")
			wait = registerRetry
		} else if err == nil && !done {
			logger.V(2).Info("Registered the Node")
			done = true
			registered()
		}
		select {
		case <-ctx.Done():
		case <-a.config.Clock.After(wait):
		}
	}
}

// writeNode makes the Node what describeNode says. What others wrote (labels, taints, spec.unschedulable, conditions) stays.
func (a *Agent) writeNode(ctx context.Context) error {
	nodes := a.config.Client.CoreV1().Nodes()
	wanted, err := a.describeNode()
	if err != nil {
		return err
	}
	node, err := nodes.Get(ctx, a.config.NodeName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		node, err = nodes.Create(ctx, wanted, metav1.CreateOptions{})
	}
	if err != nil {
		return fmt.Errorf("register node: %w", err)
	}
	labels := maps.Clone(node.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, wanted.Labels)
	if !maps.Equal(labels, node.Labels) {
		node.Labels = labels
		if node, err = nodes.Update(ctx, node, metav1.UpdateOptions{}); err != nil {
			return fmt.Errorf("label node: %w", err)
		}
	}
	conditions := mergeNodeConditions(node.Status.Conditions, wanted.Status.Conditions)
	node.Status = wanted.Status
	node.Status.Conditions = conditions
	if _, err := nodes.UpdateStatus(ctx, node, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("write node status: %w", err)
	}
	return nil
}

// mergeNodeConditions puts the new conditions in place of the old ones of their types.
func mergeNodeConditions(old, fresh []corev1.NodeCondition) []corev1.NodeCondition {
	byType := map[corev1.NodeConditionType]corev1.NodeCondition{}
	for _, condition := range old {
		byType[condition.Type] = condition
	}
	var merged []corev1.NodeCondition
	for _, condition := range fresh {
		if before, ok := byType[condition.Type]; ok && before.Status == condition.Status {
			condition.LastTransitionTime = before.LastTransitionTime
		}
		delete(byType, condition.Type)
		merged = append(merged, condition)
	}
	for _, condition := range old {
		if _, ok := byType[condition.Type]; ok {
			merged = append(merged, condition)
		}
	}
	return merged
}

// describeNode describes this machine.
func (a *Agent) describeNode() (*corev1.Node, error) {
	capacity, err := a.capacity()
	if err != nil {
		return nil, err
	}
	info, err := nodeInfo(a.config.Version)
	if err != nil {
		return nil, err
	}
	now := metav1.NewTime(a.config.Clock.Now())
	condition := func(kind corev1.NodeConditionType, status corev1.ConditionStatus, reason, message string) corev1.NodeCondition {
		return corev1.NodeCondition{Type: kind, Status: status, Reason: reason, Message: message, LastHeartbeatTime: now, LastTransitionTime: now}
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: a.config.NodeName, Labels: a.labels()},
		Spec:       corev1.NodeSpec{Taints: a.config.Registration.Taints},
		Status: corev1.NodeStatus{
			Capacity:    capacity,
			Allocatable: capacity.DeepCopy(),
			Conditions: []corev1.NodeCondition{
				condition(corev1.NodeMemoryPressure, corev1.ConditionFalse, "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
				condition(corev1.NodeDiskPressure, corev1.ConditionFalse, "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
				condition(corev1.NodePIDPressure, corev1.ConditionFalse, "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
				condition(corev1.NodeReady, corev1.ConditionTrue, "KubeletReady", "the node agent is running Pods as processes"),
			},
			Addresses:       a.addresses(),
			DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: a.config.Registration.KubeletPort}},
			NodeInfo:        *info,
		},
	}, nil
}

// capacity is what the machine has; all of it may be allocated.
func (a *Agent) capacity() (corev1.ResourceList, error) {
	var memory unix.Sysinfo_t
	if err := unix.Sysinfo(&memory); err != nil {
		return nil, fmt.Errorf("read the machine's memory: %w", err)
	}
	var disk unix.Statfs_t
	if err := unix.Statfs(a.config.RootDir, &disk); err != nil {
		return nil, fmt.Errorf("read the size of the disk: %w", err)
	}
	return corev1.ResourceList{
		corev1.ResourceCPU:              *resource.NewQuantity(int64(runtime.NumCPU()), resource.DecimalSI),
		corev1.ResourceMemory:           *resource.NewQuantity(int64(memory.Totalram)*int64(memory.Unit), resource.BinarySI),
		corev1.ResourceEphemeralStorage: *resource.NewQuantity(int64(disk.Blocks)*disk.Bsize, resource.BinarySI),
		corev1.ResourcePods:             *resource.NewQuantity(int64(a.config.MaxPods), resource.DecimalSI),
	}, nil
}

func nodeInfo(version string) (*corev1.NodeSystemInfo, error) {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return nil, fmt.Errorf("read the kernel's version: %w", err)
	}
	bootID, err := supervisor.BootID()
	if err != nil {
		return nil, err
	}
	return &corev1.NodeSystemInfo{
		KernelVersion:           unix.ByteSliceToString(name.Release[:]),
		OperatingSystem:         runtime.GOOS,
		Architecture:            runtime.GOARCH,
		OSImage:                 osImage(),
		BootID:                  bootID,
		MachineID:               readLine("/etc/machine-id"),
		ContainerRuntimeVersion: containerIDPrefix + version,
		KubeletVersion:          version,
	}, nil
}

// osImage is the name of the system by os-release(5).
func osImage() string {
	data, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "PRETTY_NAME="); ok {
			return strings.Trim(value, `"'`)
		}
	}
	return ""
}

// readLine returns a file's first line; the empty string where it can't be read.
func readLine(path string) string {
	data, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(data), "\n")
	return line
}

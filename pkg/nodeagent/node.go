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
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"github.com/jobserver-dev/jobserver/pkg/nodeagent/runtime/supervisor"
)

// heartbeatPeriod is the time between two writes of the Node's status while nothing changes.
const heartbeatPeriod = time.Minute

// watchPeriod is how often it is looked whether the machine is short of something, which is written at once.
const watchPeriod = 10 * time.Second

// registerRetry is the delay between two tries at registering the Node.
const registerRetry = time.Second

// keepNode registers the Node, calls registered once, and keeps its status fresh until ctx ends. A Node that was deleted comes back.
func (a *Agent) keepNode(ctx context.Context, registered func()) {
	logger := klog.FromContext(ctx).WithValues("node", a.config.NodeName)
	done := false
	var (
		due     time.Time
		written []corev1.NodeCondition
	)
	for ctx.Err() == nil {
		wait := watchPeriod
		free := readHeadroom(a.config.RootDir).conditions()
		if now := a.config.Clock.Now(); !now.Before(due) || !equality.Semantic.DeepEqual(free, written) {
			if err := a.writeNode(ctx, free); err != nil {
				wait = registerRetry
				if ctx.Err() == nil {
					logger.Error(err, "Failed to write the Node, trying again")
				}
			} else {
				a.sayShortages(logger, written, free)
				due, written = now.Add(a.heartbeat()), free
				if !done {
					logger.V(2).Info("Registered the Node")
					done = true
					registered()
				}
			}
		}
		select {
		case <-ctx.Done():
		case <-a.config.Clock.After(wait):
		}
	}
}

// sayShortages says, in the log and in events of the Node, what the machine has become short of, and what it has enough of again.
func (a *Agent) sayShortages(logger klog.Logger, before, after []corev1.NodeCondition) {
	short := map[corev1.NodeConditionType]bool{}
	for _, condition := range before {
		short[condition.Type] = condition.Status == corev1.ConditionTrue
	}
	for _, condition := range after {
		if is := condition.Status == corev1.ConditionTrue; is != short[condition.Type] {
			logger.Info("The machine's condition has changed", "condition", condition.Type, "status", condition.Status, "reason", condition.Message)
			// A kubelet's events have its conditions' reasons, of the Node instead of the kubelet, and know the Node by its name alone.
			reason := "Node" + strings.TrimPrefix(condition.Reason, "Kubelet")
			node := &corev1.ObjectReference{Kind: "Node", Name: a.config.NodeName, UID: types.UID(a.config.NodeName)}
			a.recorder.Eventf(node, corev1.EventTypeNormal, reason, "Node %s status is now: %s", a.config.NodeName, reason)
		}
	}
}

// writeNode makes the Node what describeNode says. What others wrote (labels, taints, spec.unschedulable, conditions) stays.
func (a *Agent) writeNode(ctx context.Context, conditions []corev1.NodeCondition) error {
	nodes := a.config.Client.CoreV1().Nodes()
	wanted, err := a.describeNode(conditions)
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
	merged := mergeNodeConditions(node.Status.Conditions, wanted.Status.Conditions)
	node.Status = wanted.Status
	node.Status.Conditions = merged
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

// describeNode describes this machine, with the conditions and that it is ready.
func (a *Agent) describeNode(conditions []corev1.NodeCondition) (*corev1.Node, error) {
	capacity, err := a.capacity()
	if err != nil {
		return nil, err
	}
	info, err := nodeInfo(a.config.Version)
	if err != nil {
		return nil, err
	}
	now := metav1.NewTime(a.config.Clock.Now())
	conditions = append(slices.Clone(conditions), corev1.NodeCondition{
		Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", Message: "the node agent is running Pods as processes",
	})
	for i := range conditions {
		conditions[i].LastHeartbeatTime, conditions[i].LastTransitionTime = now, now
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: a.config.NodeName, Labels: a.labels()},
		Spec:       corev1.NodeSpec{Taints: a.config.Registration.Taints},
		Status: corev1.NodeStatus{
			Capacity:        capacity,
			Allocatable:     capacity.DeepCopy(),
			Conditions:      conditions,
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
		// In this format a thousand is shown as 1000, not as 1k.
		corev1.ResourcePods: *resource.NewQuantity(int64(a.config.MaxPods), resource.BinarySI),
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
		SystemUUID:              readLine("/sys/class/dmi/id/product_uuid"), // root only
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

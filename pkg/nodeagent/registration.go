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
	"maps"
	"runtime"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/apimachinery/lease"
	"k8s.io/klog/v2"
)

// Registration is what a Node says of itself beside what the machine has.
type Registration struct {
	// Addresses are where the node is reached. Empty: the loopback address and the node's name, which is right where everything
	// is on one machine. The first InternalIP is the IP of the node's Pods too.
	Addresses []corev1.NodeAddress
	// KubeletPort is the TCP port at which the kubelet's API is served; 0: it isn't.
	KubeletPort int32
	// Labels are set on the Node at each start, beside those that every Node has. Others' labels stay.
	Labels map[string]string
	// Taints are given to the Node when it is made. One that exists keeps what it has, as with a kubelet.
	Taints []corev1.Taint
	// Heartbeat has the node show every 10 s that it lives: by renewing a Lease of its name in kube-node-lease as every kubelet does or,
	// where the API server serves no leases, by writing its status. Without it the status is written once a minute.
	Heartbeat bool
}

// A kubelet's defaults. The node lifecycle controller of Kubernetes gives a node up after 50 s without a heartbeat.
const (
	leaseDuration = 40 * time.Second
	renewInterval = leaseDuration / 4
)

// leaseRetry is the delay between two tries at learning whether the API server serves leases.
const leaseRetry = time.Second

// heartbeat is the time between two writes of the Node's status.
func (a *Agent) heartbeat() time.Duration {
	if a.config.Registration.Heartbeat && !a.leased.Load() {
		return renewInterval
	}
	return heartbeatPeriod
}

// keepLease renews the node's Lease until ctx ends, where that is the node's heartbeat.
func (a *Agent) keepLease(ctx context.Context) {
	if !a.config.Registration.Heartbeat || !a.servesLeases(ctx) {
		return
	}
	a.leased.Store(true)
	name := a.config.NodeName
	lease.NewController(a.config.Clock, a.config.Client, name, int32(leaseDuration/time.Second), func() {
		klog.FromContext(ctx).Info("Failed to renew the node's Lease several times in a row", "node", name)
	}, renewInterval, name, corev1.NamespaceNodeLease, a.ownLease).Run(ctx)
}

// servesLeases asks the API server whether it serves leases, until it answers or ctx ends.
func (a *Agent) servesLeases(ctx context.Context) bool {
	for ctx.Err() == nil {
		_, err := a.config.Client.Discovery().ServerResourcesForGroupVersion(coordinationv1.SchemeGroupVersion.String())
		if err == nil || apierrors.IsNotFound(err) {
			return err == nil
		}
		klog.FromContext(ctx).V(2).Info("Could not learn whether the API server serves leases, trying again", "reason", err.Error())
		select {
		case <-ctx.Done():
		case <-a.config.Clock.After(leaseRetry):
		}
	}
	return false
}

// ownLease makes the Node the owner of its Lease, so that they go together.
func (a *Agent) ownLease(renewed *coordinationv1.Lease) error {
	if node := a.node(); node != nil && len(renewed.OwnerReferences) == 0 {
		renewed.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: node.Name, UID: node.UID}}
	}
	return nil
}

// labels are the labels that the Node must have.
func (a *Agent) labels() map[string]string {
	labels := map[string]string{
		corev1.LabelHostname:   a.config.NodeName,
		corev1.LabelOSStable:   runtime.GOOS,
		corev1.LabelArchStable: runtime.GOARCH,
	}
	maps.Copy(labels, a.config.Registration.Labels)
	return labels
}

func (a *Agent) addresses() []corev1.NodeAddress {
	if addresses := a.config.Registration.Addresses; len(addresses) > 0 {
		return addresses
	}
	return []corev1.NodeAddress{
		{Type: corev1.NodeInternalIP, Address: loopbackIP},
		{Type: corev1.NodeHostName, Address: a.config.NodeName},
	}
}

// nodeIP is the address of the node and of its Pods.
func (a *Agent) nodeIP() string {
	for _, address := range a.addresses() {
		if address.Type == corev1.NodeInternalIP {
			return address.Address
		}
	}
	return loopbackIP
}

// withAddress returns the Pod with its address, which the status may not show yet.
func (a *Agent) withAddress(pod *corev1.Pod) *corev1.Pod {
	if pod.Status.HostIP != "" {
		return pod
	}
	placed := *pod
	placed.Status.HostIP = a.nodeIP()
	return &placed
}

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
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

// registeredNode waits until the node has registered, with what registration says, and returns its Node.
func registeredNode(t *testing.T, c *cluster, registration Registration) *corev1.Node {
	t.Helper()
	c.stopAgent()
	if err := c.CoreV1().Nodes().Delete(t.Context(), "node", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	c.config.Registration = registration
	c.startAgent(t)
	node, err := c.CoreV1().Nodes().Get(t.Context(), "node", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return node
}

func TestRegistration(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	addresses := []corev1.NodeAddress{{Type: "Hostname", Address: "host"}, {Type: "InternalIP", Address: "192.0.2.7"}}
	node := registeredNode(t, c, Registration{
		Addresses: addresses, KubeletPort: 12345, Labels: map[string]string{"pool": "jobs"}, Taints: []corev1.Taint{{Key: "jobs", Effect: "NoSchedule"}},
	})
	if diff := cmp.Diff(addresses, node.Status.Addresses); diff != "" {
		t.Errorf("addresses: -want +got\n%s", diff)
	}
	if node.Status.DaemonEndpoints.KubeletEndpoint.Port != 12345 || node.Labels["pool"] != "jobs" || node.Labels["kubernetes.io/hostname"] != "node" {
		t.Errorf("got port %d, labels %v", node.Status.DaemonEndpoints.KubeletEndpoint.Port, node.Labels)
	}
	if diff := cmp.Diff([]corev1.Taint{{Key: "jobs", Effect: "NoSchedule"}}, node.Spec.Taints); diff != "" {
		t.Errorf("taints: -want +got\n%s", diff)
	}

	pod := shellPod("pod", `echo "$HOST $POD"`)
	pod.Spec.Tolerations = []corev1.Toleration{{Key: "jobs", Operator: "Exists"}}
	pod.Spec.Containers[0].Env = []corev1.EnvVar{fieldVariable("HOST", "status.hostIP"), fieldVariable("POD", "status.podIP")}
	c.create(t, pod)
	ended := c.waitPhase(t, "pod", corev1.PodSucceeded)
	if ended.Status.HostIP != "192.0.2.7" || ended.Status.PodIP != "192.0.2.7" {
		t.Errorf("got host IP %s, Pod IP %s", ended.Status.HostIP, ended.Status.PodIP)
	}
	if got := c.log(t, "pod", nil); got != "192.0.2.7 192.0.2.7\n" {
		t.Errorf("the container saw the addresses %q", got)
	}
}

func fieldVariable(name, path string) corev1.EnvVar {
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}}
}

// A node of a cluster sees nothing of Pods that aren't its own, and binds none.
func TestWithoutSchedule(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.stopAgent()
	c.config.Schedule = false
	c.startAgent(t)
	bound := shellPod("bound", "true")
	bound.Spec.NodeName = "node"
	c.create(t, bound)
	c.create(t, shellPod("unbound", "true"))
	c.waitPhase(t, "bound", corev1.PodSucceeded)
	unbound, err := c.CoreV1().Pods(namespace).Get(t.Context(), "unbound", metav1.GetOptions{})
	if err != nil || unbound.Spec.NodeName != "" || len(unbound.Status.Conditions) > 0 {
		t.Errorf("the Pod without a node: got node %q, conditions %v, error %v", unbound.Spec.NodeName, unbound.Status.Conditions, err)
	}
}

func TestHeartbeat(t *testing.T) {
	t.Parallel()
	t.Run("lease", func(t *testing.T) {
		t.Parallel()
		c := newCluster(t)
		c.Resources = []*metav1.APIResourceList{{GroupVersion: "coordination.k8s.io/v1"}}
		node := registeredNode(t, c, Registration{Heartbeat: true})
		waitFor(t, "a lease owned by the Node", func() bool {
			lease, err := c.CoordinationV1().Leases("kube-node-lease").Get(t.Context(), "node", metav1.GetOptions{})
			if err != nil {
				if !apierrors.IsNotFound(err) {
					t.Error(err)
				}
				return false
			}
			return *lease.Spec.HolderIdentity == "node" && *lease.Spec.LeaseDurationSeconds == 40 && lease.Spec.RenewTime != nil &&
				len(lease.OwnerReferences) == 1 && lease.OwnerReferences[0].UID == node.UID
		})
		if got := c.agent.heartbeat(); got != time.Minute {
			t.Errorf("with a lease the status is written every %s", got)
		}
	})
	t.Run("status", func(t *testing.T) {
		t.Parallel()
		agent := &Agent{config: Config{Client: fake.NewClientset(), Registration: Registration{Heartbeat: true}}}
		agent.keepLease(t.Context()) // returns: this API server has no leases
		if got := agent.heartbeat(); got != 10*time.Second {
			t.Errorf("without leases the status is written every %s", got)
		}
	})
}

func TestSelectPods(t *testing.T) {
	t.Parallel()
	for schedule, want := range map[bool]string{true: "", false: "spec.nodeName=node"} {
		options := metav1.ListOptions{ResourceVersion: "0"} // as an informer begins
		(&Agent{config: Config{NodeName: "node", Schedule: schedule}}).selectPods(&options)
		if options.ResourceVersion != "" {
			t.Errorf("the first list has version %q: it may be older than what the agent did before a restart", options.ResourceVersion)
		}
		if options.FieldSelector != want {
			t.Errorf("schedule %t: the Pods watched are %q, want %q", schedule, options.FieldSelector, want)
		}
	}
}

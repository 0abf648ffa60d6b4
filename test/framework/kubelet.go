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

package framework

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/retry"
)

// Kubelet plays the kubelet of one node, a move at a time: it binds Pods to the node and writes through the API what became of them. Nothing
// runs, and nothing happens that a test didn't ask for. A Pod that is deleted while it is bound terminates until LetGo.
type Kubelet struct {
	client kubernetes.Interface
	node   string
}

// Kubelet registers a Node that reports to be ready, and returns its kubelet. The Node stays as long as the server.
func (s *Server) Kubelet(ctx context.Context, node string) (*Kubelet, error) {
	nodes := s.Kube.CoreV1().Nodes()
	created, err := nodes.Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}}, metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	now := metav1.Now()
	created.Status.Conditions = []corev1.NodeCondition{{
		Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", LastHeartbeatTime: now, LastTransitionTime: now,
	}}
	if _, err := nodes.UpdateStatus(ctx, created, metav1.UpdateOptions{}); err != nil {
		return nil, err
	}
	return &Kubelet{client: s.Kube, node: node}, nil
}

// Run has Pods run and be ready, on this node.
func (k *Kubelet) Run(t testing.TB, pods ...*corev1.Pod) {
	t.Helper()
	for _, pod := range pods {
		k.bind(t, pod)
		k.SetStatus(t, pod, func(status *corev1.PodStatus) { running(pod, status, true) })
	}
}

// RunUnready has Pods run without being ready, on this node.
func (k *Kubelet) RunUnready(t testing.TB, pods ...*corev1.Pod) {
	t.Helper()
	for _, pod := range pods {
		k.bind(t, pod)
		k.SetStatus(t, pod, func(status *corev1.PodStatus) { running(pod, status, false) })
	}
}

func running(pod *corev1.Pod, status *corev1.PodStatus, ready bool) {
	started := metav1.Now()
	status.Phase, status.StartTime = corev1.PodRunning, &started
	SetCondition(status, corev1.PodReady, ready, "")
	status.ContainerStatuses = nil
	for _, container := range pod.Spec.Containers {
		status.ContainerStatuses = append(status.ContainerStatuses, corev1.ContainerStatus{
			Name: container.Name, Image: container.Image, Ready: ready,
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: started}},
		})
	}
}

// Restarted says how often the first container of a running Pod has been restarted.
func (k *Kubelet) Restarted(t testing.TB, pod *corev1.Pod, count int32) {
	t.Helper()
	k.SetStatus(t, pod, func(status *corev1.PodStatus) { status.ContainerStatuses[0].RestartCount = count })
}

// Succeed has all containers of Pods exit with 0.
func (k *Kubelet) Succeed(t testing.TB, pods ...*corev1.Pod) {
	t.Helper()
	for _, pod := range pods {
		k.End(t, pod, 0, time.Now())
	}
}

// Fail has all containers of Pods exit with a code, now: a replacement waits for the back-off.
func (k *Kubelet) Fail(t testing.TB, code int32, pods ...*corev1.Pod) {
	t.Helper()
	for _, pod := range pods {
		k.End(t, pod, code, time.Now())
	}
}

// FailedLongAgo is Fail, with an end so long ago that no replacement waits for the back-off any more.
func (k *Kubelet) FailedLongAgo(t testing.TB, code int32, pods ...*corev1.Pod) {
	t.Helper()
	for _, pod := range pods {
		k.End(t, pod, code, time.Now().Add(-time.Hour))
	}
}

// End has all containers of a Pod exit with a code at a time, with further changes of its status.
func (k *Kubelet) End(t testing.TB, pod *corev1.Pod, code int32, at time.Time, changes ...func(*corev1.PodStatus)) {
	t.Helper()
	k.SetStatus(t, pod, func(status *corev1.PodStatus) {
		status.Phase = corev1.PodSucceeded
		if code != 0 {
			status.Phase = corev1.PodFailed
		}
		SetCondition(status, corev1.PodReady, false, "")
		status.ContainerStatuses = nil
		for _, container := range pod.Spec.Containers {
			status.ContainerStatuses = append(status.ContainerStatuses, corev1.ContainerStatus{
				Name: container.Name, Image: container.Image,
				State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
					ExitCode: code, StartedAt: metav1.NewTime(at.Add(-time.Second)), FinishedAt: metav1.NewTime(at),
				}},
			})
		}
		for _, change := range changes {
			change(status)
		}
	})
}

// Disrupted is a change for End and SetStatus: the Pod has the condition DisruptionTarget, for a reason.
func Disrupted(reason string) func(*corev1.PodStatus) {
	return func(status *corev1.PodStatus) { SetCondition(status, corev1.DisruptionTarget, true, reason) }
}

// SetCondition replaces a condition of a Pod.
func SetCondition(status *corev1.PodStatus, kind corev1.PodConditionType, value bool, reason string) {
	status.Conditions = slices.DeleteFunc(status.Conditions, func(c corev1.PodCondition) bool { return c.Type == kind })
	condition := corev1.PodCondition{Type: kind, Status: corev1.ConditionFalse, Reason: reason, LastTransitionTime: metav1.Now()}
	if value {
		condition.Status = corev1.ConditionTrue
	}
	status.Conditions = append(status.Conditions, condition)
}

// LetGo does what a kubelet does with a Pod that is being deleted, once its containers are gone: it deletes it without grace.
func (k *Kubelet) LetGo(t testing.TB, pods ...*corev1.Pod) {
	t.Helper()
	for _, pod := range pods {
		err := k.client.CoreV1().Pods(pod.Namespace).Delete(t.Context(), pod.Name, metav1.DeleteOptions{
			GracePeriodSeconds: new(int64), Preconditions: &metav1.Preconditions{UID: &pod.UID},
		})
		if err != nil && !apierrors.IsNotFound(err) {
			t.Fatalf("let go of the Pod %s: %v", pod.Name, err)
		}
	}
}

// SetStatus changes the status of a Pod, whoever else writes to it meanwhile.
func (k *Kubelet) SetStatus(t testing.TB, pod *corev1.Pod, change func(*corev1.PodStatus)) {
	t.Helper()
	pods := k.client.CoreV1().Pods(pod.Namespace)
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		found, err := pods.Get(t.Context(), pod.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if found.UID != pod.UID {
			return errors.New("another Pod has its name")
		}
		change(&found.Status)
		_, err = pods.UpdateStatus(t.Context(), found, metav1.UpdateOptions{})
		return err
	})
	if err != nil {
		t.Fatalf("write the status of the Pod %s: %v", pod.Name, err)
	}
}

// bind binds a Pod to the node, where it is not.
func (k *Kubelet) bind(t testing.TB, pod *corev1.Pod) {
	t.Helper()
	if pod.Spec.NodeName != "" {
		return
	}
	err := k.client.CoreV1().Pods(pod.Namespace).Bind(t.Context(), &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Name: pod.Name, UID: pod.UID},
		Target:     corev1.ObjectReference{Kind: "Node", Name: k.node},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("bind the Pod %s: %v", pod.Name, err)
	}
	pod.Spec.NodeName = k.node
}

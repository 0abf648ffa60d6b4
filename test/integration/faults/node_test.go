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

package faults

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

const (
	jobNameLabel    = "batch.kubernetes.io/job-name"
	indexAnnotation = "batch.kubernetes.io/job-completion-index"
)

// node plays a kubelet through a client that nothing goes wrong with, and sees everything that must not happen.
type node struct {
	client    kubernetes.Interface
	namespace string
	// parallelism is that of each Job, by name. One that finds a Pod may have one more for a moment.
	parallelism map[string]int

	mu sync.Mutex
	// held are Jobs whose Pods run and don't end.
	held map[string]bool
	// succeeded and failed are the Pods that ended, by Job.
	succeeded, failed map[string]map[types.UID]bool
	// done are the indexes that succeeded, by Job.
	done     map[string]map[string]types.UID
	problems []string
}

func newNode(client kubernetes.Interface, namespace string) *node {
	return &node{
		client: client, namespace: namespace, parallelism: map[string]int{}, held: map[string]bool{},
		succeeded: map[string]map[types.UID]bool{}, failed: map[string]map[types.UID]bool{}, done: map[string]map[string]types.UID{},
	}
}

// hold keeps the Pods of a Job from ending, or lets them.
func (n *node) hold(job string, hold bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.held[job] = hold
}

// counts returns how many Pods of a Job ended well, and otherwise.
func (n *node) counts(job string) (succeeded, failed int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.succeeded[job]), len(n.failed[job])
}

// run looks at all Pods again and again until ctx ends.
func (n *node) run(ctx context.Context) {
	for ctx.Err() == nil {
		pods, err := n.client.CoreV1().Pods(n.namespace).List(ctx, metav1.ListOptions{})
		if err == nil {
			n.check(pods.Items)
			for i := range pods.Items {
				if err = n.move(ctx, &pods.Items[i]); err != nil {
					break
				}
			}
		}
		if err != nil && ctx.Err() == nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			n.mu.Lock()
			n.problems = append(n.problems, err.Error())
			n.mu.Unlock()
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// check looks for what must not be.
func (n *node) check(pods []corev1.Pod) {
	n.mu.Lock()
	defer n.mu.Unlock()
	active, indexes := map[string]int{}, map[string]string{}
	for i := range pods {
		pod := &pods[i]
		if ended(pod) || pod.DeletionTimestamp != nil || metav1.GetControllerOf(pod) == nil {
			continue
		}
		job := pod.Labels[jobNameLabel]
		active[job]++
		index, ok := pod.Annotations[indexAnnotation]
		if !ok {
			continue
		}
		if by, done := n.done[job][index]; done {
			n.problems = append(n.problems, fmt.Sprintf("%s gets Pod %s for index %s, in which %s succeeded", job, pod.Name, index, by))
		}
		if other := indexes[job+"/"+index]; other != "" {
			n.problems = append(n.problems, fmt.Sprintf("%s has Pods %s and %s for index %s", job, other, pod.Name, index))
		}
		indexes[job+"/"+index] = pod.Name
	}
	for job, count := range active {
		if limit := n.parallelism[job]; count > limit {
			n.problems = append(n.problems, fmt.Sprintf("%s has %d active Pods, its parallelism is %d:%s", job, count, limit, describe(pods, job)))
		}
	}
}

// describe lists the Pods of a Job.
func describe(pods []corev1.Pod, job string) string {
	text := ""
	for i := range pods {
		if pod := &pods[i]; pod.Labels[jobNameLabel] == job {
			text += fmt.Sprintf("\n%s %s, version %s, deleted %v", pod.Name, pod.Status.Phase, pod.ResourceVersion, pod.DeletionTimestamp)
		}
	}
	return text
}

// move does the next thing with a Pod: it is let go, runs, or ends.
func (n *node) move(ctx context.Context, pod *corev1.Pod) error {
	pods := n.client.CoreV1().Pods(n.namespace)
	switch {
	case ended(pod):
		return nil
	case pod.DeletionTimestamp != nil:
		return pods.Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: new(int64), Preconditions: metav1.NewUIDPreconditions(string(pod.UID))})
	case pod.Status.Phase == corev1.PodPending:
		pod.Status.Phase = corev1.PodRunning
		_, err := pods.UpdateStatus(ctx, pod, metav1.UpdateOptions{})
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	job := pod.Labels[jobNameLabel]
	if n.held[job] {
		return nil
	}
	return n.end(ctx, job, pod)
}

// end has a Pod end. The first of a Job, and with it the first of index 0, fails. It needs n.mu.
func (n *node) end(ctx context.Context, job string, pod *corev1.Pod) error {
	code, phase, list := int32(0), corev1.PodSucceeded, n.succeeded
	if index, ok := pod.Annotations[indexAnnotation]; len(n.failed[job]) == 0 && (!ok || index == "0") {
		code, phase, list = 1, corev1.PodFailed, n.failed
	}
	now := metav1.Now()
	pod.Status.Phase = phase
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: "main", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, StartedAt: now, FinishedAt: now}},
	}}
	if _, err := n.client.CoreV1().Pods(n.namespace).UpdateStatus(ctx, pod, metav1.UpdateOptions{}); err != nil {
		return err
	}
	if list[job] == nil {
		list[job] = map[types.UID]bool{}
	}
	list[job][pod.UID] = true
	if index, ok := pod.Annotations[indexAnnotation]; ok && code == 0 {
		if n.done[job] == nil {
			n.done[job] = map[string]types.UID{}
		}
		n.done[job][index] = pod.UID
	}
	return nil
}

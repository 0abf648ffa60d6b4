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

package cleaning

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"

	"github.com/jobserver-dev/jobserver/pkg/controller/job"
	"github.com/jobserver-dev/jobserver/pkg/controller/podgc"
	"github.com/jobserver-dev/jobserver/test/framework"
)

// lost is a server for Pods that are lost: with a Job controller, and a podgc that a test makes itself, as impatient as it likes.
type lost struct {
	t      *testing.T
	server *framework.Server
}

func newLost(t *testing.T) *lost {
	t.Helper()
	return &lost{t, framework.Start(t, framework.Options{Controllers: []string{"job"}})}
}

// collect runs podgc until the test ends.
func (l *lost) collect(change func(*podgc.Config)) {
	l.t.Helper()
	factory := informers.NewSharedInformerFactoryWithOptions(l.server.Kube, 0, informers.WithTransform(job.TrimPod))
	config := podgc.Config{
		Client: l.server.Kube, Pods: factory.Core().V1().Pods(), Nodes: factory.Core().V1().Nodes(),
		Period: 20 * time.Millisecond, Quarantine: 20 * time.Millisecond,
	}
	change(&config)
	controller, err := podgc.New(config)
	if err != nil {
		l.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(l.t.Context())
	factory.Start(ctx.Done())
	ended := make(chan error, 1)
	go func() { ended <- controller.Run(ctx) }()
	l.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			l.t.Error(err)
		}
		factory.Shutdown()
	})
}

func (l *lost) kubelet(name string) *framework.Kubelet {
	l.t.Helper()
	kubelet, err := l.server.Kubelet(l.t.Context(), name)
	if err != nil {
		l.t.Fatal(err)
	}
	return kubelet
}

// job creates a Job that takes disruptions for no failures, and replaces Pods that have ended.
func (l *lost) job(change func(*batchv1.JobSpec)) {
	l.t.Helper()
	created := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "work"}, Spec: batchv1.JobSpec{
		BackoffLimit: new(int32(0)), PodReplacementPolicy: new(batchv1.Failed),
		PodFailurePolicy: &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{
			Action:          batchv1.PodFailurePolicyActionIgnore,
			OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}},
		}}},
		Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever,
			Containers:    []corev1.Container{{Name: "main", Image: "busybox", Command: []string{"work"}}},
		}},
	}}
	change(&created.Spec)
	if _, err := l.server.Kube.BatchV1().Jobs("default").Create(l.t.Context(), created, metav1.CreateOptions{}); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lost) status() batchv1.JobStatus {
	l.t.Helper()
	job, err := l.server.Kube.BatchV1().Jobs("default").Get(l.t.Context(), "work", metav1.GetOptions{})
	if err != nil {
		l.t.Fatal(err)
	}
	return job.Status
}

// next waits for a Pod of the Job that may run and is none of others.
func (l *lost) next(others ...*corev1.Pod) (found *corev1.Pod) {
	l.t.Helper()
	framework.Eventually(l.t, "there is a Pod", func(ctx context.Context) error {
		pods, err := l.server.Kube.CoreV1().Pods("default").List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for i := range pods.Items {
			pod := &pods.Items[i]
			known := slices.ContainsFunc(others, func(other *corev1.Pod) bool { return other.UID == pod.UID })
			if !known && pod.DeletionTimestamp == nil && pod.Status.Phase == corev1.PodPending {
				found = pod
				return nil
			}
		}
		return fmt.Errorf("none of %d, the status is %+v", len(pods.Items), l.status())
	})
	return found
}

func (l *lost) waitGone(pods ...*corev1.Pod) {
	l.t.Helper()
	for _, pod := range pods {
		framework.Eventually(l.t, "the Pod is gone", func(ctx context.Context) error {
			found, err := l.server.Kube.CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
			if apierrors.IsNotFound(err) || err == nil && found.UID != pod.UID {
				return nil
			}
			return fmt.Errorf("it is there, %+v, or the error is %v", found.Status, err)
		})
	}
}

func (l *lost) complete(kubelet *framework.Kubelet, pod *corev1.Pod) {
	l.t.Helper()
	kubelet.Succeed(l.t, pod)
	framework.Eventually(l.t, "the Job completes without a failure", func(context.Context) error {
		status := l.status()
		if status.CompletionTime == nil || status.Failed != 0 {
			return fmt.Errorf("its status is %+v", status)
		}
		return nil
	})
}

// TestNodeIsGone: the Pods of a Node that is no more fail as disrupted, and go. Their Job replaces them, though it waits for the end of Pods.
func TestNodeIsGone(t *testing.T) {
	t.Parallel()
	l := newLost(t)
	l.collect(func(*podgc.Config) {})
	gone, stays := l.kubelet("gone"), l.kubelet("stays")
	l.job(func(*batchv1.JobSpec) {})
	pod := l.next()
	gone.Run(t, pod)
	if err := l.server.Kube.CoreV1().Nodes().Delete(t.Context(), "gone", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	next := l.next(pod)
	l.waitGone(pod)
	l.complete(stays, next)
}

// TestNodeIsOutOfService: so do those of a node that was declared dead, once they are being deleted.
func TestNodeIsOutOfService(t *testing.T) {
	t.Parallel()
	l := newLost(t)
	l.collect(func(*podgc.Config) {})
	dead, stays := l.kubelet("dead"), l.kubelet("stays")
	l.job(func(spec *batchv1.JobSpec) { spec.BackoffLimit = new(int32(1)); spec.PodFailurePolicy = nil })
	pod := l.next()
	dead.Run(t, pod)
	if err := l.server.Kube.CoreV1().Pods("default").Delete(t.Context(), pod.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	framework.Eventually(t, "the node is declared out of service", func(ctx context.Context) error {
		node, err := l.server.Kube.CoreV1().Nodes().Get(ctx, "dead", metav1.GetOptions{})
		if err != nil {
			return err
		}
		node.Spec.Taints = []corev1.Taint{{Key: corev1.TaintNodeOutOfService, Effect: corev1.TaintEffectNoExecute}}
		if _, err = l.server.Kube.CoreV1().Nodes().Update(ctx, node, metav1.UpdateOptions{}); err != nil {
			return err
		}
		if node, err = l.server.Kube.CoreV1().Nodes().Get(ctx, "dead", metav1.GetOptions{}); err != nil {
			return err
		}
		node.Status.Conditions[0].Status = corev1.ConditionUnknown
		_, err = l.server.Kube.CoreV1().Nodes().UpdateStatus(ctx, node, metav1.UpdateOptions{})
		return err
	})
	l.waitGone(pod)
	// That is an ordinary failure: the Pod was deleted, its node is another matter.
	framework.Eventually(t, "the failure counts", func(context.Context) error {
		if status := l.status(); status.Failed != 1 {
			return fmt.Errorf("the status is %+v", status)
		}
		return nil
	})
	stays.Succeed(t, l.next(pod))
	framework.Eventually(t, "the Job completes", func(context.Context) error {
		if status := l.status(); status.CompletionTime == nil {
			return fmt.Errorf("its status is %+v", status)
		}
		return nil
	})
}

// TestNodeIsSilent: a node that doesn't report is marked, and its Pods are evicted once they tolerate it no longer. They stay until the node says
// that they have ended, or is no more.
func TestNodeIsSilent(t *testing.T) {
	t.Parallel()
	l := newLost(t)
	silent := l.kubelet("silent")
	l.job(func(*batchv1.JobSpec) {})
	pod := l.next()
	silent.Run(t, pod)
	l.collect(func(config *podgc.Config) {
		config.NodeGracePeriod, config.UnreachableToleration = 10*time.Millisecond, 10*time.Millisecond
	})
	framework.Eventually(t, "the Pod is evicted", func(ctx context.Context) error {
		found, err := l.server.Kube.CoreV1().Pods("default").Get(ctx, pod.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		marked := slices.ContainsFunc(found.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue && c.Reason == "DeletionByTaintManager"
		})
		if !marked || found.DeletionTimestamp == nil {
			return fmt.Errorf("deleted %v, conditions %v", found.DeletionTimestamp, found.Status.Conditions)
		}
		return nil
	})
	framework.Eventually(t, "the eviction is counted", func(context.Context) error {
		// Nothing else in this process evicts.
		answer := l.server.Do(t, framework.Request{Method: http.MethodGet, Path: "/metrics"})
		for _, line := range []string{"taint_eviction_controller_pod_deletions_total 1\n", "taint_eviction_controller_pod_deletion_duration_seconds_count 1\n"} {
			if !strings.Contains(string(answer.Body), line) {
				return fmt.Errorf("/metrics lacks %q", line)
			}
		}
		return nil
	})
	node, err := l.server.Kube.CoreV1().Nodes().Get(t.Context(), "silent", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if ready := node.Status.Conditions[0]; ready.Status != corev1.ConditionUnknown || ready.Reason != "NodeStatusUnknown" {
		t.Errorf("the silent node's condition is %+v", ready)
	}
	if err := l.server.Kube.CoreV1().Nodes().Delete(t.Context(), "silent", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	next := l.next(pod)
	l.waitGone(pod)
	l.complete(silent, next)
}

// TestAbandonedPod: a Pod that is deleted before it has a node ends, whoever holds it.
func TestAbandonedPod(t *testing.T) {
	t.Parallel()
	l := newLost(t)
	l.collect(func(*podgc.Config) {})
	pod, err := l.server.Kube.CoreV1().Pods("default").Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "abandoned", Finalizers: []string{holder}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "busybox"}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.server.Kube.CoreV1().Pods("default").Delete(t.Context(), pod.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	framework.Eventually(t, "the Pod has failed", func(ctx context.Context) error {
		found, err := l.server.Kube.CoreV1().Pods("default").Get(ctx, pod.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if found.Status.Phase != corev1.PodFailed {
			return fmt.Errorf("it is %s", found.Status.Phase)
		}
		return nil
	})
}

// TestEndedPods: of the ended Pods the oldest go beyond the threshold, once they are counted.
func TestEndedPods(t *testing.T) {
	t.Parallel()
	l := newLost(t)
	node := l.kubelet("node")
	l.job(func(spec *batchv1.JobSpec) { spec.Completions = new(int32(3)) })
	var pods []*corev1.Pod
	for range 3 {
		pod := l.next(pods...)
		node.Succeed(t, pod)
		pods = append(pods, pod)
	}
	framework.Eventually(t, "the Job completes", func(context.Context) error {
		if status := l.status(); status.CompletionTime == nil || status.Succeeded != 3 {
			return fmt.Errorf("its status is %+v", status)
		}
		return nil
	})
	l.collect(func(config *podgc.Config) { config.TerminatedPodThreshold = 1 })
	framework.Eventually(t, "one Pod is left", func(ctx context.Context) error {
		left, err := l.server.Kube.CoreV1().Pods("default").List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		if len(left.Items) != 1 {
			return fmt.Errorf("%d are", len(left.Items))
		}
		return nil
	})
	// Its results don't go with its Pods.
	if status := l.status(); status.Succeeded != 3 || status.CompletionTime == nil {
		t.Errorf("the status is now %+v", status)
	}
}

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
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/jobserver-dev/jobserver/pkg/controller/job"
	"github.com/jobserver-dev/jobserver/pkg/controller/job/plan"
	"github.com/jobserver-dev/jobserver/pkg/generated/clientset/versioned"
	"github.com/jobserver-dev/jobserver/pkg/generated/informers/externalversions"
)

// patience bounds every wait. It is only reached by a test that fails.
const patience = 2 * time.Minute

// TestFaults fails each kind of request in each way.
func TestFaults(t *testing.T) {
	for _, site := range sites {
		for _, fault := range faults {
			if strings.HasPrefix(site.method, "GET") && fault.done {
				continue // nothing is done by reading
			}
			t.Run(strings.ReplaceAll(site.name+", "+fault.name, " ", "-"), func(t *testing.T) {
				t.Parallel()
				i := &injection{site: site, fault: fault}
				faced := &trouble{injections: []*injection{i}}
				if site.name == "get Pod" {
					// Pods are looked up whose creation got no answer, and that the cache doesn't show.
					faced.injections, faced.slow = append(faced.injections, lost(0)), 200*time.Millisecond
				}
				runJobs(t, faced)
				if i.count() == 0 {
					t.Error("the controller made no such request")
				}
			})
		}
	}
}

// lost has answers of a site get lost.
func lost(site int) *injection { return &injection{site: sites[site], fault: faults[5]} }

// TestSlowWatch has the controller see everything late, alone and with answers that get lost on top.
func TestSlowWatch(t *testing.T) {
	for name, injections := range map[string][]*injection{
		"nothing else": nil,
		"lost answers": {lost(0), lost(2), lost(5)}, // of creations, of the release of finalizers, of status writes
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			runJobs(t, &trouble{injections: injections, slow: 100 * time.Millisecond})
		})
	}
}

// runJobs runs Jobs of every sort with a controller whose requests meet trouble.
func runJobs(t *testing.T, faced *trouble) {
	t.Helper()
	namespace := server.Namespace(t)
	n := newNode(server.Kube, namespace)
	for name, parallelism := range map[string]int{"indexed": 2, "plain": 3, "paused": 2, "adopting": 3, "deleted": 2} {
		n.parallelism[name] = parallelism
	}
	for _, name := range []string{"paused", "adopting", "deleted"} {
		n.hold(name, true)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	startController(ctx, t, namespace, faced)
	played := make(chan struct{})
	go func() {
		defer close(played)
		n.run(ctx)
	}()

	c := &cluster{t, namespace}
	c.create("indexed", 2, 4, func(spec *batchv1.JobSpec) { spec.CompletionMode = new(batchv1.IndexedCompletion) })
	c.create("plain", 3, 5)
	c.create("paused", 2, 3)
	c.create("adopting", 2, 3, func(spec *batchv1.JobSpec) { spec.Suspend = new(true) })
	c.create("deleted", 2, 2)
	c.orphan("adopting")
	c.suspend("adopting", false)
	c.waitActive("adopting", 2)
	c.wait(func() string { return c.strangers("adopting", 2) })
	n.hold("adopting", false)
	c.waitActive("paused", 2)
	c.suspend("paused", true)
	c.waitActive("paused", 0)
	n.hold("paused", false)
	c.suspend("paused", false)
	c.waitActive("deleted", 2)
	c.delete("deleted")

	for name, completions := range map[string]int32{"indexed": 4, "plain": 5, "paused": 3} {
		c.check(n, name, completions, false)
	}
	// Its Pod may be found, and given up, while it is suspended.
	c.check(n, "adopting", 3, true)
	c.noneLeft("deleted")
	cancel()
	<-played
	for _, problem := range n.problems {
		t.Error(problem)
	}
}

// startController runs a Job controller for one namespace until ctx ends.
func startController(ctx context.Context, t *testing.T, namespace string, faced *trouble) {
	t.Helper()
	config := server.Config()
	config.QPS = -1
	config.Wrap(faced.wrap)
	jobClient, podClient := clients(t, config)
	jobs := externalversions.NewSharedInformerFactoryWithOptions(jobClient, 0, externalversions.WithNamespace(namespace))
	pods := informers.NewSharedInformerFactoryWithOptions(podClient, 0, informers.WithNamespace(namespace), informers.WithTransform(job.TrimPod))
	limits := plan.DefaultLimits()
	limits.FailureBackoff, limits.FailureBackoffMax = 50*time.Millisecond, 200*time.Millisecond
	controller, err := job.New(ctx, job.Config{
		JobClient: jobClient, PodClient: podClient, Jobs: jobs.Batch().V1().Jobs(), Pods: pods.Core().V1().Pods(), Identity: job.KubeIdentity(),
		SyncBatchPeriod: 20 * time.Millisecond, RetryBackoff: 20 * time.Millisecond, RetryBackoffMax: 500 * time.Millisecond, Limits: limits,
	})
	if err != nil {
		t.Fatal(err)
	}
	jobs.StartWithContext(ctx)
	pods.StartWithContext(ctx)
	done := make(chan error, 1)
	go func() { done <- controller.Run(ctx) }()
	t.Cleanup(func() {
		if err := <-done; err != nil {
			t.Errorf("the controller ended: %v", err)
		}
	})
}

func clients(t *testing.T, config *rest.Config) (versioned.Interface, kubernetes.Interface) {
	t.Helper()
	jobClient, err := versioned.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	podClient, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return jobClient, podClient
}

// cluster is what a user does and sees.
type cluster struct {
	*testing.T
	namespace string
}

func (c *cluster) create(name string, parallelism, completions int32, changes ...func(*batchv1.JobSpec)) {
	c.Helper()
	made := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: batchv1.JobSpec{
		Parallelism: &parallelism, Completions: &completions,
		Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "main", Image: "none", Command: []string{"work"}}},
		}},
	}}
	for _, change := range changes {
		change(&made.Spec)
	}
	if _, err := server.Kube.BatchV1().Jobs(c.namespace).Create(c.Context(), made, metav1.CreateOptions{}); err != nil {
		c.Fatal(err)
	}
}

func (c *cluster) suspend(name string, suspend bool) {
	c.Helper()
	patch := fmt.Appendf(nil, `{"spec": {"suspend": %t}}`, suspend)
	if _, err := server.Kube.BatchV1().Jobs(c.namespace).Patch(c.Context(), name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		c.Fatal(err)
	}
}

func (c *cluster) job(name string) *batchv1.Job {
	c.Helper()
	found, err := server.Kube.BatchV1().Jobs(c.namespace).Get(c.Context(), name, metav1.GetOptions{})
	if err != nil {
		c.Fatal(err)
	}
	return found
}

func (c *cluster) pods(job string) []corev1.Pod {
	c.Helper()
	list, err := server.Kube.CoreV1().Pods(c.namespace).List(c.Context(), metav1.ListOptions{LabelSelector: jobNameLabel + "=" + job})
	if err != nil {
		c.Fatal(err)
	}
	return list.Items
}

// orphan makes a Pod that is like the Job's own, and nobody's.
func (c *cluster) orphan(name string) {
	c.Helper()
	template := c.job(name).Spec.Template
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name + "-found", Labels: template.Labels}, Spec: template.Spec}
	if _, err := server.Kube.CoreV1().Pods(c.namespace).Create(c.Context(), pod, metav1.CreateOptions{}); err != nil {
		c.Fatal(err)
	}
}

// strangers says whether there are Pods that the Job doesn't own, or others than it wants.
func (c *cluster) strangers(job string, want int) string {
	pods := c.pods(job)
	for _, pod := range pods {
		if metav1.GetControllerOf(&pod) == nil {
			return fmt.Sprintf("Pod %s was not adopted", pod.Name)
		}
	}
	if len(pods) != want {
		return fmt.Sprintf("%s has %d Pods, want %d", job, len(pods), want)
	}
	return ""
}

// delete deletes the Job and leaves its Pods to whoever finds them.
func (c *cluster) delete(name string) {
	c.Helper()
	options := metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationBackground)}
	if err := server.Kube.BatchV1().Jobs(c.namespace).Delete(c.Context(), name, options); err != nil {
		c.Fatal(err)
	}
}

func (c *cluster) waitActive(name string, want int32) {
	c.Helper()
	c.wait(func() string {
		if active := c.job(name).Status.Active; active != want {
			return fmt.Sprintf("%s has %d active Pods, want %d", name, active, want)
		}
		return ""
	})
}

// check waits for the end of a Job, all of whose Pods but one succeed, and compares what it counts with what the node saw. With strays, there may be
// Pods that the Job doesn't count, since it gave them up.
func (c *cluster) check(n *node, name string, completions int32, strays bool) {
	c.Helper()
	c.wait(func() string {
		status := c.job(name).Status
		if len(status.Conditions) == 0 || status.CompletionTime == nil {
			return fmt.Sprintf("%s has not completed: %+v", name, status)
		}
		return ""
	})
	status := c.job(name).Status
	succeeded, failed := n.counts(name)
	if strays {
		succeeded, failed = min(succeeded, int(completions)), min(failed, int(status.Failed))
	}
	if status.Succeeded != completions || int(status.Succeeded) != succeeded || int(status.Failed) != failed || status.Active != 0 {
		c.Errorf("%s counts %d succeeded, %d failed, %d active; there were %d and %d, and it wants %d", name, status.Succeeded, status.Failed, status.Active, succeeded, failed, completions)
	}
	if left := status.UncountedTerminatedPods; left != nil && len(left.Succeeded)+len(left.Failed) > 0 {
		c.Errorf("%s has Pods that it has not counted: %+v", name, left)
	}
	if pods := c.pods(name); !strays && len(pods) != succeeded+failed {
		c.Errorf("%s has %d Pods, %d ended", name, len(pods), succeeded+failed)
	}
	c.wait(func() string { return finalizers(c.pods(name)) })
}

func finalizers(pods []corev1.Pod) string {
	for _, pod := range pods {
		if len(pod.Finalizers) > 0 {
			return fmt.Sprintf("Pod %s has finalizers %v", pod.Name, pod.Finalizers)
		}
	}
	return ""
}

func (c *cluster) noneLeft(name string) {
	c.Helper()
	c.wait(func() string {
		if left := len(c.pods(name)); left > 0 {
			return fmt.Sprintf("%d Pods are left of the Job %s, which is gone", left, name)
		}
		return ""
	})
}

// wait polls until check has nothing to complain of.
func (c *cluster) wait(check func() string) {
	c.Helper()
	deadline := time.Now().Add(patience)
	for {
		problem := check()
		if problem == "" {
			return
		}
		if time.Now().After(deadline) {
			c.Fatal(problem)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

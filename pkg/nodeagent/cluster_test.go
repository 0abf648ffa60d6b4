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
	"io"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// patience bounds every wait of a test. It is only reached by a test that fails.
const patience = 30 * time.Second

// cluster is an API server of the test's own with this agent as its one node. The server knows binding, and graceful deletion as Pods have it.
type cluster struct {
	*fake.Clientset
	root   string
	agent  *Agent
	cancel context.CancelFunc
	done   chan struct{}
	uids   atomic.Int64
	config Config
	// retry is the delay before a container that could not be set up is tried again; 0: the usual.
	retry time.Duration
}

const namespace = "default"

func newCluster(t *testing.T, objects ...runtime.Object) *cluster {
	t.Helper()
	c := &cluster{Clientset: fake.NewClientset(objects...), root: t.TempDir()}
	c.react("create", "pods", c.bind)
	c.react("delete", "pods", c.deleteGracefully)
	c.react("update", "pods", c.updateStatus)
	c.config = Config{NodeName: "node", RootDir: c.root, Client: c.Clientset, Version: "v0.0.0-test", Schedule: true}
	c.startAgent(t)
	t.Cleanup(func() {
		if c.agent == nil {
			return // it could not be started again, and StopAll waits for one that runs
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		_ = c.agent.StopAll(ctx) // kills at once what a test left running
		c.stopAgent()
	})
	return c
}

// startAgent starts an agent on the cluster's root folder and waits until it is ready.
func (c *cluster) startAgent(t *testing.T) {
	t.Helper()
	c.agent = nil
	agent, err := New(c.config)
	if err != nil {
		t.Fatal(err)
	}
	if c.retry > 0 {
		agent.configRetry, agent.volumeRetry = c.retry, c.retry
	}
	c.agent = agent
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	c.cancel, c.done = cancel, done
	go func() {
		defer close(done)
		if err := agent.Run(ctx); err != nil {
			t.Errorf("the agent ended: %v", err)
		}
	}()
	waitFor(t, "the agent to be ready", func() bool { return agent.Ready() == nil })
}

// stopAgent ends the agent; its containers keep running.
func (c *cluster) stopAgent() {
	c.cancel()
	<-c.done
}

// react answers requests from now on. The agent sends some at any time, and PrependReactor is only for the time before.
func (c *cluster) react(verb, resource string, reaction clienttesting.ReactionFunc) {
	c.Lock()
	defer c.Unlock()
	c.PrependReactor(verb, resource, reaction)
}

// bind does what the binding subresource does.
func (c *cluster) bind(action clienttesting.Action) (bool, runtime.Object, error) {
	create, ok := action.(clienttesting.CreateAction)
	if !ok || action.GetSubresource() != "binding" {
		return false, nil, nil
	}
	binding := create.GetObject().(*corev1.Binding)
	resource := corev1.SchemeGroupVersion.WithResource("pods")
	object, err := c.Tracker().Get(resource, action.GetNamespace(), binding.Name)
	if err != nil {
		return true, nil, err
	}
	pod := object.(*corev1.Pod).DeepCopy()
	if pod.Spec.NodeName != "" {
		return true, nil, apierrors.NewConflict(resource.GroupResource(), pod.Name, fmt.Errorf("pod is already assigned to %s", pod.Spec.NodeName))
	}
	pod.Spec.NodeName = binding.Target.Name
	return true, binding, c.Tracker().Update(resource, pod, pod.Namespace)
}

// updateStatus refuses the whole Pod from who doesn't know the present one. The tracker, which has no versions, would take it; so what differs in the status alone
// goes unnoticed.
func (c *cluster) updateStatus(action clienttesting.Action) (bool, runtime.Object, error) {
	if action.GetSubresource() != "status" {
		return false, nil, nil
	}
	sent := action.(clienttesting.UpdateAction).GetObject().(*corev1.Pod).DeepCopy()
	resource := corev1.SchemeGroupVersion.WithResource("pods")
	object, err := c.Tracker().Get(resource, action.GetNamespace(), sent.Name)
	if err != nil {
		return true, nil, err
	}
	current := object.(*corev1.Pod).DeepCopy()
	sent.ManagedFields, sent.Status = current.ManagedFields, current.Status
	if !equality.Semantic.DeepEqual(sent, current) {
		return true, nil, apierrors.NewConflict(resource.GroupResource(), sent.Name, fmt.Errorf("the Pod has changed"))
	}
	return false, nil, nil
}

// deleteGracefully marks a Pod as being deleted unless nothing holds it any more.
func (c *cluster) deleteGracefully(action clienttesting.Action) (bool, runtime.Object, error) {
	deletion := action.(clienttesting.DeleteActionImpl)
	resource := corev1.SchemeGroupVersion.WithResource("pods")
	object, err := c.Tracker().Get(resource, action.GetNamespace(), deletion.Name)
	if err != nil {
		return true, nil, err
	}
	pod := object.(*corev1.Pod).DeepCopy()
	options := deletion.DeleteOptions
	if options.Preconditions != nil && options.Preconditions.UID != nil && *options.Preconditions.UID != pod.UID {
		return true, nil, apierrors.NewConflict(resource.GroupResource(), pod.Name, fmt.Errorf("the UID differs"))
	}
	grace := int64(30)
	switch {
	case options.GracePeriodSeconds != nil:
		grace = *options.GracePeriodSeconds
	case pod.Spec.TerminationGracePeriodSeconds != nil:
		grace = *pod.Spec.TerminationGracePeriodSeconds
	}
	if pod.Spec.NodeName == "" || isTerminal(pod.Status.Phase) {
		grace = 0
	}
	if grace == 0 && len(pod.Finalizers) == 0 {
		return false, nil, nil // the tracker deletes it
	}
	pod.DeletionTimestamp, pod.DeletionGracePeriodSeconds = new(metav1.Now()), &grace
	return true, pod, c.Tracker().Update(resource, pod, pod.Namespace)
}

// shellPod is a Pod of one container that runs a script.
func shellPod(name, script string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, SchedulerName: corev1.DefaultSchedulerName, TerminationGracePeriodSeconds: new(int64(20)),
			Containers: []corev1.Container{shellContainer("main", script)},
		},
	}
}

// shellContainer runs a script as it stands: to Kubernetes, $$ is an escaped dollar sign.
func shellContainer(name, script string) corev1.Container {
	return corev1.Container{
		Name: name, Image: "busybox", Command: []string{"sh", "-c", strings.ReplaceAll(script, "$$", "$$$$")},
		TerminationMessagePath: corev1.TerminationMessagePathDefault, TerminationMessagePolicy: corev1.TerminationMessageReadFile,
	}
}

// create creates the Pod as the API server would.
func (c *cluster) create(t *testing.T, pod *corev1.Pod) *corev1.Pod {
	t.Helper()
	number := c.uids.Add(1)
	pod.UID = types.UID(fmt.Sprintf("uid-%d", number))
	pod.Generation = 1
	pod.CreationTimestamp = metav1.NewTime(time.Date(2026, 1, 1, 0, 0, int(number), 0, time.UTC))
	pod.Status.Phase = corev1.PodPending
	created, err := c.CoreV1().Pods(pod.Namespace).Create(t.Context(), pod, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return created
}

func (c *cluster) get(t *testing.T, name string) *corev1.Pod {
	t.Helper()
	pod, err := c.CoreV1().Pods(namespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return pod
}

// wait waits until the Pod is as asked for.
func (c *cluster) wait(t *testing.T, name, what string, done func(*corev1.Pod) bool) *corev1.Pod {
	t.Helper()
	var pod *corev1.Pod
	deadline := time.Now().Add(patience)
	for {
		if pod = c.get(t, name); done(pod) {
			return pod
		}
		if time.Now().After(deadline) {
			t.Fatalf("gave up waiting for Pod %s to be %s; its status is %+v", name, what, pod.Status)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (c *cluster) waitPhase(t *testing.T, name string, phase corev1.PodPhase) *corev1.Pod {
	t.Helper()
	return c.wait(t, name, string(phase), func(pod *corev1.Pod) bool { return pod.Status.Phase == phase })
}

// waitGone waits until the Pod's object and files are gone.
func (c *cluster) waitGone(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	waitFor(t, "Pod "+pod.Name+" to be gone", func() bool {
		_, err := c.CoreV1().Pods(namespace).Get(t.Context(), pod.Name, metav1.GetOptions{})
		_, statErr := os.Stat(c.root + "/pods/" + string(pod.UID))
		return apierrors.IsNotFound(err) && os.IsNotExist(statErr)
	})
}

func (c *cluster) delete(t *testing.T, name string, options metav1.DeleteOptions) {
	t.Helper()
	if err := c.CoreV1().Pods(namespace).Delete(t.Context(), name, options); err != nil {
		t.Fatal(err)
	}
}

// log reads the log of the main container to its end.
func (c *cluster) log(t *testing.T, name string, options *corev1.PodLogOptions) string {
	t.Helper()
	return c.containerLog(t, name, "main", options)
}

// containerLog reads a log to its end.
func (c *cluster) containerLog(t *testing.T, name, container string, options *corev1.PodLogOptions) string {
	t.Helper()
	reader, err := c.agent.OpenLog(t.Context(), c.get(t, name), container, options)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	data, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// waitEvents waits until the Pod has the events, in the order of their being sent.
func (c *cluster) waitEvents(t *testing.T, name string, want ...string) {
	t.Helper()
	var got []string
	waitFor(t, fmt.Sprintf("events %q", want), func() bool {
		events, err := c.CoreV1().Events(namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		got = nil
		for _, event := range events.Items {
			if event.InvolvedObject.Name == name {
				got = append(got, event.Reason)
			}
		}
		for _, reason := range want {
			if !slices.Contains(got, reason) {
				return false
			}
		}
		return true
	})
}

// workFile reads a file of the Pod's own working directory; the empty string while there is none.
func (c *cluster) workFile(pod *corev1.Pod, name string) string {
	data, err := os.ReadFile(c.agent.runtime.WorkingDir(pod.UID) + "/" + name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// touch makes a file in the Pod's own working directory.
func (c *cluster) touch(t *testing.T, pod *corev1.Pod, name string) {
	t.Helper()
	if err := os.WriteFile(c.agent.runtime.WorkingDir(pod.UID)+"/"+name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (c *cluster) waitWorkFile(t *testing.T, pod *corev1.Pod, name string) string {
	t.Helper()
	waitFor(t, "file "+name, func() bool { return c.workFile(pod, name) != "" })
	return c.workFile(pod, name)
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("gave up waiting for %s", what)
		}
	}
}

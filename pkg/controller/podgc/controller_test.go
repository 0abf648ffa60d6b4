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

package podgc

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/klog/v2/ktesting"
	clocktesting "k8s.io/utils/clock/testing"
)

// env is a controller whose caches a test fills itself, on an API of its own: so the two may differ.
type env struct {
	t          *testing.T
	ctx        context.Context
	api        *fake.Clientset
	clock      *clocktesting.FakeClock
	controller *Controller
	config     Config
}

// newEnv has the objects in the API and in the caches.
func newEnv(t *testing.T, threshold int, objects ...runtime.Object) *env {
	t.Helper()
	_, ctx := ktesting.NewTestContext(t)
	api := fake.NewSimpleClientset(objects...)
	factory := informers.NewSharedInformerFactory(api, 0)
	e := &env{t: t, ctx: ctx, api: api, clock: clocktesting.NewFakeClock(epoch)}
	e.config = Config{
		Client: api, Pods: factory.Core().V1().Pods(), Nodes: factory.Core().V1().Nodes(),
		TerminatedPodThreshold: threshold, Clock: e.clock,
	}
	controller, err := New(e.config)
	if err != nil {
		t.Fatal(err)
	}
	e.controller = controller
	e.refresh()
	return e
}

// refresh makes the caches equal to the API.
func (e *env) refresh() {
	e.t.Helper()
	pods, err := e.api.CoreV1().Pods("").List(e.ctx, metav1.ListOptions{})
	if err != nil {
		e.t.Fatal(err)
	}
	nodes, err := e.api.CoreV1().Nodes().List(e.ctx, metav1.ListOptions{})
	if err != nil {
		e.t.Fatal(err)
	}
	var podObjs, nodeObjs []any
	for i := range pods.Items {
		podObjs = append(podObjs, &pods.Items[i])
	}
	for i := range nodes.Items {
		nodeObjs = append(nodeObjs, &nodes.Items[i])
	}
	if err := e.config.Pods.Informer().GetStore().Replace(podObjs, ""); err != nil {
		e.t.Fatal(err)
	}
	if err := e.config.Nodes.Informer().GetStore().Replace(nodeObjs, ""); err != nil {
		e.t.Fatal(err)
	}
	e.api.ClearActions()
}

// after lets the time pass, looks at everything once, and returns what was written, as "verb resource name" each.
func (e *env) after(passed time.Duration) []string {
	e.t.Helper()
	e.clock.Step(passed)
	e.controller.collect(e.ctx)
	var writes []string
	for _, action := range e.api.Actions() {
		switch action := action.(type) {
		case clienttesting.PatchActionImpl:
			writes = append(writes, "patch "+action.Resource.Resource+"/"+action.Subresource+" "+action.Name+" "+string(action.Patch))
		case clienttesting.DeleteActionImpl:
			grace := "its grace"
			if seconds := action.DeleteOptions.GracePeriodSeconds; seconds != nil {
				grace = "grace " + time.Duration(*seconds*int64(time.Second)).String()
			}
			uid := "no UID"
			if p := action.DeleteOptions.Preconditions; p != nil && p.UID != nil {
				uid = string(*p.UID)
			}
			writes = append(writes, "delete "+action.Name+" "+uid+" "+grace)
		}
	}
	e.refresh()
	return writes
}

// want compares what was written with prefixes of it.
func want(t *testing.T, got []string, prefixes ...string) {
	t.Helper()
	if !slices.EqualFunc(got, prefixes, strings.HasPrefix) {
		t.Fatalf("writes\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(prefixes, "\n"))
	}
}

func newNode(name string, heartbeat time.Time) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, UID: "uid-node"}, Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{
		{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastHeartbeatTime: metav1.NewTime(heartbeat)},
	}}}
}

// TestPodOfAMissingNode is failed as a disruption and removed, once the Node has been missing for a while and the API says so too.
func TestPodOfAMissingNode(t *testing.T) {
	t.Parallel()
	e := newEnv(t, 0, newPod("lost", "gone", finalizer("batch.kubernetes.io/job-tracking")), newPod("ended", "gone", phase(corev1.PodSucceeded)),
		newPod("well", "here"), newPod("waits", "", phase(corev1.PodPending)), newNode("here", epoch))
	want(t, e.after(0))
	want(t, e.after(DefaultQuarantine-time.Second))
	got := e.after(time.Second)
	slices.Sort(got) // the Pods are dealt with at the same time
	want(t, got, "delete ended uid-ended grace 0s", "delete lost uid-lost grace 0s", "patch pods/status lost")
	for _, part := range []string{`"phase":"Failed"`, `"type":"DisruptionTarget"`, `"status":"True"`, `"reason":"DeletionByPodGC"`, `"message":"PodGC: node no longer exists"`, `"uid":"uid-lost"`} {
		if !strings.Contains(got[2], part) {
			t.Errorf("patch %s lacks %s", got[2], part)
		}
	}
}

// TestNodeThatComesBack begins its quarantine anew when it goes again.
func TestNodeThatComesBack(t *testing.T) {
	t.Parallel()
	e := newEnv(t, 0, newPod("a", "n"))
	want(t, e.after(0))
	if err := e.api.Tracker().Add(newNode("n", epoch)); err != nil {
		t.Fatal(err)
	}
	e.refresh()
	want(t, e.after(DefaultQuarantine))
	if err := e.api.CoreV1().Nodes().Delete(e.ctx, "n", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	e.refresh()
	want(t, e.after(time.Minute))
	want(t, e.after(DefaultQuarantine-time.Second))
	if got := e.after(time.Second); len(got) != 2 {
		t.Errorf("writes %q, want a patch and a deletion", got)
	}
}

// TestNodeThatOnlyTheAPIHas: a cache that lags costs no Pod its life, nor does an API that can't be asked.
func TestNodeThatOnlyTheAPIHas(t *testing.T) {
	t.Parallel()
	e := newEnv(t, 0, newPod("a", "n"))
	want(t, e.after(0))
	refuse := true
	e.api.PrependReactor("get", "nodes", func(clienttesting.Action) (bool, runtime.Object, error) {
		if refuse {
			return true, nil, apierrors.NewInternalError(context.DeadlineExceeded)
		}
		return true, newNode("n", epoch), nil
	})
	want(t, e.after(DefaultQuarantine))
	refuse = false
	want(t, e.after(time.Minute))
}

// TestAbandonedPod was deleted before it had a node: no disruption.
func TestAbandonedPod(t *testing.T) {
	t.Parallel()
	e := newEnv(t, 0, newPod("a", "", phase(corev1.PodPending), deleted, finalizer("f")))
	got := e.after(0)
	want(t, got, "patch pods/status a", "delete a uid-a grace 0s")
	if strings.Contains(got[0], "DisruptionTarget") || !strings.Contains(got[0], `"phase":"Failed"`) {
		t.Errorf("patch %s, want the phase Failed alone", got[0])
	}
}

// TestOutOfService: Pods that are being deleted on a node that was declared out of service are gone for good.
func TestOutOfService(t *testing.T) {
	t.Parallel()
	taint := corev1.Taint{Key: "node.kubernetes.io/out-of-service", Effect: corev1.TaintEffectNoExecute}
	for name, tc := range map[string]struct {
		ready  corev1.ConditionStatus
		taints []corev1.Taint
		writes int
	}{
		"out of service": {corev1.ConditionFalse, []corev1.Taint{taint}, 2},
		"but ready":      {corev1.ConditionTrue, []corev1.Taint{taint}, 0},
		"not declared":   {corev1.ConditionFalse, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			node := newNode("n", epoch)
			node.Status.Conditions[0].Status, node.Spec.Taints = tc.ready, tc.taints
			e := newEnv(t, 0, newPod("a", "n", deleted, finalizer("f")), newPod("b", "n"), node)
			if got := e.after(0); len(got) != tc.writes {
				t.Errorf("%d writes, want %d: %q", len(got), tc.writes, got)
			}
		})
	}
}

// TestSilentNode: a node that ceases to report is marked, and its Pods are evicted when they tolerate it no longer. The node's own clock,
// which may be wrong, is no matter.
func TestSilentNode(t *testing.T) {
	t.Parallel()
	stays := newPod("stays", "n")
	stays.Spec.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
	e := newEnv(t, 0, newPod("a", "n"), stays, newPod("ended", "n", phase(corev1.PodFailed)), newNode("n", epoch.Add(-time.Hour)))
	want(t, e.after(0))
	want(t, e.after(DefaultNodeGracePeriod-time.Second))
	got := e.after(time.Second)
	want(t, got, "patch nodes/status n")
	for _, part := range []string{`"status":"Unknown"`, `"reason":"NodeStatusUnknown"`, `"message":"Kubelet stopped posting node status."`} {
		if !strings.Contains(got[0], part) {
			t.Errorf("patch %s lacks %s", got[0], part)
		}
	}
	want(t, e.after(DefaultUnreachableToleration-time.Second))
	got = e.after(time.Second)
	want(t, got, "patch pods/status a", "delete a uid-a its grace")
	if !strings.Contains(got[0], `"reason":"DeletionByTaintManager"`) || strings.Contains(got[0], "Failed") {
		t.Errorf("patch %s, want the condition alone", got[0])
	}
}

// TestReportingNode keeps its Pods.
func TestReportingNode(t *testing.T) {
	t.Parallel()
	node := newNode("n", epoch)
	e := newEnv(t, 0, newPod("a", "n"), node)
	for range 10 {
		want(t, e.after(DefaultNodeGracePeriod-time.Second))
		node.Status.Conditions[0].LastHeartbeatTime = metav1.NewTime(e.clock.Now())
		if _, err := e.api.CoreV1().Nodes().UpdateStatus(e.ctx, node, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		e.refresh()
	}
}

// TestEndedPodsBeyondTheThreshold are deleted, the oldest first; one that was replaced under its name stays.
func TestEndedPodsBeyondTheThreshold(t *testing.T) {
	t.Parallel()
	succeeded := phase(corev1.PodSucceeded)
	e := newEnv(t, 1, newPod("a", "n", succeeded, age(3)), newPod("b", "n", succeeded, age(2)), newPod("c", "n", succeeded), newNode("n", epoch))
	got := e.after(0)
	slices.Sort(got)
	want(t, got, "delete a uid-a grace 0s", "delete b uid-b grace 0s")
	want(t, e.after(time.Minute))
}

// TestFailuresAreRetried: each call may fail, and is made again the next time.
func TestFailuresAreRetried(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"get", "patch", "delete"} {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			e := newEnv(t, 0, newPod("a", "gone"))
			want(t, e.after(0))
			failures := 3
			e.api.PrependReactor(verb, "pods", func(clienttesting.Action) (bool, runtime.Object, error) {
				failures--
				return failures >= 0, nil, apierrors.NewInternalError(context.DeadlineExceeded)
			})
			e.after(DefaultQuarantine)
			for range 3 {
				e.after(DefaultPeriod)
			}
			if _, err := e.api.CoreV1().Pods("ns").Get(e.ctx, "a", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
				t.Errorf("get: %v, want the Pod to be gone", err)
			}
		})
	}
}

func TestNewNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	_, err := New(Config{Period: -1, Quarantine: -2})
	for _, part := range []string{"Client", "Pods", "Nodes", "Period", "Quarantine"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error %v does not name %s", err, part)
		}
	}
}

// TestRun: nothing is looked at before the caches are filled, and then everything each period.
func TestRun(t *testing.T) {
	t.Parallel()
	_, ctx := ktesting.NewTestContext(t)
	ctx, cancel := context.WithCancel(ctx)
	api := fake.NewSimpleClientset(newPod("a", "gone"))
	clock := clocktesting.NewFakeClock(epoch)
	factory := informers.NewSharedInformerFactory(api, 0)
	controller, err := New(Config{Client: api, Pods: factory.Core().V1().Pods(), Nodes: factory.Core().V1().Nodes(), Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	if err := controller.Ready(); err == nil || !strings.Contains(err.Error(), "pods") {
		t.Errorf("Ready before the caches run: %v, want an error that names pods", err)
	}
	done := make(chan error, 1)
	go func() { done <- controller.Run(ctx) }()
	factory.Start(ctx.Done())
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the Pod of the missing node is not removed")
		}
		if _, err := api.CoreV1().Pods("ns").Get(ctx, "a", metav1.GetOptions{}); apierrors.IsNotFound(err) {
			break
		}
		clock.Step(time.Second)
	}
	if err := controller.Ready(); err != nil {
		t.Errorf("Ready: %v", err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
	factory.Shutdown()
}

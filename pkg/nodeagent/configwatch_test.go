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
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	clocktesting "k8s.io/utils/clock/testing"
)

// TestPodGoesOnWithItsConfig: a Pod doesn't wait for the next try, which is an hour away, once what it waits for is there.
func TestPodGoesOnWithItsConfig(t *testing.T) {
	t.Parallel()
	secretKey := func(key string) *corev1.EnvVarSource {
		return &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "late"}, Key: key}}
	}
	late := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "late", ResourceVersion: "1"}, Data: map[string][]byte{"one": []byte("1")}}
	tests := map[string]struct {
		pod    *corev1.Pod
		root   bool
		before *corev1.Secret // there is one before the Pod, without the key
		create runtime.Object
		want   string
	}{
		"configMap in env": {pod: func() *corev1.Pod {
			pod := shellPod("waits", `printf "$key"`)
			pod.Spec.Containers[0].EnvFrom = []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "late"}}}}
			return pod
		}(), create: configMapOf("late", "key", "value"), want: "value"},
		"key of a secret": {pod: func() *corev1.Pod {
			pod := shellPod("waits", `printf "$ONE$TWO"`)
			pod.Spec.Containers[0].Env = []corev1.EnvVar{{Name: "ONE", ValueFrom: secretKey("one")}, {Name: "TWO", ValueFrom: secretKey("two")}}
			return pod
		}(), before: late, want: "12"},
		"configMap in a volume": {pod: volumePod("waits", "cat /jobserver-test/key", configMapSource("late")), root: true, create: configMapOf("late", "key", "value"), want: "value"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if test.root {
				requireRoot(t)
			}
			c := newCluster(t)
			c.stopAgent()
			c.retry = time.Hour
			c.startAgent(t)
			if test.before != nil {
				if err := c.Tracker().Add(test.before); err != nil {
					t.Fatal(err)
				}
			}
			c.create(t, test.pod)
			c.waitEvents(t, "waits", map[bool]string{false: "Failed", true: "FailedMount"}[test.root])
			waitFor(t, "a watch of what the Pod waits for", func() bool { return c.watched("configmaps") || c.watched("secrets") })
			if test.before != nil {
				changed := test.before.DeepCopy()
				changed.ResourceVersion, changed.Data["two"] = "2", []byte("2")
				if _, err := c.CoreV1().Secrets(namespace).Update(t.Context(), changed, metav1.UpdateOptions{}); err != nil {
					t.Fatal(err)
				}
			} else if err := c.Tracker().Create(corev1.SchemeGroupVersion.WithResource("configmaps"), test.create, namespace); err != nil {
				t.Fatal(err)
			}
			c.waitPhase(t, "waits", corev1.PodSucceeded)
			if got := c.log(t, "waits", nil); got != test.want {
				t.Errorf("the container printed %q, want %q", got, test.want)
			}
			waitFor(t, "the end of the watches", func() bool { return c.agent.configs.count() == 0 })
		})
	}
}

// watched tells whether a watch of the resource was opened.
func (c *cluster) watched(resource string) bool {
	for _, action := range c.Actions() {
		if action.Matches("watch", resource) {
			return true
		}
	}
	return false
}

// count is how many objects are watched.
func (c *configWatches) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.watches)
}

// TestConfigWatches: who has seen the version that a watch shows is not woken, so that a Pod that needs something else of it isn't looked at again and again; a watch
// that ends is made anew; and none is left when nobody waits.
func TestConfigWatches(t *testing.T) {
	t.Parallel()
	clock := clocktesting.NewFakeClock(now)
	client := fake.NewClientset()
	opened := make(chan *watch.FakeWatcher, 3)
	client.PrependWatchReactor("secrets", func(clienttesting.Action) (bool, watch.Interface, error) {
		watcher := watch.NewFake()
		opened <- watcher
		return true, watcher, nil
	})
	woken := make(chan types.UID, 10)
	c := newConfigWatches(client, clock, func(podUID types.UID) { woken <- podUID })
	ctx, cancel := context.WithCancel(t.Context())
	key := configKey{secret: true, namespace: "ns", name: "late"}
	version := func(name, version string) *corev1.Secret {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, ResourceVersion: version}}
	}
	c.await(ctx, "first", configReads{key: ""})
	c.await(ctx, "second", configReads{key: "7"})
	watcher := <-opened
	watcher.Add(version("late", "7")) // what there is
	watcher.Modify(version("other", "8"))
	watcher.Modify(version("late", "9"))
	watcher.Delete(version("late", "10"))
	watcher.Modify(version("late", "11")) // the end of the test, for both
	counts := map[types.UID]int{}
	for range 5 {
		counts[<-woken]++
	}
	if diff := cmp.Diff(map[types.UID]int{"first": 3, "second": 2}, counts); diff != "" {
		t.Errorf("woken (-want +got):\n%s", diff)
	}
	if !c.takeWoken("first") || c.takeWoken("first") {
		t.Error("that a Pod was woken is not told once")
	}
	watcher.Stop()
	waitFor(t, "the time until the next watch", clock.HasWaiters)
	clock.Step(configRewatch)
	watcher = <-opened
	c.forget("first")
	c.forget("second")
	if c.count() != 0 {
		t.Error("a watch is left")
	}
	waitFor(t, "the watch to be stopped", watcher.IsStopped)
	cancel()
	c.running.Wait()
}

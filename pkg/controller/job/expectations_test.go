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

package job

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
)

// podIndexer returns a Pod cache that holds the Pods.
func podIndexer(t *testing.T, pods ...*corev1.Pod) podCache {
	t.Helper()
	indexer := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{})
	for _, pod := range pods {
		if err := indexer.Add(pod); err != nil {
			t.Fatal(err)
		}
	}
	return podCache{indexer: indexer}
}

// podAt returns a Pod; its UID is made from its name.
func podAt(name, version string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace, Name: name, UID: types.UID("uid of " + name), ResourceVersion: version,
	}}
}

func TestExpectationsOfCreations(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		cached []*corev1.Pod
		want   bool
	}{
		{"cache is empty", nil, false},
		{"cache is older", []*corev1.Pod{podAt("other", "9")}, false},
		{"cache has the Pod", []*corev1.Pod{podAt("made", "10")}, true},
		{"cache is past the Pod, which is gone", []*corev1.Pod{podAt("other", "11")}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var e expectations
			e.expectCreated(podAt("made", "10"), epoch)
			if got := e.observed(namespace, podIndexer(t, tc.cached...)); got != tc.want {
				t.Errorf("observed: %v, want %v", got, tc.want)
			}
		})
	}
}

func TestExpectationsOfDeletions(t *testing.T) {
	t.Parallel()
	going := podAt("pod", "12")
	going.DeletionTimestamp = new(metav1.Now())
	successor := podAt("pod", "12")
	successor.UID = "successor"
	for _, tc := range []struct {
		name   string
		cached []*corev1.Pod
		want   bool
	}{
		{"cache has the Pod as it was", []*corev1.Pod{podAt("pod", "10")}, false},
		{"Pod is being deleted", []*corev1.Pod{going}, true},
		{"Pod is gone", nil, true},
		{"another Pod has the name", []*corev1.Pod{successor}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var e expectations
			e.expectDeleted(podAt("pod", "10"))
			if got := e.observed(namespace, podIndexer(t, tc.cached...)); got != tc.want {
				t.Errorf("observed: %v, want %v", got, tc.want)
			}
		})
	}
}

// A Pod that was created and is gone before the cache saw it must not block the Job for good.
func TestOverdueCreationIsLookedUp(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	job := e.create(newJob())
	e.settled()
	made := podAt("made", "999999")
	state := e.controller.states.of(job.UID)
	state.expected.expectCreated(made, e.clock.Now())
	e.mustSync()
	if n := len(e.pods()); n != 0 {
		t.Fatalf("%d Pods were created while one is expected", n)
	}
	e.clock.Step(expectationsTimeout)
	e.mustSync()
	if n := len(e.pods()); n != 1 {
		t.Errorf("%d Pods, want 1 after the expected one turned out to be gone", n)
	}
}

func TestReached(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		have, wrote string
		want        bool
	}{
		{"10", "10", true},
		{"9", "10", false},
		{"100", "99", true},
		{"", "10", true},
		{"x", "10", true},
	} {
		if got := reached(tc.have, tc.wrote); got != tc.want {
			t.Errorf("reached(%q, %q): %v, want %v", tc.have, tc.wrote, got, tc.want)
		}
	}
}

func TestPodNames(t *testing.T) {
	t.Parallel()
	var names podNames
	long := strings.Repeat("x", 80) + "-"
	if name := names.next(long, epoch); len(name) != 63 {
		t.Errorf("name of %d characters, want 63", len(name))
	}
	names.doubt("work-1-", "work-1-aaaaa", epoch)
	if name := names.next("work-2-", epoch); name == "work-1-aaaaa" {
		t.Error("an index gets the name in doubt of another")
	}
	if name := names.next("work-1-", epoch.Add(time.Minute)); name != "work-1-aaaaa" {
		t.Errorf("name %s, want the one in doubt", name)
	}
	if name := names.next("work-1-", epoch.Add(time.Minute)); name == "work-1-aaaaa" {
		t.Error("the name in doubt is given out twice")
	}
	names.doubt("work-1-", "work-1-bbbbb", epoch)
	if name := names.next("work-1-", epoch.Add(nameDoubtPeriod)); name == "work-1-bbbbb" {
		t.Error("the name is in doubt for ever")
	}
	names.doubt("work-1-", "work-1-ccccc", epoch)
	names.doubt("work-1-", "work-1-ddddd", epoch)
	names.seen([]*corev1.Pod{{ObjectMeta: metav1.ObjectMeta{Name: "work-1-ccccc"}}})
	if name := names.next("work-1-", epoch); name != "work-1-ddddd" {
		t.Errorf("name %s, want the one that is still in doubt", name)
	}
	if len(names.inDoubt) != 0 {
		t.Errorf("names are kept: %v", names.inDoubt)
	}
}

// A watch that broke and started anew may never tell of a Pod: while one is waited for, the Job is looked at without any event.
func TestUnseenPodIsLookedForWithoutEvents(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	e.create(newJob())
	e.settled()
	e.api.podWatch.close()
	if err := e.syncStale(); err != nil {
		t.Fatal(err)
	}
	e.jobSettled()
	queue := e.controller.queue
	drain := func() {
		for queue.Len() > 0 {
			key, _ := queue.Get()
			queue.Done(key)
		}
	}
	// What the Job's own events put on the queue, now or later.
	e.until("the events of the Job are through", func() bool { return queue.Len() > 0 && e.clock.Since(epoch) > 2*DefaultSyncBatchPeriod })
	drain()
	for range 2 {
		if err := e.syncStale(); err != nil {
			t.Fatal(err)
		}
		e.until("the Job is queued again", func() bool { return queue.Len() == 1 })
		drain()
	}
}

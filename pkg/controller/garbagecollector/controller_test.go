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

package garbagecollector

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/tools/record"
	"k8s.io/component-base/metrics/legacyregistry"
)

// TestRun runs the controller with its informers and workers, over objects that were there before it and others that come later.
func TestRun(t *testing.T) {
	t.Parallel()
	s := newServer(testResources())
	s.add(pod("stray", ownedBy("batch/v1 Job gone")))
	s.add(job("a"))
	for i := range 20 {
		s.add(pod(fmt.Sprintf("a%02d", i), ownedBy("batch/v1 Job a", blocking), withFinalizer(tracking)))
	}
	s.add(job("b"))
	s.add(pod("b0", ownedBy("batch/v1 Job b")))
	c, err := New(t.Context(), Config{Metadata: s, Resources: testResources(), Recorder: record.NewFakeRecorder(100), Workers: 4})
	if err != nil {
		t.Fatal(err)
	}
	if c.Ready() == nil {
		t.Error("ready before it runs")
	}
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error)
	go func() { stopped <- c.Run(ctx) }()
	eventually := func(what string, done func() bool) {
		t.Helper()
		err := wait.PollUntilContextTimeout(ctx, time.Millisecond, 30*time.Second, true, func(context.Context) (bool, error) { return done(), nil })
		if err != nil {
			t.Fatalf("waiting until %s: %v; objects are %v", what, err, s.all())
		}
	}

	eventually("the controller is ready", func() bool { return c.Ready() == nil })
	eventually("the stray Pod is gone", func() bool { return s.find(pod("stray")) == nil })
	client := s.Resource(schema.GroupVersionResource{Group: "batch.jobserver.dev", Version: "v1", Resource: "jobs"}).Namespace("default")
	for name, policy := range map[string]metav1.DeletionPropagation{"a": foreground, "b": orphaned} {
		if err := client.Delete(ctx, name, metav1.DeleteOptions{PropagationPolicy: &policy}); err != nil {
			t.Fatal(err)
		}
	}
	eventually("all Pods of a are being deleted", func() bool { return strings.Count(strings.Join(s.all(), " "), "†") == 21 })
	pods := s.Resource(schema.GroupVersionResource{Version: "v1", Resource: "pods"}).Namespace("default")
	for i := range 20 {
		if _, err := pods.Patch(ctx, fmt.Sprintf("a%02d", i), types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	eventually("only the orphan is left", func() bool { return cmp.Equal([]string{"b0"}, s.all()) })

	cancel()
	if err := <-stopped; err != nil {
		t.Errorf("Run: %v", err)
	}
}

// TestNoWorkBeforeSync keeps one kind from being listed: owners of it look absent, and must not be taken for gone.
func TestNoWorkBeforeSync(t *testing.T) {
	t.Parallel()
	s := newServer(testResources())
	s.add(pod("stray", ownedBy("batch/v1 Job gone")))
	refused := make(chan struct{}, 100)
	s.PrependReactor("list", "nodes", func(clienttesting.Action) (bool, runtime.Object, error) {
		refused <- struct{}{}
		return true, nil, apierrors.NewInternalError(errors.New("not now"))
	})
	c, err := New(t.Context(), Config{Metadata: s, Resources: testResources(), Recorder: record.NewFakeRecorder(100)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error)
	go func() { stopped <- c.Run(ctx) }()
	<-refused
	<-refused
	if err := c.Ready(); err == nil || !strings.Contains(err.Error(), "nodes has not synced") {
		t.Errorf("Ready: %v, want it to name nodes", err)
	}
	cancel()
	if err := <-stopped; err != nil {
		t.Errorf("Run: %v", err)
	}
	if s.find(pod("stray")) == nil {
		t.Error("a Pod was deleted before all kinds were synced")
	}
	if got := counter(t, "garbagecollector_controller_resources_sync_error_total"); got < 1 {
		t.Errorf("%v sync errors counted, want at least 1", got)
	}
}

func counter(t *testing.T, name string) float64 {
	t.Helper()
	families, err := legacyregistry.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			return family.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

// TestNameTakenOver shows the informer a relist in which another object has the name: the graph must forget the first.
func TestNameTakenOver(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	handlers := h.c.handlers(h.c.monitors[0].resource)
	handlers.OnAdd(job("a"), true)
	handlers.OnUpdate(job("a"), job("a", withUID("new")))
	if h.c.graph.get("a") != nil || h.c.graph.get("new") == nil {
		t.Error("the graph holds the old object, or not the new one")
	}
}

func TestNewRefusesBadConfig(t *testing.T) {
	t.Parallel()
	s, recorder := newServer(testResources()), record.NewFakeRecorder(1)
	with := func(change func([]Resource) []Resource) []Resource { return change(testResources()) }
	cases := map[string]struct {
		config Config
		want   string
	}{
		"no client":        {config: Config{Recorder: recorder, Resources: testResources()}, want: "Metadata is required"},
		"no recorder":      {config: Config{Metadata: s, Resources: testResources()}, want: "Recorder is required"},
		"negative workers": {config: Config{Metadata: s, Recorder: recorder, Resources: testResources(), Workers: -1}, want: "Workers must not be negative"},
		"no resources":     {config: Config{Metadata: s, Recorder: recorder}, want: "Resources: at least one is required"},
		"no kind": {
			config: Config{Metadata: s, Recorder: recorder, Resources: with(func(r []Resource) []Resource { r[1].Kind = ""; return r })},
			want:   "resource 1 (/v1, Resource=pods): version, resource and kind are required",
		},
		"a resource twice": {
			config: Config{Metadata: s, Recorder: recorder, Resources: with(func(r []Resource) []Resource { return append(r, r[1]) })},
			want:   "/v1, Resource=pods is given twice",
		},
		"an alias with a resource of its own": {
			config: Config{Metadata: s, Recorder: recorder, Resources: with(func(r []Resource) []Resource {
				return append(r, Resource{GroupVersionResource: schema.GroupVersionResource{Group: "batch", Version: "v1", Resource: "jobs"}, Kind: "Job"})
			})},
			want: "kind batch/v1, Kind=Job is already that of batch.jobserver.dev/v1, Resource=jobs",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := New(t.Context(), tc.config); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}

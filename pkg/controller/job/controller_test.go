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
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
)

func TestConfigErrorsNameTheFields(t *testing.T) {
	t.Parallel()
	broken := Config{Workers: -1, SyncBatchPeriod: -1, Identity: Identity{}}
	broken.Limits.FailureBackoff = -time.Second
	_, err := New(t.Context(), broken)
	if err == nil {
		t.Fatal("New accepts it")
	}
	for _, field := range []string{
		"JobClient", "PodClient", "Jobs", "Pods", "Workers", "SyncBatchPeriod", "Limits.FailureBackoff",
		"Identity.Owner", "Identity.Owners", "Identity.Finalizer",
	} {
		if !strings.Contains(err.Error(), field+":") {
			t.Errorf("the error does not name %s: %v", field, err)
		}
	}
}

func TestConfigDefaults(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	c := e.controller.config
	if c.Workers != 5 || c.SyncBatchPeriod != time.Second || c.RetryBackoff != time.Second || c.RetryBackoffMax != time.Minute {
		t.Errorf("workers %d, period %v, retries %v to %v; want upstream's 5, 1s, 1s to 1m", c.Workers, c.SyncBatchPeriod, c.RetryBackoff, c.RetryBackoffMax)
	}
}

func TestRunTwice(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	stop := e.start()
	e.until("it runs", e.controller.started.Load)
	if err := e.controller.Run(e.ctx); err == nil {
		t.Error("a second Run gives no error")
	}
	stop()
}

func TestReadyNamesTheCacheThatIsMissing(t *testing.T) {
	t.Parallel()
	e := newEnv(t)
	c := e.controller.config
	// A second informer that nobody starts.
	c.Pods = informers.NewSharedInformerFactory(e.api.pods, 0).Core().V1().Pods()
	controller, err := New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	e.until("only the cache of pods is missing", func() bool {
		err := controller.Ready()
		if err == nil {
			t.Fatal("it is ready without a cache of Pods")
		}
		return strings.Contains(err.Error(), "cache of pods")
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := controller.Run(ctx); err != nil {
		t.Errorf("Run that ends before the caches are synced: %v", err)
	}
}

func TestIdentityOwns(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		apiVersion, kind string
		kube, own        bool
	}{
		{"batch/v1", "Job", true, false},
		{"batch/v2", "Job", true, false},
		{"batch.jobserver.dev/v1", "Job", true, true},
		{"batch/v1", "CronJob", false, false},
		{"example.com/v1", "Job", false, false},
		{"a/b/c", "Job", false, false},
	} {
		ref := &metav1.OwnerReference{APIVersion: tc.apiVersion, Kind: tc.kind}
		if kube, own := KubeIdentity().owns(ref), OwnIdentity().owns(ref); kube != tc.kube || own != tc.own {
			t.Errorf("%s %s: ours by upstream's identity %v, by our own %v; want %v, %v", tc.apiVersion, tc.kind, kube, own, tc.kube, tc.own)
		}
	}
	for name, id := range map[string]Identity{"KubeIdentity": KubeIdentity(), "OwnIdentity": OwnIdentity()} {
		if err := id.validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	broken := OwnIdentity()
	broken.Owners = []schema.GroupKind{{Group: "batch", Kind: "Job"}}
	if err := broken.validate(); err == nil {
		t.Error("an identity whose owner is not among its owners is accepted")
	}
}

func TestTrimPodPassesOtherObjects(t *testing.T) {
	t.Parallel()
	tombstone := cache.DeletedFinalStateUnknown{Key: "a/b"}
	if got, err := TrimPod(tombstone); got != any(tombstone) || err != nil {
		t.Errorf("TrimPod of a tombstone: %v, %v", got, err)
	}
	pod := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "main"}}}}
	got, err := TrimPod(pod)
	if err != nil || len(got.(*corev1.Pod).Spec.Containers) != 0 {
		t.Errorf("TrimPod: %v, %v; want no containers", got, err)
	}
	if len(pod.Spec.Containers) != 1 {
		t.Error("TrimPod changed its argument")
	}
}

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

// Package benchmark measures whole servers. Each benchmark says in a metric of its own what a user would count.
//
//	go test ./test/benchmark -run '^$' -bench . -benchtime 200x
package benchmark

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"github.com/jobserver-dev/jobserver/pkg/apiserver/standalone"
)

// clients is how many requests are under way at a time, as from several users.
const clients = 16

// BenchmarkOnePodJobs runs b.N Jobs of one Pod whose process is "true", from the first request to the last Complete condition,
// on a server in this process with etcd on disk and real processes.
func BenchmarkOnePodJobs(b *testing.B) {
	client := startServer(b)
	done := countComplete(b, client, int64(b.N))
	b.ResetTimer()
	createJobs(b, client, b.N)
	select {
	case <-done:
	case <-time.After(10 * time.Minute):
		b.Fatal("not all Jobs completed within 10 minutes")
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "jobs/s")
}

func startServer(b *testing.B) kubernetes.Interface {
	b.Helper()
	klog.SetLogger(logr.Discard())
	server, err := standalone.Start(b.Context(), standalone.Options{DataDir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := server.StopPods(context.Background()); err != nil {
			b.Error(err)
		}
		if err := server.Stop(); err != nil {
			b.Error(err)
		}
	})
	config := server.AdminClient()
	config.QPS = -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		b.Fatal(err)
	}
	err = wait.PollUntilContextTimeout(b.Context(), 10*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		return client.CoreV1().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error() == nil, nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return client
}

// countComplete returns a channel that is closed once that many Jobs are complete.
func countComplete(b *testing.B, client kubernetes.Interface, want int64) <-chan struct{} {
	b.Helper()
	done := make(chan struct{})
	var seen sync.Map
	var count atomic.Int64
	note := func(obj any) {
		job := obj.(*batchv1.Job)
		if job.Status.CompletionTime == nil {
			return
		}
		if _, again := seen.LoadOrStore(job.UID, true); !again && count.Add(1) == want {
			close(done)
		}
	}
	_, informer := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: cache.NewFilteredListWatchFromClient(client.BatchV1().RESTClient(), "jobs", "default", func(*metav1.ListOptions) {}),
		ObjectType:    &batchv1.Job{},
		Handler:       cache.ResourceEventHandlerFuncs{AddFunc: note, UpdateFunc: func(_, obj any) { note(obj) }},
	})
	ctx, cancel := context.WithCancel(b.Context())
	b.Cleanup(cancel)
	go informer.RunWithContext(ctx)
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		b.Fatal("the watch did not begin")
	}
	return done
}

func createJobs(b *testing.B, client kubernetes.Interface, count int) {
	b.Helper()
	next := make(chan int)
	var group sync.WaitGroup
	for range clients {
		group.Go(func() {
			for i := range next {
				job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("job-%d", i)}}
				job.Spec.Template.Spec = corev1.PodSpec{
					RestartPolicy: corev1.RestartPolicyNever,
					Containers:    []corev1.Container{{Name: "main", Image: "busybox", Command: []string{"true"}}},
				}
				if _, err := client.BatchV1().Jobs("default").Create(b.Context(), job, metav1.CreateOptions{}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for i := range count {
		next <- i
	}
	close(next)
	group.Wait()
}

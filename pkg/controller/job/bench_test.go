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
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
)

// BenchmarkSyncWithoutNews measures a sync that has nothing to do. The aims: no request, less than 20 µs for each Pod.
func BenchmarkSyncWithoutNews(b *testing.B) {
	for _, pods := range []int32{1, 100, 1000} {
		b.Run(fmt.Sprintf("pods=%d", pods), func(b *testing.B) {
			e := newEnv(b)
			e.create(newJob(sized(pods, pods), indexed))
			for e.job().Status.Active < pods {
				e.mustSync()
			}
			e.settled()
			before := len(e.api.jobs.Actions()) + len(e.api.pods.Actions())
			b.ReportAllocs()
			for b.Loop() {
				if err := e.syncStale(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(pods), "ns/pod")
			if requests := len(e.api.jobs.Actions()) + len(e.api.pods.Actions()) - before; requests != 0 {
				b.Errorf("%d requests in %d syncs", requests, b.N)
			}
		})
	}
}

// BenchmarkPodMemory measures what the controller keeps of each Pod in its cache: the trimmed Pod, and its places in the indexes. The aim is less than
// 2 KiB. The Pods are decoded one by one, as a watch does it, so that they share nothing by chance.
func BenchmarkPodMemory(b *testing.B) {
	const size = 20000
	for name, change := range map[string]func(*corev1.Pod){
		"running": func(*corev1.Pod) {},
		"ended":   endedPod,
	} {
		b.Run(name, func(b *testing.B) {
			e := newEnv(b)
			e.create(newJob(sized(1, 1), indexed))
			e.mustSync()
			model := e.pods()[0]
			reportedPod(model)
			change(model)
			b.ReportMetric(perPod(size, func(i int) *corev1.Pod { return decoded(b, model, i) }, func(pod *corev1.Pod) any { return pod }, e), "untrimmed-B/pod")
			trimmed := perPod(size, func(i int) *corev1.Pod { return decoded(b, model, i) }, func(pod *corev1.Pod) any {
				kept, err := TrimPod(pod)
				if err != nil {
					b.Fatal(err)
				}
				return kept
			}, e)
			b.ReportMetric(trimmed, "B/pod")
			b.ReportMetric(0, "ns/op") // nothing was timed
			if trimmed > 2048 {
				b.Errorf("%.0f bytes for each Pod, more than 2 KiB", trimmed)
			}
		})
	}
}

// perPod returns how many bytes each of n Pods takes in the cache.
func perPod(n int, decode func(int) *corev1.Pod, keep func(*corev1.Pod) any, e *env) float64 {
	store := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{podsByOwner: e.controller.indexByOwner, cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	before := heap()
	for i := range n {
		if err := store.Add(keep(decode(i))); err != nil {
			e.t.Fatal(err)
		}
	}
	after := heap()
	runtime.KeepAlive(store)
	return float64(after-before) / float64(n)
}

func heap() uint64 {
	runtime.GC()
	runtime.GC() // what finalizers held goes with the second
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// decoded returns a Pod like model, with a name, index and UID of its own, that has gone through the wire.
func decoded(b *testing.B, model *corev1.Pod, i int) *corev1.Pod {
	pod := model.DeepCopy()
	pod.Name, pod.UID = fmt.Sprintf("%s-%d-abcde", jobName, i), types.UID(uuid.NewString())
	pod.ResourceVersion = fmt.Sprint(1000000 + i)
	pod.Labels["batch.kubernetes.io/job-completion-index"] = fmt.Sprint(i)
	pod.Annotations["batch.kubernetes.io/job-completion-index"] = fmt.Sprint(i)
	// Ten Pods become ready, or end, in a second.
	second := metav1.NewTime(epoch.Add(time.Duration(i/10) * time.Second))
	for at := range pod.Status.Conditions {
		pod.Status.Conditions[at].LastTransitionTime = second
	}
	if ended := pod.Status.ContainerStatuses[0].State.Terminated; ended != nil {
		ended.StartedAt, ended.FinishedAt = second, second
	}
	data, err := pod.Marshal()
	if err != nil {
		b.Fatal(err)
	}
	result := &corev1.Pod{}
	if err := result.Unmarshal(data); err != nil {
		b.Fatal(err)
	}
	return result
}

// reportedPod gives a Pod what an API server and a kubelet add to one that runs.
func reportedPod(pod *corev1.Pod) {
	now := metav1.NewTime(epoch)
	pod.Spec.NodeName = "node-1.example.com"
	pod.Spec.Tolerations = []corev1.Toleration{
		{Key: "node.kubernetes.io/not-ready", Operator: "Exists", Effect: "NoExecute", TolerationSeconds: new(int64(300))},
		{Key: "node.kubernetes.io/unreachable", Operator: "Exists", Effect: "NoExecute", TolerationSeconds: new(int64(300))},
	}
	pod.ManagedFields = []metav1.ManagedFieldsEntry{
		{Manager: "apiserver", Operation: "Update", APIVersion: "v1", Time: &now, FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(strings.Repeat("x", 1200))},
		{Manager: "kubelet", Operation: "Update", APIVersion: "v1", Time: &now, FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(strings.Repeat("x", 800)), Subresource: "status"},
	}
	pod.Status = corev1.PodStatus{
		Phase: corev1.PodRunning, HostIP: "10.0.0.1", PodIP: "10.1.2.3", PodIPs: []corev1.PodIP{{IP: "10.1.2.3"}}, StartTime: &now, QOSClass: "BestEffort",
		ContainerStatuses: []corev1.ContainerStatus{{
			Name: "main", Ready: true, Started: new(true), Image: "docker.io/library/busybox:1.36",
			ImageID:     "docker.io/library/busybox@sha256:" + strings.Repeat("a", 64),
			ContainerID: "containerd://" + strings.Repeat("b", 64),
			State:       corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}},
		}},
	}
	for _, kind := range []corev1.PodConditionType{
		corev1.PodReadyToStartContainers, corev1.PodInitialized, corev1.PodReady, corev1.ContainersReady, corev1.PodScheduled,
	} {
		pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{Type: kind, Status: corev1.ConditionTrue, LastTransitionTime: now})
	}
}

// endedPod makes it one that has succeeded.
func endedPod(pod *corev1.Pod) {
	now := metav1.NewTime(epoch)
	pod.Status.Phase = corev1.PodSucceeded
	pod.Status.ContainerStatuses[0].State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		ExitCode: 0, Reason: "Completed", StartedAt: now, FinishedAt: now, ContainerID: "containerd://" + strings.Repeat("b", 64),
	}}
	for i := range pod.Status.Conditions {
		pod.Status.Conditions[i].Reason = "PodCompleted"
	}
}

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

package operation

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/component-base/metrics/testutil"

	"github.com/jobserver-dev/jobserver/pkg/controller/job"
	"github.com/jobserver-dev/jobserver/pkg/controller/podgc"
	"github.com/jobserver-dev/jobserver/test/framework"
)

// family is how a metric looks to a dashboard.
type family struct {
	Type   string
	Labels []string
	// Bounds are the upper bounds of the first and last bucket of a histogram, and how many there are, without the one for the rest.
	First, Last float64
	Buckets     int
}

// wanted are the metrics of the controllers: those of Kubernetes' controllers with their names, types, labels and buckets, and one of ours.
var wanted = map[string]family{
	"job_controller_job_sync_duration_seconds":                    {Type: "HISTOGRAM", Labels: []string{"action", "completion_mode", "result"}, First: 0.004, Last: 65.536, Buckets: 15},
	"job_controller_job_syncs_total":                              {Type: "COUNTER", Labels: []string{"action", "completion_mode", "result"}},
	"job_controller_job_sync_lag_seconds":                         {Type: "HISTOGRAM", First: 0.001, Last: 32.768, Buckets: 16},
	"job_controller_jobs_finished_total":                          {Type: "COUNTER", Labels: []string{"completion_mode", "reason", "result"}},
	"job_controller_jobs_by_external_controller_total":            {Type: "COUNTER", Labels: []string{"controller_name"}},
	"job_controller_job_pods_finished_total":                      {Type: "COUNTER", Labels: []string{"completion_mode", "result"}},
	"job_controller_pod_failures_handled_by_failure_policy_total": {Type: "COUNTER", Labels: []string{"action"}},
	"job_controller_terminated_pods_tracking_finalizer_total":     {Type: "COUNTER", Labels: []string{"event"}},
	"job_controller_job_finished_indexes_total":                   {Type: "COUNTER", Labels: []string{"backoffLimit", "status"}},
	"job_controller_job_pods_creation_total":                      {Type: "COUNTER", Labels: []string{"reason", "status"}},
	"ttl_after_finished_controller_job_deletion_duration_seconds": {Type: "HISTOGRAM", First: 0.1, Last: 819.2, Buckets: 14},
	"garbagecollector_controller_resources_sync_error_total":      {Type: "COUNTER"},
	"pod_gc_collector_force_delete_pods_total":                    {Type: "COUNTER", Labels: []string{"namespace", "reason"}},
	"taint_eviction_controller_pod_deletions_total":               {Type: "COUNTER"},
	"taint_eviction_controller_pod_deletion_duration_seconds":     {Type: "HISTOGRAM", First: 0.005, Last: 240, Buckets: 12},
	"workqueue_depth":         {Type: "GAUGE", Labels: []string{"name"}},
	"workqueue_adds_total":    {Type: "COUNTER", Labels: []string{"name"}},
	"workqueue_retries_total": {Type: "COUNTER", Labels: []string{"name"}},
}

// counted are series with the value that they have once the Jobs of TestMetrics are done.
var counted = map[string]float64{
	`job_controller_jobs_finished_total{completion_mode="NonIndexed",reason="CompletionsReached",result="succeeded"}`: 2,
	`job_controller_jobs_finished_total{completion_mode="Indexed",reason="FailedIndexes",result="failed"}`:            1,
	`job_controller_job_pods_finished_total{completion_mode="NonIndexed",result="succeeded"}`:                         2,
	`job_controller_job_pods_finished_total{completion_mode="NonIndexed",result="failed"}`:                            1,
	`job_controller_job_pods_finished_total{completion_mode="Indexed",result="succeeded"}`:                            1,
	`job_controller_job_pods_finished_total{completion_mode="Indexed",result="failed"}`:                               1,
	`job_controller_job_finished_indexes_total{backoffLimit="perIndex",status="succeeded"}`:                           1,
	`job_controller_job_finished_indexes_total{backoffLimit="perIndex",status="failed"}`:                              1,
	`job_controller_pod_failures_handled_by_failure_policy_total{action="Count"}`:                                     1,
	`job_controller_jobs_by_external_controller_total{controller_name="example.com/other"}`:                           1,
	`job_controller_job_pods_creation_total{reason="new",status="succeeded"}`:                                         3,
	`job_controller_job_pods_creation_total{reason="recreate_terminating_or_failed",status="succeeded"}`:              1,
	`job_controller_job_pods_creation_total{reason="recreate_failed",status="succeeded"}`:                             1,
	`job_controller_terminated_pods_tracking_finalizer_total{event="add"}`:                                            5,
	`job_controller_terminated_pods_tracking_finalizer_total{event="delete"}`:                                         5,
	`ttl_after_finished_controller_job_deletion_duration_seconds{}`:                                                   1,
}

// TestMetrics runs a few Jobs and reads /metrics.
func TestMetrics(t *testing.T) {
	t.Parallel()
	server := framework.Start(t, framework.Options{Controllers: []string{"*", "-node-agent", "-podgc"}})
	node, err := server.Kubelet(t.Context(), "node")
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{t: t, server: server, node: node, namespace: server.Namespace(t)}

	f.run("plain", func(*batchv1.JobSpec) {}, 1, 0)
	f.run("cleaned", func(spec *batchv1.JobSpec) { spec.TTLSecondsAfterFinished = new(int32(0)) }, 0)
	f.run("indexed", func(spec *batchv1.JobSpec) {
		spec.CompletionMode = new(batchv1.IndexedCompletion)
		spec.Completions, spec.Parallelism, spec.BackoffLimitPerIndex = new(int32(2)), new(int32(1)), new(int32(0))
		spec.PodFailurePolicy = &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{
			Action:      batchv1.PodFailurePolicyActionCount,
			OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: []int32{1}},
		}}}
	}, 1, 0)
	f.create("external", func(spec *batchv1.JobSpec) { spec.ManagedBy = new("example.com/other") })
	f.loseNode()

	framework.Eventually(t, "the counters are right", func(context.Context) error {
		_, values := scrape(t, server)
		for series, want := range counted {
			if values[series] != want {
				return fmt.Errorf("%s is %v, want %v", series, values[series], want)
			}
		}
		return nil
	})
	families, values := scrape(t, server)
	got := map[string]family{}
	for name := range wanted {
		if found, ok := families[name]; ok {
			got[name] = found
		}
	}
	if diff := cmp.Diff(wanted, got); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
	for _, queue := range []string{
		"job", "job_orphan_pod", "ttl_jobs_to_delete", "garbage_collector_attempt_to_delete", "garbage_collector_attempt_to_orphan", "namespace",
	} {
		if _, ok := values[fmt.Sprintf("workqueue_depth{name=%q}", queue)]; !ok {
			t.Errorf("no workqueue_depth of %s", queue)
		}
	}
	if deleted := values[f.lostPods()]; deleted != 1 {
		t.Errorf("%v Pods of lost nodes deleted, want 1", deleted)
	}
}

// scrape reads /metrics: the families, and the values of the series, written as there with sorted labels; of histograms, how many observations.
func scrape(t *testing.T, server *framework.Server) (map[string]family, map[string]float64) {
	t.Helper()
	answer := server.Do(t, framework.Request{Method: http.MethodGet, Path: "/metrics"})
	if answer.Code != http.StatusOK {
		t.Fatalf("/metrics answers %d", answer.Code)
	}
	parsed, err := testutil.TextToMetricFamilies(bytes.NewReader(answer.Body))
	if err != nil {
		t.Fatal(err)
	}
	families, values := map[string]family{}, map[string]float64{}
	for name, metrics := range parsed {
		found := family{Type: metrics.GetType().String()}
		for i, metric := range metrics.GetMetric() {
			var labels []string
			series := ""
			for _, label := range metric.GetLabel() {
				labels = append(labels, label.GetName())
				series += fmt.Sprintf(",%s=%q", label.GetName(), label.GetValue())
			}
			series = name + "{" + series[min(1, len(series)):] + "}"
			slices.Sort(labels)
			if i == 0 {
				found.Labels = labels
			}
			values[series] = metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
			if histogram := metric.GetHistogram(); histogram != nil {
				values[series] = float64(histogram.GetSampleCount())
				buckets := histogram.GetBucket()
				buckets = buckets[:len(buckets)-1] // the last one has no bound
				found.First, found.Last, found.Buckets = buckets[0].GetUpperBound(), buckets[len(buckets)-1].GetUpperBound(), len(buckets)
			}
		}
		families[name] = found
	}
	return families, values
}

// fleet are the Jobs of one test.
type fleet struct {
	t         *testing.T
	server    *framework.Server
	node      *framework.Kubelet
	namespace string
}

func (f *fleet) create(name string, change func(*batchv1.JobSpec)) *batchv1.Job {
	f.t.Helper()
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: podSpec()}}}
	change(&job.Spec)
	created, err := f.server.Kube.BatchV1().Jobs(f.namespace).Create(f.t.Context(), job, metav1.CreateOptions{})
	if err != nil {
		f.t.Fatal(err)
	}
	return created
}

func podSpec() corev1.PodSpec {
	return corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever,
		Containers:    []corev1.Container{{Name: "main", Image: "busybox", Command: []string{"work"}}},
	}
}

// run creates a Job whose Pods run one after the other, has them exit with the codes, and waits for the end.
func (f *fleet) run(name string, change func(*batchv1.JobSpec), codes ...int32) {
	f.t.Helper()
	job := f.create(name, change)
	for _, code := range codes {
		pod := f.nextPod(job)
		f.node.Run(f.t, pod)
		f.node.End(f.t, pod, code, time.Now().Add(-time.Hour))
	}
	framework.Eventually(f.t, "the Job "+name+" has ended", func(ctx context.Context) error {
		job, err := f.server.Kube.BatchV1().Jobs(f.namespace).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil // cleaned up
		}
		if err != nil {
			return err
		}
		for _, c := range job.Status.Conditions {
			if c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed {
				return nil
			}
		}
		return fmt.Errorf("its status is %+v", job.Status)
	})
}

// nextPod waits for a Pod of the Job that has not ended.
func (f *fleet) nextPod(job *batchv1.Job) (found *corev1.Pod) {
	f.t.Helper()
	framework.Eventually(f.t, "a Pod of "+job.Name+" is due", func(ctx context.Context) error {
		pods, err := f.server.Kube.CoreV1().Pods(f.namespace).List(ctx, metav1.ListOptions{LabelSelector: "batch.kubernetes.io/job-name=" + job.Name})
		if err != nil {
			return err
		}
		for i, pod := range pods.Items {
			if pod.Status.Phase == corev1.PodPending {
				found = &pods.Items[i]
				return nil
			}
		}
		return fmt.Errorf("none of %d is", len(pods.Items))
	})
	return found
}

// loseNode has a Pod end because its node is no more. The server's own podgc would take a minute.
func (f *fleet) loseNode() {
	f.t.Helper()
	lost, err := f.server.Kubelet(f.t.Context(), "lost")
	if err != nil {
		f.t.Fatal(err)
	}
	pod, err := f.server.Kube.CoreV1().Pods(f.namespace).Create(f.t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "lost"}, Spec: podSpec()}, metav1.CreateOptions{})
	if err != nil {
		f.t.Fatal(err)
	}
	lost.Run(f.t, pod)
	if err := f.server.Kube.CoreV1().Nodes().Delete(f.t.Context(), "lost", metav1.DeleteOptions{}); err != nil {
		f.t.Fatal(err)
	}
	factory := informers.NewSharedInformerFactoryWithOptions(f.server.Kube, 0, informers.WithTransform(job.TrimPod))
	controller, err := podgc.New(podgc.Config{
		Client: f.server.Kube, Pods: factory.Core().V1().Pods(), Nodes: factory.Core().V1().Nodes(),
		Period: 20 * time.Millisecond, Quarantine: time.Millisecond,
	})
	if err != nil {
		f.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(f.t.Context())
	factory.Start(ctx.Done())
	ended := make(chan error, 1)
	go func() { ended <- controller.Run(ctx) }()
	framework.Eventually(f.t, "the Pod of the lost node is gone, and counted", func(ctx context.Context) error {
		if _, err := f.server.Kube.CoreV1().Pods(f.namespace).Get(ctx, "lost", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			return fmt.Errorf("it is still there (%v)", err)
		}
		// The controller may not have the answer yet, and would not get it once it is stopped.
		if _, values := scrape(f.t, f.server); values[f.lostPods()] == 0 {
			return fmt.Errorf("%s is 0", f.lostPods())
		}
		return nil
	})
	cancel()
	if err := <-ended; err != nil {
		f.t.Error(err)
	}
	factory.Shutdown()
}

// lostPods is the series of Pods deleted for the loss of their node.
func (f *fleet) lostPods() string {
	return fmt.Sprintf("pod_gc_collector_force_delete_pods_total{namespace=%q,reason=%q}", f.namespace, "orphaned")
}

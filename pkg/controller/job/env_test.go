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
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2/ktesting"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
	"github.com/jobserver-dev/jobserver/pkg/generated/informers/externalversions"
)

const (
	namespace = "default"
	jobName   = "work"
	patience  = 30 * time.Second
)

// env is a controller with its caches against a fake API, on a fake clock.
type env struct {
	t          testing.TB
	ctx        context.Context
	api        *fakeAPI
	clock      *clocktesting.FakeClock
	controller *Controller
	jobCache   cache.SharedIndexInformer
	podCache   cache.SharedIndexInformer
}

// newEnv returns an env whose caches run, and whose controller does not: tests call sync, or start.
func newEnv(t testing.TB, change ...func(*Config)) *env {
	t.Helper()
	clock := clocktesting.NewFakeClock(epoch)
	return newEnvOn(t, newFakeAPI(clock), clock, change...)
}

// newEnvOn returns an env with a new controller on an existing API, as after a restart.
func newEnvOn(t testing.TB, api *fakeAPI, clock *clocktesting.FakeClock, change ...func(*Config)) *env {
	t.Helper()
	_, ctx := ktesting.NewTestContext(t)
	ctx, cancel := context.WithCancel(ctx)
	jobs := externalversions.NewSharedInformerFactory(api.jobs, 0)
	pods := informers.NewSharedInformerFactoryWithOptions(api.pods, 0, informers.WithTransform(TrimPod))
	config := Config{
		JobClient: api.jobs,
		PodClient: api.pods,
		Jobs:      jobs.Batch().V1().Jobs(),
		Pods:      pods.Core().V1().Pods(),
		Identity:  KubeIdentity(),
		Clock:     clock,
	}
	for _, f := range change {
		f(&config)
	}
	controller, err := New(ctx, config)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	e := &env{
		t: t, ctx: ctx, api: api, clock: clock, controller: controller,
		jobCache: config.Jobs.Informer(), podCache: config.Pods.Informer(),
	}
	jobs.Start(ctx.Done())
	pods.Start(ctx.Done())
	t.Cleanup(func() {
		api.podWatch.open()
		api.jobWatch.open()
		cancel()
		controller.stop(ctx)
		jobs.Shutdown()
		pods.Shutdown()
		api.mu.Lock()
		defer api.mu.Unlock()
		for _, violation := range api.violations {
			t.Error(violation)
		}
	})
	e.until("the caches are synced", func() bool { return controller.Ready() == nil })
	return e
}

// start runs the controller until the test ends, or stop is called.
func (e *env) start() (stop func()) {
	e.t.Helper()
	ctx, cancel := context.WithCancel(e.ctx)
	done := make(chan error, 1)
	go func() { done <- e.controller.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			e.t.Errorf("Run: %v", err)
		}
	}
	e.t.Cleanup(stop)
	return stop
}

// until waits for the condition while the clock goes on.
func (e *env) until(what string, met func() bool) {
	e.t.Helper()
	deadline := time.Now().Add(patience)
	for !met() {
		if time.Now().After(deadline) {
			e.t.Fatalf("not in time: %s%s", what, e.summary())
		}
		time.Sleep(time.Millisecond)
		e.clock.Step(100 * time.Millisecond)
	}
}

// settled waits until the caches have what the API has. The clock stands still.
func (e *env) settled() {
	e.t.Helper()
	deadline := time.Now().Add(patience)
	for !e.cachesEqual() {
		if time.Now().After(deadline) {
			e.t.Fatal("the caches don't catch up with the API")
		}
		time.Sleep(time.Millisecond)
	}
}

// jobSettled waits until the cache has the Job as the API has it.
func (e *env) jobSettled() {
	e.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		if cached, err := e.controller.jobs.Jobs(namespace).Get(jobName); err == nil && cached.ResourceVersion == e.job().ResourceVersion {
			return
		}
		if time.Now().After(deadline) {
			e.t.Fatal("the cache of Jobs does not catch up with the API")
		}
		time.Sleep(time.Millisecond)
	}
}

func (e *env) cachesEqual() bool {
	jobs, pods := e.api.allJobs(metav1.NamespaceAll), e.api.allPods(metav1.NamespaceAll)
	if len(e.jobCache.GetStore().ListKeys()) != len(jobs) || len(e.podCache.GetStore().ListKeys()) != len(pods) {
		return false
	}
	for _, job := range jobs {
		if cached, err := e.controller.jobs.Jobs(job.Namespace).Get(job.Name); err != nil || cached.ResourceVersion != job.ResourceVersion {
			return false
		}
	}
	for _, pod := range pods {
		if cached := e.controller.pods.get(pod.Namespace, pod.Name); cached == nil || cached.ResourceVersion != pod.ResourceVersion {
			return false
		}
	}
	return true
}

// sync syncs the Job with caches that are up to date.
func (e *env) sync() error {
	e.t.Helper()
	e.settled()
	return e.syncStale()
}

// syncStale syncs the Job with the caches as they are.
func (e *env) syncStale() error {
	return e.controller.syncJob(e.ctx, namespace+"/"+jobName)
}

// mustSync is sync, which has to succeed.
func (e *env) mustSync() {
	e.t.Helper()
	if err := e.sync(); err != nil {
		e.t.Fatalf("sync: %v", err)
	}
}

func (e *env) create(job *batchv1.Job) *batchv1.Job {
	e.t.Helper()
	created, err := e.api.jobs.BatchV1().Jobs(job.Namespace).Create(e.ctx, job, metav1.CreateOptions{})
	if err != nil {
		e.t.Fatalf("creating Job: %v", err)
	}
	return created
}

// generateSelector does what the API does for a Job without manualSelector.
func generateSelector(job *batchv1.Job) {
	if job.Spec.Selector != nil {
		return
	}
	job.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{batch.ControllerUIDLabel: string(job.UID)}}
	job.Spec.Template.Labels = map[string]string{
		batch.ControllerUIDLabel: string(job.UID), batch.LegacyControllerUIDLabel: string(job.UID),
		batch.JobNameLabel: job.Name, batch.LegacyJobNameLabel: job.Name,
	}
}

// change updates the spec or the metadata of the Job, against concurrent status writes.
func (e *env) change(f func(*batchv1.Job)) {
	e.t.Helper()
	for {
		job := e.job().DeepCopy()
		f(job)
		_, err := e.api.jobs.BatchV1().Jobs(job.Namespace).Update(e.ctx, job, metav1.UpdateOptions{})
		if apierrors.IsConflict(err) {
			continue
		}
		if err != nil {
			e.t.Fatalf("updating Job: %v", err)
		}
		return
	}
}

// job returns the Job as the API has it.
func (e *env) job() *batchv1.Job {
	e.t.Helper()
	obj, err := e.api.jobs.Tracker().Get(jobsResource, namespace, jobName)
	if err != nil {
		e.t.Fatalf("getting Job: %v", err)
	}
	return obj.(*batchv1.Job)
}

func (e *env) pods() []*corev1.Pod { return e.api.allPods(namespace) }

// activePods returns the Pods that may run.
func (e *env) activePods() []*corev1.Pod {
	var active []*corev1.Pod
	for _, pod := range e.pods() {
		if !ended(pod) && pod.DeletionTimestamp == nil {
			active = append(active, pod)
		}
	}
	return active
}

// run makes the Pod run.
func (e *env) run(pod *corev1.Pod) {
	e.setPod(pod, running)
}

// running is how a Pod changes that runs and is ready.
func running(pod *corev1.Pod) {
	pod.Spec.NodeName = "node"
	pod.Status.Phase = corev1.PodRunning
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
}

// end makes the Pod end with the exit code.
func (e *env) end(pod *corev1.Pod, exitCode int32) {
	e.t.Helper()
	if !e.endIfThere(pod, exitCode) {
		e.t.Fatalf("Pod %s is gone", pod.Name)
	}
}

// endIfThere makes the Pod end with the exit code. It returns false where the Pod is gone.
func (e *env) endIfThere(pod *corev1.Pod, exitCode int32) bool {
	e.t.Helper()
	return e.changePod(pod, e.ending(exitCode))
}

// ending is how a Pod changes that ends now with the exit code.
func (e *env) ending(exitCode int32) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Spec.NodeName = "node"
		pod.Status.Phase = corev1.PodSucceeded
		if exitCode != 0 {
			pod.Status.Phase = corev1.PodFailed
		}
		pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse, LastTransitionTime: metav1.NewTime(e.clock.Now())}}
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
			Name: "main",
			State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
				ExitCode: exitCode, FinishedAt: metav1.NewTime(e.clock.Now()),
			}},
		}}
	}
}

func (e *env) setPod(pod *corev1.Pod, f func(*corev1.Pod)) {
	e.t.Helper()
	if !e.changePod(pod, f) {
		e.t.Fatalf("Pod %s is gone", pod.Name)
	}
}

// changePod writes the status of the Pod, and where it runs. It returns false where the Pod is gone.
func (e *env) changePod(pod *corev1.Pod, f func(*corev1.Pod)) bool {
	e.t.Helper()
	now := e.api.podNamed(pod.Namespace, pod.Name)
	if now == nil {
		return false
	}
	f(now)
	_, err := e.api.pods.CoreV1().Pods(now.Namespace).UpdateStatus(e.ctx, now, metav1.UpdateOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		e.t.Fatalf("updating Pod: %v", err)
	}
	return err == nil
}

// newJob returns a Job with the defaults of the API.
func newJob(change ...func(*batchv1.Job)) *batchv1.Job {
	mode, replacement := batchv1.NonIndexedCompletion, batchv1.TerminatingOrFailed
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: jobName},
		Spec: batchv1.JobSpec{
			Parallelism:          new(int32(1)),
			Completions:          new(int32(1)),
			BackoffLimit:         new(int32(6)),
			CompletionMode:       &mode,
			Suspend:              new(false),
			PodReplacementPolicy: &replacement,
			Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
				RestartPolicy: corev1.RestartPolicyNever,
				Containers:    []corev1.Container{{Name: "main", Image: "busybox", Command: []string{"true"}}},
			}},
		},
	}
	for _, f := range change {
		f(job)
	}
	return job
}

// sized sets parallelism and completions.
func sized(parallelism, completions int32) func(*batchv1.Job) {
	return func(job *batchv1.Job) { job.Spec.Parallelism, job.Spec.Completions = &parallelism, &completions }
}

func indexed(job *batchv1.Job) { job.Spec.CompletionMode = new(batchv1.IndexedCompletion) }

// completionModes are what makes a Job of newJob one of each mode.
var completionModes = map[string]func(*batchv1.Job){
	"NonIndexed": func(*batchv1.Job) {},
	"Indexed":    indexed,
}

func backoffLimit(limit int32) func(*batchv1.Job) {
	return func(job *batchv1.Job) { job.Spec.BackoffLimit = &limit }
}

func statusCause(kind metav1.CauseType) metav1.StatusCause {
	return metav1.StatusCause{Type: kind}
}

// condition returns the condition of the type if it is True, nil otherwise.
func condition(job *batchv1.Job, kind batchv1.JobConditionType) *batchv1.JobCondition {
	for i, c := range job.Status.Conditions {
		if c.Type == kind && c.Status == corev1.ConditionTrue {
			return &job.Status.Conditions[i]
		}
	}
	return nil
}

// summary describes what the API has.
func (e *env) summary() string {
	text := ""
	for _, job := range e.api.allJobs(metav1.NamespaceAll) {
		text += fmt.Sprintf("\nJob %s %+v", job.Name, job.Status)
	}
	for _, pod := range e.api.allPods(metav1.NamespaceAll) {
		text += fmt.Sprintf("\nPod %s %s, finalizers %v, deleted %v", pod.Name, pod.Status.Phase, pod.Finalizers, pod.DeletionTimestamp)
	}
	return text
}

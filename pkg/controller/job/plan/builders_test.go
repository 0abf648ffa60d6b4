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

package plan

import (
	"fmt"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

// t0 is the time at which the Jobs of the tests start.
var t0 = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// at is the time so many seconds after t0.
func at(seconds int) metav1.Time {
	return metav1.NewTime(t0.Add(time.Duration(seconds) * time.Second))
}

var testIdentity = Identity{
	Owner:      schema.GroupVersionKind{Group: "batch", Version: "v1", Kind: "Job"},
	Finalizer:  batch.KubeTrackingFinalizer,
	Finalizers: []string{batch.KubeTrackingFinalizer, batch.TrackingFinalizer},
}

// jobBuilder makes Jobs. A new one is NonIndexed with one completion, parallelism 1, backoffLimit 6 and Kubernetes' policies.
type jobBuilder struct{ batchv1.Job }

func makeJob() *jobBuilder {
	return &jobBuilder{batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: "job", Namespace: "ns", UID: "job-uid"},
		Spec: batchv1.JobSpec{
			Parallelism:          new(int32(1)),
			Completions:          new(int32(1)),
			BackoffLimit:         new(int32(6)),
			CompletionMode:       new(batchv1.NonIndexedCompletion),
			PodReplacementPolicy: new(batchv1.TerminatingOrFailed),
			Suspend:              new(false),
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{batch.JobNameLabel: "job"}},
				Spec: corev1.PodSpec{
					RestartPolicy: corev1.RestartPolicyNever,
					Containers:    []corev1.Container{{Name: "main"}},
				},
			},
		},
	}}
}

func (b *jobBuilder) obj() *batchv1.Job { return b.Job.DeepCopy() }

func (b *jobBuilder) parallelism(n int32) *jobBuilder { b.Spec.Parallelism = &n; return b }
func (b *jobBuilder) completions(n int32) *jobBuilder { b.Spec.Completions = &n; return b }
func (b *jobBuilder) workQueue(policy batchv1.WorkQueuePolicy) *jobBuilder {
	b.Spec.Completions = nil
	b.Spec.WorkQueuePolicy = &policy
	return b
}
func (b *jobBuilder) indexed(n int32) *jobBuilder {
	b.Spec.Completions = &n
	b.Spec.CompletionMode = new(batchv1.IndexedCompletion)
	return b
}
func (b *jobBuilder) backoffLimit(n int32) *jobBuilder  { b.Spec.BackoffLimit = &n; return b }
func (b *jobBuilder) limitPerIndex(n int32) *jobBuilder { b.Spec.BackoffLimitPerIndex = &n; return b }
func (b *jobBuilder) maxFailed(n int32) *jobBuilder     { b.Spec.MaxFailedIndexes = &n; return b }
func (b *jobBuilder) deadline(n int64) *jobBuilder      { b.Spec.ActiveDeadlineSeconds = &n; return b }
func (b *jobBuilder) onFailure() *jobBuilder {
	b.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyOnFailure
	return b
}
func (b *jobBuilder) replace(policy batchv1.PodReplacementPolicy) *jobBuilder {
	b.Spec.PodReplacementPolicy = &policy
	return b
}
func (b *jobBuilder) disruption(policy batchv1.DisruptionPolicy) *jobBuilder {
	b.Spec.DisruptionPolicy = &policy
	return b
}
func (b *jobBuilder) suspend(policy batchv1.SuspendPolicy) *jobBuilder {
	b.Spec.Suspend = new(true)
	b.Spec.SuspendPolicy = &policy
	return b
}
func (b *jobBuilder) failureRules(rules ...batchv1.PodFailurePolicyRule) *jobBuilder {
	b.Spec.PodFailurePolicy = &batchv1.PodFailurePolicy{Rules: rules}
	return b.replace(batchv1.Failed)
}
func (b *jobBuilder) successRules(rules ...batchv1.SuccessPolicyRule) *jobBuilder {
	b.Spec.SuccessPolicy = &batchv1.SuccessPolicy{Rules: rules}
	return b
}
func (b *jobBuilder) deleting() *jobBuilder { b.DeletionTimestamp = new(at(0)); return b }

// started sets the start time to t0.
func (b *jobBuilder) started() *jobBuilder { b.Status.StartTime = new(at(0)); return b }
func (b *jobBuilder) condition(conditionType batchv1.JobConditionType, status corev1.ConditionStatus, reason, message string) *jobBuilder {
	b.Status.Conditions = append(b.Status.Conditions, batchv1.JobCondition{
		Type: conditionType, Status: status, Reason: reason, Message: message, LastProbeTime: at(0), LastTransitionTime: at(0),
	})
	return b
}
func (b *jobBuilder) status(change func(*batchv1.JobStatus)) *jobBuilder { change(&b.Status); return b }

// podBuilder makes Pods. A new one is tracked, pending and made at t0; its UID is "uid-" and its name.
type podBuilder struct{ corev1.Pod }

func makePod(name string) *podBuilder {
	return &podBuilder{corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: "ns", UID: types.UID("uid-" + name), CreationTimestamp: at(0),
			Finalizers: []string{batch.KubeTrackingFinalizer},
		},
		Status: corev1.PodStatus{Phase: corev1.PodPending},
	}}
}

func (b *podBuilder) obj() *corev1.Pod { return b.Pod.DeepCopy() }

func (b *podBuilder) index(n int) *podBuilder {
	return b.annotation(batch.JobCompletionIndexAnnotation, strconv.Itoa(n))
}
func (b *podBuilder) failures(n int) *podBuilder {
	return b.annotation(batch.JobIndexFailureCountAnnotation, strconv.Itoa(n))
}
func (b *podBuilder) annotation(key, value string) *podBuilder {
	set(&b.Annotations, key, value)
	return b
}
func (b *podBuilder) untracked() *podBuilder          { b.Finalizers = nil; return b }
func (b *podBuilder) node(name string) *podBuilder    { b.Spec.NodeName = name; return b }
func (b *podBuilder) created(seconds int) *podBuilder { b.CreationTimestamp = at(seconds); return b }
func (b *podBuilder) phase(phase corev1.PodPhase) *podBuilder {
	b.Status.Phase = phase
	return b
}
func (b *podBuilder) running() *podBuilder { return b.node("node").phase(corev1.PodRunning) }
func (b *podBuilder) ready(seconds int) *podBuilder {
	b.Status.Conditions = append(b.Status.Conditions, corev1.PodCondition{
		Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: at(seconds),
	})
	return b.running()
}
func (b *podBuilder) restarts(n int32) *podBuilder {
	b.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", RestartCount: n}}
	return b.running()
}

// exited ends the Pod's container with the code.
func (b *podBuilder) exited(code int32, seconds int) *podBuilder {
	b.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name:  "main",
		State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, FinishedAt: at(seconds)}},
	}}
	if code == 0 {
		return b.phase(corev1.PodSucceeded)
	}
	return b.phase(corev1.PodFailed)
}
func (b *podBuilder) succeeded(seconds int) *podBuilder { return b.exited(0, seconds) }
func (b *podBuilder) failed(seconds int) *podBuilder    { return b.exited(1, seconds) }

// deleted asks for the Pod's deletion at the given second, with a grace period of 30 seconds.
func (b *podBuilder) deleted(seconds int) *podBuilder {
	b.DeletionTimestamp = new(at(seconds + 30))
	b.DeletionGracePeriodSeconds = new(int64(30))
	return b
}
func (b *podBuilder) disrupted() *podBuilder {
	b.Status.Conditions = append(b.Status.Conditions, corev1.PodCondition{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue})
	return b
}

// inputAt is the Input of a sync so many seconds after t0 that has seen everything.
func inputAt(seconds int, job *batchv1.Job, pods ...*corev1.Pod) Input {
	return Input{Job: job, Pods: pods, Observed: true, Now: at(seconds).Time, Identity: testIdentity, Limits: DefaultLimits()}
}

// observeAt is the state of such a sync.
func observeAt(seconds int, job *batchv1.Job, pods ...*corev1.Pod) *state {
	return observe(inputAt(seconds, job, pods...))
}

// manyPods makes Pods named prefix-0, prefix-1, ...
func manyPods(prefix string, n int, change func(i int, b *podBuilder)) []*corev1.Pod {
	pods := make([]*corev1.Pod, n)
	for i := range pods {
		b := makePod(fmt.Sprintf("%s-%d", prefix, i))
		change(i, b)
		pods[i] = b.obj()
	}
	return pods
}

func podNames(pods []*corev1.Pod) []string {
	var podNames []string
	for _, pod := range pods {
		podNames = append(podNames, pod.Name)
	}
	return podNames
}

// allDone is the Outcome of a plan of which everything worked.
func allDone(p Plan) Outcome {
	o := Outcome{Recorded: true, Created: len(p.Create), Released: sets.New[types.UID](), Deleted: sets.New[types.UID]()}
	for _, pod := range p.Release {
		o.Released.Insert(pod.UID)
	}
	for _, deletion := range p.Delete {
		o.Deleted.Insert(deletion.Pod.UID)
		if deletion.Finalizer != KeepFinalizer {
			o.Released.Insert(deletion.Pod.UID)
		}
	}
	return o
}

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

package v1_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	v1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

// defaulted is what a Job with one completion gets.
func defaulted() v1.JobSpec {
	return v1.JobSpec{
		Parallelism:          new(int32(1)),
		Completions:          new(int32(1)),
		BackoffLimit:         new(int32(4)),
		CompletionMode:       new(v1.NonIndexedCompletion),
		Suspend:              new(false),
		ManualSelector:       new(false),
		PodReplacementPolicy: new(v1.TerminatingOrFailed),
		DisruptionPolicy:     new(v1.DisruptionIgnore),
		SuspendPolicy:        new(v1.SuspendKeepPods),
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		spec v1.JobSpec
		want func(*v1.JobSpec)
	}{
		{name: "empty", want: func(*v1.JobSpec) {}},
		{name: "completions", spec: v1.JobSpec{Completions: new(int32(5))}, want: func(spec *v1.JobSpec) { spec.Completions = new(int32(5)) }},
		{name: "0 completions", spec: v1.JobSpec{Completions: new(int32(0))}, want: func(spec *v1.JobSpec) { spec.Completions = new(int32(0)) }},
		{name: "parallelism makes a work queue", spec: v1.JobSpec{Parallelism: new(int32(3))}, want: func(spec *v1.JobSpec) {
			spec.Parallelism, spec.Completions, spec.WorkQueuePolicy = new(int32(3)), nil, new(v1.WorkQueueRunUntilDeleted)
		}},
		{name: "backoffLimitPerIndex takes the limit off the Job", spec: v1.JobSpec{BackoffLimitPerIndex: new(int32(1))}, want: func(spec *v1.JobSpec) {
			spec.BackoffLimitPerIndex, spec.BackoffLimit = new(int32(1)), new(int32(math.MaxInt32))
		}},
		{name: "podFailurePolicy waits for Pods to fail", spec: v1.JobSpec{PodFailurePolicy: &v1.PodFailurePolicy{Rules: []v1.PodFailurePolicyRule{{
			OnPodConditions: []v1.PodFailurePolicyOnPodConditionsPattern{{Type: "A"}, {Type: "B", Status: corev1.ConditionFalse}},
		}}}}, want: func(spec *v1.JobSpec) {
			spec.PodFailurePolicy = &v1.PodFailurePolicy{Rules: []v1.PodFailurePolicyRule{{
				OnPodConditions: []v1.PodFailurePolicyOnPodConditionsPattern{
					{Type: "A", Status: corev1.ConditionTrue}, {Type: "B", Status: corev1.ConditionFalse},
				},
			}}}
			spec.PodReplacementPolicy = new(v1.Failed)
		}},
		{name: "what is set stays", spec: v1.JobSpec{
			Parallelism:          new(int32(0)),
			BackoffLimit:         new(int32(0)),
			BackoffLimitPerIndex: new(int32(1)),
			CompletionMode:       new(v1.IndexedCompletion),
			Suspend:              new(true),
			ManualSelector:       new(true),
			PodReplacementPolicy: new(v1.Failed),
			DisruptionPolicy:     new(v1.DisruptionCount),
			SuspendPolicy:        new(v1.SuspendDeletePods),
			WorkQueuePolicy:      new(v1.WorkQueueCompleteOnFirstSuccess),
		}, want: func(spec *v1.JobSpec) {
			*spec = v1.JobSpec{
				Parallelism:          new(int32(0)),
				BackoffLimit:         new(int32(0)),
				BackoffLimitPerIndex: new(int32(1)),
				CompletionMode:       new(v1.IndexedCompletion),
				Suspend:              new(true),
				ManualSelector:       new(true),
				PodReplacementPolicy: new(v1.Failed),
				DisruptionPolicy:     new(v1.DisruptionCount),
				SuspendPolicy:        new(v1.SuspendDeletePods),
				WorkQueuePolicy:      new(v1.WorkQueueCompleteOnFirstSuccess),
			}
		}},
		// The completions decide, not the policy: validation refuses the two together.
		{name: "workQueuePolicy with nothing else", spec: v1.JobSpec{WorkQueuePolicy: new(v1.WorkQueueRunUntilDeleted)}, want: func(spec *v1.JobSpec) {
			spec.WorkQueuePolicy = new(v1.WorkQueueRunUntilDeleted)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			want := &v1.Job{Spec: defaulted()}
			c.want(&want.Spec)
			got := &v1.Job{Spec: c.spec}
			scheme := newScheme(t)
			scheme.Default(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("defaults differ (-want +got):\n%s", diff)
			}
			list := &v1.JobList{Items: []v1.Job{{Spec: c.spec}}}
			scheme.Default(list)
			if diff := cmp.Diff(want, &list.Items[0]); diff != "" {
				t.Errorf("defaults in a list differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDefaultLabels(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name                     string
		labels, ofTemplate, want map[string]string
	}{
		{name: "none"},
		{name: "of the template", ofTemplate: map[string]string{"a": "b"}, want: map[string]string{"a": "b"}},
		{name: "empty", labels: map[string]string{}, ofTemplate: map[string]string{"a": "b"}, want: map[string]string{"a": "b"}},
		{name: "own", labels: map[string]string{"c": "d"}, ofTemplate: map[string]string{"a": "b"}, want: map[string]string{"c": "d"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			job := &v1.Job{ObjectMeta: metav1.ObjectMeta{Labels: c.labels}}
			job.Spec.Template.Labels = c.ofTemplate
			newScheme(t).Default(job)
			if diff := cmp.Diff(c.want, job.Labels); diff != "" {
				t.Errorf("labels differ (-want +got):\n%s", diff)
			}
		})
	}
}

// newScheme knows this package alone, as a client does: the Pod template keeps what it has.
func newScheme(t *testing.T) *runtime.Scheme {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	return scheme
}

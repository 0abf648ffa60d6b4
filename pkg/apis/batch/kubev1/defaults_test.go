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

package kubev1_test

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch/kubev1"
)

// defaulted is what a Job with one completion gets.
func defaulted() batchv1.JobSpec {
	return batchv1.JobSpec{
		Parallelism:          new(int32(1)),
		Completions:          new(int32(1)),
		BackoffLimit:         new(int32(6)),
		CompletionMode:       new(batchv1.NonIndexedCompletion),
		Suspend:              new(false),
		ManualSelector:       new(false),
		PodReplacementPolicy: new(batchv1.TerminatingOrFailed),
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		spec batchv1.JobSpec
		want func(*batchv1.JobSpec)
	}{
		{name: "empty", want: func(*batchv1.JobSpec) {}},
		{name: "completions", spec: batchv1.JobSpec{Completions: new(int32(5))}, want: func(spec *batchv1.JobSpec) { spec.Completions = new(int32(5)) }},
		{name: "parallelism makes a work queue", spec: batchv1.JobSpec{Parallelism: new(int32(3))}, want: func(spec *batchv1.JobSpec) {
			spec.Parallelism, spec.Completions = new(int32(3)), nil
		}},
		{name: "both", spec: batchv1.JobSpec{Parallelism: new(int32(0)), Completions: new(int32(0))}, want: func(spec *batchv1.JobSpec) {
			spec.Parallelism, spec.Completions = new(int32(0)), new(int32(0))
		}},
		{name: "backoffLimitPerIndex takes the limit off the Job", spec: batchv1.JobSpec{BackoffLimitPerIndex: new(int32(1))},
			want: func(spec *batchv1.JobSpec) {
				spec.BackoffLimitPerIndex, spec.BackoffLimit = new(int32(1)), new(int32(math.MaxInt32))
			}},
		{name: "podFailurePolicy waits for Pods to fail", spec: batchv1.JobSpec{PodFailurePolicy: &batchv1.PodFailurePolicy{
			Rules: []batchv1.PodFailurePolicyRule{{OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{{Type: "A"}, {Type: "B", Status: "Unknown"}}}},
		}}, want: func(spec *batchv1.JobSpec) {
			spec.PodFailurePolicy = &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{{
				OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{
					{Type: "A", Status: corev1.ConditionTrue}, {Type: "B", Status: corev1.ConditionUnknown},
				},
			}}}
			spec.PodReplacementPolicy = new(batchv1.Failed)
		}},
		{name: "what is set stays", spec: batchv1.JobSpec{
			BackoffLimit: new(int32(0)), CompletionMode: new(batchv1.IndexedCompletion), Suspend: new(true),
			ManualSelector: new(true), PodReplacementPolicy: new(batchv1.Failed), BackoffLimitPerIndex: new(int32(2)),
		}, want: func(spec *batchv1.JobSpec) {
			spec.BackoffLimit, spec.CompletionMode, spec.Suspend = new(int32(0)), new(batchv1.IndexedCompletion), new(true)
			spec.ManualSelector, spec.PodReplacementPolicy, spec.BackoffLimitPerIndex = new(true), new(batchv1.Failed), new(int32(2))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			want := &batchv1.Job{Spec: defaulted()}
			c.want(&want.Spec)
			got := &batchv1.Job{Spec: c.spec}
			scheme := newScheme(t)
			scheme.Default(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("defaults differ (-want +got):\n%s", diff)
			}
			list := &batchv1.JobList{Items: []batchv1.Job{{Spec: c.spec}}}
			scheme.Default(list)
			if diff := cmp.Diff(want, &list.Items[0]); diff != "" {
				t.Errorf("defaults in a list differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDefaultLabels(t *testing.T) {
	t.Parallel()
	job := &batchv1.Job{}
	job.Spec.Template.Labels = map[string]string{"a": "b"}
	newScheme(t).Default(job)
	if diff := cmp.Diff(map[string]string{"a": "b"}, job.Labels); diff != "" {
		t.Errorf("labels differ (-want +got):\n%s", diff)
	}
	// What the strategy generates for the template shows in the Job's own labels too, as upstream: both are one map.
	job.Spec.Template.Labels["job-name"] = "x"
	if job.Labels["job-name"] != "x" {
		t.Error("the Job's labels do not follow those of its template")
	}
	own := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"c": "d"}}}
	own.Spec.Template.Labels = map[string]string{"a": "b"}
	newScheme(t).Default(own)
	if diff := cmp.Diff(map[string]string{"c": "d"}, own.Labels); diff != "" {
		t.Errorf("labels differ (-want +got):\n%s", diff)
	}
}

func newScheme(t *testing.T) *runtime.Scheme {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := kubev1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	return scheme
}

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
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
)

func TestSelectorIsGenerated(t *testing.T) {
	t.Parallel()
	generated := func(uid string) map[string]string {
		return map[string]string{
			"job-name": "job", "batch.kubernetes.io/job-name": "job",
			"controller-uid": uid, "batch.kubernetes.io/controller-uid": uid,
		}
	}
	with := func(labels map[string]string, key, value string) map[string]string {
		labels = maps.Clone(labels)
		labels[key] = value
		return labels
	}
	tests := map[string]struct {
		edit         edit
		wantTemplate func(uid string) map[string]string
		wantSelector func(uid string) map[string]string
		wantLabels   func(uid string) map[string]string
	}{
		"nothing set": {edit: func(*batch.Job) {}},
		"labels of the user's own are kept": {
			edit: func(job *batch.Job) {
				job.Labels = map[string]string{"app": "a"}
				job.Spec.Template.Labels = map[string]string{"app": "b"}
			},
			wantTemplate: func(uid string) map[string]string { return with(generated(uid), "app", "b") },
			wantLabels:   func(string) map[string]string { return map[string]string{"app": "a"} },
		},
		"an empty selector is filled": {
			edit: func(job *batch.Job) { job.Spec.Selector = &metav1.LabelSelector{} },
		},
		"unset manualSelector is false": {
			edit: func(job *batch.Job) { job.Spec.ManualSelector = nil },
		},
		"a manual selector is left alone": {
			edit: func(job *batch.Job) {
				job.Spec.ManualSelector = new(true)
				job.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "mine"}}
				job.Spec.Template.Labels = map[string]string{"app": "mine"}
			},
			wantTemplate: func(string) map[string]string { return map[string]string{"app": "mine"} },
			wantSelector: func(string) map[string]string { return map[string]string{"app": "mine"} },
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			job := newJob(test.edit)
			if err := create(t, OurGroup(), job); err != nil {
				t.Fatal(err)
			}
			uid := string(job.UID)
			want := generated(uid)
			if test.wantTemplate != nil {
				want = test.wantTemplate(uid)
			}
			if diff := cmp.Diff(want, job.Spec.Template.Labels); diff != "" {
				t.Errorf("template labels (-want +got):\n%s", diff)
			}
			if test.wantLabels != nil {
				want = test.wantLabels(uid)
			}
			if diff := cmp.Diff(want, job.Labels); diff != "" {
				t.Errorf("labels of the Job (-want +got):\n%s", diff)
			}
			want = map[string]string{"batch.kubernetes.io/controller-uid": uid}
			if test.wantSelector != nil {
				want = test.wantSelector(uid)
			}
			if diff := cmp.Diff(want, job.Spec.Selector.MatchLabels); diff != "" {
				t.Errorf("selector (-want +got):\n%s", diff)
			}
		})
	}
}

// TestForeignLabelsAreRefused: a label that the server would set is kept where the user set it, and refused by validation where it is
// another Job's.
func TestForeignLabelsAreRefused(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"job-name", "batch.kubernetes.io/job-name", "controller-uid", "batch.kubernetes.io/controller-uid"} {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			job := newJob(func(job *batch.Job) { job.Spec.Template.Labels = map[string]string{key: "other"} })
			err := create(t, OurGroup(), job)
			if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "spec.template.metadata.labels") {
				t.Errorf("error %v, want one about spec.template.metadata.labels", err)
			}
			if got := job.Spec.Template.Labels[key]; got != "other" {
				t.Errorf("the label is now %q, want it as the user set it", got)
			}
		})
	}
}

// TestUpdateGeneratesNothing: a selector once stored stays as it is.
func TestUpdateGeneratesNothing(t *testing.T) {
	t.Parallel()
	bothGroups(t, func(t *testing.T, group Group) {
		old := stored(t)
		job := old.DeepCopy()
		job.Spec.Selector = nil
		if err := update(t, NewStrategy(group), job, old); !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "spec.selector") {
			t.Errorf("error %v of an update without a selector, want one about spec.selector", err)
		}
	})
}

// TestLabelsAreNotShared: what labels the Job later doesn't reach its Pods.
func TestLabelsAreNotShared(t *testing.T) {
	t.Parallel()
	job := stored(t)
	job.Labels["later"] = "yes"
	if _, found := job.Spec.Template.Labels["later"]; found {
		t.Error("the Job and its template share their labels")
	}
}

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
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
)

// templateJob is a Job whose template sets everything that a Pod takes from it, and some of what it does not.
func templateJob() *jobBuilder {
	b := makeJob()
	b.Spec.Template.ObjectMeta = metav1.ObjectMeta{
		Name: "not-taken", Namespace: "not-taken", GenerateName: "not-taken",
		Labels: map[string]string{"l": "1"}, Annotations: map[string]string{"a": "1"}, Finalizers: []string{"example.com/f"},
		OwnerReferences: []metav1.OwnerReference{{Name: "not-taken"}},
	}
	b.Spec.Template.Spec.Hostname = "host"
	b.Spec.Template.Spec.InitContainers = []corev1.Container{{Name: "init"}}
	b.Spec.Template.Spec.Containers = append(b.Spec.Template.Spec.Containers,
		corev1.Container{Name: "own", Env: []corev1.EnvVar{{Name: batch.CompletionIndexEnvName, Value: "own"}}})
	return b
}

func TestPodFor(t *testing.T) {
	t.Parallel()
	job := templateJob().obj()
	before := job.DeepCopy()
	got := podFor(job, testIdentity)
	want := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			GenerateName: "job-", Namespace: "ns", Labels: map[string]string{"l": "1"}, Annotations: map[string]string{"a": "1"},
			Finalizers: []string{"example.com/f", "batch.kubernetes.io/job-tracking"},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "batch/v1", Kind: "Job", Name: "job", UID: "job-uid", Controller: new(true), BlockOwnerDeletion: new(true),
			}},
		},
		Spec: before.Spec.Template.Spec,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Pod (-want +got):\n%s", diff)
	}
	got.Labels["l"], got.Annotations["a"], got.Finalizers[0], got.Spec.Containers[0].Name = "2", "2", "2", "2"
	if diff := cmp.Diff(before, job); diff != "" {
		t.Errorf("the Pod shares memory with its Job:\n%s", diff)
	}
}

// TestPodForLabel: beside a cluster's own controllers Pods carry a mark of ours, whatever the template says of it.
func TestPodForLabel(t *testing.T) {
	t.Parallel()
	identity := testIdentity
	identity.Label = "batch.jobserver.dev/controller-uid"
	for name, labels := range map[string]map[string]string{"none": nil, "others": {"l": "1"}, "forged": {identity.Label: "another"}} {
		job := templateJob().obj()
		job.Spec.Template.Labels = labels
		if got := podFor(job, identity).Labels[identity.Label]; got != "job-uid" {
			t.Errorf("with %s labels in the template: label %q, want the UID of the Job", name, got)
		}
		if labels["batch.jobserver.dev/controller-uid"] == "job-uid" {
			t.Errorf("with %s labels in the template: the Job's own labels were changed", name)
		}
	}
}

func TestPodForIndex(t *testing.T) {
	t.Parallel()
	b := templateJob().indexed(9)
	plain := podForIndex(observeAt(0, b.obj()), 7)
	env := []corev1.EnvVar{{Name: "JOB_COMPLETION_INDEX", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{
		FieldPath: "metadata.labels['batch.kubernetes.io/job-completion-index']"}}}}
	want := podFor(b.obj(), testIdentity)
	want.GenerateName = "job-7-"
	want.Labels["batch.kubernetes.io/job-completion-index"] = "7"
	want.Annotations["batch.kubernetes.io/job-completion-index"] = "7"
	want.Spec.Hostname = "job-7"
	want.Spec.InitContainers[0].Env = env
	want.Spec.Containers[0].Env = env
	if diff := cmp.Diff(want, plain); diff != "" {
		t.Errorf("Pod (-want +got):\n%s", diff)
	}

	limited := podForIndex(observeAt(0, b.limitPerIndex(2).obj()), 7)
	want.Annotations["batch.kubernetes.io/job-index-failure-count"] = "0"
	if diff := cmp.Diff(want, limited); diff != "" {
		t.Errorf("Pod with a limit per index (-want +got):\n%s", diff)
	}
}

func TestGenerateNameForIndex(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 253)
	for _, tc := range []struct{ job, index, want string }{
		{"job", "7", "job-7-"},
		{"a.b", "7", "a.b-7-"},
		{long[:53], "123", long[:53] + "-123-"},
		{long[:54], "123", long[:53] + "-123-"},
		{long, "99999", long[:51] + "-99999-"},
	} {
		if got := generateNameForIndex(tc.job, tc.index); got != tc.want {
			t.Errorf("generateNameForIndex(%q, %s) = %q, want %q", tc.job, tc.index, got, tc.want)
		}
	}
}

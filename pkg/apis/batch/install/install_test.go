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

package install_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	v1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

// TestKinds lists what a server of the scheme can decode in each group: Jobs, and of Kubernetes' group nothing else.
func TestKinds(t *testing.T) {
	t.Parallel()
	scheme := newScheme()
	for _, g := range groups {
		// WatchEvent is registered with every group.
		if diff := cmp.Diff([]string{"Job", "JobList", "WatchEvent"}, slices.Sorted(maps.Keys(scheme.KnownTypes(g.internal)))); diff != "" {
			t.Errorf("kinds of %v differ (-want +got):\n%s", g.internal, diff)
		}
		for _, kind := range []string{"Job", "JobList"} {
			if !scheme.Recognizes(g.external.WithKind(kind)) {
				t.Errorf("%v does not have %s", g.external, kind)
			}
		}
		if scheme.Recognizes(g.external.WithKind("CronJob")) {
			t.Errorf("%v has CronJob", g.external)
		}
		if got := scheme.PrioritizedVersionsForGroup(g.external.Group); len(got) != 1 || got[0] != g.external {
			t.Errorf("versions of %s are %v", g.external.Group, got)
		}
	}
}

func TestFieldLabels(t *testing.T) {
	t.Parallel()
	scheme := newScheme()
	for _, g := range groups {
		for _, label := range []string{"metadata.name", "metadata.namespace", "status.successful"} {
			name, value, err := scheme.ConvertFieldLabel(g.external.WithKind("Job"), label, "x")
			if name != label || value != "x" || err != nil {
				t.Errorf("%v %s: got %q, %q, %v", g.external, label, name, value, err)
			}
		}
		_, _, err := scheme.ConvertFieldLabel(g.external.WithKind("Job"), "spec.suspend", "true")
		if want := `field label "spec.suspend" not supported for Job`; err == nil || err.Error() != want {
			t.Errorf("%v: got the error %v, want %s", g.external, err, want)
		}
	}
}

// TestTemplateDefaults shows that the scheme fills the Pod template too, of single Jobs and of lists, in both groups.
func TestTemplateDefaults(t *testing.T) {
	t.Parallel()
	template := corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "image:1"}}}}
	ours := &v1.Job{Spec: v1.JobSpec{Template: *template.DeepCopy()}}
	ourList := &v1.JobList{Items: []v1.Job{*ours.DeepCopy()}}
	kube := &batchv1.Job{Spec: batchv1.JobSpec{Template: *template.DeepCopy()}}
	kubeList := &batchv1.JobList{Items: []batchv1.Job{*kube.DeepCopy()}}
	scheme := newScheme()
	for _, object := range []runtime.Object{ours, ourList, kube, kubeList} {
		scheme.Default(object)
	}
	for name, got := range map[string]corev1.PodSpec{
		"our Job": ours.Spec.Template.Spec, "our JobList": ourList.Items[0].Spec.Template.Spec,
		"batch/v1 Job": kube.Spec.Template.Spec, "batch/v1 JobList": kubeList.Items[0].Spec.Template.Spec,
	} {
		want := corev1.PodSpec{
			RestartPolicy:                 corev1.RestartPolicyAlways,
			DNSPolicy:                     corev1.DNSClusterFirst,
			SchedulerName:                 "default-scheduler",
			TerminationGracePeriodSeconds: new(int64(30)),
			SecurityContext:               &corev1.PodSecurityContext{},
			Containers: []corev1.Container{{
				Name: "main", Image: "image:1", ImagePullPolicy: corev1.PullIfNotPresent,
				TerminationMessagePath: "/dev/termination-log", TerminationMessagePolicy: corev1.TerminationMessageReadFile,
			}},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the template of %s differs (-want +got):\n%s", name, diff)
		}
	}
	if ours.Spec.BackoffLimit == nil || kubeList.Items[0].Spec.BackoffLimit == nil {
		t.Error("the Job's own defaults are missing")
	}
}

// TestHubHasNoDefaults: an object that lost its version must not gain fields.
func TestHubHasNoDefaults(t *testing.T) {
	t.Parallel()
	job := &batch.Job{}
	newScheme().Default(job)
	if diff := cmp.Diff(&batch.Job{}, job); diff != "" {
		t.Errorf("defaults changed a hub object:\n%s", diff)
	}
}

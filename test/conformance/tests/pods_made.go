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

package tests

import (
	"errors"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/jobserver-dev/jobserver/test/conformance/suite"
)

// made is a test that creates a Job with some edits and looks at all the Pods that come of it at first, by index.
func made(name, description, source string, check func(t *suite.T, job *batchv1.Job, pods []corev1.Pod), edits ...edit) suite.Test {
	return suite.Test{Name: name, Description: description, Source: source, Run: func(t *suite.T) {
		job := t.Create(newJob(edits...))
		wanted := *job.Spec.Parallelism
		if job.Spec.Completions != nil {
			wanted = min(wanted, *job.Spec.Completions)
		}
		check(t, job, t.WaitActive(job, int(wanted)))
	}}
}

// labelsOf are the labels that the Pods of a Job get, if it has no index and its Pod template no labels.
func labelsOf(job *batchv1.Job) map[string]string {
	uid := string(job.UID)
	return map[string]string{
		"job-name": job.Name, "controller-uid": uid,
		"batch.kubernetes.io/job-name": job.Name, "batch.kubernetes.io/controller-uid": uid,
	}
}

// needing is a test that holds only of servers that have a feature.
func needing(feature suite.Feature, test suite.Test) suite.Test {
	test.Features = append(test.Features, feature)
	return test
}

// isTracked tells whether a Pod has the finalizer that keeps it until its Job has counted it. Beside a cluster's own Job controller
// jobserver's has a name of its own.
func isTracked(pod corev1.Pod) bool {
	return slices.ContainsFunc(pod.Finalizers, func(name string) bool {
		return name == "batch.kubernetes.io/job-tracking" || name == "batch.jobserver.dev/job-tracking"
	})
}

// indexVariables are the values of JOB_COMPLETION_INDEX in containers: the field that it is taken from, or the literal.
func indexVariables(containers []corev1.Container) (found []string) {
	for _, container := range containers {
		for _, variable := range container.Env {
			switch {
			case variable.Name != "JOB_COMPLETION_INDEX":
			case variable.ValueFrom != nil && variable.ValueFrom.FieldRef != nil:
				found = append(found, variable.ValueFrom.FieldRef.FieldPath)
			default:
				found = append(found, variable.Value)
			}
		}
	}
	return found
}

// quotaOfPods allows so many Pods in the test's namespace, waits until that is in force, and returns the name of the quota.
func quotaOfPods(t *suite.T, pods string) string {
	quotas := t.Kube.CoreV1().ResourceQuotas(t.Namespace())
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "pods"}}
	quota.Spec.Hard = corev1.ResourceList{corev1.ResourcePods: resource.MustParse(pods)}
	_, err := quotas.Create(t.Context(), quota, metav1.CreateOptions{})
	t.Must(err)
	t.Eventually("the quota is in force", func() error {
		found, err := quotas.Get(t.Context(), quota.Name, metav1.GetOptions{})
		if err == nil && len(found.Status.Hard) == 0 {
			err = errors.New("it has no status")
		}
		return err
	})
	return quota.Name
}

// indexField is where JOB_COMPLETION_INDEX is taken from.
const indexField = "metadata.labels['batch.kubernetes.io/job-completion-index']"

// The metadata of a Job's Pods.
func init() {
	subject("PodCreation",
		made("Labels", "A Job's Pods have the labels job-name and controller-uid, with and without the prefix batch.kubernetes.io.",
			"guide 10; reference 1.16", func(t *suite.T, job *batchv1.Job, pods []corev1.Pod) {
				for key, want := range labelsOf(job) {
					suite.Equal(t, "label "+key, pods[0].Labels[key], want)
				}
			}),
		needing(suite.FeatureUnmarkedPods, made("NoOtherLabels", "A Job's Pods have no labels but those, and those of the Pod template.", "reference 1.16",
			func(t *suite.T, job *batchv1.Job, pods []corev1.Pod) {
				suite.Equal(t, "labels", pods[0].Labels, labelsOf(job))
			})),
		made("ReservedLabels", "All labels of a Job's Pods that users didn't ask for have a prefix of Kubernetes or jobserver, but for the two of old.",
			"reference 1.16; API conventions", func(t *suite.T, job *batchv1.Job, pods []corev1.Pod) {
				for key := range pods[0].Labels {
					prefix, _, _ := strings.Cut(key, "/")
					if !slices.Contains([]string{"job-name", "controller-uid", "batch.kubernetes.io", "batch.jobserver.dev"}, prefix) {
						t.Errorf("the Pod has the label %s", key)
					}
				}
			}),
		made("TemplateMetadata", "A Job's Pods have the labels and annotations of the Pod template.", "guide 2; reference 1.16",
			func(t *suite.T, _ *batchv1.Job, pods []corev1.Pod) {
				suite.Equal(t, "label", pods[0].Labels["app"], "processor")
				suite.Equal(t, "annotations", pods[0].Annotations, map[string]string{"example.com/note": "kept"})
			}, spec(func(spec *batchv1.JobSpec) {
				spec.Template.Labels = map[string]string{"app": "processor"}
				spec.Template.Annotations = map[string]string{"example.com/note": "kept"}
			})),
		made("Owner", "A Job is the controller of its Pods, and blocks on their deletion.", "guide 10; reference 1.16",
			func(t *suite.T, job *batchv1.Job, pods []corev1.Pod) {
				if len(pods[0].OwnerReferences) != 1 {
					t.Fatalf("the Pod has the owners %v", pods[0].OwnerReferences)
				}
				owner := pods[0].OwnerReferences[0]
				suite.Equal(t, "owner", metav1.OwnerReference{
					Kind: owner.Kind, Name: owner.Name, UID: owner.UID, Controller: owner.Controller, BlockOwnerDeletion: owner.BlockOwnerDeletion,
				}, metav1.OwnerReference{Kind: "Job", Name: "job", UID: job.UID, Controller: ptr.To(true), BlockOwnerDeletion: ptr.To(true)})
				if owner.APIVersion != "batch/v1" && owner.APIVersion != "batch.jobserver.dev/v1" {
					t.Errorf("the owner is of %s", owner.APIVersion)
				}
			}),
		made("Finalizer", "A Job's Pods have a finalizer that keeps them until they are counted.", "reference 1.16; KEP-2307",
			func(t *suite.T, _ *batchv1.Job, pods []corev1.Pod) {
				if len(pods[0].Finalizers) != 1 || !isTracked(pods[0]) {
					t.Errorf("the Pod has the finalizers %v", pods[0].Finalizers)
				}
			}),
	)
}

// The names of a Job's Pods, and their spec.
func init() {
	subject("PodCreation",
		made("Name", "The name of a Job's Pod is the Job's with a suffix of five characters.", "reference 1.16 and B54",
			func(t *suite.T, _ *batchv1.Job, pods []corev1.Pod) {
				if suffix, found := strings.CutPrefix(pods[0].Name, "job-"); !found || len(suffix) != 5 {
					t.Errorf("the Pod has the name %q", pods[0].Name)
				}
			}),
		made("LongName", "The names of Pods of a Job with a long name are cut to 63 characters.", "reference 1.1 and 1.16",
			func(t *suite.T, _ *batchv1.Job, pods []corev1.Pod) {
				if name := pods[0].Name; len(name) != 63 || !strings.HasPrefix(name, strings.Repeat("x", 58)) {
					t.Errorf("the Pod has the name %q", name)
				}
			}, named(strings.Repeat("x", 63))),
		made("Spec", "A Job's Pods have the spec of the Pod template.", "guide 2; reference 1.16", func(t *suite.T, job *batchv1.Job, pods []corev1.Pod) {
			container, want := pods[0].Spec.Containers[0], job.Spec.Template.Spec.Containers[0]
			suite.Equal(t, "command", container.Command, want.Command)
			suite.Equal(t, "image", container.Image, want.Image)
			suite.Equal(t, "env", container.Env, []corev1.EnvVar{{Name: "A", Value: "b"}})
			suite.Equal(t, "restartPolicy", pods[0].Spec.RestartPolicy, "OnFailure")
			suite.Equal(t, "activeDeadlineSeconds", or(pods[0].Spec.ActiveDeadlineSeconds, 0), 600)
		}, restartPolicy(corev1.RestartPolicyOnFailure), podSpec(func(spec *corev1.PodSpec) {
			spec.ActiveDeadlineSeconds = ptr.To[int64](600)
			spec.Containers[0].Env = []corev1.EnvVar{{Name: "A", Value: "b"}}
		})),
	)
}

// The indexes of Pods.
func init() {
	subject("PodCreation",
		made("NoIndex", "The Pods of a NonIndexed Job have no index, no JOB_COMPLETION_INDEX and no host name.", "guide 6; reference 1.16",
			func(t *suite.T, _ *batchv1.Job, pods []corev1.Pod) {
				for _, pod := range pods {
					suite.Equal(t, "annotations", len(pod.Annotations), 0)
					suite.Equal(t, "variables", indexVariables(pod.Spec.Containers), nil)
					suite.Equal(t, "hostname", pod.Spec.Hostname, "")
				}
			}, completions(2), parallelism(2)),
		made("Index", "The Pods of an Indexed Job have indexes from 0, in an annotation and a label.", "guide 6; reference 1.16",
			func(t *suite.T, _ *batchv1.Job, pods []corev1.Pod) {
				for index, want := range []string{"0", "1", "2"} {
					suite.Equal(t, "annotation", pods[index].Annotations["batch.kubernetes.io/job-completion-index"], want)
					suite.Equal(t, "label", pods[index].Labels["batch.kubernetes.io/job-completion-index"], want)
				}
			}, indexed(3)),
		made("IndexedName", "The name of a Pod of an Indexed Job has the index before its suffix.", "reference 1.16",
			func(t *suite.T, _ *batchv1.Job, pods []corev1.Pod) {
				for index, prefix := range []string{"job-0-", "job-1-"} {
					if suffix, found := strings.CutPrefix(pods[index].Name, prefix); !found || len(suffix) != 5 {
						t.Errorf("the Pod of index %d has the name %q", index, pods[index].Name)
					}
				}
			}, indexed(2)),
		made("LongIndexedName", "The name of a Pod of an Indexed Job with a long name keeps the index.", "reference 1.16",
			func(t *suite.T, _ *batchv1.Job, pods []corev1.Pod) {
				if name := pods[0].Name; len(name) != 63 || !strings.HasPrefix(name, strings.Repeat("x", 55)+"-0-") {
					t.Errorf("the Pod has the name %q", name)
				}
			}, named(strings.Repeat("x", 61)), indexed(1)),
		made("Hostname", "The host name of a Pod of an Indexed Job is the Job's name and the index.", "reference 1.16",
			func(t *suite.T, _ *batchv1.Job, pods []corev1.Pod) {
				suite.Equal(t, "hostnames", []string{pods[0].Spec.Hostname, pods[1].Spec.Hostname}, []string{"job-0", "job-1"})
			}, indexed(2), podSpec(func(spec *corev1.PodSpec) { spec.Hostname = "other" })),
	)
}

// The variable JOB_COMPLETION_INDEX.
func init() {
	subject("PodCreation",
		made("IndexVariable", "All containers of a Pod of an Indexed Job have the variable JOB_COMPLETION_INDEX, init containers too.", "guide 6; reference 1.16",
			func(t *suite.T, _ *batchv1.Job, pods []corev1.Pod) {
				suite.Equal(t, "of containers", indexVariables(pods[0].Spec.Containers), []string{indexField})
				suite.Equal(t, "of init containers", indexVariables(pods[0].Spec.InitContainers), []string{indexField})
			}, indexed(1), podSpec(func(spec *corev1.PodSpec) {
				spec.InitContainers = []corev1.Container{{Name: "before", Image: "busybox:1.36", Command: []string{"true"}}}
			})),
		made("OwnIndexVariable", "A JOB_COMPLETION_INDEX that the Pod template defines is kept.", "guide 6, 7 and 13; reference 1.16",
			func(t *suite.T, _ *batchv1.Job, pods []corev1.Pod) {
				suite.Equal(t, "variables", indexVariables(pods[0].Spec.Containers), []string{"own"})
			}, indexed(1), podSpec(func(spec *corev1.PodSpec) {
				spec.Containers[0].Env = []corev1.EnvVar{{Name: "JOB_COMPLETION_INDEX", Value: "own"}}
			})),
		made("IndexVariableFromAnnotation", "JOB_COMPLETION_INDEX may be taken from the annotation, as the guide does.", "guide 6 and 7",
			func(t *suite.T, _ *batchv1.Job, pods []corev1.Pod) {
				suite.Equal(t, "variables", indexVariables(pods[0].Spec.Containers), []string{"metadata.annotations['batch.kubernetes.io/job-completion-index']"})
			}, indexed(1), podSpec(func(spec *corev1.PodSpec) {
				spec.Containers[0].Env = []corev1.EnvVar{{Name: "JOB_COMPLETION_INDEX", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{
					FieldPath: "metadata.annotations['batch.kubernetes.io/job-completion-index']",
				}}}}
			})),
	)
}

// What events tell of the creation.
func init() {
	subject("PodCreation",
		made("Event", "An event of the Job tells of each Pod that is created.", "reference 2.14",
			func(t *suite.T, job *batchv1.Job, pods []corev1.Pod) {
				event := t.WaitEvent(job, "Normal", "SuccessfulCreate", "Created pod: "+pods[0].Name)
				suite.Equal(t, "source", event.Source.Component, "job-controller")
				suite.Equal(t, "kind of the object", event.InvolvedObject.Kind, "Job")
			}),
		suite.Test{
			Name: "Refused", Description: "An event of the Job tells of Pods that the API refuses, and the Job goes on once it may.", Source: "guide 12 and 13; reference B7, B52 and 2.14",
			Features: []suite.Feature{suite.FeatureQuota},
			Run: func(t *suite.T) {
				quota := quotaOfPods(t, "0")
				job := t.Create(newJob())
				t.WaitEvent(job, "Warning", "FailedCreate", "Error creating: pods \"job-")
				suite.Equal(t, "Pods", len(t.Pods(job)), 0)
				suite.Equal(t, "failed", t.Get(job).Status.Failed, 0)
				t.Must(t.Kube.CoreV1().ResourceQuotas(t.Namespace()).Delete(t.Context(), quota, metav1.DeleteOptions{}))
				t.Succeed(t.WaitActive(job, 1)...)
				t.WaitComplete(job, "CompletionsReached")
			},
		},
	)
}

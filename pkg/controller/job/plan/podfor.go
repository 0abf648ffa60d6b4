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
	"maps"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/storage/names"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

// podFor returns a new Pod of the Job, for the API to complete its name: labels, annotations, finalizers and spec of the
// template, our label, the tracking finalizer, and the Job as its controller (section 1.16 of the reference).
func podFor(job *batchv1.Job, identity Identity) *corev1.Pod {
	template := &job.Spec.Template
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       job.Namespace,
			GenerateName:    job.Name + "-", // the API cuts it where it is too long
			Labels:          maps.Clone(template.Labels),
			Annotations:     maps.Clone(template.Annotations),
			Finalizers:      slices.Clone(template.Finalizers),
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(job, identity.Owner)},
		},
		Spec: *template.Spec.DeepCopy(),
	}
	if identity.Label != "" {
		set(&pod.Labels, identity.Label, string(job.UID))
	}
	if !slices.Contains(pod.Finalizers, identity.Finalizer) {
		pod.Finalizers = append(pod.Finalizers, identity.Finalizer)
	}
	return pod
}

// podForIndex returns a new Pod that works on the index. It learns of it by annotation, label, host name and environment
// variable; with a limit per index it also says how often the index has failed before.
func podForIndex(s *state, index int) *corev1.Pod {
	pod := podFor(s.job, s.in.Identity)
	number := strconv.Itoa(index)
	pod.GenerateName = generateNameForIndex(s.job.Name, number)
	pod.Spec.Hostname = s.job.Name + "-" + number
	set(&pod.Labels, batch.JobCompletionIndexAnnotation, number)
	set(&pod.Annotations, batch.JobCompletionIndexAnnotation, number)
	if hasLimitPerIndex(s.job) {
		counted, ignored := s.failuresFor(index)
		set(&pod.Annotations, batch.JobIndexFailureCountAnnotation, strconv.Itoa(int(counted)))
		if ignored > 0 {
			set(&pod.Annotations, batch.JobIndexIgnoredFailureCountAnnotation, strconv.Itoa(int(ignored)))
		}
	}
	for i := range pod.Spec.InitContainers {
		addIndexEnv(&pod.Spec.InitContainers[i])
	}
	for i := range pod.Spec.Containers {
		addIndexEnv(&pod.Spec.Containers[i])
	}
	return pod
}

func set(m *map[string]string, key, value string) {
	if *m == nil {
		*m = make(map[string]string)
	}
	(*m)[key] = value
}

// addIndexEnv tells the container its index, unless the template has a variable of that name.
func addIndexEnv(container *corev1.Container) {
	for i := range container.Env {
		if container.Env[i].Name == batch.CompletionIndexEnvName {
			return
		}
	}
	container.Env = append(container.Env, corev1.EnvVar{
		Name: batch.CompletionIndexEnvName,
		ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{
			FieldPath: "metadata.labels['" + batch.JobCompletionIndexAnnotation + "']",
		}},
	})
}

// generateNameForIndex is "<job>-<index>-", with the name of the Job cut short where the API would have to cut: the index
// must stay.
func generateNameForIndex(jobName, index string) string {
	suffix := "-" + index + "-"
	if room := names.MaxGeneratedNameLength - len(suffix); len(jobName) > room {
		jobName = jobName[:room]
	}
	return jobName + suffix
}

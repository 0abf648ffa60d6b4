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

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
)

// generateSelector makes the Job select its own Pods and no others: it labels the Pod template with the Job's name and UID, under
// today's and the legacy names, and selects by the UID. A label that the user set is kept; validation refuses one that is
// wrong. A Job with a manual selector is left as it is.
func generateSelector(job *batch.Job) {
	if job.Spec.ManualSelector != nil && *job.Spec.ManualSelector {
		return
	}
	if job.Spec.Template.Labels == nil {
		job.Spec.Template.Labels = map[string]string{}
	}
	uid := string(job.UID)
	setIfAbsent(job.Spec.Template.Labels, batch.LegacyJobNameLabel, job.Name)
	setIfAbsent(job.Spec.Template.Labels, batch.JobNameLabel, job.Name)
	setIfAbsent(job.Spec.Template.Labels, batch.LegacyControllerUIDLabel, uid)
	setIfAbsent(job.Spec.Template.Labels, batch.ControllerUIDLabel, uid)

	if job.Spec.Selector == nil {
		job.Spec.Selector = &metav1.LabelSelector{}
	}
	if job.Spec.Selector.MatchLabels == nil {
		job.Spec.Selector.MatchLabels = map[string]string{}
	}
	setIfAbsent(job.Spec.Selector.MatchLabels, batch.ControllerUIDLabel, uid)
}

// labelAsTemplate gives a Job without labels those of its Pod template. Defaulting does so too, but before the template's labels are
// generated; it would add them whenever the Job is read, and the next write that changes nothing would store them after all.
func labelAsTemplate(job *batch.Job) {
	if len(job.Labels) == 0 {
		job.Labels = maps.Clone(job.Spec.Template.Labels)
	}
}

func setIfAbsent(labels map[string]string, key, value string) {
	if _, found := labels[key]; !found {
		labels[key] = value
	}
}

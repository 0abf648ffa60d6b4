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
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
)

func TestMatchJob(t *testing.T) {
	t.Parallel()
	job := newJob(func(job *batch.Job) {
		job.Labels = map[string]string{"app": "a"}
		job.Status.Succeeded = 3
	})
	tests := map[string]struct {
		labels, fields string
		want           bool
	}{
		"everything":          {want: true},
		"label":               {labels: "app=a", want: true},
		"other label":         {labels: "app=b"},
		"name":                {fields: "metadata.name=job", want: true},
		"other name":          {fields: "metadata.name=other"},
		"namespace":           {fields: "metadata.namespace=default", want: true},
		"other namespace":     {fields: "metadata.namespace!=default"},
		"successful":          {fields: "status.successful=3", want: true},
		"otherwise succeeded": {fields: "status.successful=0"},
		"label and field":     {labels: "app=a", fields: "status.successful=3,metadata.name=job", want: true},
		"label but not field": {labels: "app=a", fields: "status.successful=2"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			label, err := labels.Parse(test.labels)
			if err != nil {
				t.Fatal(err)
			}
			predicate := MatchJob(label, fields.ParseSelectorOrDie(test.fields))
			if got, err := predicate.Matches(job); err != nil || got != test.want {
				t.Errorf("got %v, error %v; want %v", got, err, test.want)
			}
		})
	}
}

func TestGetAttrsOfAnotherKind(t *testing.T) {
	t.Parallel()
	if _, _, err := GetAttrs(&corev1.Pod{}); err == nil {
		t.Error("a Pod has the attributes of a Job")
	}
}

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

// Package install makes a scheme know the Job API of a server: the hub, both groups and all their defaults.
package install

import (
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	"github.com/jobserver-dev/jobserver/pkg/apis/batch/kubev1"
	"github.com/jobserver-dev/jobserver/pkg/apis/batch/podtemplate"
	v1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

// Install registers the hub and both groups in scheme.
func Install(scheme *runtime.Scheme) {
	utilruntime.Must(batch.AddToScheme(scheme))
	utilruntime.Must(v1.AddToScheme(scheme))
	utilruntime.Must(kubev1.AddToScheme(scheme))
	utilruntime.Must(scheme.SetVersionPriority(v1.SchemeGroupVersion))
	utilruntime.Must(scheme.SetVersionPriority(kubev1.SchemeGroupVersion))
	addPodTemplateDefaults(scheme)
}

// addPodTemplateDefaults replaces the defaults that the versions registered by ones that fill the Pod template too. The versions
// can't do that themselves: the template's defaults live in k8s.io/kubernetes, and every user of the
// generated clients would have to build it.
func addPodTemplateDefaults(scheme *runtime.Scheme) {
	defaultJob := func(job *v1.Job) {
		v1.SetObjectDefaults_Job(job)
		podtemplate.SetDefaults(&job.Spec.Template)
	}
	scheme.AddTypeDefaultingFunc(&v1.Job{}, func(obj any) { defaultJob(obj.(*v1.Job)) })
	scheme.AddTypeDefaultingFunc(&v1.JobList{}, func(obj any) {
		list := obj.(*v1.JobList)
		for i := range list.Items {
			defaultJob(&list.Items[i])
		}
	})

	defaultKubeJob := func(job *batchv1.Job) {
		kubev1.SetObjectDefaults_Job(job)
		podtemplate.SetDefaults(&job.Spec.Template)
	}
	scheme.AddTypeDefaultingFunc(&batchv1.Job{}, func(obj any) { defaultKubeJob(obj.(*batchv1.Job)) })
	scheme.AddTypeDefaultingFunc(&batchv1.JobList{}, func(obj any) {
		list := obj.(*batchv1.JobList)
		for i := range list.Items {
			defaultKubeJob(&list.Items[i])
		}
	})
}

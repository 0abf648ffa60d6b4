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

package clients

import (
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	batchapply "k8s.io/client-go/applyconfigurations/batch/v1"
	coreapply "k8s.io/client-go/applyconfigurations/core/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	ourv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
	ourapply "github.com/jobserver-dev/jobserver/pkg/generated/applyconfiguration/batch/v1"
)

// owner is the controller that the tests are: a Job of its own is left alone by every other.
const owner = "example.com/clients"

// scheme is what an author of a controller would put together: Kubernetes' types and ours.
var scheme = func() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(ourv1.AddToScheme(scheme))
	return scheme
}()

// A kind is the Job of one group, as the tests need it.
type kind struct {
	version schema.GroupVersion
	empty   func() client.Object
	list    func() client.ObjectList
	// job returns a Job of the owner's.
	job func(namespace, name string) client.Object
	// parallelism and active return where these are.
	parallelism func(client.Object) **int32
	active      func(client.Object) *int32
	// complete makes the status that of a Job that has completed.
	complete func(client.Object)
	// isComplete reports whether it is.
	isComplete func(client.Object) bool
	// apply returns a configuration of a Job with a parallelism, and applyActive one of its status.
	apply       func(namespace, name string, parallelism int32) runtime.ApplyConfiguration
	applyActive func(namespace, name string, active int32) runtime.ApplyConfiguration
}

var kubeKind = kind{
	version: batchv1.SchemeGroupVersion,
	empty:   func() client.Object { return &batchv1.Job{} },
	list:    func() client.ObjectList { return &batchv1.JobList{} },
	job: func(namespace, name string) client.Object {
		return &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: batchv1.JobSpec{Template: template(), ManagedBy: new(owner)}}
	},
	parallelism: func(job client.Object) **int32 { return &job.(*batchv1.Job).Spec.Parallelism },
	active:      func(job client.Object) *int32 { return &job.(*batchv1.Job).Status.Active },
	complete: func(job client.Object) {
		status, now := &job.(*batchv1.Job).Status, metav1.Now()
		status.StartTime, status.CompletionTime, status.Succeeded = &now, &now, 1
		for _, condition := range []batchv1.JobConditionType{batchv1.JobSuccessCriteriaMet, batchv1.JobComplete} {
			status.Conditions = append(status.Conditions, batchv1.JobCondition{Type: condition, Status: corev1.ConditionTrue})
		}
	},
	isComplete: func(job client.Object) bool {
		for _, condition := range job.(*batchv1.Job).Status.Conditions {
			if condition.Type == batchv1.JobComplete {
				return condition.Status == corev1.ConditionTrue
			}
		}
		return false
	},
	apply: func(namespace, name string, parallelism int32) runtime.ApplyConfiguration {
		return batchapply.Job(name, namespace).WithSpec(batchapply.JobSpec().WithTemplate(applyTemplate()).WithCompletions(5).WithParallelism(parallelism))
	},
	applyActive: func(namespace, name string, active int32) runtime.ApplyConfiguration {
		return batchapply.Job(name, namespace).WithStatus(batchapply.JobStatus().WithActive(active))
	},
}

var ourKind = kind{
	version: ourv1.SchemeGroupVersion,
	empty:   func() client.Object { return &ourv1.Job{} },
	list:    func() client.ObjectList { return &ourv1.JobList{} },
	job: func(namespace, name string) client.Object {
		return &ourv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: ourv1.JobSpec{Template: template(), ManagedBy: new(owner)}}
	},
	parallelism: func(job client.Object) **int32 { return &job.(*ourv1.Job).Spec.Parallelism },
	active:      func(job client.Object) *int32 { return &job.(*ourv1.Job).Status.Active },
	complete: func(job client.Object) {
		status, now := &job.(*ourv1.Job).Status, metav1.Now()
		status.StartTime, status.CompletionTime, status.Succeeded = &now, &now, 1
		for _, condition := range []ourv1.JobConditionType{ourv1.JobSuccessCriteriaMet, ourv1.JobComplete} {
			status.Conditions = append(status.Conditions, ourv1.JobCondition{Type: condition, Status: corev1.ConditionTrue})
		}
	},
	isComplete: func(job client.Object) bool {
		for _, condition := range job.(*ourv1.Job).Status.Conditions {
			if condition.Type == ourv1.JobComplete {
				return condition.Status == corev1.ConditionTrue
			}
		}
		return false
	},
	apply: func(namespace, name string, parallelism int32) runtime.ApplyConfiguration {
		return ourapply.Job(name, namespace).WithSpec(ourapply.JobSpec().WithTemplate(applyTemplate()).WithCompletions(5).WithParallelism(parallelism))
	},
	applyActive: func(namespace, name string, active int32) runtime.ApplyConfiguration {
		return ourapply.Job(name, namespace).WithStatus(ourapply.JobStatus().WithActive(active))
	},
}

// forEachKind runs a test once with the Jobs of each group.
func forEachKind(t *testing.T, test func(t *testing.T, k kind)) {
	for _, k := range []kind{kubeKind, ourKind} {
		t.Run(k.version.Group, func(t *testing.T) {
			t.Parallel()
			test(t, k)
		})
	}
}

func (k kind) resource() schema.GroupVersionResource {
	return k.version.WithResource("jobs")
}

func (k kind) untyped() *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(k.version.WithKind("Job"))
	return object
}

func template() corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{Spec: corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever,
		Containers:    []corev1.Container{{Name: "main", Image: "busybox", Command: []string{"true"}}},
	}}
}

func applyTemplate() *coreapply.PodTemplateSpecApplyConfiguration {
	return coreapply.PodTemplateSpec().WithSpec(coreapply.PodSpec().WithRestartPolicy(corev1.RestartPolicyNever).
		WithContainers(coreapply.Container().WithName("main").WithImage("busybox")))
}

// waitTimeout is long: it ends only tests that fail anyway.
const waitTimeout = time.Minute

// receive returns the next value of a channel, which must be open.
func receive[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case value, open := <-from:
		if !open {
			t.Fatal("the channel is closed")
		}
		return value
	case <-time.After(waitTimeout):
		t.Fatal("nothing came")
	}
	panic("unreachable")
}

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

package integration

import (
	"context"
	"errors"
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	coreapply "k8s.io/client-go/applyconfigurations/core/v1"

	ourv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
	ourapply "github.com/jobserver-dev/jobserver/pkg/generated/applyconfiguration/batch/v1"
	"github.com/jobserver-dev/jobserver/pkg/generated/informers/externalversions"
	"github.com/jobserver-dev/jobserver/test/framework"
)

// TestGeneratedClient: apply, status apply and extraction with the generated types.
func TestGeneratedClient(t *testing.T) {
	t.Parallel()
	namespace := server.Namespace(t)
	jobs := server.Jobserver.BatchV1().Jobs(namespace)
	template := coreapply.PodTemplateSpec().WithSpec(coreapply.PodSpec().WithRestartPolicy("Never").
		WithContainers(coreapply.Container().WithName("main").WithImage("busybox")))
	options := metav1.ApplyOptions{FieldManager: owner}
	applied, err := jobs.Apply(t.Context(), ourapply.Job("job", namespace).
		WithSpec(ourapply.JobSpec().WithTemplate(template).WithDisruptionPolicy(ourv1.DisruptionCount).WithBackoffLimit(2)), options)
	if err != nil {
		t.Fatal(err)
	}
	if *applied.Spec.DisruptionPolicy != ourv1.DisruptionCount || *applied.Spec.BackoffLimit != 2 {
		t.Errorf("applied %+v", applied.Spec)
	}
	extracted, err := ourapply.ExtractJob(applied, owner)
	if err != nil {
		t.Fatal(err)
	}
	if extracted.Spec.Parallelism != nil || *extracted.Spec.DisruptionPolicy != ourv1.DisruptionCount {
		t.Errorf("extracted %+v, want what was applied and no more", extracted.Spec)
	}
	status, err := jobs.ApplyStatus(t.Context(), ourapply.Job("job", namespace).
		WithStatus(ourapply.JobStatus().WithActive(1).WithConditions(ourapply.JobCondition().WithType("Custom").WithStatus("True"))), options)
	if err != nil {
		t.Fatal(err)
	}
	if status.Status.Active != 1 || len(status.Status.Conditions) != 1 || status.Status.Conditions[0].Type != "Custom" {
		t.Errorf("applied the status %+v", status.Status)
	}
	// Left out of the next apply, the policy goes back to the default.
	applied, err = jobs.Apply(t.Context(), ourapply.Job("job", namespace).
		WithSpec(ourapply.JobSpec().WithTemplate(template).WithBackoffLimit(2)), options)
	if err != nil {
		t.Fatal(err)
	}
	if *applied.Spec.DisruptionPolicy != ourv1.DisruptionIgnore {
		t.Errorf("disruptionPolicy is %s after its owner left it out, want the default", *applied.Spec.DisruptionPolicy)
	}
}

// TestInformer: a cache of our group follows what is written through batch/v1.
func TestInformer(t *testing.T) {
	t.Parallel()
	namespace := server.Namespace(t)
	factory := externalversions.NewSharedInformerFactoryWithOptions(server.Jobserver, 0, externalversions.WithNamespace(namespace))
	informer := factory.Batch().V1().Jobs()
	lister := informer.Lister().Jobs(namespace)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	create(t, namespace, newJob(kubeJobs, "before", nil))
	informer.Informer()
	factory.StartWithContext(ctx)

	expect := func(what string, check func(map[string]*ourv1.Job) error) {
		t.Helper()
		framework.Eventually(t, what, func(context.Context) error {
			list, err := lister.List(labels.Everything())
			if err != nil {
				return err
			}
			jobs := map[string]*ourv1.Job{}
			for _, job := range list {
				jobs[job.Name] = job
			}
			return check(jobs)
		})
	}
	expect("the cache has what was there", func(jobs map[string]*ourv1.Job) error {
		if jobs["before"] == nil {
			return errors.New("no Job before")
		}
		return nil
	})
	create(t, namespace, newJob(kubeJobs, "job", nil))
	label(t, kubeJobs, namespace, "job", "1")
	expect("the cache has what is new", func(jobs map[string]*ourv1.Job) error {
		if jobs["job"] == nil || jobs["job"].Labels["step"] != "1" || *jobs["job"].Spec.DisruptionPolicy != ourv1.DisruptionCount {
			return fmt.Errorf("Job %+v", jobs["job"])
		}
		return nil
	})
	if err := jobsIn(kubeJobs, namespace).Delete(t.Context(), "before", background()); err != nil {
		t.Fatal(err)
	}
	expect("the cache forgets what is gone", func(jobs map[string]*ourv1.Job) error {
		if len(jobs) != 1 {
			return fmt.Errorf("%d Jobs", len(jobs))
		}
		return nil
	})
}

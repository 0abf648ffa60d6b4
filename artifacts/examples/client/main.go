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

// Command client makes an Indexed Job with the generated client of batch.jobserver.dev, and follows it to its end through an informer. It exits with 0
// where the Job completed, and with 1 where it failed.
//
//	go run ./artifacts/examples/client --kubeconfig _output/server/admin.kubeconfig
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coreapply "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"

	batchv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
	batchapply "github.com/jobserver-dev/jobserver/pkg/generated/applyconfiguration/batch/v1"
	"github.com/jobserver-dev/jobserver/pkg/generated/clientset/versioned"
	"github.com/jobserver-dev/jobserver/pkg/generated/informers/externalversions"
)

// owner is the name under which the server remembers which fields are this program's.
const owner = "example-client"

func main() {
	kubeconfig := flag.String("kubeconfig", os.Getenv("KUBECONFIG"), "file that says where the server is and who we are")
	namespace := flag.String("namespace", metav1.NamespaceDefault, "namespace of the Job")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *kubeconfig, *namespace); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, kubeconfig, namespace string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := versioned.NewForConfig(config)
	if err != nil {
		return err
	}
	// Applied, not created: the program can be run again while the Job is there.
	applied, err := client.BatchV1().Jobs(namespace).Apply(ctx, wanted(namespace), metav1.ApplyOptions{FieldManager: owner})
	if err != nil {
		return fmt.Errorf("apply the Job: %w", err)
	}
	fmt.Printf("applied %s, which replaces lost Pods without counting failures (disruptionPolicy %s)\n", applied.Name, *applied.Spec.DisruptionPolicy)
	ended, err := follow(ctx, client, applied)
	if err != nil {
		return err
	}
	fmt.Printf("indexes %s succeeded\n", ended.Status.CompletedIndexes)
	return nil
}

// wanted is the Job: three indexes, two at a time. What is not named here keeps its default and may belong to others.
func wanted(namespace string) *batchapply.JobApplyConfiguration {
	container := coreapply.Container().WithName("main").WithImage("busybox:1.36").
		WithCommand("sh", "-c", "echo index $JOB_COMPLETION_INDEX")
	return batchapply.Job("example-client", namespace).WithSpec(batchapply.JobSpec().
		WithCompletionMode(batchv1.IndexedCompletion).WithCompletions(3).WithParallelism(2).
		WithDisruptionPolicy(batchv1.DisruptionIgnore).
		WithTemplate(coreapply.PodTemplateSpec().WithSpec(coreapply.PodSpec().
			WithRestartPolicy(corev1.RestartPolicyNever).WithContainers(container))))
}

// follow returns the Job once it has completed, and an error where it failed or is gone. An informer keeps a copy of all Jobs of the namespace and tells of
// each change; it begins anew by itself where the connection breaks.
func follow(ctx context.Context, client versioned.Interface, followed *batchv1.Job) (*batchv1.Job, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	factory := externalversions.NewSharedInformerFactoryWithOptions(client, 0, externalversions.WithNamespace(followed.Namespace))
	jobs := factory.Batch().V1().Jobs()
	changed := make(chan struct{}, 1)
	notify := func(any) {
		select {
		case changed <- struct{}{}:
		default: // one is waiting already
		}
	}
	if _, err := jobs.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: notify, UpdateFunc: func(_, job any) { notify(job) }, DeleteFunc: notify,
	}); err != nil {
		return nil, err
	}
	factory.StartWithContext(ctx)
	defer factory.Shutdown()
	defer cancel() // before Shutdown, which waits
	if !cache.WaitForCacheSync(ctx.Done(), jobs.Informer().HasSynced) {
		return nil, context.Cause(ctx)
	}
	for {
		// The lister reads the copy: no request is made.
		job, err := jobs.Lister().Jobs(followed.Namespace).Get(followed.Name)
		if err != nil {
			return nil, err
		}
		if done, err := end(job); done || err != nil {
			return job, err
		}
		fmt.Printf("%d active, %d succeeded, %d failed\n", job.Status.Active, job.Status.Succeeded, job.Status.Failed)
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// end reports whether the Job has completed; an error where it failed.
func end(job *batchv1.Job) (bool, error) {
	for _, condition := range job.Status.Conditions {
		if condition.Status != corev1.ConditionTrue {
			continue
		}
		switch condition.Type {
		case batchv1.JobComplete:
			return true, nil
		case batchv1.JobFailed:
			return true, errors.New("the Job failed: " + condition.Message)
		}
	}
	return false, nil
}

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

package job_test

import (
	"context"
	"log"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/jobserver-dev/jobserver/pkg/controller/job"
	"github.com/jobserver-dev/jobserver/pkg/generated/clientset/versioned"
	"github.com/jobserver-dev/jobserver/pkg/generated/informers/externalversions"
)

// A program that runs the controller on the server of a kubeconfig, until ctx ends. It wants a server that runs none itself, such as one
// with --controllers=*,-job.
func ExampleNew() {
	run := func(ctx context.Context, kubeconfig string) error {
		config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
		if err != nil {
			return err
		}
		jobClient, err := versioned.NewForConfig(config)
		if err != nil {
			return err
		}
		podClient, err := kubernetes.NewForConfig(config)
		if err != nil {
			return err
		}
		jobs := externalversions.NewSharedInformerFactory(jobClient, 0)
		// Of Pods the cache keeps what the controller reads.
		pods := informers.NewSharedInformerFactoryWithOptions(podClient, 0, informers.WithTransform(job.TrimPod))
		controller, err := job.New(ctx, job.Config{
			JobClient: jobClient,
			PodClient: podClient,
			Jobs:      jobs.Batch().V1().Jobs(),
			Pods:      pods.Core().V1().Pods(),
			Identity:  job.KubeIdentity(),
		})
		if err != nil {
			return err
		}
		// The caches start once the controller has its handlers in them.
		jobs.Start(ctx.Done())
		pods.Start(ctx.Done())
		return controller.Run(ctx)
	}
	if err := run(context.Background(), "admin.kubeconfig"); err != nil {
		log.Fatal(err)
	}
}

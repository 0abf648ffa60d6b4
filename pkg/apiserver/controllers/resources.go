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

package controllers

import (
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch/kubev1"
	ourv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
	"github.com/jobserver-dev/jobserver/pkg/controller/garbagecollector"
)

// collectedResources are all kinds that a standalone server serves, for the garbage collector. Jobs are watched through one group; an
// owner reference may name either.
func collectedResources() []garbagecollector.Resource {
	jobs := garbagecollector.Resource{
		GroupVersionResource: ourv1.SchemeGroupVersion.WithResource("jobs"),
		Kind:                 "Job",
		Namespaced:           true,
		Aliases:              []schema.GroupVersionKind{kubev1.SchemeGroupVersion.WithKind("Job")},
	}
	resource := func(kind, plural string) garbagecollector.Resource {
		return garbagecollector.Resource{GroupVersionResource: corev1.SchemeGroupVersion.WithResource(plural), Kind: kind, Namespaced: true}
	}
	events := resource("Event", "events")
	events.OwnerOnly = true
	namespaces, nodes := resource("Namespace", "namespaces"), resource("Node", "nodes")
	namespaces.Namespaced, nodes.Namespaced = false, false
	leases := garbagecollector.Resource{GroupVersionResource: coordinationv1.SchemeGroupVersion.WithResource("leases"), Kind: "Lease", Namespaced: true}
	return []garbagecollector.Resource{
		jobs, resource("Pod", "pods"), resource("ConfigMap", "configmaps"), resource("Secret", "secrets"), events, leases, namespaces, nodes,
	}
}

// namespacedResources are what the deletion of a namespace deletes, in this order: Jobs before their Pods, so that their controller
// lets go of the Pods.
func namespacedResources() []schema.GroupVersionResource {
	return []schema.GroupVersionResource{
		ourv1.SchemeGroupVersion.WithResource("jobs"),
		corev1.SchemeGroupVersion.WithResource("pods"),
		corev1.SchemeGroupVersion.WithResource("configmaps"),
		corev1.SchemeGroupVersion.WithResource("secrets"),
		coordinationv1.SchemeGroupVersion.WithResource("leases"),
		corev1.SchemeGroupVersion.WithResource("events"),
	}
}

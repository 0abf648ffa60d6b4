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

package batch

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const (
	// GroupName is the API group of jobserver's own Job.
	GroupName = "batch.jobserver.dev"

	// KubeGroupName is Kubernetes' API group of the same resource.
	KubeGroupName = "batch"
)

// SchemeGroupVersion is the internal version of jobserver's own group.
var SchemeGroupVersion = schema.GroupVersion{Group: GroupName, Version: runtime.APIVersionInternal}

// KubeSchemeGroupVersion is the internal version of Kubernetes' group.
var KubeSchemeGroupVersion = schema.GroupVersion{Group: KubeGroupName, Version: runtime.APIVersionInternal}

// Resource returns the resource qualified by jobserver's own group.
func Resource(resource string) schema.GroupResource {
	return SchemeGroupVersion.WithResource(resource).GroupResource()
}

var (
	// SchemeBuilder collects what AddToScheme does.
	SchemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme registers the hub types.
	AddToScheme = SchemeBuilder.AddToScheme
)

// addKnownTypes registers the same Go types under the internal versions of both groups: the installer of a group asks
// for the internal kind of that group (the precedent is Event in Kubernetes, in "" and events.k8s.io).
func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(SchemeGroupVersion, &Job{}, &JobList{})
	scheme.AddKnownTypes(KubeSchemeGroupVersion, &Job{}, &JobList{})
	return nil
}

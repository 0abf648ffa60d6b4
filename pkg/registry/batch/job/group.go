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

// Package job holds the rules of a Job on its way into and out of the store: what the server sets, keeps and refuses.
// Both groups have the same strategy; a Group says where they differ.
package job

import (
	"reflect"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch"
	"github.com/jobserver-dev/jobserver/pkg/apis/batch/kubev1"
	ourv1 "github.com/jobserver-dev/jobserver/pkg/apis/batch/v1"
)

// Group is what one of the served API groups decides for its Jobs.
type Group struct {
	// Version is the served version.
	Version schema.GroupVersion

	// GarbageCollection is what deleting a Job does to its Pods where the request doesn't say.
	GarbageCollection rest.GarbageCollectionPolicy

	// TemplateEditable lets any field of a suspended Job's Pod template be edited, as the guide says. Otherwise
	// Kubernetes' narrower rule holds.
	TemplateEditable bool

	// HidesPolicies is set where the group's version has no fields for our policies: they are filled from Profile on create and
	// carried over on update.
	HidesPolicies bool

	// Profile are the policies of a Job made through a group that hides them.
	Profile Profile
}

// OurGroup is batch.jobserver.dev.
func OurGroup() Group {
	return Group{Version: ourv1.SchemeGroupVersion, GarbageCollection: rest.DeleteDependents, TemplateEditable: true}
}

// KubeGroup is Kubernetes' batch, whose new Jobs get the policies of profile. Deleting orphans by default, as it does in
// Kubernetes for batch/v1 since the days before garbage collection.
func KubeGroup(profile Profile) Group {
	return Group{Version: kubev1.SchemeGroupVersion, GarbageCollection: rest.OrphanDependents, HidesPolicies: true, Profile: profile}
}

// typer names an object's kind in one group only. The Go type of the hub is registered in both, and errors about an object would
// otherwise name whichever came first.
type typer struct {
	kind schema.GroupVersionKind
}

func newTyper(group Group) typer {
	return typer{kind: schema.GroupVersionKind{Group: group.Version.Group, Version: runtime.APIVersionInternal, Kind: "Job"}}
}

// ObjectKinds returns the Job kind of the typer's group.
func (t typer) ObjectKinds(obj runtime.Object) ([]schema.GroupVersionKind, bool, error) {
	if _, ok := obj.(*batch.Job); !ok {
		return nil, false, runtime.NewNotRegisteredErrForType("job strategy", reflect.TypeOf(obj))
	}
	return []schema.GroupVersionKind{t.kind}, false, nil
}

// Recognizes reports whether gvk is the Job kind of the typer's group.
func (t typer) Recognizes(gvk schema.GroupVersionKind) bool {
	return gvk == t.kind
}

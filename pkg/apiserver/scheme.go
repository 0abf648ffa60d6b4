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

package apiserver

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"

	"github.com/jobserver-dev/jobserver/pkg/apis/batch/install"
	"github.com/jobserver-dev/jobserver/pkg/registry/coordination"
	"github.com/jobserver-dev/jobserver/pkg/registry/core"
	"github.com/jobserver-dev/jobserver/pkg/registry/reviews"
)

var (
	// Scheme knows every type that the server serves or stores.
	Scheme = runtime.NewScheme()

	// Codecs are the serializers of Scheme.
	Codecs = serializer.NewCodecFactory(Scheme)

	// ParameterCodec decodes query parameters into Scheme's options types.
	ParameterCodec = runtime.NewParameterCodec(Scheme)
)

func init() {
	install.Install(Scheme)
	core.Install(Scheme)
	coordination.Install(Scheme)
	reviews.Install(Scheme)

	// Options and status of every API are meta types; they live in the unversioned group v1.
	unversioned := schema.GroupVersion{Version: "v1"}
	metav1.AddToGroupVersion(Scheme, unversioned)
	Scheme.AddUnversionedTypes(unversioned,
		&metav1.Status{},
		&metav1.APIVersions{},
		&metav1.APIGroupList{},
		&metav1.APIGroup{},
		&metav1.APIResourceList{},
	)
}

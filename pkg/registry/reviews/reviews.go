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

// Package reviews answers callers who ask about themselves: who they are (kubectl auth whoami) and what they may do (kubectl auth can-i).
// Nothing is stored.
package reviews

import (
	"context"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	genericapiserver "k8s.io/apiserver/pkg/server"
)

// Install makes scheme know the reviews. A review is never stored nor converted: its external type is its internal one too.
func Install(scheme *runtime.Scheme) {
	for gv, types := range map[schema.GroupVersion][]runtime.Object{
		authenticationv1.SchemeGroupVersion: {&authenticationv1.SelfSubjectReview{}},
		authorizationv1.SchemeGroupVersion:  {&authorizationv1.SelfSubjectAccessReview{}, &authorizationv1.SelfSubjectRulesReview{}},
	} {
		scheme.AddKnownTypes(gv, types...)
		scheme.AddKnownTypes(schema.GroupVersion{Group: gv.Group, Version: runtime.APIVersionInternal}, types...)
		metav1.AddToGroupVersion(scheme, gv)
		utilruntime.Must(scheme.SetVersionPriority(gv))
	}
}

// NewAPIGroupInfos returns authentication.k8s.io/v1 and authorization.k8s.io/v1, as far as they are about the caller.
func NewAPIGroupInfos(scheme *runtime.Scheme, parameters runtime.ParameterCodec, codecs serializer.CodecFactory, authorizer authorizer.Authorizer) []*genericapiserver.APIGroupInfo {
	authentication := genericapiserver.NewDefaultAPIGroupInfo(authenticationv1.GroupName, scheme, parameters, codecs)
	authentication.VersionedResourcesStorageMap["v1"] = map[string]rest.Storage{"selfsubjectreviews": &selfSubjectReview{}}
	authorization := genericapiserver.NewDefaultAPIGroupInfo(authorizationv1.GroupName, scheme, parameters, codecs)
	authorization.VersionedResourcesStorageMap["v1"] = map[string]rest.Storage{
		"selfsubjectaccessreviews": &selfSubjectAccessReview{authorizer: authorizer},
		"selfsubjectrulesreviews":  &selfSubjectRulesReview{authorizer: authorizer},
	}
	return []*genericapiserver.APIGroupInfo{&authentication, &authorization}
}

// admittedCaller returns who sent a review, once admission lets it pass. The error is a bad request where nobody is known to have.
func admittedCaller(ctx context.Context, review runtime.Object, validate rest.ValidateObjectFunc) (user.Info, error) {
	caller, ok := genericapirequest.UserFrom(ctx)
	if !ok {
		return nil, apierrors.NewBadRequest("no user present on request")
	}
	if validate != nil {
		if err := validate(ctx, review.DeepCopyObject()); err != nil {
			return nil, err
		}
	}
	return caller, nil
}
